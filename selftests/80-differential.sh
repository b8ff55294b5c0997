#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# C zram and ours in one kernel: the same operations on both, their outcomes compared after each. First beside the driver
# that Debian ships, then beside mainline's with everything on (qemu/peer). SEED= repeats a random run, SEED=S:N one epoch.
# vm: cpus=4 mem=1G
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs module=loop python3

random=${COUNT:-5000}
seed=${SEED:-$RANDOM$RANDOM}

# compare PEER COUNT: all of it beside this driver, which is loaded.
compare() {
	works "$1: ours loads beside it" load num_devices=1 coexist=1 || return
	relay "$1" python3 -m differential scripted "${loop_devices[@]}"
	relay "$1" python3 -m differential random "$seed" "$2" "${loop_devices[@]}"
	works "$1: ours unloads" unload
	works "$1: C zram unloads" rmmod zram
}

for _ in zram rzram; do
	for size in $((256 * PAGE)) $((16 * PAGE)) 512; do loop_device "$size"; done
done
cd "$work" || exit
ln -s "${loop_devices[0]}" zram.link
ln -s "${loop_devices[3]}" rzram.link
for size in 0 7 8 16K 100K; do
	head -c "$size" "$BASH" >"dict.${size,,}"
done
printf '# seed %s\n' "$seed"

if modprobe zram num_devices=1; then
	compare Debian $((random / 4))
else
	skip 'beside the driver of the distribution' 'no zram.ko'
fi
if [[ -e $PEER_KO ]]; then
	load_peer num_devices=1
	compare full "$random"
else
	skip 'beside the full driver' 'no zram_full.ko, see qemu/peer'
fi
finish
