#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bugs of C zram that ours does not have, shown on both drivers in the same run; see cbugs.py.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram no-swap debugfs peer unused=nbd python3

load_helper nbd nbds_max=2 max_part=0
cd "$work" || exit
load_peer num_devices=1
works 'ours loads beside it' load num_devices=1 coexist=1
relay 'unlike C zram' python3 "$here/cbugs.py" /dev/nbd0 /dev/nbd1
works 'ours unloads' unload
works 'C zram unloads' rmmod zram
finish
