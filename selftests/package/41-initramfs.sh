#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# An initramfs with all that Debian puts in by default, and in which zram is loaded: ours is; and where the kernel refuses it,
# C zram is loaded when the root file system is there.
# long

. "$(dirname "$0")/lib.sh"

set_up() {
	install "rust-zram-modules-$(uname -r)"
	sed -i 's/^MODULES=.*/MODULES=most/' /etc/initramfs-tools/conf.d/vm
	echo zram >>/etc/initramfs-tools/modules
	works 'the initramfs is made' update-initramfs -u
	matches 'ours is in it' "$(lsinitramfs /initrd.img)" '/updates/zram\.ko'
}

next_boot() {
	serves rust
	matches 'it was loaded before the root file system was there' "$(dmesg | grep 'zram\|EXT4')" \
		'rust_zram: Added device: zram0.*EXT4-fs \(vda\): mounted filesystem'
}

enforced() {
	serves c
	matches 'the log says why' "$(dmesg)" 'rust_zram: cannot be loaded.*Key was rejected by service.*zram: Added device: zram0'
}

machine plain
boot set_up
boot next_boot
boot enforced -a module.sig_enforce=1
finish
