#!/bin/bash
# Memory is used up for some seconds: a direct writer, a file system's fsync, and a read of pages that were written back
# wait for it, and nothing is lost; see short.py.
# Needs: root, python3, dmsetup, one of the DISKS to write back to, no zram device in use; sets nearly all memory aside.
# vm: cpus=2 mem=768M disk=64M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

undo() {
	! mountpoint -q "$work/mnt" || umount "$work/mnt"
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	dmsetup resume zram-short
	dmsetup remove --retry zram-short
	for setting in "${!settings[@]}"; do echo "${settings[$setting]}" >"/proc/sys/vm/$setting"; done
	clean_up
}

read -r disk _ <<<"${DISKS:-}"
if [[ -z $disk ]]; then
	skip 'memory is short' 'it takes one of the DISKS'
	finish
fi
declare -A settings=()
for setting in dirty_writeback_centisecs dirty_background_ratio dirty_ratio; do
	settings[$setting]=$(<"/proc/sys/vm/$setting")
done
trap undo EXIT

# Who waits for memory here shall not be killed for it.
echo -1000 >/proc/self/oom_score_adj
modprobe dm-mod
dmsetup create zram-short --table "0 $((64 << 11)) linear $disk 0"
load num_devices=3
mkdir "$work/mnt"
relay 'memory is short' python3 "$here/short.py" zram-short "$work/mnt"
finish
