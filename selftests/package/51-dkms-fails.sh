#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The package that builds the module, where it cannot: no compiler, no room, the power goes. apt goes on each time, and the
# machine boots with swap.
# long

. "$(dirname "$0")/lib.sh"

# fails TEXT: cases: apt installs the package all the same, and says why there is no module.
fails() {
	install rust-zram-dkms
	matches 'why there is no module is said' "$(cat "$work/out")" "$1"
	built "$older" no
	settled
	purge rust-zram-dkms
}

broken() {
	serves c
	mv /usr/bin/rustc /usr/bin/rustc.away
	fails "C zram serves: .* apt install rustc"
	printf '#!/bin/sh\necho "rustc 1.99.0"\n' >/usr/bin/rustc
	chmod +x /usr/bin/rustc
	fails "C zram serves: .* only that will do"
	mv /usr/bin/rustc.away /usr/bin/rustc
	mount -t tmpfs -o size=64M tmpfs /var/lib/dkms
	fails 'MB of disk are needed'
	umount /var/lib/dkms
}

powerless() {
	serves c
	apt-get -q update
	apt-get -q -y install rust-zram-dkms &
	until compgen -G '/var/lib/dkms/rust-zram/*/build/work/tree/rust/*.o' >/dev/null; do sleep 1; done
	cut_power
}

half() {
	serves c
	goes_on
	works 'DKMS builds it' dkms autoinstall
	built "$older" yes
}

whole() { serves rust; }

machine builder
boot broken
boot powerless -x -m 2G -t 3600
boot half -m 2G -t 7200
boot whole
finish
