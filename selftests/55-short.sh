#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory is used up for some seconds: a direct writer, a file system's fsync, and a read of pages that were written back
# wait for it, and nothing is lost; see short.py. Sets nearly all memory aside.
# vm: cpus=2 mem=768M disk=64M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram disk dmsetup mkfs.ext4 python3

read -r disk _ <<<"$DISKS"
restore_at_exit "$HUGE_PAGES" /proc/sys/vm/{dirty_writeback_centisecs,dirty_background_ratio,dirty_ratio}
# The processes that wait for memory must not be killed for it.
echo -1000 >/proc/self/oom_score_adj
modprobe dm-mod
dmsetup create zram-short --table "0 $((64 << 11)) linear $disk 0"
at_exit dmsetup remove --retry zram-short
at_exit dmsetup resume zram-short
load num_devices=3
mkdir "$work/mnt"
relay 'memory is short' python3 "$here/short.py" zram-short "$work/mnt"
finish
