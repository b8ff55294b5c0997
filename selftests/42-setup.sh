#!/bin/bash
# Setting a disk up: backing devices that are slow, odd, or strangely called; dictionaries that are slow, large, or not there.
# Needs: root, no zram device in use, python3; the modules loop and nbd.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	losetup -D
	rmmod nbd
	clean_up
}
trap undo EXIT

modprobe loop
# With partitions, so that opening it reads.
modprobe nbd nbds_max=2 max_part=8
cd "$work" || exit
load
# shellcheck disable=SC2086 # a list
relay setup python3 "$here/setup.py" /dev/nbd1 ${CASES:-}
unload
finish
