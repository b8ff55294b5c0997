# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# lib.sh - what the selftests share: KTAP output, the module under test, its devices, CPUs and memory.
#
# A test sources this file, calls the cases, and ends with `finish`. From the environment:
#   MODULE=rust_zram   the module under test; `zram` is the kernel's C driver, against which the expectations were checked
#   KO=FILE            the module's file; otherwise the one above this directory, else modprobe's
# For the C driver a case may fail after `c_bug REASON`, or be left out with `lacks REASON`: known there, an error here.

set -u
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
MODULE=${MODULE:-rust_zram}
if [[ $MODULE == zram && -z ${KO:-} ]]; then is_c() { true; }; else is_c() { false; }; fi
is_c || KO=${KO:-$here/../$MODULE.ko}
CPUS=/sys/devices/system/cpu
work=$(mktemp -d)
count=0 failures=0 bug='' finished=''

# The names that the module takes; `load … coexist=1` changes them.
names() {
	PREFIX=$1
	CLASS=/sys/class/$1-control
	DEBUG=/sys/kernel/debug/$1
	CPUHP=block/$1:prepare
}
names zram

# --- KTAP ---------------------------------------------------------------------------------------------------------

exec </dev/null
printf 'KTAP version 1\n'

pass() {
	count=$((count + 1)) bug=''
	printf 'ok %d - %s\n' "$count" "$1"
}

# fail NAME DIAGNOSTICS...
fail() {
	local name=$1
	shift
	if is_c && [[ $bug ]]; then
		count=$((count + 1))
		printf 'ok %d - %s # XFAIL C zram: %s\n' "$count" "$name" "$bug"
		bug=''
	else
		count=$((count + 1)) failures=$((failures + 1)) bug=''
		printf 'not ok %d - %s\n' "$count" "$name"
	fi
	(($# == 0)) || printf '%s\n' "$@" | sed 's/^/# /'
}

skip() {
	count=$((count + 1))
	printf 'ok %d - %s # SKIP %s\n' "$count" "$1" "$2"
}

# c_bug REASON: the next case is known to fail on C zram.
c_bug() { bug=$1; }

# is NAME GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "expected: ${3@Q}" "     got: ${2@Q}"; fi
}

# matches NAME GOT REGEX
matches() {
	if [[ $2 =~ $3 ]]; then pass "$1"; else fail "$1" "expected: $3" "     got: ${2@Q}"; fi
}

# holds NAME EXPRESSION [DIAGNOSTICS...]: the arithmetic expression is not zero.
holds() {
	local name=$1 expression=$2
	shift 2
	if ((expression)); then pass "$name"; else fail "$name" "expected: $expression" "$@"; fi
}

# works NAME COMMAND...: the command succeeds; its output is the diagnosis otherwise.
works() {
	local name=$1 status
	shift
	"$@" >"$work/out" 2>&1 </dev/null
	status=$?
	if ((status == 0)); then pass "$name"; else
		fail "$name" "expected: success of $*" "     got: exit status $status" "$(tail -n 8 "$work/out" | cut -c -300)"
	fi
}

# refused NAME TEXT COMMAND...: the command fails and its output contains TEXT.
refused() {
	local name=$1 text=$2 status
	shift 2
	"$@" >"$work/out" 2>&1 </dev/null
	status=$?
	if ((status != 0)) && grep -q -- "$text" "$work/out"; then pass "$name"; else
		fail "$name" "expected: failure with: $text" "     got: exit status $status" "$(tail -n 8 "$work/out" | cut -c -300)"
	fi
}

# relay NAME COMMAND...: the cases of a program that prints `ok CASE` or `not ok CASE`, comments below it, `# end` at last, and
# ends with success: what it found is in its cases.
relay() {
	local name=$1 line='' last='' status=0
	shift
	while IFS= read -r line; do
		last=$line
		case $line in
		'not ok '*) fail "$name: ${line#not ok }" ;;
		'ok '*) pass "$name: ${line#ok }" ;;
		*) printf '# %s\n' "${line#\# }" ;;
		esac
	done < <("$@" 2>&1)
	wait $! || status=$?
	[[ $last == '# end' && $status == 0 ]] || fail "$name: ran to its end" "     got: exit status $status after: $last"
}

finish() {
	finished=1
	exit
}

# Undo everything that a test may have left, whatever happened to it; a module that stays is a failure.
clean_up() {
	local child
	trap '' TERM
	for child in $(jobs -p); do kill -- "$child" 2>/dev/null; done
	wait
	exec 3>&- 4>&-
	cpus_online
	awk '$1 ~ "^/dev/r?zram" {print $1}' /proc/swaps | xargs -r swapoff
	awk '$1 ~ "^/dev/r?zram" {print $1}' /proc/mounts | xargs -r umount
	cgroups_remove
	leave
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	[[ -n $finished ]] || fail "ran to its end" "expected: finish" "     got: an early exit"
	rm -rf "$work"
	printf '1..%d\n' "$count"
	((failures == 0)) || exit 1
	exit 0
}
trap clean_up EXIT
trap 'exit 1' INT TERM

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

# vmstat NAME
vmstat() { awk -v name="$1" '$1 == name {print $2}' /proc/vmstat; }

# --- the module and its devices ---------------------------------------------------------------------------------------

# load [PARAMETER...]: load the module under test.
load() {
	names zram
	! is_c && [[ " $* " == *' coexist=1 '* ]] && names rzram
	if [[ -e ${KO:-} ]]; then
		modprobe -q lz4hc_compress
		insmod "$KO" "$@"
	else
		modprobe "$MODULE" "$@"
	fi && settle
}

unload() { settle && rmmod "$MODULE"; }

# settle: let udev, where there is one, close what it opened.
settle() { ! pidof -q systemd-udevd 2>/dev/null || udevadm settle; }

# device SIZE [ALGORITHM] [NAME]: give a device a size, afresh.
device() {
	local disk=/sys/block/${3:-${PREFIX}0}
	settle
	echo 1 >"$disk/reset" && { [[ -z ${2:-} ]] || echo "$2" >"$disk/comp_algorithm"; } && echo "$1" >"$disk/disksize" && settle
}

# algorithms: the names that the module under test offers.
algorithms() { tr -d '[]' <"/sys/block/${PREFIX}0/comp_algorithm"; }

# --- CPUs -------------------------------------------------------------------------------------------------------------

# cpu N 0|1: take a CPU down, or bring it up.
cpu() { echo "$2" 2>/dev/null >"$CPUS/cpu$1/online"; }

# The CPUs that can be taken down.
removable() {
	local file
	for file in "$CPUS"/cpu[0-9]*/online; do
		file=${file%/online}
		echo "${file##*/cpu}"
	done | sort -n
}

cpus_online() {
	local n
	for n in $(removable); do
		[[ $(<"$CPUS/cpu$n/online") == 1 ]] || { echo -1 >"$CPUS/cpu$n/hotplug/fail"; cpu "$n" 1; }
	done
}

# toggle TIMES: at random, take a CPU that is up down, or bring one that is down up; then all up.
toggle() {
	local i n state cpus
	mapfile -t cpus <<<"$(removable)"
	for ((i = 0; i < $1; i++)); do
		n=${cpus[RANDOM % ${#cpus[@]}]}
		read -r state <"$CPUS/cpu$n/online"
		cpu "$n" $((1 - state)) || return
	done
	cpus_online
}

# --- background work --------------------------------------------------------------------------------------------------

# keep NAME COMMAND...: in the background, repeat a command until `kept NAME` or until it fails.
keep() {
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

# kept NAME: a case: end what was kept running; each of its turns succeeded, and there was one at least.
kept() {
	: >"$work/$1.stop"
	wait "$(<"$work/$1.pid")"
	turns=$(cat "$work/$1.turns" 2>/dev/null || echo 0)
	if [[ -e $work/$1.good ]] && ((turns > 0)); then pass "$1, $turns times"; else
		fail "$1" "got: failure after $turns good turns" "$(tail -n 8 "$work/$1.out" | cut -c -300)"
	fi
}

# --- memory -----------------------------------------------------------------------------------------------------------

# leave MEGABYTES: set aside as huge pages all memory but that much; without an argument, give it back.
leave() {
	local pages=0
	sync
	echo 3 >/proc/sys/vm/drop_caches
	(($# == 0)) || pages=$((($(meminfo MemAvailable) / 1024 - $1) / 2))
	echo $((pages > 0 ? pages : 0)) >/proc/sys/vm/nr_hugepages
}

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
