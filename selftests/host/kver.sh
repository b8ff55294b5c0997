#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What follows from a kernel's name, and which names are refused, each a case. `make lint` runs it.

set -euo pipefail
lib=$(dirname "$0")/../../qemu/lib.sh
failed=0

# is KVER WANTED [KERNEL]: series, architecture, suite, source, and root with the compilers; or an error with that in it.
is() {
	local got
	got=$(KVER=$1 KERNEL=${3:-} RUST_ZRAM_CACHE=/c bash -c '
		. "$1"
		echo "$series $arch $suite $ksrc $compilers"' is "$lib" 2>&1) || true
	[[ $got == "$2" || $got == "error: "*"$2"* ]] || {
		printf '%s: expected %s, got %s\n' "$1" "$2" "$got"
		failed=1
	}
}

is 7.3.4+deb13-amd64 '7.3 amd64 trixie /c/source/7.3.4+deb13 /c/root'
is 7.3.4+deb13-rt-amd64 '7.3 amd64 trixie /c/source/7.3.4+deb13 /c/root'
is 7.2.12+deb13-cloud-arm64 '7.2 arm64 trixie /c/source/7.2.12+deb13 /c/root'
is 7.3.4+deb13-arm64-16k '7.3 arm64 trixie /c/source/7.3.4+deb13 /c/root'
is 7.2.13+deb14-amd64 '7.2 amd64 sid /c/source/7.2.13+deb14 /c/root.sid'
is 7.3-amd64 '7.3 amd64 experimental /c/source/7.3 /c/root.sid'
is 7.3.4+deb13-riscv64 'no kernel that the workbench'
is 7.3.4+deb13 'no kernel that the workbench'
is '../../etc' 'no kernel that the workbench'
is '7.3.4+deb13-amd64/../x' 'no kernel that the workbench'
is '7.3.4 -amd64' 'no kernel that the workbench'
is 7.3.4+deb12-amd64 'Debian 12'
is 7.3.4+deb13-amd64 '7.3 amd64 trixie /c/source/7.3.4+deb13 /c/root' kasan
is 7.3.4+deb13-arm64 'only for amd64' kasan
is 7.2.13+deb14-amd64 'only for amd64' kasan
is 7.3.4+deb13-amd64 'no kernel' nosuch

# Both lists of the series that the module is made for, in either order.
known=$(bash -c '. "$1"; printf "%s\n" "${known_series[@]}" | sort -V | xargs' - "${lib%/*}/packages.sh")
series=$(sed -nE 's/^series=\(([^)]*)\).*/\1/p' "${lib%/*}/../dkms/build")
[[ $known == "$series" ]] || {
	printf 'series in dkms/build: expected %s, as known_series in qemu/packages.sh, got %s\n' "$known" "$series"
	failed=1
}
exit "$failed"
