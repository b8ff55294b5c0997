#!/bin/bash
# Each allocation of the module fails once; see failing.py.
# Needs: root, a kernel with fault injection, no zram device in use, python3, the module loop, CPU 1 that can go down.
# kernel: kasan
# vm: cpus=2 mem=768M
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	losetup -d "$loop"
	clean_up
}
trap undo EXIT

modprobe -q lz4hc_compress
modprobe loop
truncate -s 16M "$work/disk"
loop=$(losetup -f --show "$work/disk")
cd "$work" || exit
# shellcheck disable=SC2086 # a list
relay 'each allocation fails' python3 "$here/failing.py" "$MODULE" "$KO" "$loop" ${CASES:-}
finish
