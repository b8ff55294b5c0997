#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap that is set up by hand, as wikis say: modules-load.d loads zram, a rule of udev gives the device its size, and fstab has it
# swapped on.
# long

. "$(dirname "$0")/lib.sh"

set_up() {
	without_zram
	purge systemd-zram-generator
	echo zram >/etc/modules-load.d/zram.conf
	echo 'options zram num_devices=2' >/etc/modprobe.d/zram.conf
	echo 'ACTION=="add", KERNEL=="zram0", ATTR{initstate}=="0", ATTR{comp_algorithm}="zstd", ATTR{disksize}="512M", TAG+="systemd"' \
		>/etc/udev/rules.d/99-zram.rules
	echo '/dev/zram0 none swap defaults,discard,pri=100,x-systemd.makefs 0 0' >>/etc/fstab
	install "rust-zram-modules-$(uname -r)"
}

next_boot() {
	serves rust
	matches 'by the algorithm that was asked for' "$(</sys/block/zram0/comp_algorithm)" '\[zstd\]'
	is 'of the size that was asked for' "$(</sys/block/zram0/disksize)" $((512 << 20))
	is 'with the devices that were asked for' "$(find /sys/block -name 'zram*' | wc -l)" 2
	pressed
	purge "rust-zram-modules-$(uname -r)"
}

after() {
	serves c
	is 'with the devices that were asked for' "$(find /sys/block -name 'zram*' | wc -l)" 2
}

machine plain
boot set_up
boot next_boot
boot after
finish
