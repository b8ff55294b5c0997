#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The package with a module for the kernel that runs: installed by apt, in use by zram-generator after the next boot, removed
# without a trace. No compiler is there.

. "$(dirname "$0")/lib.sh"

before() {
	serves c
	is 'there is no compiler' "$(command -v cc gcc rustc clang)" ''
	files >/var/tmp/files
	install "rust-zram-modules-$(uname -r)"
	matches 'modprobe would load ours' "$(modinfo -n zram)" /updates/
	serves c
}

ours() {
	serves rust
	matches 'the log names it' "$(journalctl -b -k -o cat)" 'rust_zram: Added device: zram0'
	pressed
	works 'swap goes off and on' sh -ec 'swapoff /dev/zram0; swapon /dev/zram0'
	is 'the log has no errors' "$(journalctl -b -p err -o cat)" ''
	purge "rust-zram-modules-$(uname -r)"
	serves rust
	pressed
}

after() {
	serves c
	files >"$work/files"
	is 'no file is left, and none has changed' "$(diff /var/tmp/files "$work/files")" ''
	is 'depmod has no complaint' "$(depmod -n 2>&1 >/dev/null)" ''
	pressed
}

machine plain
boot before
boot ours
boot after
finish
