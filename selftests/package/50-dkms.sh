#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The package that builds the module: for the kernel that runs, for one that it is upgraded to, and not for one without Rust. Each
# boots with swap, on ours where it can be. It is removed without a trace.
# long

. "$(dirname "$0")/lib.sh"

# Left out is what other kernels bring, and the key that DKMS makes for the machine, whose owner may have enrolled it.
files_but_kernels() {
	files | grep -vF -e "${newest%-*}" -e "${rustless%-*}" -e /linux-compiler- -e /var/lib/dkms/mok. |
		grep -vE '^/(vmlinuz|initrd\.img)'
}

before() {
	serves c
	is 'the older kernel runs' "$(uname -r)" "$older"
	files_but_kernels >/var/tmp/files
}

add() {
	install rust-zram-dkms
	built "$older" yes
	settled
}

ours() {
	serves rust
	is 'the older kernel runs' "$(uname -r)" "$older"
	pressed
	is 'the log has no errors' "$(journalctl -b -p err -o cat)" ''
}

# Two kernels at once.
upgrade() {
	install "linux-image-$newest" "linux-headers-$newest" "linux-image-$rustless" "linux-headers-$rustless"
	matches 'that the one without Rust is skipped is said' "$(grep '^rust-zram: ' "$work/out")" \
		"not built, C zram serves: kernel ${rustless//+/[+]} is too old for the module"
	built "$newest" yes
	built "$rustless" no
	built "$older" yes
	settled
}

upgraded() {
	serves rust
	is 'the newest kernel runs' "$(uname -r)" "$newest"
	pressed
}

without_rust() {
	serves c
	is 'the kernel without Rust runs' "$(uname -r)" "$rustless"
	pressed
}

back() {
	serves rust
	is 'the older kernel runs' "$(uname -r)" "$older"
	purge rust-zram-dkms
	files_but_kernels >"$work/files"
	is 'no file is left, and none has changed' "$(diff /var/tmp/files "$work/files")" ''
	is 'depmod has no complaint' "$(depmod -n "$newest" 2>&1 >/dev/null)" ''
}

removed() { serves c; }

machine builder
boot before
build add
boot ours
build upgrade
boot upgraded -k "$newest"
boot without_rust -k "$rustless"
boot back -k "$older"
boot removed -k "$newest"
finish
