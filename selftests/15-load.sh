#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Loading and unloading: parameters, refusals, life beside C zram, CPUs that are down, and that seventy rounds leak no memory.
# vm: cpus=4 mem=768M
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs cpu=2 cpu=3 python3

# use NAME: write a megabyte of a program's file to a device, and compare.
use() {
	device 4M '' "$1" && dd if="$BASH" of="/dev/$1" bs=64k count=16 oflag=direct status=none &&
		cmp -n 1M "$BASH" "/dev/$1"
}

# --- parameters ---

while IFS='|' read -r parameters wanted; do
	# shellcheck disable=SC2086 # a list
	load $parameters
	is "insmod with '$parameters' makes these devices" "$(disks)" "$wanted"
	is "'$parameters': no parameters in sysfs" "$(ls -d "/sys/module/$MODULE/parameters" 2>/dev/null)" ''
	unload
done <<'END'
|zram0
num_devices=0|
num_devices=1|zram0
num_devices=4|zram0 zram1 zram2 zram3
END
load num_devices=0
take "$CLASS/hot_add"
is 'num_devices=0: hot_add makes the first' "$OUT $(disks)" $'0\n. zram0'
works 'num_devices=0: that device works' use zram0
if ! is_c; then
	matches 'the module has a version' "$(<"/sys/module/$MODULE/version")" '^[0-9]+\.[0-9]+\.[0-9]+$'
	is 'which modinfo shows, too' "$(modinfo -F version "$KO")" "$(<"/sys/module/$MODULE/version")"
fi
unload
load num_devices=100
is 'num_devices=100' "$(disks)" "$(echo zram{0..99})"
works 'num_devices=100: the last one works' use zram99
works 'num_devices=100: unloads' unload
is 'num_devices=100: all gone' "$(disks)" ''
if ! is_c; then
	is 'modinfo shows the parameters' "$(modinfo -F parmtype "$KO" | sort | xargs)" 'coexist:bool num_devices:uint'
	while IFS='|' read -r parameters wanted; do
		# shellcheck disable=SC2086 # a list
		load $parameters
		is "insmod with $parameters" "$(disks)" "$wanted"
		unload
	done <<-'END'
		coexist|rzram0
		coexist=1|rzram0
		coexist=y|rzram0
		coexist=T|rzram0
		coexist=on|rzram0
		coexist=0|zram0
		coexist=N|zram0
		coexist=f|zram0
		coexist=off|zram0
		coexist=1 coexist=0|zram0
		num_devices=1 coexist num_devices=2|rzram0 rzram1
	END
	refused 'insmod with coexist=2' 'Invalid' load coexist=2
	refused 'insmod with coexist=' 'Invalid' load coexist=
	# Each would take all memory, long before there are so many.
	for number in 8193 65537 4294967295; do
		log
		refused "insmod with num_devices=$number" 'Invalid' load "num_devices=$number"
		is "num_devices=$number: the log says in one line what is wrong" "$(log "$mark")" \
			"num_devices=$number is above 8192: hot_add can make more later"
	done
fi
for parameters in num_devices=foo num_devices=-1 num_devices= num_devices=4294967296; do
	refused "insmod with $parameters" 'Invalid\|out of range' load "$parameters"
	is "$parameters: nothing stays" "$(disks) $(ls -d "/sys/module/$MODULE" "$CLASS" 2>/dev/null)" ' '
done

# --- in use ---

load num_devices=2
use zram0
exec 3</dev/zram0
refused 'rmmod while a device is open' 'in use' rmmod "$MODULE"
exec 3<&-
mkswap -q -f /dev/zram0 >/dev/null
swapon /dev/zram0
refused 'rmmod while swapping to a device' 'in use' rmmod "$MODULE"
swapoff /dev/zram0
device 16M
mkfs.ext4 -q /dev/zram0
mkdir "$work/mnt"
mount /dev/zram0 "$work/mnt"
refused 'rmmod while a device is mounted' 'in use' rmmod "$MODULE"
umount "$work/mnt"
works 'rmmod with data on a device' unload

# --- CPUs that are down at the time ---

cpu 2 0
cpu 3 0
load
device 16M
is 'insmod and disksize with two CPUs down' "$(<"$CPUS/online") $(<"/sys/block/zram0/initstate")" '0-1 1'
works 'writes on the CPUs that are up' "$here/pages.py" write /dev/zram0 0 512 mix
cpu 2 1
cpu 3 1
is 'the CPUs come up' "$(<"$CPUS/online")" 0-3
works 'CPU 2 reads what CPUs 0 and 1 wrote' taskset -c 2 "$here/pages.py" verify /dev/zram0 0 512 mix
works 'CPU 3 writes' taskset -c 3 "$here/pages.py" write /dev/zram0 512 512 mix
cpu 3 0
works 'the others read that after CPU 3 went' "$here/pages.py" verify /dev/zram0 0 1024 mix
cpu 2 0
works 'unloads with two CPUs down' unload
cpus_online
is 'the CPUs come up without the module' "$(<"$CPUS/online")" 0-3

# --- beside C zram ---

if is_c; then
	skip 'coexistence' 'this is C zram'
elif ! modprobe zram; then
	skip 'coexistence' 'no zram.ko for this kernel'
else
	log
	refused 'insmod beside C zram' 'could not insert' load
	is 'the log says why in one line that names the parameter' "$(log "$mark")" \
		'another zram is there: unload it, or load this one with coexist=1'
	is 'nothing of the attempt stays' "$(ls -d "/sys/module/$MODULE" 2>/dev/null) $(disks)" ' zram0'
	refused 'insmod coexist=0 beside C zram' 'could not insert' load coexist=0
	works 'C zram still works' use zram0

	works 'insmod coexist=1 beside C zram' load num_devices=2 coexist=1
	is 'its devices are named rzram' "$(disks)" 'rzram0 rzram1 zram0'
	is 'and so are the rest of its names' "$(cd /sys && ls -d class/*zram-control kernel/debug/*zram)" \
		$'class/rzram-control\nclass/zram-control\nkernel/debug/rzram\nkernel/debug/zram'
	is 'and the device number' "$(awk '$2 ~ /zram/ {print $2}' /proc/devices | sort | xargs)" 'rzram zram'
	is 'and the hotplug state' "$(grep -o 'block/.*zram:.*' "$CPUS/hotplug/states" | sort | xargs)" \
		'block/rzram:prepare block/zram:prepare'
	works 'rzram0 works' use rzram0
	works 'zram0 works' use zram0
	is 'hot_add of each makes its own' "$(cat /sys/class/rzram-control/hot_add /sys/class/zram-control/hot_add | xargs) $(disks)" \
		'2 1 rzram0 rzram1 rzram2 zram0 zram1'
	toggle 3 >/dev/null
	works 'rzram0 keeps its data while CPUs go and come' cmp -n 1M "$BASH" /dev/rzram0
	works 'and so does zram0' cmp -n 1M "$BASH" /dev/zram0
	works 'rmmod of C zram' rmmod zram
	works 'rzram0 lives on' use rzram0
	works 'C zram loads again' modprobe zram
	works 'rmmod of ours' unload
	works 'zram0 lives on' use zram0
	rmmod zram
	works 'coexist=1 alone' load coexist=1
	is 'its names are the same then' "$(disks)" rzram0
	unload
	works 'without C zram no parameter is needed' load
	unload
fi

# --- no leak ---

# measure: print names and numbers of what a round could leave behind. Shrinking the slab caches makes their counts exact.
measure() {
	local cache
	sync
	# Objects that were used lately survive the first call, and some the second.
	for _ in 1 2 3; do echo 3 >/proc/sys/vm/drop_caches; done
	echo 1 >/proc/sys/vm/stat_refresh
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >"$cache"; done
	awk '$1 == "nr_zspages"' /proc/vmstat
	awk '/^(Percpu|VmallocUsed):/ {print $1, $2}' /proc/meminfo
	# Areas that only wait to be purged do not count.
	grep -vc unpurged /proc/vmallocinfo | sed 's/^/vmallocinfo /'
	awk 'NR > 2 && $1 ~ /^(kmalloc|zs_handle|zspage|bio-|bdev_cache|kernfs|dentry|radix|inode_cache|debugfs)/ {print $1, $2}' /proc/slabinfo
}
rounds() {
	local i id
	for ((i = 0; i < $1; i++)); do
		load num_devices=4 && use zram3 && read -r id <"$CLASS/hot_add" && device 4M zstd "zram$id" && unload || return
	done
}
works 'insmod, use, rmmod, 10 times' rounds 10
measure >"$work/before"
works 'insmod, use, rmmod, 60 times' rounds 60
# The limits are below one lost object for each device, of which there were 300, and one lost area for each round. They are
# not zero because each CPU keeps free objects that count as used, other parts of the kernel allocate as well, and some
# objects are freed only after a while.
for ((tries = 0; tries < 10; tries++)); do
	measure >"$work/after"
	grown=$(paste -d ' ' "$work/before" "$work/after" | awk '
		BEGIN {limit["nr_zspages"] = 0; limit["Percpu:"] = 0; limit["VmallocUsed:"] = 150; limit["vmallocinfo"] = 50}
		$4 - $2 > ($1 in limit ? limit[$1] : 200)')
	[[ $grown ]] || break
	sleep 1
done
is 'nothing grew' "$grown" ''
finish
