#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Where the kernel refuses the module, the kernel's own zram is loaded instead, with the same options, and the log says why: not
# signed where it must be, damaged, gone, for another kernel. A machine never boots without its swap because of the package.
# long

. "$(dirname "$0")/lib.sh"

# loads WHICH DEVICES WHAT [PARAMETER...]: a case: modprobe loads that one, with that many devices.
loads() {
	local which=$1 devices=$2 what=$3
	shift 3
	modprobe zram "$@" 2>&1
	is "$what: $which zram is loaded with $devices devices" "$? $(driver) $(find /sys/block -name 'zram*' | wc -l)" \
		"0 $which $devices"
	unload
}

# reason REGEX: a case: so says the log's last word on it.
reason() { matches 'the log says why' "$(dmesg | grep -F 'rust_zram: cannot be loaded' | tail -n 1)" "$1"; }

by_modprobe() {
	local module
	module=/usr/lib/modules/$(uname -r)/updates/zram.ko
	install "rust-zram-modules-$(uname -r)"
	without_zram
	loads rust 1 'by default'
	loads rust 4 'with a parameter' num_devices=4
	echo 'options zram num_devices=2' >/etc/modprobe.d/zram.conf
	loads rust 2 'with an option'
	loads rust 3 'with an option and a parameter' num_devices=3

	cp "$module" /var/tmp/zram.ko
	truncate -s 100000 "$module"
	loads c 2 'half a module'
	reason 'Exec format error'
	loads c 5 'half a module, with a parameter' num_devices=5
	: >"$module"
	loads c 2 'an empty module'
	reason 'Invalid argument'
	sed 's/vermagic=[0-9.]*/vermagic=7.0.0/' /var/tmp/zram.ko >"$module"
	loads c 2 'a module for another kernel'
	reason 'Exec format error'
	rm "$module"
	loads c 2 'a module that is gone'
	reason .
	depmod
	loads c 2 'a module that is gone, after depmod'

	cp /var/tmp/zram.ko "$module"
	depmod
	echo zram >/etc/modules-load.d/zram.conf
	systemctl restart systemd-modules-load
	is 'ours is loaded by systemd-modules-load' "$(driver)" rust
	unload
	: >"$module"
	systemctl restart systemd-modules-load
	is 'C zram is loaded by systemd-modules-load' "$(driver)" c
	refused 'a wrong parameter is refused by both' 'Invalid argument' sh -c 'modprobe -r zram; modprobe zram num_devices=some'
	cp /var/tmp/zram.ko "$module"
	rm /etc/modprobe.d/zram.conf
}

# What the kernel does with Secure Boot.
unsigned() {
	serves c
	reason 'Key was rejected by service'
	matches 'so does the kernel' "$(dmesg)" 'Loading of unsigned module is rejected'
	is 'there are as many devices as the kernel was told' "$(find /sys/block -name 'zram*' | wc -l)" 3
	pressed
}

trusted() {
	serves rust
	is 'the log has no errors' "$(journalctl -b -p err -o cat)" ''
}

machine plain
boot by_modprobe
boot unsigned -a 'module.sig_enforce=1 zram.num_devices=3'
boot trusted
finish
