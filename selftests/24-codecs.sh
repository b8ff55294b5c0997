#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# For every algorithm and its parameters: pages that change while they are written can be read, and recompressed; nothing
# is allocated under way. RACE= says for how many seconds each is tried; see algorithms.py.
# vm: cpus=2 mem=512M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram python3

load num_devices=1
cd "$work" || exit
relay codecs python3 "$here/algorithms.py" "${RACE:-3}"
works 'unloads' unload
finish
