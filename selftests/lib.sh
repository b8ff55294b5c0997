# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# SPDX-License-Identifier: GPL-2.0-only
# lib.sh - what the selftests share: needs, KTAP output, the module under test, its devices, CPUs and memory.
#
# A test sources this file, calls `needs` with all that it depends on, then its cases, and ends with `finish`. From the
# environment:
#   MODULE=rust_zram   the module under test; `zram` is the kernel's C driver, against which the expectations were checked
#   KO=FILE            the module's file; otherwise the one above this directory, else modprobe's
# For the C driver a case may fail after `c_bug REASON`, or be left out with `skip`: known there, an error here.

set -u
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Where the Python programs find their modules, whatever directory they are started in.
export PYTHONPATH=$here
MODULE=${MODULE:-rust_zram}
if [[ $MODULE == zram && -z ${KO:-} ]]; then is_c() { true; }; else is_c() { false; }; fi
if ! is_c; then KO=${KO:-$here/../$MODULE.ko}; fi
PEER_KO=$here/../zram_full.ko
CPUS=/sys/devices/system/cpu
PAGE=$(getconf PAGESIZE)
# Blocks are of 4096 bytes whatever the size of a page.
BLOCK=4096
finished=''

# The names that the module takes; `load … coexist=1` changes them.
names() {
	PREFIX=$1
	CLASS=/sys/class/$1-control
	DEBUG=/sys/kernel/debug/$1
	CPUHP=block/$1:prepare
}
names zram

. "$here/ktap.sh"

# needs WHAT...: the first thing that a test calls. If something is missing, the test is skipped as a whole and exits here,
# before it has changed anything; from here on, the exit trap undoes what the test did. WHAT is a command, or one of
#   root            all but 05-needs.sh call for it first
#   ours            the module under test is not the C driver
#   no-zram         no zram driver is loaded: every zram device that comes up belongs to this test, which may swap it off,
#                   unmount and reset it. A zram that is there may be somebody's: then the test fails at once
#   no-swap         nothing is swapped on
#   cpu=N           CPU N is up and can be taken down
#   module=NAME     the kernel has this module
#   unused=NAME     it has, and the module is not loaded: the test loads it with parameters of its own and unloads it
#   cgroup2, debugfs, tracefs
#   faults          the kernel can make allocations fail
#   peer            zram_full.ko, which qemu/peer builds, is beside this directory
#   disk            DISKS in the environment names a disk that may be overwritten
needs() {
	local what why
	for what; do
		why=''
		case $what in
		root) ((EUID == 0)) || why='it takes root' ;;
		ours) ! is_c || why='this is C zram' ;;
		no-zram)
			if compgen -G '/sys/class/*zram-control' >/dev/null; then
				printf 'Bail out! a zram is loaded, which may be in use: %s first\n' "$(how_to_unload)"
				exit 1
			fi
			;;
		no-swap) (($(wc -l </proc/swaps) == 1)) || why='there is swap in use' ;;
		cpu=*) [[ $(cat "$CPUS/cpu${what#*=}/online" 2>&1) == 1 ]] || why="CPU ${what#*=} is down or cannot be taken down" ;;
		module=*) modprobe -n -q "${what#*=}" || why="the kernel has no module ${what#*=}" ;;
		unused=*)
			modprobe -n -q "${what#*=}" || why="the kernel has no module ${what#*=}"
			[[ ! -d /sys/module/${what#*=} ]] || why="the module ${what#*=} is loaded, and may be in use"
			;;
		cgroup2) grep -qsw memory "$(cgroup2)/cgroup.controllers" || why='cgroup2 is not mounted, or without memory' ;;
		debugfs) mountpoint -q /sys/kernel/debug || why='debugfs is not mounted' ;;
		tracefs) grep -qw tracefs /proc/filesystems || why='the kernel has no tracefs' ;;
		faults) [[ -d /sys/kernel/debug/failslab ]] || why='the kernel cannot make allocations fail' ;;
		peer) [[ -e $PEER_KO ]] || why='no zram_full.ko, see qemu/peer' ;;
		disk) [[ ${DISKS:-} ]] || why='it takes one of the DISKS to write to' ;;
		*) command -v "$what" >/dev/null || why="$what is not installed" ;;
		esac
		if [[ $why ]]; then
			printf '1..0 # SKIP %s\n' "$why"
			exit
		fi
	done
	# CPU 0, which some architectures can take down, is the one that stays.
	mapfile -t removable < <(cd "$CPUS" && grep -l 1 cpu[1-9]*/online 2>/dev/null | tr -dc '0-9\n' | sort -n)
	work=$(mktemp -d)
	trap clean_up EXIT
	trap 'exit 1' INT TERM
}

# how_to_unload: the commands that end what is done with the zrams that are loaded, and unload them.
how_to_unload() {
	local name how=''
	while read -r name; do how+=" && $name"; done < <(
		awk '$1 ~ "^/dev/r?zram" {print "swapoff", $1}' /proc/swaps
		awk '$1 ~ "^/dev/r?zram" {print "umount", $2}' /proc/mounts
	)
	for name in rust_zram zram; do
		[[ ! -d /sys/module/$name ]] || how+=" && rmmod $name"
	done
	echo "${how# && }"
}

finish() {
	finished=1
	exit
}

# at_exit COMMAND...: have clean_up run the command once the module is gone; the last one registered runs first.
at_exit() { undo+=("${*@Q}"); }
undo=()

# Undo everything that a test may have left, whatever happened to it; a module that stays is a failure.
clean_up() {
	local child module i
	trap '' TERM
	for child in $(jobs -p); do kill -- "$child" 2>/dev/null; done
	wait
	exec 3>&- 4>&-
	cpus_online
	# `needs no-zram` saw to it that these are the test's own.
	awk '$1 ~ "^/dev/r?zram" {print $1}' /proc/swaps | xargs -r swapoff
	awk '$1 ~ "^/dev/r?zram" {print $1}' /proc/mounts | xargs -r umount
	cgroups_remove
	for module in "$MODULE" zram; do
		if [[ -d /sys/module/$module ]]; then works "$module unloads at the end" rmmod "$module"; fi
	done
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		if ! eval "${undo[i]}"; then fail "cleans up" "got: failure of ${undo[i]}"; fi
	done
	losetup --noheadings --raw --output NAME,BACK-FILE | awk -v work="$work/" 'index($2, work) == 1 {print $1}' |
		xargs -r losetup -d
	if [[ -z $finished ]]; then fail "ran to its end" "expected: finish" "     got: an early exit"; fi
	rm -rf "$work"
	printf '1..%d\n' "$count"
	exit $((failures > 0))
}

# --- files of the interface -----------------------------------------------------------------------------------------

# put FILE TEXT: one write(2) of TEXT (with printf's escapes); ERR becomes OK or the name of the errno.
put() {
	local text
	if text=$({ printf '%b' "$2" >"$1"; } 2>&1); then ERR=OK; else ERR=$(errno_of "$text"); fi
}

# take FILE: OUT becomes its content, exactly, with a trailing dot; ERR as above.
take() {
	if OUT=$(cat "$1" 2>"$work/err" && echo .); then ERR=OK; else ERR=$(errno_of "$(<"$work/err")"); fi
}

errno_of() {
	case $1 in
	*'Invalid argument') echo EINVAL ;;
	*'Device or resource busy') echo EBUSY ;;
	*'Numerical result out of range') echo ERANGE ;;
	*'Argument list too long') echo E2BIG ;;
	*'Permission denied') echo EACCES ;;
	*'Cannot allocate memory') echo ENOMEM ;;
	*'No such device') echo ENODEV ;;
	*'No such file or directory') echo ENOENT ;;
	*'Operation not supported') echo EOPNOTSUPP ;;
	*'No space left on device') echo ENOSPC ;;
	*'Input/output error') echo EIO ;;
	*'Resource temporarily unavailable') echo EAGAIN ;;
	*) echo "$1" ;;
	esac
}

# rounded BYTES: rounded up to whole pages.
rounded() { echo $((($1 + PAGE - 1) / PAGE * PAGE)); }

# pages N: the number of pages that are as large as N pages of 4 KiB.
pages() { echo $(($1 * 4096 / PAGE)); }

# field FILE N: the N-th number of a file's last line, as awk counts.
field() { awk -v n="$2" 'END {print $n}' "$1"; }

# mm NAME [DEVICE]: a column of mm_stat.
mm() {
	local -A column=([orig]=1 [compr]=2 [used]=3 [limit]=4 [max]=5 [same]=6 [compacted]=7 [huge]=8 [huge_since]=9)
	field "/sys/block/${2:-${PREFIX}0}/mm_stat" "${column[$1]}"
}

# io NAME [DEVICE]: a column of io_stat.
io() {
	local -A column=([failed_reads]=1 [failed_writes]=2 [notify_free]=4)
	field "/sys/block/${2:-${PREFIX}0}/io_stat" "${column[$1]}"
}

# meminfo NAME: kilobytes.
meminfo() { awk -v name="$1:" '$1 == name {print $2}' /proc/meminfo; }

# log: write a mark to the kernel's log and set $mark to it. log MARK: print the lines of the log after the mark, without the
# time, the task or CPU that debug kernels have there (CONFIG_PRINTK_CALLER), and the module's name.
log() {
	if (($#)); then
		dmesg | sed "1,/selftest mark $1\$/d; s/^\[[ 0-9.]*\] *\(\[ *[TC][0-9]\+\] *\)\?\(\w*zram: \)\?//"
	else
		mark=$RANDOM$RANDOM
		echo "selftest mark $mark" >/dev/kmsg
	fi
}

# vmstat NAME
vmstat() { awk -v name="$1" '$1 == name {print $2}' /proc/vmstat; }

# --- the module and its devices ---------------------------------------------------------------------------------------

# load [PARAMETER...]: load the module under test.
load() {
	names zram
	if ! is_c && [[ " $* " == *' coexist=1 '* ]]; then names rzram; fi
	if [[ -e ${KO:-} ]]; then
		modprobe -q lz4hc_compress
		insmod "$KO" "$@"
	else
		modprobe "$MODULE" "$@"
	fi && settle
}

unload() { settle && rmmod "$MODULE"; }

# load_peer [PARAMETER...]: load mainline's C driver with everything on, to compare with; see `needs peer`.
load_peer() {
	modprobe -q lz4hc_compress
	insmod "$PEER_KO" "$@"
}

# load_helper MODULE [PARAMETER...]: load another module of the kernel until the test ends; see `needs unused=MODULE`.
load_helper() {
	modprobe "$@" && at_exit rmmod "$1"
}

# loop_device SIZE: make a file and a loop device for it, until the test ends; $loop_device becomes its path, and the last
# of $loop_devices.
loop_device() {
	local file=$work/loop${#loop_devices[@]}
	modprobe loop
	truncate -s "$1" "$file"
	loop_device=$(losetup -f --show "$file")
	loop_devices+=("$loop_device")
}
loop_devices=()

# settle: let udev, where there is one, close what it opened.
settle() { ! pidof -q systemd-udevd 2>/dev/null || udevadm settle; }

# device SIZE [ALGORITHM] [NAME]: give a device a size, afresh.
device() {
	local disk=/sys/block/${3:-${PREFIX}0}
	settle
	echo 1 >"$disk/reset" && { [[ -z ${2:-} ]] || echo "$2" >"$disk/comp_algorithm"; } && echo "$1" >"$disk/disksize" && settle
}

# disks: the names of all devices, of either driver.
disks() { find /sys/block -name '*zram*' -printf '%f\n' | sort -V | xargs; }

# algorithms: the names that the module under test offers.
algorithms() { tr -d '[]' <"/sys/block/${PREFIX}0/comp_algorithm"; }

# --- CPUs -------------------------------------------------------------------------------------------------------------

# cpu N 0|1: take a CPU down, or bring it up.
cpu() { echo "$2" 2>/dev/null >"$CPUS/cpu$1/online"; }

# Bring up all CPUs that were up when the test began and may be taken down: those in $removable.
cpus_online() {
	local n
	for n in "${removable[@]}"; do
		if [[ $(<"$CPUS/cpu$n/online") != 1 ]]; then
			echo -1 >"$CPUS/cpu$n/hotplug/fail"
			cpu "$n" 1
		fi
	done
}

# toggle TIMES: at random, take a CPU that is up down, or bring one that is down up; then all up.
toggle() {
	local i n state
	for ((i = 0; i < $1; i++)); do
		n=${removable[RANDOM % ${#removable[@]}]}
		read -r state <"$CPUS/cpu$n/online"
		cpu "$n" $((1 - state)) || return
	done
	cpus_online
}

# --- background work --------------------------------------------------------------------------------------------------

# repeat NAME COMMAND...: in the background, run a command again and again until `repeated NAME` or until it fails.
repeat() {
	local name=$1
	shift
	rm -f "$work/$name."*
	(
		turns=0
		until [[ -e $work/$name.stop ]]; do
			"$@" >"$work/$name.out" 2>&1 </dev/null || exit
			turns=$((turns + 1))
			echo "$turns" >"$work/$name.turns"
		done
		: >"$work/$name.good"
	) &
	echo $! >"$work/$name.pid"
}

# repeated NAME: a case: end what `repeat` started; each of its turns succeeded, and there was at least one.
repeated() {
	: >"$work/$1.stop"
	wait "$(<"$work/$1.pid")"
	turns=$(cat "$work/$1.turns" 2>/dev/null || echo 0)
	if [[ -e $work/$1.good ]] && ((turns > 0)); then
		pass "$1, $turns times"
	else
		fail "$1" "got: failure after $turns good turns" "$(tail -n 8 "$work/$1.out" | cut -c -300)"
	fi
}

# --- memory -----------------------------------------------------------------------------------------------------------

# restore_at_exit FILE...: when the test ends, write to these files what they hold now.
restore_at_exit() {
	local file
	for file; do at_exit put "$file" "$(<"$file")"; done
}

# Huge pages of 2 MiB, which x86 and arm64 have whatever the size of a page; those of /proc/sys/vm/nr_hugepages have 32 MiB
# where a page has 16 KiB.
HUGE_PAGES=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

# leave_memory MEGABYTES: set aside, as huge pages, all memory but that much, until give_memory_back or the test's end.
leave_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	local pages=$((($(meminfo MemAvailable) / 1024 - $1) / 2))
	huge_pages=$(<$HUGE_PAGES)
	restore_at_exit $HUGE_PAGES
	echo $((pages > 0 ? pages : 0)) >$HUGE_PAGES
}

# give_memory_back: end what leave_memory began, before the test ends.
give_memory_back() { echo "$huge_pages" >$HUGE_PAGES; }

# within LIMIT COMMAND...: become a command that has no more than that much memory, and swap for the rest.
within() {
	local group
	group=$(cgroup2)/selftest-$BASHPID
	echo +memory >"$(cgroup2)/cgroup.subtree_control"
	mkdir "$group" && echo "$1" >"$group/memory.max" && echo "$BASHPID" >"$group/cgroup.procs" || exit
	shift
	exec "$@"
}

cgroup2() { awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts; }

cgroups_remove() {
	local group
	for group in "$(cgroup2)"/selftest-*; do
		[[ ! -d $group ]] || rmdir "$group"
	done
}
