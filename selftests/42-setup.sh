#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Setting a disk up: backing devices that are slow, odd, or strangely called; dictionaries that are slow, large, or not there.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram module=loop unused=nbd python3

modprobe loop
# With partitions, so that opening the device reads from it.
load_helper nbd nbds_max=2 max_part=8
cd "$work" || exit
load
# shellcheck disable=SC2086 # a list
relay setup python3 "$here/setup.py" /dev/nbd1 ${CASES:-}
unload
finish
