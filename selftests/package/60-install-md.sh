#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The commands in doc/install.md, in their order, from the repository to the end: each does what the page says. What it says of
# building packages, of DKMS and of Secure Boot is done by other tests.
# long

. "$(dirname "$0")/lib.sh"

# commands SECTION N: the Nth block of commands there.
commands() {
	awk -v section="$1" -v wanted="$2" '
		/^#/ { here = substr($0, index($0, " ") + 1) == section; n = 0; block = 0; next }
		here && /^    / {
			if (!block) { n++; block = match($0, /[^ ]/) }
			if (n == wanted) print substr($0, block)
			next
		}
		/./ { block = 0 }
	' /host/install.md
}

# follow SECTION N: a case: its commands succeed. Here root gives them; the machine's own reboot is ours; and the repository is
# where this machine has it.
follow() {
	local text
	text=$(commands "$@")
	[[ $text ]] || fail "$1, block $2: is there"
	text=${text//'/path/to/dist'//host/packages}
	works "$1, block $2" bash -ec "sudo() { [[ \$1 == reboot ]] || command \"\$@\"; }; $text"
}

zram() { cat "/sys/block/zram0/$1"; }

# memory: what the machine has, in MiB.
memory() { awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo; }

# about NAME BYTES MEBIBYTES: a case: these are the same, but for rounding.
about() { holds "$1" "$2 >> 20 >= $3 - 8 && $2 >> 20 <= $3 + 8"; }

installed() {
	echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/yes
	follow Packages 2
	follow Packages 3
}

laptop() {
	serves rust
	matches 'the page says so' "$(commands 'Is it in use?' 1 | bash)" '^[0-9.]+$'
	follow 'Is it in use?' 2
	follow 'Swap at each boot' 1
}

server() {
	serves rust
	matches 'laptop: lzmem' "$(zram comp_algorithm)" '\[lzmem\]'
	about 'laptop: as much as memory' "$(zram disksize)" "$(memory)"
	is 'laptop: settings of swap' "$(cat /proc/sys/vm/page-cluster /proc/sys/vm/swappiness | xargs)" '0 150'
	pressed
	follow 'Swap at each boot' 2
}

board() {
	serves rust
	about 'server: half of memory' "$(zram disksize)" "$(($(memory) / 2))"
	about 'server: at most an eighth of it' "$(awk '{ print $4 }' /sys/block/zram0/mm_stat)" "$(($(memory) / 8))"
	follow 'Swap at each boot' 3
}

tools() {
	serves rust
	matches 'board: lz4' "$(zram comp_algorithm)" '\[lz4\]'
	about 'board: more than memory' "$(zram disksize)" "$(($(memory) * 3 / 2))"
	without_zram
	purge systemd-zram-generator
	rm -f /etc/systemd/zram-generator.conf
	systemctl daemon-reload
	follow 'Swap at each boot' 4
	is 'zram-tools: swap is on ours at once' "$(swap) $(driver)" 'zram0 rust'
}

by_hand() {
	serves rust
	matches 'zram-tools: lzmem' "$(zram comp_algorithm)" '\[lzmem\]'
	purge zram-tools
	follow 'Swap at each boot' 5
	follow 'Swap at each boot' 6
}

leave() {
	serves rust
	matches 'by hand: lzmem' "$(zram comp_algorithm)" '\[lzmem\]'
	is 'by hand: its size' "$(zram disksize)" $((512 << 20))
	is 'by hand: two devices' "$(find /sys/block -name 'zram*' | wc -l)" 2
	follow Leaving 1
	is 'no package is left' "$(dpkg -l | awk '/^ii/ && $2 ~ /^rust-zram/ { print $2 }')" ''
}

left() { serves c; }

machine plain
for step in installed laptop server board tools by_hand leave left; do
	boot "$step" -f "$here/../../doc/install.md"
done
finish
