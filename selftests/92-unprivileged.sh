#!/bin/bash
# Users without privileges: they read what mainline lets them, and change nothing; see unprivileged.py.
# Needs: root, debugfs, python3, no zram device in use, zram_full.ko (qemu/peer) beside this directory to compare with.
# vm: cpus=4 mem=1G
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	[[ ! -d /sys/module/zram ]] || works "C zram unloads at the end" rmmod zram
	clean_up
}
trap undo EXIT

if is_c; then
	skip 'users without privileges' 'this is C zram'
	finish
fi
peer=''
if [[ -e $here/../zram_full.ko ]]; then
	modprobe -q lz4hc_compress
	insmod "$here/../zram_full.ko"
	peer=zram
else
	skip 'beside C zram' 'no zram_full.ko, see qemu/peer'
fi
load coexist=1
for disk in $peer rzram; do
	device 1M zstd "${disk}0"
	"$here/pages.py" write "/dev/${disk}0" 0 64 text >/dev/null
done
relay unprivileged python3 "$here/unprivileged.py" rzram $peer
works 'unloads' unload
[[ -z $peer ]] || works 'C zram unloads' rmmod zram
finish
