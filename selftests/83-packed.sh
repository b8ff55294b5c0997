#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Compressed writeback beside C zram's, with the same pages in one boot: what is written, how long that takes, and reads of it.
# Time is only printed. ROUNDS= and PAGES= say how much of it.
# vm: cpus=4 mem=1G
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours peer no-zram debugfs module=loop python3

pages=${PAGES:-${TEST_PAGES:-2000}}
for _ in zram rzram; do loop_device $((pages * PAGE * 5 / 4 >> 10))K; done
cd "$work" || exit
load_peer num_devices=1
works 'ours loads beside it' load num_devices=1 coexist=1
relay packed python3 "$here/packed.py" "${loop_devices[@]}" "${ROUNDS:-${TEST_ROUNDS:-3}}" "$pages"
works 'ours unloads' unload
works 'C zram unloads' rmmod zram
finish
