#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The service of the package zram-tools, in place of zram-generator, sets up swap on ours.
# long

. "$(dirname "$0")/lib.sh"

at_once() {
	without_zram
	purge systemd-zram-generator
	install "rust-zram-modules-$(uname -r)" zram-tools
	is 'it has set up swap on ours' "$(swap) $(driver)" 'zram0 rust'
}

next_boot() {
	serves rust
	matches 'as its configuration says' "$(</sys/block/zram0/comp_algorithm)" '\[lz4\]'
	pressed
	works 'it is restarted' systemctl restart zramswap
	is 'swap is on ours again' "$(swap) $(driver)" 'zram0 rust'
	works 'it is stopped' systemctl stop zramswap
	is 'swap is off' "$(swap)" ''
	works 'it is started' systemctl start zramswap
	purge "rust-zram-modules-$(uname -r)"
	works 'it is restarted without ours' systemctl restart zramswap
	is 'swap is on C zram' "$(swap) $(driver)" 'zram0 c'
}

machine plain
boot at_once
boot next_boot
finish
