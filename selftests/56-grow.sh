#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A disk grows while it is in use: by a larger number in disksize. File systems on it grow, too, swap is made anew; what was stored
# stays. It never shrinks.
# vm: cpus=4 mem=1G
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram no-swap fio mkfs.ext4 resize2fs mkfs.xfs xfs_growfs python3

disk=/sys/block/zram0
mnt=$work/mnt
mkdir "$mnt"
load num_devices=1

# grown SIZE BYTES: cases: the disk takes that size, which is so many bytes.
grown() {
	put $disk/disksize "$1"
	is "grow to $1" "$ERR $(<$disk/disksize) $(blockdev --getsize64 /dev/zram0)" "OK $2 $2"
}

# stays SIZE ERRNO: a case: that size is refused, and nothing changes.
stays() {
	local before after
	before="$(<$disk/disksize) $(blockdev --getsize64 /dev/zram0) $(mm orig)"
	put $disk/disksize "$1"
	after="$(<$disk/disksize) $(blockdev --getsize64 /dev/zram0) $(mm orig)"
	is "'$1' is refused, and nothing changes" "$ERR, $after" "$2, $before"
}

# --- the size ---

device 64M
works 'write the whole disk' "$here/pages.py" write /dev/zram0 0 $(((64 << 20) / PAGE)) mix
stays 64M EBUSY
stays 4096 EBUSY
stays $(((64 << 20) - PAGE + 1)) EBUSY
stays 0 EINVAL
stays x EINVAL
stays -1 EINVAL
stays 0xfffffffffffff001 EINVAL
log
# Its table would take more memory than there is.
stays $(((1 << 48) * PAGE)) ENOMEM
is 'the kernel does not mind' "$(log "$mark" | grep -c 'Call Trace\|WARNING\|BUG\|failure\|vmalloc')" 0
used=$(mm used)
grown $(((64 << 20) + 1)) $(((64 << 20) + PAGE))
grown 100M $((100 << 20))
is 'it is told in the log' "$(dmesg | tail -n 1 | grep -c 'zram0: detected capacity change from .* to 204800')" 1
is 'it takes no memory' "$(mm used)" "$used"
works 'what was there is there' "$here/pages.py" verify /dev/zram0 0 $(((64 << 20) / PAGE)) mix
works 'what is new is empty' "$here/pages.py" verify /dev/zram0 $(((64 << 20) / PAGE)) $(((36 << 20) / PAGE)) zero
works 'write what is new' "$here/pages.py" write /dev/zram0 $(((64 << 20) / PAGE)) $(((36 << 20) / PAGE)) text
works 'and read it' "$here/pages.py" verify /dev/zram0 $(((64 << 20) / PAGE)) $(((36 << 20) / PAGE)) text
"$here/pages.py" write /dev/zram0 $(((100 << 20) / PAGE)) 1 text 1 >"$work/out" 2>&1
is 'nothing is beyond the end' "$(mm orig)" $((100 << 20))
works 'discard it all' blkdiscard -f /dev/zram0
is 'then nothing is left' "$(mm orig)" 0

# The table gets further parts, each for more than the one before. Pages around the start of each are written as it comes.
device 100M
ends=($(((100 << 20) / PAGE)))
for gib in 1 2 3 5 8 13 700 701 3000; do
	grown ${gib}G $((gib << 30))
	ends+=($(((gib << 30) / PAGE)))
	works "$gib GiB: write before the old end" "$here/pages.py" write /dev/zram0 $((ends[-2] - 40)) 40 mix "$gib"
	works "$gib GiB: and at the new one" "$here/pages.py" write /dev/zram0 $((ends[-1] - 40)) 40 text "$gib"
	works "$gib GiB: discard one of each" blkdiscard -f -o $(((ends[-1] - 1) * PAGE)) -l "$PAGE" /dev/zram0
	works "$gib GiB: compact" put $disk/compact 1
done
verified=0
gibs=(1 2 3 5 8 13 700 701 3000)
for i in "${!gibs[@]}"; do
	"$here/pages.py" verify /dev/zram0 $((ends[i] - 40)) 40 mix "${gibs[i]}" >"$work/out" 2>&1 && verified=$((verified + 1))
done
is 'all is there that was written before an old end' "$verified" ${#gibs[@]}
works 'and at the last one' "$here/pages.py" verify /dev/zram0 $((ends[-1] - 40)) 39 text 3000
is 'nothing else is there' "$(mm orig)" $(((${#gibs[@]} * 40 + 39) * PAGE))
works 'discard it all' blkdiscard -f /dev/zram0
is 'then nothing is left' "$(mm orig)" 0
works 'reset' put $disk/reset 1
is 'a new size may be any' "$(put $disk/disksize 16M && echo "$ERR $(<$disk/disksize)")" "OK $((16 << 20))"
is 'io_stat has no failure' "$(io failed_reads) $(io failed_writes)" '0 0'

# --- while it is in use ---

device 128M
works 'mkfs.ext4' mkfs.ext4 -q /dev/zram0
works 'mount' mount /dev/zram0 "$mnt"
cp -a /usr/sbin "$mnt/"
size=$(df --output=size -k "$mnt" | tail -n 1)
grown 700M $((700 << 20))
works 'ext4 grows online' resize2fs /dev/zram0
holds 'it is as large as the disk' "$(df --output=size -k "$mnt" | tail -n 1) > $size + 500 * 1024"
works 'what is new can be filled' dd if=/dev/zero of="$mnt/file" bs=1M count=400 status=none
works 'the files are as they were' diff -r --no-dereference /usr/sbin "$mnt/sbin"
umount "$mnt"
works 'fsck finds nothing' fsck.ext4 -fn /dev/zram0

if modprobe -n -q xfs; then
	device 320M
	works 'mkfs.xfs' mkfs.xfs -q -f /dev/zram0
	works 'mount' mount /dev/zram0 "$mnt"
	cp -a /usr/sbin "$mnt/"
	size=$(df --output=size -k "$mnt" | tail -n 1)
	grown 1G $((1 << 30))
	works 'xfs grows online' xfs_growfs "$mnt"
	holds 'it is as large as the disk' "$(df --output=size -k "$mnt" | tail -n 1) > $size + 600 * 1024"
	works 'what is new can be filled' dd if=/dev/zero of="$mnt/file" bs=1M count=500 status=none
	works 'the files are as they were' diff -r --no-dereference /usr/sbin "$mnt/sbin"
	umount "$mnt"
	works 'xfs_repair finds nothing' xfs_repair -n /dev/zram0
else
	skip 'xfs grows online' 'the kernel has no xfs'
fi

device 64M
mkswap /dev/zram0 >"$work/out" && swapon /dev/zram0
grown 256M $((256 << 20))
is 'swap stays as it is' "$(awk '$1 == "/dev/zram0" {print $3}' /proc/swaps)" $((64 * 1024 - PAGE / 1024))
swapoff /dev/zram0
mkswap /dev/zram0 >"$work/out" && swapon /dev/zram0
is 'swap that is made anew takes all of it' "$(awk '$1 == "/dev/zram0" {print $3}' /proc/swaps)" $((256 * 1024 - PAGE / 1024))
swapoff /dev/zram0

# Writes and reads go on, as do those of what is new as soon as it is there.
device 64M
grows() {
	local size
	size=$(<"$disk/disksize")
	# A node of the table has 512 MiB where pages have 4 KiB.
	echo $((size + (160 << 20))) >"$disk/disksize" || return
	"$here/pages.py" write /dev/zram0 $((size / PAGE - 20)) 40 mix "$((size >> 20))" &&
		"$here/pages.py" verify /dev/zram0 $((size / PAGE - 20)) 40 mix "$((size >> 20))"
}
repeat 'grow, and use what is new' grows
repeat 'compact beside that' put $disk/compact 1
works 'I/O goes on, and all data is as it was written' fio --name=beside --filename=/dev/zram0 --rw=randrw --bs=4k --size=48M \
	--ioengine=psync --direct=1 --numjobs=1 --verify=crc32c --time_based --runtime=20 --allow_file_create=0 --group_reporting
repeated 'compact beside that'
repeated 'grow, and use what is new'
is 'no I/O failed' "$(io failed_reads) $(io failed_writes)" '0 0'

# --- with a backing device ---

# It has more blocks than the disk had pages at first.
put $disk/reset 1
loop_device 128M
works 'a backing device' put $disk/backing_dev "$loop_device"
echo 16M >$disk/disksize
grown 128M $((128 << 20))
works 'write incompressible pages' "$here/pages.py" write /dev/zram0 0 $(((100 << 20) / PAGE)) random
works 'write them back' put $disk/writeback huge
is 'more are there than the disk had pages at first' "$(awk '{print $1}' $disk/bd_stat)" $(((100 << 20) / 4096))
works 'they read as they were' "$here/pages.py" verify /dev/zram0 0 $(((100 << 20) / PAGE)) random
finish
