#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The package is upgraded while its module serves swap: the old module runs on until the next boot. And what is left when the
# power goes before a package is set up: a boot with swap, and an apt that can go on.
# long

. "$(dirname "$0")/lib.sh"

first() { install "rust-zram-modules-$(uname -r)"; }

upgrade() {
	local before
	serves rust
	before=$(</sys/module/zram/version)
	install "rust-zram-modules-$(uname -r)"
	is 'the old module runs on' "$(</sys/module/zram/version), $(swap)" "$before, zram0"
	pressed
	matches 'the new one is there' "$(modinfo -F version zram)" '^9\.9\.9$'
}

upgraded() {
	serves rust
	is 'it is the new module' "$(</sys/module/zram/version)" 9.9.9
	purge "rust-zram-modules-$(uname -r)"
}

# What dpkg has unpacked is on the disk, but depmod was not run.
powerless() {
	serves c
	apt-get -q update
	apt-get -q -y --download-only install "rust-zram-modules-$(uname -r)"
	dpkg --unpack /host/packages/rust-zram-common_*.deb "/host/packages/rust-zram-modules-$(uname -r)_"*.deb
	cut_power
}

half() {
	serves c
	goes_on
}

whole() { serves rust; }

machine plain
boot first
newer
boot upgrade
boot upgraded
boot powerless -x
boot half
boot whole
finish
