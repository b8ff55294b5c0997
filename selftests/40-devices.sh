#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Many devices: each its own data; added and removed beside I/O; none is reset or removed while it is in use.
# vm: cpus=4 mem=768M
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram fio mkfs.ext4 python3

# --- two: different algorithms, data, statistics ---

load num_devices=2
device 16M lz4 zram0
device 32M zstd zram1
works 'zram0: write' "$here/pages.py" write /dev/zram0 0 1000 mix 1
works 'zram1: write' "$here/pages.py" write /dev/zram1 0 2000 mix 2
works 'zram0: its data' "$here/pages.py" verify /dev/zram0 0 1000 mix 1
works 'zram1: its data' "$here/pages.py" verify /dev/zram1 0 2000 mix 2
is 'each its counts' "$(mm orig zram0) $(mm orig zram1)" "$((1000 * PAGE)) $((2000 * PAGE))"
works 'reset of zram0' device 8M deflate zram0
works 'does nothing to zram1' "$here/pages.py" verify /dev/zram1 0 2000 mix 2
is 'zram0 is empty' "$(mm orig zram0) $(mm orig zram1)" "0 $((2000 * PAGE))"

# --- in use: neither reset nor removed ---

busy() {
	put /sys/block/zram0/reset 1
	is "$1: reset" "$ERR $(<"/sys/block/zram0/initstate")" 'EBUSY 1'
	put "$CLASS/hot_remove" 0
	is "$1: hot_remove" "$ERR $(ls -d /sys/block/zram0)" 'EBUSY /sys/block/zram0'
}
device 32M
exec 3</dev/zram0
busy 'open for reading'
exec 4<>/dev/zram0
exec 3<&-
busy 'open twice, closed once'
exec 4>&-
mkswap -q -f /dev/zram0 >/dev/null
swapon /dev/zram0
busy swapped
swapoff /dev/zram0
mkfs.ext4 -q -F /dev/zram0
mkdir "$work/mnt"
mount /dev/zram0 "$work/mnt"
busy mounted
echo data >"$work/mnt/file"
umount "$work/mnt"
mount /dev/zram0 "$work/mnt"
is 'the file on it is there' "$(<"$work/mnt/file")" data
umount "$work/mnt"
put /sys/block/zram0/reset 1
is 'then it is reset' "$ERR" OK
put "$CLASS/hot_remove" 0
is 'and removed' "$ERR $(ls -d /sys/block/zram0 2>/dev/null)" 'OK '
is 'the log has what C zram says of it' "$(dmesg | grep -oE '(Added|Removed) device: zram[0-9]+$' | tail -n 3 | xargs)" \
	'Added device: zram0 Added device: zram1 Removed device: zram0'
unload

# --- 64 ---

# Each device holds another part of a program's file.
all() {
	local i
	for i in {0..63}; do "$1" "$i" || return; done
}
set_up() { echo 2M >"/sys/block/zram$1/disksize"; }
fill() { dd if="$BASH" of="/dev/zram$1" bs=4k skip="$1" count=128 oflag=direct status=none; }
compare() { cmp -n 512K -i "$(($1 * 4096)):0" "$BASH" "/dev/zram$1"; }
counts() { [[ $(mm orig "zram$1") == "$((128 * 4096))" ]]; }
remove() { echo "$1" >"$CLASS/hot_remove"; }
load num_devices=64
is '64 devices' "$(find /sys/block -name 'zram*' | wc -l)" 64
works '64 devices: a size' all set_up
works '64 devices: data' all fill
works '64 devices: all of it comes back' all compare
works '64 devices: each counts its own' all counts
toggle 4
works '64 devices: all CPUs have been away, the data is there' all compare
works '64 devices: removed' all remove
is '64 devices: none is left' "$(find /sys/block -name 'zram*' | wc -l)" 0
unload

# --- added and removed beside I/O ---

load
device 32M
verified() {
	(cd "$work" && fio --name=verify --filename=/dev/zram0 --ioengine=psync --direct=1 --rw=randwrite --bs=16k \
		--size=4M --offset_increment=4M --numjobs=2 --verify=crc32c --verify_fatal=1 --group_reporting --minimal)
}
churn() {
	local id
	read -r id <"$CLASS/hot_add" && echo 4M >"/sys/block/zram$id/disksize" && echo "zram$id" >>"$work/ids" &&
		dd if="$BASH" of="/dev/zram$id" bs=64k count=8 oflag=direct status=none && cmp -n 512K "$BASH" "/dev/zram$id" &&
		echo "$id" >"$CLASS/hot_remove"
}
repeat 'fio on zram0' verified
repeat 'devices come and go' churn
repeat 'in two places' churn
repeat 'and a third' churn
sleep 8
repeated 'devices come and go'
repeated 'in two places'
repeated 'and a third'
repeated 'fio on zram0'
holds 'numbers are used again' "$(sort -u "$work/ids" | wc -l) <= 3" "$(sort -u "$work/ids" | xargs)"

# --- resets beside opens: the one that comes second is refused ---

contend() {
	local why
	if why=$({ echo "$1" >"$2"; } 2>&1); then return; fi
	if [[ $why != *busy* && ($2 != *disksize || $why != *Invalid*) ]]; then
		echo "$why"
		return 1
	fi
}
opens() {
	local why
	if ! why=$(dd if=/dev/zram0 of=/dev/null bs=4k count=4 iflag=direct 2>&1) && [[ $why != *busy* ]]; then
		echo "$why"
		return 1
	fi
}
repeat 'resets' contend 1 /sys/block/zram0/reset
repeat 'more resets' contend 1 /sys/block/zram0/reset
repeat 'sizes' contend 16M /sys/block/zram0/disksize
repeat 'opens and reads' opens
sleep 5
repeated 'resets'
repeated 'more resets'
repeated 'sizes'
repeated 'opens and reads'
works 'the device is as good as ever' device 16M
works 'and works' "$here/pages.py" write /dev/zram0 0 500 mix
works 'and gives the data back' "$here/pages.py" verify /dev/zram0 0 500 mix
finish
