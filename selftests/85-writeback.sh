#!/bin/bash
# Writeback under fire, marks of idleness, recompression, and the parameters of algorithms; see writeback.py.
# Needs: root, no swap in use, python3, dmsetup, strace, dash; the modules loop, nbd, null_blk, dm-flakey and configfs.
# vm: cpus=4 mem=1G
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

loops=()

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	dmsetup remove --retry zram-selftest
	losetup -d "${loops[@]}"
	rmdir /sys/kernel/config/nullb/selftest 2>/dev/null
	rmmod nbd null_blk
	clean_up
}
trap undo EXIT

# loop SIZE: one more backing device.
loop() {
	truncate -s "$1" "$work/disk${#loops[@]}"
	loops+=("$(losetup -f --show "$work/disk${#loops[@]}")")
}

modprobe -a loop dm-flakey
modprobe nbd nbds_max=1 max_part=0
modprobe null_blk nr_devices=0
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
loop $((10 * 4096 + 2048))
loop 16M
loop 16M
dmsetup create zram-selftest --table "0 $((4096 * 8)) linear ${loops[2]} 0"
mapper=/dev/$(dmsetup info --columns --noheadings -o blkdevname zram-selftest)
cd "$work" || exit
load
# shellcheck disable=SC2086 # a list
relay writeback python3 "$here/writeback.py" "$MODULE" /dev/nbd0 "${loops[@]}" "$mapper" ${CASES:-}
unload
finish
