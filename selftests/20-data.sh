#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Data comes back as it was written: every algorithm, block size, order and kind of I/O; trims; the statistics of it.
# vm: cpus=4 mem=768M
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs fio python3

disk=/sys/block/zram0

# verified OPTIONS...: fio writes, reads and compares.
verified() {
	(cd "$work" && fio --name=verify --filename=/dev/zram0 --ioengine=libaio --iodepth=8 --direct=1 --size=16M \
		--verify=crc32c --verify_fatal=1 --refill_buffers=1 --buffer_compress_percentage=50 --buffer_compress_chunk=4k \
		--serialize_overlap=1 --minimal "$@")
}

load num_devices=1

# What the pool takes, in hundredths of the data. Its classes of sizes are wider where pages are larger.
overhead=$((PAGE == 4096 ? 115 : 250))

# --- every algorithm: mixed sizes, two jobs; then known pages of all kinds, counted ---

for algorithm in $(algorithms); do
	device 64M "$algorithm"
	works "$algorithm: fio, 4k to 1M at random, two jobs" verified --rw=randwrite --bssplit=4k/60:16k/20:64k/10:1M/10 \
		--size=12M --numjobs=2 --offset_increment=16M --group_reporting
	device 64M "$algorithm"
	works "$algorithm: write 1500 pages" "$here/pages.py" write /dev/zram0 0 1500 mix
	works "$algorithm: they come back" "$here/pages.py" verify /dev/zram0 0 1500 mix
	read -r orig compr used _ _ same _ huge since <$disk/mm_stat
	is "$algorithm: their number, and of those the same-filled and incompressible ones" \
		"$orig $same $huge $since" "$((1500 * PAGE)) 375 375 375"
	holds "$algorithm: compressed text and whole incompressible pages" \
		"$compr > 375 * PAGE && $compr < 375 * PAGE + 750 * PAGE * 3 / 4 && $used >= $compr && $used < $compr * $overhead / 100" "$(<$disk/mm_stat)"
	works "$algorithm: write them over with other kinds" "$here/pages.py" write /dev/zram0 3 1500 mix 2
	works "$algorithm: the new ones come back" "$here/pages.py" verify /dev/zram0 3 1500 mix 2
	works "$algorithm: the three before them are as they were" "$here/pages.py" verify /dev/zram0 0 3 mix
	read -r orig _ _ _ _ same _ huge since <$disk/mm_stat
	is "$algorithm: the count of each kind" "$orig $same $huge $since" "$((1503 * PAGE)) 376 375 750"
done

# --- block sizes and orders ---

device 64M
for bs in 4k 16k 64k 256k 1M; do
	works "direct, sequential, $bs" verified --rw=write --bs=$bs
	works "direct, random, $bs, rewritten" verified --rw=randwrite --bs=$bs --loops=2
done
works 'direct, one job reads and writes' verified --rw=randrw --bs=8k --ioengine=psync
works 'direct, four jobs, each its own 16M' verified --rw=randwrite --bs=8k --numjobs=4 --offset_increment=16M --group_reporting
works 'buffered, sequential' verified --rw=write --bs=64k --direct=0 --ioengine=psync --end_fsync=1 --invalidate=1
works 'buffered, random, 4k' verified --rw=randwrite --bs=4k --direct=0 --ioengine=psync --end_fsync=1 --invalidate=1
works 'through io_uring' verified --rw=randwrite --bs=16k --ioengine=io_uring
c_bug 'ignores where in a page a buffer begins'
works 'direct, buffers 512 bytes into a page' verified --rw=randwrite --bs=16k --iomem_align=512
c_bug 'ignores where in a page a buffer begins'
works 'the same with blocks over two pages, 4k' verified --rw=randwrite --bs=4k --iomem_align=2560 --ioengine=psync

# --- same-filled pages: any word, not only zero ---

device 64M
works 'zeroes' "$here/pages.py" write /dev/zram0 0 1024 zero
works 'words' "$here/pages.py" write /dev/zram0 1024 1024 same
works 'zeroes come back' "$here/pages.py" verify /dev/zram0 0 1024 zero
works 'words come back' "$here/pages.py" verify /dev/zram0 1024 1024 same
read -r orig compr used _ _ same _ huge _ <$disk/mm_stat
is 'they are stored, but take nothing from the pool' "$orig $compr $used $same $huge" "$((2048 * PAGE)) 0 0 2048 0"
works 'data over them' "$here/pages.py" write /dev/zram0 512 1024 random
read -r orig compr _ _ _ same _ huge _ <$disk/mm_stat
is 'changes the counts' "$orig $compr $same $huge" "$((2048 * PAGE)) $((1024 * PAGE)) 1024 1024"
works 'same-filled pages over that' "$here/pages.py" write /dev/zram0 0 2048 same
read -r orig compr used _ _ same _ huge since <$disk/mm_stat
is 'change them back' "$orig $compr $used $same $huge $since" "$((2048 * PAGE)) 0 0 2048 0 1024"

# --- incompressible pages over incompressible ones, which take their place ---

device 64M
works 'fio: incompressible, rewritten' verified --rw=randwrite --bs=16k --loops=3 --buffer_compress_percentage=0
device 64M
works 'incompressible pages' "$here/pages.py" write /dev/zram0 0 300 random
put $disk/mem_used_max 0
put $disk/idle all
used=$(mm used)
works 'others over 200 of them' "$here/pages.py" write /dev/zram0 100 200 random 2
read -r orig compr _ _ max _ _ huge since <$disk/mm_stat
is 'are counted' "$orig $compr $huge $since" "$((300 * PAGE)) $((300 * PAGE)) 300 500"
c_bug 'needs room for the new page before it frees the old one'
is 'need no more memory, not even for a moment' "$(mm used) $max" "$used $used"
is 'are not idle' "$(awk '{print $3}' "$DEBUG/zram0/block_state" | sort | uniq -c | xargs)" '200 ..h... 100 ..hi..'
works 'come back' "$here/pages.py" verify /dev/zram0 100 200 random 2
works 'and what was before them' "$here/pages.py" verify /dev/zram0 0 100 random
for kind in random text; do
	works "$kind: what is read while it is written over is the old page or the new one" \
		"$here/pages.py" torn_reads /dev/zram0 50 $kind 3000
done

# --- discard: whole blocks, here and there, all ---

device 64M
works 'fio with trims at random' verified --rw=randwrite --bs="$PAGE" --trim_percentage=30 --trim_verify_zero=1 --trim_backlog=64 \
	--ioengine=psync --size=8M
works 'fio with trims and writes in turn' verified --rw=randtrimwrite --bs=$((4 * PAGE)) --size=8M --ioengine=psync --verify=0
device 64M
works 'write 2000 pages' "$here/pages.py" write /dev/zram0 0 2000 mix
freed=$(io notify_free)
works 'discard 1000 of them' blkdiscard -o $((500 * PAGE)) -l $((1000 * PAGE)) /dev/zram0
works 'they read as zeroes' "$here/pages.py" verify /dev/zram0 500 1000 zero
works 'the ones before are there' "$here/pages.py" verify /dev/zram0 0 500 mix
works 'the ones after are there' "$here/pages.py" verify /dev/zram0 1500 500 mix
read -r orig _ _ _ _ same _ huge _ <$disk/mm_stat
is 'the counts know' "$orig $same $huge $(($(io notify_free) - freed))" "$((1000 * PAGE)) 250 250 1000"
works 'BLKZEROOUT' blkdiscard -z -o 0 -l $((100 * PAGE)) /dev/zram0
works 'gives zeroes' "$here/pages.py" verify /dev/zram0 0 100 zero
if ((PAGE == BLOCK)); then
	is 'frees as well, and is counted' "$(mm orig) $(($(io notify_free) - freed))" "$((900 * PAGE)) 1100"
else
	# A part of a page could not be freed, so that the kernel writes pages of zeroes.
	is 'writes them' "$(mm orig) $(mm same) $(($(io notify_free) - freed))" "$((1000 * PAGE)) 325 1000"
fi
works 'discard the whole device' blkdiscard /dev/zram0
read -r orig compr used _ _ same _ huge since <$disk/mm_stat
is 'nothing is left' "$orig $compr $used $same $huge $since" '0 0 0 0 0 500'
works 'everything reads as zeroes' cmp -n 64M /dev/zero /dev/zram0
is 'reading stores nothing' "$(mm orig)" 0
is 'no I/O failed' "$(io failed_reads) $(io failed_writes)" '0 0'
finish
