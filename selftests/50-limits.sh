#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What happens at the edges: mem_limit reached, the memory that the table itself takes, huge sizes. Processes that
# use much memory meanwhile may make it fail.
# vm: cpus=4 mem=768M
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram mkfs.ext4 python3

disk=/sys/block/zram0
load num_devices=1

# --- mem_limit ---

device $((16384 * PAGE))
works 'limit: write compressible pages' "$here/pages.py" write /dev/zram0 0 1000 text
echo $((1024 * PAGE)) >$disk/mem_limit
"$here/pages.py" write /dev/zram0 4000 4000 random 1 1 >"$work/out"
read -r written error <"$work/out"
is 'limit: writes fail in the end' "$error" EIO
holds 'limit: and not before it is reached' "$written > 250 && $written < 1024" "written: $written"
is 'limit: one failure was counted' "$(io failed_writes)" 1
holds 'limit: it is kept' "$(mm used) <= 1024 * PAGE" "$(<$disk/mm_stat)"
is 'limit: what failed was not stored' "$(mm orig)" "$(((1000 + written) * PAGE))"
works 'limit: older data is there' "$here/pages.py" verify /dev/zram0 0 1000 text
works 'limit: all before the failure is there' "$here/pages.py" verify /dev/zram0 4000 "$written" random
works 'limit: the page that failed is still empty' "$here/pages.py" verify /dev/zram0 $((4000 + written)) 1 zero
"$here/pages.py" write /dev/zram0 0 1000 random 2 1 >"$work/out"
read -r replaced error <"$work/out"
is 'limit: larger data over old data fails in the end as well' "$error" EIO
# A thirty-second of the limit is kept for that.
c_bug 'keeps no reserve'
holds 'limit: there is a reserve for it' "$replaced >= 16 && $replaced <= 200" "written: $replaced"
holds 'limit: it is still kept' "$(mm used) <= 1024 * PAGE" "$(<$disk/mm_stat)"
works 'limit: what replaced something is there' "$here/pages.py" verify /dev/zram0 0 "$replaced" random 2
works 'limit: the rest is as it was' "$here/pages.py" verify /dev/zram0 "$replaced" $((1000 - replaced)) text
is 'limit: a request counts once' "$(io failed_writes)" 2
works 'limit: same-filled pages need no memory' "$here/pages.py" write /dev/zram0 12000 1000 same
works 'limit: a smaller page over a large one fits' "$here/pages.py" write /dev/zram0 4000 100 same
works 'limit: then there is room again' "$here/pages.py" write /dev/zram0 9000 50 random
echo 0 >$disk/mem_limit
works 'limit: none, and everything works' "$here/pages.py" write /dev/zram0 4000 2000 random 3
works 'limit: and is there' "$here/pages.py" verify /dev/zram0 4000 2000 random 3
echo $((256 * PAGE)) >$disk/mem_limit
works 'limit: below what is used: reads work' "$here/pages.py" verify /dev/zram0 4000 2000 random 3
"$here/pages.py" write /dev/zram0 15000 1 text >"$work/out"
is 'limit: below what is used: writes fail' "$(<"$work/out")" '0 EIO'
used=$(mm used) huge=$(mm huge)
c_bug 'fails what takes no more memory'
works 'limit: below what is used: a page over its like' "$here/pages.py" write /dev/zram0 4000 100 random 4
works 'limit: below what is used: text over incompressible pages' "$here/pages.py" write /dev/zram0 4100 100 text 4
c_bug 'fails what takes no more memory'
works 'limit: below what is used: from memory that is not aligned' python3 -c '
import mmap, os
PAGE = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * PAGE)
memory[512:512 + PAGE] = bytes(range(1, 129)) * (PAGE // 128)
fd = os.open("/dev/zram0", os.O_RDWR | os.O_DIRECT)
os.pwritev(fd, [memoryview(memory)[512:512 + PAGE]], 4200 * PAGE)
got = mmap.mmap(-1, PAGE)
os.preadv(fd, [got], 4200 * PAGE)
assert got[:] == memory[512:512 + PAGE]'
holds 'limit: below what is used: it takes no more' "$(mm used) <= $used" "$used, then $(mm used)"
holds 'limit: below what is used: what is no longer huge is not counted so' "$(mm huge) <= $huge - 101" "$huge, then $(mm huge)"
c_bug 'fails what takes no more memory'
works 'limit: below what is used: and is there' "$here/pages.py" verify /dev/zram0 4000 100 random 4
c_bug 'fails what takes no more memory'
works 'limit: below what is used: and the text, too' "$here/pages.py" verify /dev/zram0 4100 100 text 4
echo 0 >$disk/mem_limit
works 'limit: none again, and text over text is stored anew' "$here/pages.py" write /dev/zram0 4100 100 text 5
works 'limit: and is there' "$here/pages.py" verify /dev/zram0 4100 100 text 5

# A file system that has hit the limit can be emptied, and is of use again.
device 256M
mkdir "$work/mnt"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/zram0
mount -o errors=remount-ro /dev/zram0 "$work/mnt"
echo 24M >$disk/mem_limit
full=''
for ((i = 0; i < 12; i++)); do
	dd if=/dev/urandom of="$work/mnt/file$i" bs=1M count=4 conv=fsync status=none 2>/dev/null || full=1
done
is 'limit: a file system hits it' "$full" 1
c_bug 'makes the file system read-only'
emptied() { rm "$work"/mnt/file* && sync && fstrim "$work/mnt"; }
works 'limit: files are removed' emptied
c_bug 'makes the file system read-only'
works 'limit: then a new file is written' dd if=/dev/urandom of="$work/mnt/new" bs=1M count=4 conv=fsync status=none
matches 'limit: and the file system is as it was mounted' "$(awk -v at="$work/mnt" '$2 == at {print $4}' /proc/mounts)" '^rw,'
umount "$work/mnt"
works 'limit: it has no errors' fsck.ext4 -fn /dev/zram0

# --- the table's own memory ---

# free: print the kilobytes of free memory, with the pages that each CPU keeps for itself, after caches were dropped.
free() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/stat_refresh
	awk '$1 == "count:" {pages += $2} END {print pages * '$((PAGE / 1024))' + '"$(meminfo MemFree)"'}' /proc/zoneinfo
}

# costs NAME LIMIT COMMAND...: the command takes less than that many kilobytes of memory, in the best of four turns; each
# turn begins with a reset. Other work in the kernel changes the number by some hundreds.
costs() {
	local name=$1 limit=$2 best=999999999 before cost
	local -a all=()
	shift 2
	for _ in 1 2 3 4; do
		echo 1 >$disk/reset
		before=$(free)
		if ! "$@" >"$work/out" 2>&1; then
			all+=("$(<"$work/out")")
			continue
		fi
		cost=$((before - $(free)))
		all+=("$cost")
		if ((cost < best)); then best=$cost; fi
		if ((best < limit)); then break; fi
	done
	holds "$name" "$best < $limit" "kilobytes in each turn: ${all[*]}"
}

sized() { echo "$1" >"$disk/disksize"; }
c_bug 'allocates the whole table at once'
costs 'an empty device of 1 TiB takes less than 1 MiB' 1024 sized 1T
echo 1 >$disk/reset
c_bug 'allocates the whole table at once'
works 'a device of 1 TiB can be set up' sized 1T
last=$(((1 << 40) / PAGE - 100))
if [[ $(<$disk/initstate) == 1 ]]; then
	works '1 TiB: its last pages can be written' "$here/pages.py" write /dev/zram0 "$last" 100 mix
	works '1 TiB: and read' "$here/pages.py" verify /dev/zram0 "$last" 100 mix
	works '1 TiB: and the first' "$here/pages.py" verify /dev/zram0 0 100 zero
	start=$SECONDS
	works '1 TiB: discard it all' blkdiscard -f /dev/zram0
	holds '1 TiB: in no time' "$((SECONDS - start)) < 10"
	is '1 TiB: it is empty' "$(mm orig)" 0
fi

# A full device of same-filled pages, which need no memory but the table's.
pages=$(((512 << 20) / PAGE))
full() { echo 512M >"$disk/disksize" && "$here/pages.py" write /dev/zram0 0 "$pages" same 1 256; }
costs "a full device's table takes no more than 16 bytes a page" $((pages * 16 / 1024 + 512)) full
discarded() { full && blkdiscard /dev/zram0 && echo 1 >"$disk/compact"; }
c_bug 'keeps the table until the reset'
costs 'compact gives back the table of what was discarded' 768 discarded
works 'after that it works' "$here/pages.py" write /dev/zram0 5000 1000 mix
works 'and has the data' "$here/pages.py" verify /dev/zram0 5000 1000 mix

# --- huge sizes: refused without a warning, or of use ---

for size in 64T 1P 1024P 4E 8E 15E 0xfffffffffffff000; do
	echo 1 >$disk/reset
	echo "selftest size $size" >/dev/kmsg
	put $disk/disksize "$size"
	splats=$(dmesg | sed "1,/selftest size $size\$/d" | grep -c 'Call Trace\|WARNING\|BUG\|failure\|vmalloc')
	c_bug 'warns'
	matches "disksize $size: done, or no memory; the kernel does not mind" "$ERR $(<$disk/initstate) $splats" \
		'^(OK 1|ENOMEM 0|EINVAL 0) 0$'
	if [[ $ERR == OK ]]; then
		holds "disksize $size: so large it is" "$(blockdev --getsize64 /dev/zram0) >= 1 << 40 || $(blockdev --getsize64 /dev/zram0) < 0"
		works "disksize $size: and works" "$here/pages.py" write /dev/zram0 123456789 10 mix
		works "disksize $size: and has the data" "$here/pages.py" verify /dev/zram0 123456789 10 mix
	fi
done
works 'an ordinary size afterwards' device 16M
finish
