#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A machine with Secure Boot, by Debian's signed loaders and kernel: the module is refused while it is not signed by a key that
# the firmware knows, and C zram serves. Signed by the machine owner's key, it is loaded.
# long

. "$(dirname "$0")/lib.sh"

unsigned() {
	is 'Secure Boot is on' "$(mokutil --sb-state)" 'SecureBoot enabled'
	serves c
	install "rust-zram-modules-$(uname -r)"
	without_zram
	works 'modprobe loads one' modprobe zram
	is 'it is C zram' "$(driver)" c
	matches 'the log says why' "$(dmesg)" 'rust_zram: cannot be loaded.*Key was rejected by service'
	# As README has the owner do, but for the confirmation before the next boot.
	install "linux-kbuild-$(uname -r | sed 's/-.*//')"
	mkdir -p /var/lib/dkms
	cp /host/mok.key /host/mok.pub /var/lib/dkms/
	works 'the package signs the module' dpkg-reconfigure "rust-zram-modules-$(uname -r)"
	matches 'it is signed' "$(modinfo -F signer zram)" 'the owner of this machine'
}

# Signed, but by a key that is not enrolled.
unknown() {
	serves c
	matches 'the log says why' "$(dmesg)" 'rust_zram: cannot be loaded.*Key was rejected by service'
}

enrolled() {
	is 'Secure Boot is on' "$(mokutil --sb-state)" 'SecureBoot enabled'
	serves rust
	pressed
	is 'the kernel is not tainted by an unsigned module' $(($(</proc/sys/kernel/tainted) >> 13 & 1)) 0
}

inside=/cache${work#"$cache"}
in_root openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -subj '/CN=the owner of this machine/' \
	-keyout "$inside/mok.key" -out "$inside/mok.pem" 2>"$work/openssl" || die "no key: $(cat "$work/openssl")"
in_root openssl x509 -in "$inside/mok.pem" -outform DER -out "$inside/mok.pub"
machine plain
boot unsigned -s -f "$work/mok.key" -f "$work/mok.pub"
boot unknown -s
boot enrolled -s -o "$work/mok.pem"
finish
