#!/bin/bash
# For every algorithm and its parameters: pages that change while they are written can be read, and recompressed; nothing
# is allocated under way. RACE= says for how many seconds each is tried; see codecs.py.
# Needs: root, no zram device in use, python3.
# vm: cpus=2 mem=512M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

load num_devices=1
cd "$work" || exit
relay codecs python3 "$here/codecs.py" "${RACE:-3}"
works 'unloads' unload
finish
