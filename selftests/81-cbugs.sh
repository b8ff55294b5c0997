#!/bin/bash
# What C zram does wrong and ours does not, shown on both in the same run.
# Needs: root, no swap in use, zram_full.ko (qemu/peer) beside this directory, the modules nbd and lz4hc_compress, python3.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	[[ ! -d /sys/module/zram ]] || works "C zram unloads at the end" rmmod zram
	[[ ! -d /sys/module/nbd ]] || rmmod nbd
	clean_up
}
trap undo EXIT

if is_c; then
	skip 'ours and C zram' 'this is C zram'
elif [[ ! -e $here/../zram_full.ko ]]; then
	skip 'ours and C zram' 'no zram_full.ko, see qemu/peer'
else
	modprobe -q lz4hc_compress
	modprobe nbd nbds_max=2 max_part=0
	cd "$work" || exit
	insmod "$here/../zram_full.ko" num_devices=1
	works 'ours loads beside it' load num_devices=1 coexist=1
	relay 'unlike C zram' python3 "$here/cbugs.py" /dev/nbd0 /dev/nbd1
	works 'ours unloads' unload
	works 'C zram unloads' rmmod zram
fi
finish
