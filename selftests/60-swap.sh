#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Swap: what comes back is verified, byte by byte; slots are freed with what they held; every algorithm. Sets nearly all memory
# aside for a while.
# vm: cpus=4 mem=768M
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram cgroup2 python3

header=$PAGE # what mkswap writes, in whole pages
ready() { until [[ -e $1 ]] || ! kill -0 "$2" 2>/dev/null; do sleep 0.2; done; }

swap_on() {
	device "$@" && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
}

load num_devices=2

confined() { (within "$@"); }

# --- what swapon makes of the device ---

size=$((256 * 1024 - PAGE / 1024))
echo 'selftest swapon' >/dev/kmsg
works 'mkswap and swapon' swap_on 256M
is '/proc/swaps' "$(awk '$1 == "/dev/zram0" {print $2, $3, $4}' /proc/swaps)" "partition $size 0"
matches 'the kernel takes it for a fast disk' "$(dmesg | sed '1,/selftest swapon$/d' | grep 'Adding')" \
	"Adding ${size}k swap on /dev/zram0\\..* extents:1 across:${size}k SS"
is 'the header is all there is on it' "$(mm orig)" "$header"

# --- pressure on all of memory: twice as much as there is ---

# A debug kernel keeps freed memory for a while, and needs more free memory.
left=160 reserve=$(</proc/sys/vm/min_free_kbytes)
restore_at_exit /proc/sys/vm/min_free_kbytes
if ((${SLOWER:-1} > 1)); then
	left=210
	# Its objects are larger: the default reserve for allocations that cannot wait would be too small.
	echo 20000 >/proc/sys/vm/min_free_kbytes
fi
leave_memory $left
out=$(vmstat pswpout) in=$(vmstat pswpin) kills=$(vmstat oom_kill)
together() {
	local job status=0
	local -a jobs
	for job in 1 2 3; do
		"$here/pages.py" hold "$(pages 22000)" mix 0 "$work/full$job" &
		jobs+=($!)
	done
	for job in 0 1 2; do ready "$work/full$((job + 1))" "${jobs[job]}"; done
	kill -TERM "${jobs[@]}"
	for job in "${jobs[@]}"; do wait "$job" || status=1; done
	return "$status"
}
works "three processes with 258 MiB in $left: every byte comes back" together
give_memory_back
echo "$reserve" >/proc/sys/vm/min_free_kbytes
out=$(($(vmstat pswpout) - out)) in=$(($(vmstat pswpin) - in))
holds 'pages went out and in' "$out > $(pages 15000) && $in > $(pages 10000)" "out: $out" "in: $in"
is 'no I/O failed, no process was killed' "$(io failed_reads) $(io failed_writes) $(($(vmstat oom_kill) - kills))" '0 0 0'
holds 'the processes are gone, and so is what they had there' "$(mm orig) < 16 << 20" "$(<"/sys/block/zram0/mm_stat")"
holds 'the kernel gave notice of each page' "$(io notify_free) > $(pages 15000)" "$(<"/sys/block/zram0/io_stat")"
works 'swapoff' swapoff /dev/zram0
is 'only the header is left' "$(mm orig)" "$header"
is 'no notice was missed' "$(field /sys/block/zram0/debug_stat 2)" 0

# --- freed at once: one process in a group of its own ---

swap_on 128M
before=$(io notify_free)
(within 12M "$here/pages.py" hold "$(pages 8000)" text 0 "$work/ready") &
job=$!
ready "$work/ready" "$job"
orig=$(mm orig) compr=$(mm compr)
holds 'a process has most of its memory on the device' "$orig > 5000 * 4096 && $compr < $orig * 7 / 10" "$(<"/sys/block/zram0/mm_stat")"
kill -TERM "$job"
wait "$job"
is 'what it gets back is right' $? 0
holds 'with its end the slots are free' "$(mm orig) < 2 << 20" "$(<"/sys/block/zram0/mm_stat")"
holds 'their number is in io_stat' "$(io notify_free) - $before >= $(pages 5000)" "$(<"/sys/block/zram0/io_stat")"

rm "$work/ready"
(within 12M "$here/pages.py" hold "$(pages 8000)" mix 0 "$work/ready") &
job=$!
ready "$work/ready" "$job"
echo max >"$(cgroup2)/selftest-$job/memory.max"
works 'swapoff while the process lives' swapoff /dev/zram0
is 'takes everything off the device' "$(mm orig)" "$header"
kill -TERM "$job"
wait "$job"
is 'the process has all of it' $? 0
cgroups_remove

# --- every algorithm ---

for algorithm in $(algorithms); do
	swap_on 64M "$algorithm"
	out=$(vmstat pswpout)
	works "$algorithm: a process with 20 MiB in 10: every byte comes back" confined 10M "$here/pages.py" hold "$(pages 5000)" mix 1
	holds "$algorithm: it was swapped" "$(vmstat pswpout) - $out > $(pages 2000)"
	is "$algorithm: no I/O failed" "$(io failed_reads) $(io failed_writes)" '0 0'
	swapoff /dev/zram0
	is "$algorithm: only the header is left" "$(mm orig)" "$header"
done

# --- two devices of equal priority ---

device 64M lz4 zram0
device 64M zstd zram1
for name in zram0 zram1; do mkswap "/dev/$name" >/dev/null && swapon -p 5 "/dev/$name"; done
works 'two devices: every byte comes back' confined 12M "$here/pages.py" hold "$(pages 6000)" mix 1
holds 'two devices: both were used' "$(io notify_free zram0) > $(pages 500) && $(io notify_free zram1) > $(pages 500)" \
	"$(<"/sys/block/zram0/io_stat")" "$(<"/sys/block/zram1/io_stat")"
works 'two devices: swapoff' swapoff /dev/zram0 /dev/zram1

# --- no room on the device: the memory stays where it is ---

swap_on 64M
echo 2M >/sys/block/zram0/mem_limit
# With --foreground, so that timeout itself is not killed and outlives the process, whose memory is then gone.
confined 24M timeout --foreground -s KILL $((10 * ${SLOWER:-1})) "$here/pages.py" hold "$(pages 8000)" random 1
status=$?
matches 'a device at its limit: no byte is lost, or the process has no memory' "$status" '^(0|124|137)$'
holds 'a device at its limit: it refused pages' "$(io failed_writes) > 0"
holds 'a device at its limit: and kept to it' "$(mm used) <= 2 << 20"
works 'a device at its limit: swapoff' swapoff /dev/zram0
finish
