#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The package that builds the module, where it cannot: no compiler or a broken one, no room on the disk or in memory, the power
# goes. apt says why and goes on each time, and the machine boots with swap.
# long

. "$(dirname "$0")/lib.sh"

# fails TEXT: cases: apt installs the package all the same, and says in a line why there is no module.
fails() {
	install rust-zram-dkms
	matches 'why there is no module is said' "$(grep '^rust-zram: ' "$work/out")" "$1"
	built "$older" no
	settled
	purge rust-zram-dkms
}

broken() {
	mv /usr/bin/rustc /usr/bin/rustc.away
	fails "C zram serves: .* apt install rustc"
	printf '#!/bin/sh\necho "rustc 1.99.0"\n' >/usr/bin/rustc
	chmod +x /usr/bin/rustc
	fails "C zram serves: .* only that will do"
	# One that is what it says, but fails at work.
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'case $* in' '*--version* | *--print*) exec /usr/bin/rustc.away "$@" ;;' 'esac' \
		'echo "error: no such luck" >&2' 'exit 1' >/usr/bin/rustc
	fails 'C zram serves: error: the kernel crate could not be built .* see /var/lib/dkms/.*/log, '
	mv /usr/bin/rustc.away /usr/bin/rustc
	mount -t tmpfs -o size=64M tmpfs /var/lib/dkms
	fails 'MB of disk are needed'
	umount /var/lib/dkms
}

little_memory() {
	serves c
	fails 'C zram serves: error: [0-9]+ MB of memory or swap are needed, and [0-9]+ are free'
}

powerless() {
	serves c
	apt-get -q update
	apt-get -q -y install rust-zram-dkms &
	# In the middle of the first crate of a dozen.
	until grep -qs RUSTC /var/lib/dkms/rust-zram/*/build/work/log; do sleep 1; done
	sleep 10
	cut_power
}

half() { serves c; }

again() {
	# As apt says that it must be.
	works 'dpkg goes on' dpkg --configure -a
	goes_on
	works 'DKMS has nothing left to do' dkms autoinstall -k "$older"
	built "$older" yes
}

whole() { serves rust; }

machine builder
build broken
boot little_memory -m 768M
boot powerless -x -m 2G -t 3600
boot half
build again
boot whole
finish
