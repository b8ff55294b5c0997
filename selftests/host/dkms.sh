#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What dkms/build says of kernels that it cannot build for, what dkms/crate-source takes out of a source, and which packages
# debian/rules builds for an architecture, each a case. `make lint` runs it in the toolchain root, which is of amd64, and has
# compilers, but no kernel's headers.

set -euo pipefail
dkms=$(dirname "$0")/../../dkms
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	printf '%s: expected %s, got %s\n' "$@"
	failed=1
}

# is KVER STATUS PART: the status that the check ends with, and a part of the one line that it prints.
is() {
	local got status=0
	got=$("$dkms/build" --check "$1" 2>&1) || status=$?
	[[ $status == "$2" && $got == *"$3"* && $got != *$'\n'* ]] || fail "$1" "$2 and '$3'" "$status and '$got'"
}

is ../../etc 77 'is no kernel'
is 7.3.4+deb13-amd64/../x 77 'is no kernel'
is '7.3.4 -amd64' 77 'is no kernel'
is '' 77 'is no kernel'
is 7.3.4-generic 77 'is no kernel'
is 6.12.117+deb13-amd64 77 'too old'
is 6.1.0-18-amd64 77 'too old'
is 7.10.1+deb13-amd64 76 'newer than the module'
is 7.3.4+deb13-arm64 75 'is for arm64'
is 7.3.4+deb13-rt-amd64 75 'apt install linux-headers-7.3.4+deb13-rt-amd64'
is 7.3.1+deb13-amd64 75 linux-source-7.3

# A source with no more than what is looked for, as a tree and as an archive that has more.
tree=$work/linux-source-7.3
mkdir -p "$tree"/{rust/kernel,rust/bindings,scripts,drivers/base,drivers/android,drivers/net}
for file in Makefile scripts/{Makefile,generate_rust_target.rs} rust/kernel/lib.rs drivers/base/base.h drivers/net/Makefile; do
	echo "// $file" >"$tree/$file"
done
echo '#include <../../drivers/base/base.h>' >"$tree/rust/bindings/helper.h"
tar -C "$work" -cJf "$work/source.tar.xz" linux-source-7.3
"$dkms/crate-source" "$tree" "$work/1.tar.xz"
touch "$tree/Makefile"
chmod 600 "$tree/Makefile"
"$dkms/crate-source" "$tree" "$work/2.tar.xz"
"$dkms/crate-source" "$work/source.tar.xz" "$work/3.tar.xz"
for file in 2 3; do cmp -s "$work/1.tar.xz" "$work/$file.tar.xz" || fail "archive $file" 'the same bytes' 'others'; done
names=$(tar -tf "$work/1.tar.xz" | grep -v /$ | sort | tr '\n' ' ')
wanted='Makefile drivers/base/base.h rust/bindings/helper.h rust/kernel/lib.rs scripts/Makefile scripts/generate_rust_target.rs '
[[ $names == "$wanted" ]] || fail 'the archive' "$wanted" "$names"
rm "$tree/scripts/generate_rust_target.rs"
! "$dkms/crate-source" "$tree" "$work/4.tar.xz" 2>/dev/null || fail 'a source without Rust' 'an error' 'none'
[[ ! -e $work/4.tar.xz && ! -e $work/4.tar.xz.partial ]] || fail 'a source without Rust' 'no archive' 'one'

# packages ARCH WANTED: the kernels, and the packages that follow them.
packages() {
	local got
	# shellcheck disable=SC2016 # make expands it
	got=$(make -sf debian/rules --eval 'said: ; @echo $(packaged) $(newest)' said DEB_HOST_ARCH="$1")
	[[ $got == "$2" ]] || fail "the packages for $1" "$2" "$got"
}

cp -r "$dkms/../debian" "$work"
cd "$work"
make -sf debian/rules control KERNELS='7.2.12+deb13-amd64 7.3.4+deb13-amd64 7.3.4+deb13-arm64 7.3.4+deb13-arm64-16k'
packages amd64 '7.2.12+deb13-amd64 7.3.4+deb13-amd64 rust-zram-modules-amd64'
packages arm64 '7.3.4+deb13-arm64 7.3.4+deb13-arm64-16k rust-zram-modules-arm64 rust-zram-modules-arm64-16k'
exit "$failed"
