# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# Which kernels the mirror has, and whether a module can be built for one: what qemu/setup and qemu/kernels share.

# The series that the module is made for, the newest first: where no kernel is named, one of the first that the mirror has is
# taken, and nothing is built for kernels before the last. dkms/build has the same list.
known_series=(7.3 7.2)

# The host's apt, looking at the packages of $suite and $arch and nothing else.
suite_apt() {
	local tool=$1 state=$cache/apt/$suite.$arch
	shift
	"$tool" -q -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
		-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root "$@"
}

package_lists() {
	local state=$cache/apt/$suite.$arch
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	touch "$state/status"
	sources >"$state/sources.list"
	suite_apt apt-get update -o APT::Update::Error-Mode=any
}

# Waits until no other command sets something up in this cache, or reads the lists of packages in it. The lock is kept until the
# script ends; its file has the number of the process that holds it.
lock_cache() {
	exec 9>>"$cache/lock"
	flock -n 9 || {
		echo "waiting for another set-up that uses the same cache, process $(<"$cache/lock")" >&2
		flock 9
	}
	echo $$ >"$cache/lock"
}

# package_version PACKAGE: the newest version of it, or nothing.
package_version() {
	{ suite_apt apt-cache show "$1" 2>/dev/null || true; } | sed -n 's/^Version: //p' | sort -V | tail -n 1
}

# newest_of SERIES: its newest kernel for amd64 of Debian 13 that headers are there for, or nothing.
newest_of() {
	suite_apt apt-cache pkgnames linux-headers- | sed -nE "s/^linux-headers-(${1//./\\.}\.[0-9]+\+deb13-amd64)\$/\1/p" |
		sort -V | tail -n 1
}

# config NAME [FILE]: a setting of the kernel, or of the one with that .config, without quotes.
config() {
	sed -nE "s/^CONFIG_$1=\"?([^\"]*)\"?\$/\1/p" "${2:-$kdir/pkg/usr/src/linux-headers-$kver/.config}"
}

# unfit KVER FILE: fails, and says why, where no module of Rust can be built for that kernel, which has this .config.
unfit() {
	if [[ $(config RUST "$2") != y ]]; then
		echo 'it is built without CONFIG_RUST'
	elif printf '%s\n' "${1%%[-+]*}" "${known_series[-1]}" | sort -VC && [[ $1 != "${known_series[-1]}"[-+]* ]]; then
		echo "the module is not made for kernels before ${known_series[-1]}"
	else
		return 0
	fi
	return 1
}
