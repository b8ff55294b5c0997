#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A zram that is in use when a selftest is started: every test is skipped and leaves the module, the device, and the swap
# on it alone; and so it is without root.
# vm: cpus=4 mem=768M
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram

# skipped NAME REASON TEST [COMMAND...]: a case: the test, run by the command, says that all of it is skipped and why.
skipped() {
	local name=$1 reason=$2 test=$3
	shift 3
	is "$name" "$(timeout 60 "$@" "$test" 2>&1 && echo "exit status 0")" "KTAP version 1
1..0 # SKIP $reason
exit status 0"
}

in_use() { awk '{print $1}' /proc/swaps | xargs; }

for driver in zram "$MODULE"; do
	if [[ $driver == zram ]]; then
		modprobe -q zram num_devices=1
	else
		load num_devices=1
	fi
	if [[ ! -d /sys/module/$driver ]]; then
		skip "beside $driver" "no $driver.ko for this kernel"
		continue
	fi
	device 16M
	mkswap -q /dev/zram0 >/dev/null
	swapon /dev/zram0
	for test in "$here"/[0-9][0-9]-*.sh; do
		skipped "beside $driver: ${test##*/}" 'a zram driver is loaded, and its devices may be in use' "$test"
		is "beside $driver: ${test##*/}: the swap stays on" "$(in_use)" 'Filename /dev/zram0'
	done
	swapoff /dev/zram0
	works "$driver unloads" rmmod "$driver"
done
skipped 'without root' 'it takes root' "$here/22-fs.sh" setpriv --reuid 65534 --clear-groups
finish
