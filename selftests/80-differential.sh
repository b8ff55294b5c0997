#!/bin/bash
# C zram and ours in one kernel: the same operations on both, their outcomes compared after each. First beside the driver
# that Debian ships, then beside mainline's with everything on (qemu/peer). SEED= repeats a random run, SEED=S:N one epoch.
# Needs: root, loop devices, python3, and as peers zram.ko of the kernel, zram_full.ko beside this directory.
# vm: cpus=4 mem=1G
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

random=${COUNT:-5000}
seed=${SEED:-$RANDOM$RANDOM}
loops=()

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	[[ ! -d /sys/module/zram ]] || works "C zram unloads at the end" rmmod zram
	((${#loops[@]} == 0)) || losetup -d "${loops[@]}"
	clean_up
}
trap undo EXIT

# loop SIZE: one more backing device.
loop() {
	truncate -s "$1" "$work/disk${#loops[@]}"
	loops+=("$(losetup -f --show "$work/disk${#loops[@]}")")
}

# compare PEER COUNT: all of it beside this driver, which is loaded.
compare() {
	works "$1: ours loads beside it" load num_devices=1 coexist=1 || return
	relay "$1" python3 "$here/differential.py" scripted "${loops[@]}"
	relay "$1" python3 "$here/differential.py" random "$seed" "$2" "${loops[@]}"
	works "$1: ours unloads" unload
	works "$1: C zram unloads" rmmod zram
}

if is_c; then
	skip 'ours beside C zram' 'this is C zram'
	finish
fi
modprobe -q lz4hc_compress
modprobe loop
for _ in zram rzram; do
	loop 1M
	loop 64K
	loop 512
done
cd "$work" || exit
ln -s "${loops[0]}" zram.link
ln -s "${loops[3]}" rzram.link
for size in 0 7 8 16K 100K; do
	head -c "$size" "$BASH" >"dict.${size,,}"
done
printf '# seed %s\n' "$seed"

if modprobe zram num_devices=1; then
	compare Debian $((random / 4))
else
	skip 'beside the driver of the distribution' 'no zram.ko'
fi
if [[ -e $here/../zram_full.ko ]]; then
	insmod "$here/../zram_full.ko" num_devices=1
	compare full "$random"
else
	skip 'beside the full driver' 'no zram_full.ko, see qemu/peer'
fi
finish
