#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each allocation of the module fails once; see failing.py.
# kernel: kasan
# vm: cpus=2 mem=768M
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs faults cpu=1 module=loop python3

# failing.py loads the module itself.
modprobe -q lz4hc_compress
loop_device 16M
cd "$work" || exit
# shellcheck disable=SC2086 # a list
relay 'each allocation fails' python3 "$here/failing.py" "$MODULE" "$KO" "$loop_device" ${CASES:-}
finish
