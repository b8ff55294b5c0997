#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A reset or a removal waits for processes that have the disk open for a moment, as udev and blkid do, but not for one that
# keeps it open.
# vm: cpus=4 mem=768M
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram zramctl python3

udevd=/usr/lib/systemd/systemd-udevd
load
relay 'openers' python3 "$here/openers.py" "${SLOWER:-1}"
unload

# --- eight zramctl at once ---

# Each looks for a disk without a size, resets it and gives it one. Nothing keeps two from choosing the same disk, a fault of
# zramctl: the second then fails to set the size. Resets must never fail.
crowd() {
	local i
	for i in {1..8}; do
		zramctl --find --size 16M >"$work/zramctl.$i" 2>&1 &
	done
	wait
	cat "$work"/zramctl.[1-8] >>"$work/said"
	disks=$(cat "$work"/zramctl.[1-8] | grep -c '^/dev/zram')
	# shellcheck disable=SC2013 # one word a line
	for i in $(sort -rn <(basename -a /sys/block/zram*)); do
		settle
		echo "${i#zram}" >"$CLASS/hot_remove" || return
	done
}
crowds() {
	local turn
	: >"$work/said"
	for turn in {1..10}; do
		if ! crowd; then echo "turn $turn: removal failed" >>"$work/said"; fi
		echo "turn $turn: $disks disks" >>"$work/said"
	done
	failed=$(grep -c 'failed to reset\|removal' "$work/said")
	holds "$1: resets and removals that fail, at most $2" "failed <= $2" "$failed"
	is "$1: what else zramctl says" \
		"$(grep -v '^/dev/zram\|^turn\|failed to reset\|failed to set disksize' "$work/said" | sort | uniq -c)" ''
	sort "$work/said" | uniq -c | sed 's/^/# /'
}
load num_devices=0
crowds 'eight zramctl at once' 0

# --- under udevd ---

if [[ ! -x $udevd ]]; then
	skip 'under udevd' 'not installed'
else
	mkdir -p /run/udev
	"$udevd" --daemon
	# On an emulated CPU udevd may have a disk open for longer than a reset waits.
	crowds 'eight zramctl at once, under udevd' 8
	read -r id <"$CLASS/hot_add"
	sequence() {
		local disk=/sys/block/zram$id
		echo 1 >"$disk/reset" && echo zstd >"$disk/comp_algorithm" && echo 32M >"$disk/disksize" &&
			mkswap -q "/dev/zram$id" >/dev/null && swapon "/dev/zram$id" && swapoff "/dev/zram$id" &&
			echo 1 >"$disk/reset" && echo "$id" >"$CLASS/hot_remove" && read -r id <"$CLASS/hot_add"
	}
	sequences() {
		local i
		for i in {1..25}; do sequence || return; done
	}
	works "the generator's sequence, under udevd" sequences
	udevadm control --exit
	while pidof -q systemd-udevd; do sleep 0.1; done
fi
finish
