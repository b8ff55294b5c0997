#!/bin/bash
# Bits that flip in what is stored, or on the backing device: EIO on that page only, for every algorithm; see
# corrupt.py. COUNT= says how often for each algorithm, SEED= repeats what was done.
# Needs: root, debugfs of a kernel that can inject faults, no zram device in use, python3, the module loop.
# vm: cpus=4 mem=1G
# kernel: kasan
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

seed=${SEED:-$RANDOM$RANDOM}
loop=''

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	[[ -z $loop ]] || losetup -d "$loop"
	clean_up
}
trap undo EXIT

load
if [[ ! -e $DEBUG/zram0/corrupt ]]; then
	skip 'damaged data' 'nothing can damage it in this kernel'
	finish
fi
modprobe loop
cd "$work" || exit
truncate -s 1M disk
loop=$(losetup -f --show disk)
printf '# seed %s\n' "$seed"
# For qemu/scan.
echo 'selftest: damages data' >/dev/kmsg
relay damage python3 "$here/corrupt.py" "${COUNT:-2000}" "$seed" "$loop"
works 'unloads' unload
finish
