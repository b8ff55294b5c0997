#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Writeback under fire, marks of idleness, recompression, and the parameters of algorithms; see writeback/. 86 has what is about
# parts of pages.
# vm: cpus=4 mem=1G
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram no-swap debugfs module=loop unused=nbd unused=null_blk dmsetup strace dash python3

modprobe -a loop dm-flakey
load_helper nbd nbds_max=1 max_part=0
load_helper null_blk nr_devices=0
remove_nullb() { [[ ! -d /sys/kernel/config/nullb/selftest ]] || rmdir /sys/kernel/config/nullb/selftest; }
at_exit remove_nullb
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
for size in $((10 * PAGE + PAGE / 2)) $((4096 * PAGE)) $((4096 * PAGE)); do loop_device "$size"; done
dmsetup create zram-selftest --table "0 $((PAGE * 8)) linear ${loop_devices[2]} 0"
at_exit dmsetup remove --retry zram-selftest
mapper=/dev/$(dmsetup info --columns --noheadings -o blkdevname zram-selftest)
cd "$work" || exit
load
# shellcheck disable=SC2086 # a list
relay writeback python3 -m writeback "${SUBJECTS:-selection limits bad_devices concurrency interruption recompression parameters}" "$MODULE" /dev/nbd0 "${loop_devices[@]}" "$mapper" ${CASES:-}
unload
finish
