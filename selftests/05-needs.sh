#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A zram that is in use when a selftest is started: every test fails at once, says in one line what to do, and leaves the module,
# the device, and the swap on it alone. Without root every test is skipped. Then, what `make shell` suggests.
# vm: cpus=4 mem=768M
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs

# ends NAME LINE STATUS COMMAND...: a case: the command, which runs a test, says no more than that line, and has that exit status.
ends() {
	local name=$1 line=$2 status=$3
	shift 3
	is "$name" "$(timeout 60 "$@" 2>&1; echo "exit status $?")" "KTAP version 1
$line
exit status $status"
}

in_the_way='Bail out! a zram is loaded, which may be in use:'

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
		ends "beside $driver: ${test##*/}" "$in_the_way swapoff /dev/zram0 && rmmod $driver first" 1 "$test"
		is "beside $driver: ${test##*/}: the swap stays on" "$(in_use)" 'Filename /dev/zram0'
	done
	swapoff /dev/zram0
	ends "beside $driver, which nobody uses" "$in_the_way rmmod $driver first" 1 "$here/10-sysfs.sh"
	mkfs.ext4 -q /dev/zram0
	mkdir "$work/mnt.$driver"
	mount /dev/zram0 "$work/mnt.$driver"
	ends "beside $driver, which is mounted" "$in_the_way umount $work/mnt.$driver && rmmod $driver first" 1 "$here/10-sysfs.sh"
	umount "$work/mnt.$driver"
	works "$driver unloads" rmmod "$driver"
done
ends 'without root' '1..0 # SKIP it takes root' 0 setpriv --reuid 65534 --clear-groups "$here/22-fs.sh"

if is_c; then
	skip 'make shell' 'this is C zram'
else
	load
	cd "$here/.." || exit
	mapfile -t commands < <(sed -n 's/^  \(.*\)/\1/p' qemu/guest/shell)
	is 'make shell suggests some commands' "${#commands[@]}" 3
	for command in "${commands[@]}"; do works "make shell suggests: $command" bash -ec "$command"; done
fi
finish
