#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The packages with modules while kernels come and go: an upgrade of the kernel brings ours for the new one, also if /boot is full
# at first; a kernel that has none boots with C zram; with a kernel that is removed its module goes.
# long

. "$(dirname "$0")/lib.sh"

# Of a new kernel apt has the module as well, by a metapackage.
upgrade() {
	serves c
	is 'the older kernel runs' "$(uname -r)" "$older"
	apt-get -q update
	mount -t tmpfs -o size=1M tmpfs /boot
	refused 'apt says that /boot is full' 'No space left on device' \
		apt-get -q -y install "linux-image-$newest" "linux-headers-$newest" rust-zram-modules-amd64
	umount /boot
	serves c
	goes_on
	matches 'ours is there for the new kernel' "$(modinfo -k "$newest" -n zram)" /updates/
	serves c
}

upgraded() {
	is 'the newest kernel runs' "$(uname -r)" "$newest"
	serves rust
}

# No word of ours, for nothing of it was tried.
back() {
	is 'the older kernel runs' "$(uname -r)" "$older"
	serves c
	is 'the log says nothing' "$(journalctl -b -o cat | grep -c rust_zram)" 0
	purge "linux-image-$newest" "linux-modules-$newest"
	is 'with the kernel its module goes' "$(find / -xdev -path "*$newest*" -name '*zram*')" ''
	serves c
}

machine builder
boot upgrade -t 1800
boot upgraded
boot back -k "$older"
finish
