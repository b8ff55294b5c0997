# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# Steps of qemu/setup for the tests of packages, all of whose results are in $cache/packages: two disks with a Debian 13 that
# boots by systemd, and a folder of Debian's packages, which apt installs there, where no network is.

packages=$cache/packages
# Backports are asked for by name only: a kernel of theirs wants a newer linux-base.
disk_packages=(
	apt bc e2fsprogs initramfs-tools kmod linux-base/trixie-backports mokutil openssl pahole procps stress-ng systemd-sysv
	systemd-zram-generator udev util-linux xz-utils zstd
)
# What is on a machine, besides, that builds modules.
builder_packages=(bindgen dkms gcc-14 libelf1t64 make pahole rust-src rustc)

# Debian's packages, and in `kernels` the versions of three kernels: the one that the tests are run with, one that is upgraded to
# it, and one that has no Rust. Each is there as image and headers, and with the packages of these alone.
package_folder() {
	local suite=trixie arch=amd64 out=$packages/debian.tmp kernels name
	package_lists
	rm -rf "$out"
	mkdir -p "$out"
	kernels=("$kver" "$(newest_of "${known_series[-1]}")" "$(newest_of 6.12)")
	printf '%s\n' "${kernels[@]}" >"$packages/kernels"
	for name in "${kernels[@]//+/\\+}"; do
		suite_apt apt-cache pkgnames linux- |
			grep -xE "linux-(image|base|binary|modules|headers)-$name|linux-kbuild-${name%-*}|linux-headers-${name%-*}-common"
	done >"$packages/names"
	echo zram-tools >>"$packages/names"
	# shellcheck disable=SC2046
	(cd "$out" && suite_apt apt-get download $(<"$packages/names"))
	"$top/qemu/package/index" "$out"
	rm -rf "$packages/debian"
	mv "$out" "$packages/debian"
}

# What a machine with Secure Boot starts with: firmware that has Microsoft's keys, the loader that these have signed, the one that
# Debian has, and what writes keys into the firmware's variables, with all that it needs beside Python.
firmware_packages=(
	ovmf shim-signed systemd-boot-efi-amd64-signed
	python3-virt-firmware python3-bcrypt python3-cffi-backend python3-cryptography python3-importlib-resources python3-pefile
)

package_firmware() {
	local suite=trixie arch=amd64 out=$packages/firmware.tmp deb
	package_lists
	rm -rf "$out"
	mkdir -p "$out/deb"
	(cd "$out/deb" && suite_apt apt-get download "${firmware_packages[@]}")
	for deb in "$out"/deb/*.deb; do dpkg-deb -x "$deb" "$out"; done
	rm -rf "$out/deb" "$packages/firmware"
	mv "$out" "$packages/firmware"
}

# A machine with one kernel, of the same version that the tests are run with.
package_disk() {
	disk plain "linux-image-$kver" "${disk_packages[@]}"
}

# A machine that builds modules for its one kernel, which is older than the newest one.
builder_disk() {
	local older
	older=$(sed -n 2p "$packages/kernels")
	disk builder "linux-image-$older" "linux-headers-$older" "${disk_packages[@]}" "${builder_packages[@]}"
}

# disk NAME PACKAGE…: a disk image with these, as a user's machine has them, besides qemu/package/root. What slows an emulated
# machine down is off: drivers in the initramfs for more than its one disk, and services that do nothing for swap, modules or
# packages.
disk() {
	local suite=trixie arch=amd64 out=$packages/$1.root name=$1 unit size
	shift
	# Before a kernel's package has an initramfs made.
	first="copy-in '$top/qemu/package/root/etc' /" debian_root "$out" "$@"
	# The rest of what mmdebstrap told apt and dpkg was for this root's making.
	rm -rf "$out"/etc/{apt/apt.conf.d,dpkg/dpkg.cfg.d}/99mmdebstrap "$out"/var/lib/apt/lists/* "$out"/var/cache/apt/*
	printf 'deb [trusted=yes] file:/host/%s ./\n' debian packages >"$out/etc/apt/sources.list"
	echo zram >"$out/etc/hostname"
	# Without these the first boot would be one that sets up and updates.
	echo 0123456789abcdef0123456789abcdef >"$out/etc/machine-id"
	touch "$out/etc/.updated" "$out/var/.updated"
	ln -s ../host.service "$out/etc/systemd/system/multi-user.target.wants/"
	ln -sf /usr/lib/systemd/system/multi-user.target "$out/etc/systemd/system/default.target"
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
		getty-static.service getty@tty1.service serial-getty@ttyS0.service; do
		ln -s /dev/null "$out/etc/systemd/system/$unit"
	done
	size=$(du -sm "$out" | cut -f 1)
	rm -f "$packages/$name.img.tmp"
	in_root mke2fs -q -t ext4 -L root -d "/cache/packages/$name.root" "/cache/packages/$name.img.tmp" $((size + 1536))M
	mv "$packages/$name.img.tmp" "$packages/$name.img"
	rm -rf --one-file-system "$out"
}

package_steps() {
	local files
	files=$(cd "$top/qemu/package" && find root -type f -exec sha256sum {} + | sort | sha256sum)
	step "$kver" "Debian's packages" package_folder
	step "$kver ${disk_packages[*]} $files" 'a machine to install packages on' package_disk
	[[ ! ${SHORT:-} ]] || return 0
	step "${firmware_packages[*]}" 'firmware with Secure Boot' package_firmware
	step "$kver ${disk_packages[*]} ${builder_packages[*]} $files" 'a machine to build packages on' builder_disk
}
