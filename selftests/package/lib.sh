# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
# lib.sh - what the tests of packages share. Such a test runs on the host, see qemu/test-package. It gets a machine with Debian,
# which it boots again and again; what is to be done there after a boot is a function of the test, which is sent to the machine,
# and whose cases come back. This file has two parts: for the host, and for the machine.
# From the environment:
#   PACKAGES=DIR   the packages that are tested, with their index
#   LOGS=DIR       where the logs go
#   BUILD_IN_VM=1  modules are compiled in the machine, also where that is emulated

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../qemu/lib.sh"
set +e
: "$PACKAGES" "$LOGS"
is_c() { false; }
. "$here/../ktap.sh"
work=$cache/package-test.$$
mkdir -p "$work"
finished='' boots=0
trap clean_up EXIT
trap 'exit 1' INT TERM

# --- on the host ------------------------------------------------------------------------------------------------------

# The kernels that Debian's packages are there for: the newest one, one that is upgraded to it, and one without Rust.
{ read -r newest && read -r older && read -r rustless; } <"$cache/packages/kernels"

# machine plain|builder: a new machine, as qemu/setup made it.
machine() { cp --sparse=always "$cache/packages/$1.img" "$work/disk"; }

# boot STEP [OPTION...]: boots the machine, with these options of qemu/package-vm, and has it do what the function STEP says. It
# must get to its end, and what it says in KTAP becomes cases of this test. A machine that is lost is the end of the test.
boot() {
	local step=$1 log status line script end='gets to its end, and the log is clean'
	shift
	boots=$((boots + 1)) log=$LOGS/$boots.$step
	[[ ${1:-} != -n ]] || end='gets to its end'
	script="work=/host/work; mkdir \$work; is_c() { false; }; . /host/ktap.sh
		$(declare -p newest older rustless); $(declare -f); $step; :"
	"$here/../../qemu/package-vm" -l "$log" -p "$PACKAGES" "$@" "$work/disk" "$script" >"$work/said" 2>"$work/complaints"
	status=$?
	while IFS= read -r line; do
		case $line in
		'ok '*) pass "$step: ${line#* - }" ;;
		'not ok '*) fail "$step: ${line#* - }" ;;
		'# '*) printf '%s\n' "$line" ;;
		esac
	done <"$work/said"
	if ((status == 0)); then
		pass "$step: $end"
	else
		fail "$step: $end" "exit status $status" "$(cat "$work/complaints")" \
			"$(tail -n 5 "$work/said")" "see $log"
		((status != 125)) || finish
	fi
}

# build STEP: as boot, for a step in which a module is compiled. An emulated machine takes an hour for that; so without KVM, and
# unless BUILD_IN_VM= says so, the step is done by the same programs of the same disk, but on the host, in a chroot.
build() {
	if [[ ${BUILD_IN_VM:-} || $("$here/../../qemu/accel") == kvm ]]; then
		boot "$1" -m 2G -t 9000
	else
		printf '# %s: in a chroot on the host\n' "$1"
		boot "$1" -n -t 3600
	fi
}

# newer: from now on apt finds the next version of the packages, whose module is of version 9.9.9.
newer() {
	local deb=$work/deb module
	mkdir "$work/newer"
	for package in "$PACKAGES"/*.deb; do
		dpkg-deb -R "$package" "$deb"
		sed -i "/^\(Version\|Depends\):/s/$(dpkg-deb -f "$package" Version)/&+newer/g" "$deb/DEBIAN/control"
		for module in "$deb"/usr/lib/modules/*/updates/zram.ko; do
			# Of the same length, so that nothing moves in the module.
			[[ ! -e $module ]] || LC_ALL=C sed -i -E 's/version=[0-9]\.[0-9]\.[0-9]\x00/version=9.9.9\x00/' "$module"
		done
		dpkg-deb --root-owner-group -Znone -b "$deb" "$work/newer" >/dev/null
		rm -r "$deb"
	done
	PACKAGES=$work/newer
	"$here/../../qemu/package/index" "$PACKAGES"
}

finish() {
	finished=1
	exit
}

clean_up() {
	[[ $finished ]] || fail 'ran to its end' 'expected: finish' '     got: an early exit'
	rm -rf "$work"
	printf '1..%d\n' "$count"
	exit $((failures > 0))
}

# --- on the machine ---------------------------------------------------------------------------------------------------

# Which zram is loaded: rust, c, or none. C zram has no version.
driver() {
	if [[ -e /sys/module/zram/version ]]; then echo rust; elif [[ -e /sys/module/zram ]]; then echo c; else echo none; fi
}

# The swap that is in use, by the name of the device.
swap() { swapon --noheadings --show=NAME | xargs -r -n 1 basename | xargs; }

# serves WHICH: a case: systemd has started all, and swap is on zram0 of that driver.
serves() {
	is "all is started, and swap is on $1 zram" "$(xargs </host/state), $(swap), $(driver)" "running, zram0, $1"
}

# install PACKAGE...: a case: apt installs them.
install() { works "apt installs $*" sh -ec 'apt-get -q update; apt-get -q -y install "$@"' install "$@"; }

# purge PACKAGE...: a case: apt removes them, all that came with them, and their configuration.
purge() { works "apt purges $*" apt-get -q -y purge --autoremove "$@"; }

# built KVER yes|no: a case: DKMS has a module installed for that kernel.
built() {
	local found=no
	if dkms status -m rust-zram -k "$1" | grep -q ': installed' && modinfo -k "$1" -n zram | grep -q '/updates/dkms/'; then
		found=yes
	fi
	is "DKMS has the module for $1" "$found" "$2"
}

# settled: a case: apt and dpkg have finished what they began.
settled() { is 'apt has nothing left to do' "$(dpkg --audit)" ''; }

# goes_on: cases: after apt was interrupted it can go on.
goes_on() {
	works 'apt goes on' apt-get -q -y -f install
	settled
}

# cut_power: the machine is off at once, with what is written on its disk.
cut_power() {
	sync
	echo b >/proc/sysrq-trigger
}

# without_zram: swap is off and no zram loaded, as a test of modprobe wants it.
without_zram() {
	systemctl -q stop 'dev-zram0.swap' 'systemd-zram-setup@zram0.service'
	unload
	is 'zram is unloaded' "$(driver)" none
}

# unload: what udev opens, it closes soon.
unload() { udevadm settle && modprobe -r zram; }

# pressed: cases: when memory runs out, pages go to zram and come back as they were. How long that takes depends on the host.
pressed() {
	local before after most
	before=$(awk '$1 == "pswpin" {print $2}' /proc/vmstat)
	works 'memory pressure: all data is as it was' press "$before"
	after=$(awk '$1 == "pswpin" {print $2}' /proc/vmstat)
	read -r _ _ _ _ most _ </sys/block/zram0/mm_stat
	holds 'memory pressure: compressed pages took more than a megabyte' "$most > 1 << 20"
	holds 'memory pressure: pages were read back' "$after - $before > 100"
}

press() {
	local turn
	for turn in 1 2 3 4 5 6; do
		timeout 180 stress-ng --vm 2 --vm-bytes 120% --vm-method rand-set --verify --vm-keep --timeout 20 --oom-avoid || return
		(($(awk '$1 == "pswpin" {print $2}' /proc/vmstat) - $1 <= 100)) || break
	done
}

# files: a line for each file of the machine, without what logs, apt and dpkg keep for themselves, and this test. A file that was
# written is another one, unless depmod wrote it: then its contents count. Of other packages' lists of files dpkg may strike a
# folder that nobody but ours had a file in.
files() {
	find / -xdev \( -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o \
		-path '/var/lib/dpkg/*-old' -o -path /var/lib/dpkg/status -o -path /var/lib/dpkg/triggers -o -path /var/lib/systemd \
		-o -path '/var/lib/dpkg/info/[^r]*.list' -o -path '/var/lib/dpkg/lock*' -o -path '/usr/lib/modules/*/modules.*' \) -prune \
		-o -type f -printf '%p %M %u:%g %s %T@\n' -o -printf '%p %M %u:%g %l\n' | sort
	find /usr/lib/modules -name 'modules.*' -exec sha256sum {} + | sort -k 2
}
