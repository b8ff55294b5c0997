#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Users without privileges: they read what mainline lets them, and change nothing; see unprivileged.py.
# vm: cpus=4 mem=1G
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs python3

peer=''
if [[ -e $PEER_KO ]]; then
	load_peer
	peer=zram
else
	skip 'beside C zram' 'no zram_full.ko, see qemu/peer'
fi
load coexist=1
for disk in $peer rzram; do
	device 1M zstd "${disk}0"
	"$here/pages.py" write "/dev/${disk}0" 0 64 text >/dev/null
done
relay unprivileged python3 "$here/unprivileged.py" rzram $peer
works 'unloads' unload
if [[ $peer ]]; then works 'C zram unloads' rmmod zram; fi
finish
