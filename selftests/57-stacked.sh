#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap while memory is nearly gone, with a backing device that is encrypted, or a file on a file system; see stacked.py. Sets
# nearly all memory aside.
# vm: cpus=2 mem=768M disk=160M
# timeout: 1300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram no-swap disk cryptsetup losetup mkfs.ext4 mkswap python3 module=dm-crypt module=loop

read -r disk _ <<<"$DISKS"
# As the kernel sets min_free_kbytes, it would keep more memory free than is left here. With too little, swap-out stops: for some
# pages the kernel has to allocate a table of swap slots first, and must not use the reserve for that. A debug kernel, whose
# allocations are larger, stopped with 4 MiB: it gets 8 MiB more of reserve, and of memory.
debug=0
((${SLOWER:-1} == 1)) || debug=8
restore_at_exit /proc/sys/vm/min_free_kbytes
echo $(((4 + debug) << 10)) >/proc/sys/vm/min_free_kbytes
mkdir "$work/mnt"

# In a debug kernel memory is so fragmented that 1.5 times the high watermark would be added to all of them, and with pages of
# 16 KiB a block of pages, which has 32 MiB: not in this test.
if ((debug || PAGE > 4096)); then
	restore_at_exit /proc/sys/vm/watermark_boost_factor
	echo 0 >/proc/sys/vm/watermark_boost_factor
fi
# KASAN does not reuse what was freed before that is a thirty-second of all memory: it gets that much now, while there is enough.
if ((debug)); then
	for _ in 1 2; do
		find / -xdev -ls >/dev/null
		echo 2 >/proc/sys/vm/drop_caches
	done
fi

# stacked NAME BACKING BELOW: cases: swap with that backing device, its pages compressed or not. BELOW holds what it has.
stacked() {
	local compressed
	for compressed in 1 0; do
		load num_devices=1
		leave_memory $((44 + debug))
		relay "$1, compressed_writeback=$compressed" python3 "$here/stacked.py" "$2" "$3" "$compressed" $((12 + debug))
		give_memory_back
		works 'unload' unload
	done
}

# The commands of doc/writeback.md: a key that nobody knows, and that is gone with the device.
works 'encrypt the disk' cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file /dev/urandom \
	"$disk" zram-backing
stacked 'on dm-crypt' /dev/mapper/zram-backing "$disk"
works 'close it' cryptsetup close zram-backing

works 'make a file system' mkfs.ext4 -q "$disk"
works 'mount it' mount "$disk" "$work/mnt"
at_exit umount "$work/mnt"
works 'make a file that has all its blocks' dd if=/dev/zero of="$work/mnt/backing" bs=1M count=128 conv=fsync
modprobe loop
works 'a loop device with direct I/O' losetup --direct-io=on -f --show "$work/mnt/backing"
loop=$(losetup --noheadings --output NAME -j "$work/mnt/backing")
is 'it has direct I/O' "$(losetup --noheadings --raw --output DIO "$loop")" 1
stacked 'on a file' "$loop" none
works 'detach it' losetup -d "$loop"
finish
