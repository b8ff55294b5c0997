#!/bin/bash
# CPUs go and come at random while fio verifies, while memory is swapped, and while devices come and go; and a CPU that
# the streams do not let up.
# Needs: root, fio, cgroup2, CPUs that can be taken down, no zram device in use.
# vm: cpus=4 mem=768M
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

disk=/sys/block/zram0

# cycles NAME TIMES: a case: that many CPUs down and up again.
cycles() { works "$1: $2 times a CPU goes or comes" toggle "$2"; }

load num_devices=2

# --- fio ---

retries() { awk 'NR > 1 {n += $6} END {print n + 0}' "$DEBUG/zram0/streams"; }

# Many threads and slow compression: then a CPU that goes finds tasks waiting for its stream, who find it gone.
verified() {
	(cd "$work" && nice -n 19 fio --name=verify --filename=/dev/zram0 --ioengine=psync --direct=1 --thread --rw=randwrite \
		--bs=256k --size=1M --offset_increment=1M --numjobs=24 --loops=3 --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --group_reporting --minimal)
}
for algorithm in lz4 deflate; do
	device 64M "$algorithm"
	keep "$algorithm: fio verifies" verified
	cycles "$algorithm" 200
	if [[ $algorithm == deflate ]] && ! is_c; then
		for ((more = 0; more < 10 && $(retries) == 0; more++)); do toggle 40; done
	fi
	kept "$algorithm: fio verifies"
	is "$algorithm: no I/O failed" "$(io failed_reads) $(io failed_writes)" '0 0'
done
met='tasks met CPUs that had gone'
if is_c; then
	skip "$met" 'C zram does not count them'
elif (($(retries) == 0)); then
	# A matter of luck here: the task has to be preempted between two instructions, for as long as a CPU takes to go.
	skip "$met" 'none did this time; host/cells.rs tries all orders'
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
		(within 12M "$here/pages.py" hold 6000 mix 1) &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || return; done
	cgroups_remove
}
out=$(vmstat pswpout) in=$(vmstat pswpin)
keep 'memory that is swapped verifies' swapped
cycles swap 200
kept 'memory that is swapped verifies'
out=$(($(vmstat pswpout) - out)) in=$(($(vmstat pswpin) - in))
holds 'swapping took place' "$out > 10000 && $in > 5000" "pages out: $out" "pages in: $in"
is 'no I/O of it failed' "$(io failed_reads) $(io failed_writes)" '0 0'
works 'swapoff' swapoff /dev/zram0

# --- devices ---

devices() {
	local id
	read -r id <"$CLASS/hot_add" && echo zstd >"/sys/block/zram$id/comp_algorithm" && echo 4M >"/sys/block/zram$id/disksize" &&
		dd if="$BASH" of="/dev/zram$id" bs=64k count=8 oflag=direct status=none && cmp -n 512K "$BASH" "/dev/zram$id" &&
		echo 1 >"/sys/block/zram$id/reset" && echo 8M >"/sys/block/zram$id/disksize" && echo "$id" >"$CLASS/hot_remove"
}
keep 'devices are added, set up, reset, removed' devices
keep 'and others' devices
cycles devices 100
kept 'devices are added, set up, reset, removed'
kept 'and others'
is 'and are gone' "$(cd /sys/block && echo zram*)" 'zram0 zram1'

# --- a CPU that is refused ---

device 32M lz4
device 32M zstd zram1
number=$(awk -F ': ' -v name="$CPUHP" '$2 == name {print $1 + 0}' "$CPUS/hotplug/states")
"$here/pages.py" write /dev/zram0 0 500 mix >/dev/null

# refuse STATE: CPU 3 does not come up, because that state fails.
refuse() {
	echo "$1" >"$CPUS/cpu3/hotplug/fail"
	put "$CPUS/cpu3/online" 1
}
state() { awk 'NR > 1 && $1 == 3 {print $3}' "$DEBUG/zram0/streams"; }
follows() {
	is_c || is "$1: $2 stream" "$(state)" "$3"
}

# At our own state, and at the next one: then our streams were there already, and go again.
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
