#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bits that flip in what is stored, or on the backing device: EIO on that page only, for every algorithm; see
# corrupt.py. COUNT= says how often for each algorithm, SEED= repeats a run.
# vm: cpus=4 mem=1G
# kernel: kasan
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs faults module=loop python3

seed=${SEED:-$RANDOM$RANDOM}

load
cd "$work" || exit
loop_device 1M
printf '# seed %s\n' "$seed"
# Has qemu/scan expect failed decompressions in the log.
echo 'selftest: damages data' >/dev/kmsg
relay damage python3 "$here/corrupt.py" "${COUNT:-2000}" "$seed" "$loop_device"
works 'unloads' unload
finish
