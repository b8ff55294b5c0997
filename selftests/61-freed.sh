#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap slots whose objects a worker frees later: statistics are exact at once, the memory is there when it is wanted and soon in any
# case, nothing is lost or freed twice while CPUs come and go, and a disk goes with what waits; see freed.py.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram no-swap python3 mkswap cpu=1

log
load num_devices=1
relay 'freed slots' python3 "$here/freed.py" "$work"
is 'no pool was destroyed with objects in it' "$(log "$mark" | grep -c 'is not empty')" 0
# A disk that goes at once, and a module that does.
for turn in 1 2 3 4 5; do
	device 64M
	mkswap /dev/zram0 >"$work/out" && swapon /dev/zram0
	works "turn $turn: slots are freed" python3 "$here/freed.py" "$work" 300
	swapoff /dev/zram0
	if ((turn % 2)); then put /sys/block/zram0/reset 1; is "turn $turn: reset at once" "$ERR" OK; fi
	works "turn $turn: unload at once" rmmod "$MODULE"
	load num_devices=1
done
is 'no pool was destroyed with objects in it then' "$(log "$mark" | grep -c 'is not empty')" 0
finish
