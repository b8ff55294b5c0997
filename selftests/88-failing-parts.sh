#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each allocation of the module fails once while parts of pages are written; see failing.py.
# kernel: kasan
# vm: cpus=2 mem=768M blocks=small
# timeout: 60
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs faults module=loop module=dm-mod dmsetup python3

# failing.py loads the module itself.
loop_device 16M
modprobe dm-mod
dmsetup create zram-failing --table "0 $((16 << 11)) linear $loop_device 0"
at_exit dmsetup remove --retry zram-failing
at_exit dmsetup resume zram-failing
cd "$work" || exit
mapper=/dev/$(dmsetup info --columns --noheadings -o blkdevname zram-failing)
relay 'each allocation fails' python3 "$here/failing.py" "$MODULE" "$KO" "$mapper" parts
finish
