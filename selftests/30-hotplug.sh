#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How long a CPU that goes waits; CPUs go and come at random while fio verifies, while memory is swapped, and while devices
# come and go; and a CPU that may not come up, because a hotplug state fails.
# vm: cpus=4 mem=768M
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs tracefs cgroup2 cpu=3 fio python3

disk=/sys/block/zram0

# cycles NAME TIMES: a case: that many CPUs down and up again.
cycles() { works "$1: $2 times a CPU goes or comes" toggle "$2"; }

load num_devices=2

# --- how long a CPU waits ---

# The algorithm takes milliseconds for a page, and each write has many pages. If a writer kept the stream for all of a write, or
# writers handed it to each other, the CPU would wait for seconds. The margin is for what else the machine does meanwhile.
many=$((256 * BLOCK / PAGE))
tracing=/sys/kernel/tracing
number=$(awk -F ': ' -v name="$CPUHP" '$2 == name {print $1 + 0}' "$CPUS/hotplug/states")
mountpoint -q $tracing || mount -t tracefs tracefs $tracing

# waits WRITERS: the microseconds that CPU 3 waits for their streams when it goes, one line for each of four times.
waits() {
	local writer
	local -a writers
	for _ in {1..4}; do
		writers=()
		for ((writer = 0; writer < $1; writer++)); do
			taskset -c 3 "$here/pages.py" write /dev/zram0 $((writer * 2000)) 2000 text 1 $many >/dev/null &
			writers+=($!)
		done
		until (($(field $disk/stat 9) == $1)); do sleep 0.1; done
		echo >$tracing/trace
		cpu 3 0
		kill "${writers[@]}"
		wait "${writers[@]}" 2>/dev/null
		awk -v step="step: *$number " '
			{ at = $0; sub(/: cpuhp_.*/, "", at); sub(/.* /, "", at) }
			$0 ~ "cpuhp_multi_enter: cpu: 0003 .*" step { begun = at }
			$0 ~ "cpuhp_exit: .*cpu: 0003 .*" step { printf "%d\n", (at - begun) * 1000000 }' $tracing/trace
		cpu 3 1
	done
}

# Writers that wait for the stream already get it before the CPU does: with more writers it waits for a page of each.
measured() {
	local usual longest writers most bound times
	echo 1 >$disk/reset
	echo zstd >$disk/comp_algorithm
	echo 'algo=zstd level=22' >$disk/algorithm_params
	echo $((16384 * PAGE)) >$disk/disksize
	read -r usual longest <<<"$(taskset -c 3 "$here/pages.py" time /dev/zram0 0 300 text)"
	echo mono >$tracing/trace_clock
	echo 1 >$tracing/events/cpuhp/cpuhp_multi_enter/enable
	echo 1 >$tracing/events/cpuhp/cpuhp_exit/enable
	for writers in 1 4; do
		mapfile -t times < <(waits $writers)
		most=$(printf '%s\n' "${times[@]}" | sort -n | tail -n 1)
		echo "# a page takes $usual us, at most $longest; CPU 3 waits for $writers writers: ${times[*]}"
		bound=$((3 * writers * longest < many * usual / 2 ? 3 * writers * longest : many * usual / 2))
		holds "a CPU that goes waits for a page at most of each of $writers writers" "${#times[@]} == 4 && $most <= $bound"
	done
	echo 0 >$tracing/events/cpuhp/enable
}
if ((${SLOWER:-1} > 1)); then
	skip 'how long a CPU waits' 'the times of a debug kernel say little'
else
	measured
fi

# --- fio ---

retries() { awk 'NR > 1 {n += $6} END {print n + 0}' "$DEBUG/zram0/streams"; }

# Many threads and slow compression, so that tasks wait for the stream of a CPU that goes, and find the stream gone.
verified() {
	(cd "$work" && nice -n 19 fio --name=verify --filename=/dev/zram0 --ioengine=psync --direct=1 --thread --rw=randwrite \
		--bs=256k --size=1M --offset_increment=1M --numjobs=24 --loops=3 --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --group_reporting --minimal)
}
for algorithm in lz4 deflate; do
	device 64M "$algorithm"
	repeat "$algorithm: fio verifies" verified
	cycles "$algorithm" 200
	if [[ $algorithm == deflate ]] && ! is_c; then
		for ((more = 0; more < 10 && $(retries) == 0; more++)); do toggle 40; done
	fi
	repeated "$algorithm: fio verifies"
	is "$algorithm: no I/O failed" "$(io failed_reads) $(io failed_writes)" '0 0'
done
met='tasks met CPUs that had gone'
if is_c; then
	skip "$met" 'C zram does not count them'
elif (($(retries) == 0)); then
	# It takes luck: a task has to be preempted between two instructions for as long as a CPU takes to go.
	skip "$met" 'none did this time; host/streams.rs tries all orders'
else
	pass "$met"
	echo "# $(retries) times"
fi

# --- swap ---

device 256M lz4
mkswap -q -f /dev/zram0 >/dev/null
swapon /dev/zram0
swapped() {
	local job
	local -a jobs
	for job in 0 1 2; do
		(within 12M "$here/pages.py" hold "$(pages 6000)" mix 1) &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || return; done
	cgroups_remove
}
out=$(vmstat pswpout) in=$(vmstat pswpin)
repeat 'memory that is swapped verifies' swapped
cycles swap 200
repeated 'memory that is swapped verifies'
out=$(($(vmstat pswpout) - out)) in=$(($(vmstat pswpin) - in))
holds 'swapping took place' "$out > $(pages 10000) && $in > $(pages 5000)" "pages out: $out" "pages in: $in"
is 'no I/O of it failed' "$(io failed_reads) $(io failed_writes)" '0 0'
works 'swapoff' swapoff /dev/zram0

# --- devices ---

devices() {
	local id
	read -r id <"$CLASS/hot_add" && echo zstd >"/sys/block/zram$id/comp_algorithm" && echo 4M >"/sys/block/zram$id/disksize" &&
		dd if="$BASH" of="/dev/zram$id" bs=64k count=8 oflag=direct status=none && cmp -n 512K "$BASH" "/dev/zram$id" &&
		echo 1 >"/sys/block/zram$id/reset" && echo 8M >"/sys/block/zram$id/disksize" && echo "$id" >"$CLASS/hot_remove"
}
repeat 'devices are added, set up, reset, removed' devices
repeat 'and others' devices
cycles devices 100
repeated 'devices are added, set up, reset, removed'
repeated 'and others'
is 'and are gone' "$(cd /sys/block && echo zram*)" 'zram0 zram1'

# --- CPU 0 ---

state() { awk -v cpu="${1:-3}" 'NR > 1 && $1 == cpu {print $3}' "$DEBUG/zram0/streams"; }
# follows NAME no|its STATE [CPU]: a case: the stream of CPU 3, or of that one, is in this state.
follows() {
	if ! is_c; then is "$1: $2 stream" "$(state ${4:+"$4"})" "$3"; fi
}

# On arm64 it can go like any other; then CPU 1 stays up.
boot_cpu_too() {
	local -a before=("${removable[@]}")
	removable=(0 "${before[@]:1}")
	device 64M deflate
	repeat 'CPU 0, too: fio verifies' verified
	cycles 'CPU 0, too' 200
	repeated 'CPU 0, too: fio verifies'
	is 'CPU 0, too: no I/O failed' "$(io failed_reads) $(io failed_writes)" '0 0'
	works 'CPU 0 goes' cpu 0 0
	follows 'CPU 0 is down' no absent 0
	works 'CPU 0 is down: writes work' "$here/pages.py" write /dev/zram0 0 500 mix
	works 'CPU 0 is down: a device can be set up' device 16M zstd zram1
	works 'CPU 0 comes' cpu 0 1
	follows 'CPU 0 is up' its present 0
	works 'CPU 0 is up: it reads what was written' taskset -c 0 "$here/pages.py" verify /dev/zram0 0 500 mix
	removable=("${before[@]}")
}
if [[ -e $CPUS/cpu0/online ]]; then
	boot_cpu_too
else
	skip 'CPU 0 goes' 'it has to stay on this machine'
fi

# --- a CPU that is refused ---

device 32M lz4
device 32M zstd zram1
"$here/pages.py" write /dev/zram0 0 500 mix >/dev/null

# refuse STATE: CPU 3 does not come up, because that state fails.
refuse() {
	echo "$1" >"$CPUS/cpu3/hotplug/fail"
	put "$CPUS/cpu3/online" 1
}

# Once our own state fails, and once the next one, when our streams are there already and have to go again.
next=$(awk -F ': ' -v ours="$number" '$1 > ours {print $1 + 0; exit}' "$CPUS/hotplug/states")
for failing in "$number" "$next"; do
	name="state $failing fails"
	cpu 3 0
	refuse "$failing"
	is "$name: the CPU does not come up" "$ERR $(<"$CPUS/cpu3/online")" 'EAGAIN 0'
	follows "$name" no absent
	works "$name: data is there" "$here/pages.py" verify /dev/zram0 0 500 mix
	works "$name: writes work" "$here/pages.py" write /dev/zram0 500 500 mix
	works "$name: a device can be set up" device 16M lz4 zram1
	works "$name: and used" "$here/pages.py" write /dev/zram1 0 100 mix
	works "$name: and reset" device 16M zstd zram1
	put "$CPUS/cpu3/hotplug/fail" -1
	put "$CPUS/cpu3/online" 1
	is "$name: later the CPU comes up" "$ERR $(<"$CPUS/cpu3/online")" 'OK 1'
	follows "$name" 'its' present
	works "$name: it reads" taskset -c 3 "$here/pages.py" verify /dev/zram0 0 1000 mix
	works "$name: it writes" taskset -c 3 "$here/pages.py" write /dev/zram1 0 100 mix
done
finish
