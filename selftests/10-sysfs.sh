#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every attribute: its bytes, good and bad values, each state, the order of the checks; the block device's limits.
# vm: cpus=4 mem=768M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs python3

load num_devices=1
disk=/sys/block/zram0
fresh_mm='       0        0        0        0        0        0        0        0        0'

# rows: lines of `file | input | error | file[/column] of the read-back | expected`, read from standard input. A row
# that leaves the blank device initialised is followed by a reset.
rows() {
	local state=$1 file input error where wanted got
	while IFS='|' read -r file input error where wanted; do
		[[ $file ]] || continue
		put "$disk/$file" "$input"
		case $where in
		'') got='' ;;
		*/*) got=$(field "$disk/${where%/*}" "${where#*/}") ;;
		*) got=$(<"$disk/$where") ;;
		esac
		is "$state: $file <- ${input@Q}" "$ERR $got" "$error $wanted"
		[[ $state != blank || $(<"$disk/initstate") == 0 ]] || echo 1 >"$disk/reset"
	done
}

# --- which files there are, and their modes ---

while read -r mode files; do
	for file in $files; do
		is "mode of $file" "$(stat -c %a "$disk/$file" 2>&1)" "$mode"
	done
done <<-'END'
	444 initstate io_stat mm_stat debug_stat
	200 reset compact mem_limit mem_used_max
	644 disksize comp_algorithm
END
is 'mode of hot_add' "$(stat -c %a "$CLASS/hot_add")" 400
is 'mode of hot_remove' "$(stat -c %a "$CLASS/hot_remove")" 200
for file in reset compact mem_limit mem_used_max; do
	take "$disk/$file"
	is "reading $file" "$ERR" EACCES
done
for file in initstate io_stat mm_stat debug_stat; do
	put "$disk/$file" 1
	is "writing $file" "$ERR" EACCES
done
for file in max_comp_streams num_reads num_writes invalid_io notify_free failed_reads use_dedup queue/scheduler device; do
	is "no $file" "$(ls -d "$disk/$file" 2>/dev/null)" ''
done
# Stored data can be damaged through debugfs, but only in kernels that can inject faults.
if ! is_c; then
	is 'files in debugfs' "$(cd "$DEBUG/zram0" && echo *)" \
		"ages block_state $(! grep -q ' should_fail$' /proc/kallsyms || echo 'corrupt ')streams"
fi
is 'no module parameters in sysfs' "$(ls -d "/sys/module/$MODULE/parameters" 2>/dev/null)" ''

# --- the exact bytes of a blank device and of a new one ---

exact() {
	local file wanted
	while IFS='|' read -r file wanted; do
		take "$disk/$file"
		is "$1: bytes of $file" "$OUT" "$(printf '%b.' "$wanted")"
	done
}
exact blank <<END
disksize|0\n
initstate|0\n
mm_stat|$fresh_mm\n
io_stat|       0        0 0        0\n
debug_stat|version: 1\n0        0\n
END
echo 16M >$disk/disksize
exact 'no data' <<END
disksize|16777216\n
initstate|1\n
mm_stat|$fresh_mm\n
io_stat|       0        0 0        0\n
debug_stat|version: 1\n0        0\n
END
echo 1 >$disk/reset

take $disk/comp_algorithm
list=${OUT%.}
if is_c; then every='lz4 lz4hc zstd deflate'; else every='lzo-rle lzo lz4 lz4hc zstd deflate'; fi
[[ -d /sys/module/lz4hc_compress ]] || every=${every/ lz4hc/}
wanted=${every/lz4/[lz4]}
if ! is_c; then wanted+=' 842 lzmem'; fi
is 'comp_algorithm lists all, the default in brackets' "$list" "$wanted "$'\n'
for name in $(algorithms); do
	put $disk/comp_algorithm "$name\n"
	chosen=" $(algorithms) "
	chosen=${chosen/ $name / [$name] }
	is "comp_algorithm <- $name" "$ERR $(<$disk/comp_algorithm)" "OK ${chosen:1:-1}"
done
echo 1 >$disk/reset
is 'reset of a blank device brings the default algorithm back' "$(<$disk/comp_algorithm)" "${wanted} "

# --- a blank device ---

long=$(printf 'x%.0s' {1..127})
rows blank <<END
disksize|0|EINVAL|disksize|0
disksize|\n|EINVAL|disksize|0
disksize|foo|EINVAL|disksize|0
disksize| 16M|EINVAL|disksize|0
disksize|-1|EINVAL|disksize|0
disksize|-4096|EINVAL|disksize|0
disksize|K|EINVAL|disksize|0
disksize|0x|EINVAL|disksize|0
disksize|16E|EINVAL|disksize|0
disksize|18446744073709551615|EINVAL|disksize|0
disksize|1|OK|disksize|$PAGE
disksize|4096|OK|disksize|$PAGE
disksize|4097|OK|disksize|$(rounded 4097)
disksize|16777216\n|OK|disksize|16777216
disksize|16777217|OK|disksize|$(rounded 16777217)
disksize|16Mfoo|OK|disksize|16777216
disksize|16M 1|OK|disksize|16777216
disksize|0x100000|OK|disksize|1048576
disksize|010000|OK|disksize|$PAGE
disksize|64K|OK|disksize|65536
disksize|64k|OK|disksize|65536
disksize|3m|OK|disksize|3145728
disksize|1G|OK|disksize|1073741824
disksize|1g|OK|size|2097152
disksize|1G|OK|initstate|1
reset|foo|EINVAL|initstate|0
reset|\n|EINVAL|initstate|0
reset| 1|EINVAL|initstate|0
reset|1 |EINVAL|initstate|0
reset|0x1|EINVAL|initstate|0
reset|-1|EINVAL|initstate|0
reset|0|EINVAL|initstate|0
reset|65536|ERANGE|initstate|0
reset|99999999999999999999|ERANGE|initstate|0
reset|1|OK|initstate|0
reset|1\n|OK|initstate|0
reset|+1|OK|initstate|0
reset|01|OK|initstate|0
reset|65535|OK|initstate|0
compact|1|EINVAL|initstate|0
compact|foo|EINVAL|initstate|0
mem_limit|foo|EINVAL|mm_stat/4|0
mem_limit|\n|EINVAL|mm_stat/4|0
mem_limit|-1|EINVAL|mm_stat/4|0
mem_limit| 1M|EINVAL|mm_stat/4|0
mem_limit|1M|OK|mm_stat/4|1048576
mem_limit|bar|EINVAL|mm_stat/4|1048576
mem_limit|1|OK|mm_stat/4|$PAGE
mem_limit|4097\n|OK|mm_stat/4|$(rounded 4097)
mem_limit|2Mfoo|OK|mm_stat/4|2097152
mem_limit|0x2000|OK|mm_stat/4|$(rounded 0x2000)
mem_limit|0|OK|mm_stat/4|0
mem_limit|3M|OK|mm_stat/4|3145728
reset|1|OK|mm_stat/4|0
mem_used_max|0|OK|mm_stat/5|0
mem_used_max|0\n|OK|mm_stat/5|0
mem_used_max|00|OK|mm_stat/5|0
mem_used_max|+0|OK|mm_stat/5|0
mem_used_max|1|EINVAL|mm_stat/5|0
mem_used_max|foo|EINVAL|mm_stat/5|0
mem_used_max|\n|EINVAL|mm_stat/5|0
mem_used_max| 0|EINVAL|mm_stat/5|0
mem_used_max|-0|EINVAL|mm_stat/5|0
mem_used_max|0x0|EINVAL|mm_stat/5|0
mem_used_max|99999999999999999999|EINVAL|mm_stat/5|0
comp_algorithm|foo|EINVAL|comp_algorithm|$wanted 
comp_algorithm|\n|EINVAL|comp_algorithm|$wanted 
comp_algorithm|lz4 |EINVAL|comp_algorithm|$wanted 
comp_algorithm| lz4|EINVAL|comp_algorithm|$wanted 
comp_algorithm|LZ4|EINVAL|comp_algorithm|$wanted 
comp_algorithm|lz|EINVAL|comp_algorithm|$wanted 
comp_algorithm|lz4\n\n|EINVAL|comp_algorithm|$wanted 
comp_algorithm|[lz4]|EINVAL|comp_algorithm|$wanted 
comp_algorithm|$long|EINVAL|comp_algorithm|$wanted 
comp_algorithm|$long\n|E2BIG|comp_algorithm|$wanted 
comp_algorithm|${long}x|E2BIG|comp_algorithm|$wanted 
comp_algorithm|lz4|OK|comp_algorithm|$wanted 
END

works 'blank: reading gives nothing' cmp /dev/zram0 /dev/null
refused 'blank: writing finds no space' 'No space left' dd if=/dev/zero of=/dev/zram0 bs=4k count=1 oflag=direct

# --- an initialised device ---

echo 1M >$disk/mem_limit
echo zstd >$disk/comp_algorithm
chosen=${every/zstd/[zstd]}
if ! is_c; then chosen+=' 842 lzmem'; fi
echo 16M >$disk/disksize
rows initialised <<END
disksize|16M|EBUSY|disksize|16777216
disksize|8M|EBUSY|disksize|16777216
disksize|0|EINVAL|disksize|16777216
disksize|foo|EINVAL|disksize|16777216
comp_algorithm|lz4|EBUSY|comp_algorithm|$chosen 
comp_algorithm|zstd|EBUSY|comp_algorithm|$chosen 
comp_algorithm|foo|EINVAL|comp_algorithm|$chosen 
comp_algorithm|${long}x|E2BIG|comp_algorithm|$chosen 
compact|1|OK|initstate|1
compact|foo|OK|initstate|1
compact|\n|OK|initstate|1
mem_limit|2M|OK|mm_stat/4|2097152
mem_limit|foo|EINVAL|mm_stat/4|2097152
mem_limit|0|OK|mm_stat/4|0
mem_limit|5M|OK|mm_stat/4|5242880
mem_used_max|1|EINVAL|mm_stat/5|0
mem_used_max|0|OK|mm_stat/5|0
reset|foo|EINVAL|initstate|1
reset|0|EINVAL|initstate|1
reset|65536|ERANGE|initstate|1
END

# Statistics of known data; mem_used_max falls to what is used now.
works 'writes 256 compressible pages' "$here/pages.py" write /dev/zram0 0 256 text
works 'writes 128 incompressible pages' "$here/pages.py" write /dev/zram0 256 128 random
peak=$(mm max)
holds 'mem_used_max follows mem_used_total' "$(mm used) > 128 * PAGE && $(mm used) <= $peak" "$(<$disk/mm_stat)"
blkdiscard /dev/zram0
holds 'mem_used_max stays when data goes' "$(mm max) == $peak && $(mm used) < $peak" "$(<$disk/mm_stat)"
put $disk/mem_used_max 0
holds 'mem_used_max <- 0 sets it to what is used now' "$(mm max) == $(mm used)" "$(<$disk/mm_stat)"
is 'the number of discarded pages is in io_stat' "$(io notify_free)" $((16777216 / PAGE))

# Opened: reset is refused, and nothing has changed.
exec 3<>/dev/zram0
rows open <<END
reset|1|EBUSY|disksize|16777216
reset|foo|EINVAL|disksize|16777216
reset|0|EINVAL|disksize|16777216
disksize|16M|EBUSY|disksize|16777216
END
exec 3>&-

put $disk/reset 1
is 'reset' "$ERR" OK
exact 'after a reset' <<END
disksize|0\n
size|0\n
initstate|0\n
comp_algorithm|$wanted \n
mm_stat|$fresh_mm\n
io_stat|       0        0 0        0\n
debug_stat|version: 1\n0        0\n
stat|       0        0        0        0        0        0        0        0        0        0        0        0        0        0        0        0        0\n
END

# --- parameters that disksize refuses: the log names the value ---

head -c 65537 "$BASH" >"$work/large"
head -c 7 "$BASH" >"$work/tiny"
printf '\x37\xa4\x30\xecbroken' >"$work/broken"
is_c || while IFS='|' read -r algorithm parameters error said; do
	[[ " $every 842 lzmem " == *" $algorithm "* ]] || continue
	put $disk/comp_algorithm "$algorithm"
	put $disk/algorithm_params "$parameters"
	log
	put $disk/disksize 1M
	is "disksize of $algorithm with ${parameters/$work/}" "$ERR $(log "$mark")" \
		"$error $algorithm: $said"$'\n'"zram0: Cannot initialise $algorithm compressing backend"
done <<END
lzo-rle|level=1|EOPNOTSUPP|level=1 is not for this algorithm, which has no levels
lzo|dict=$work/large|EOPNOTSUPP|dict= is not for this algorithm, which has no dictionaries
lz4|level=0|EINVAL|level=0 is not from 1 to 2147483647
lz4|dict=$work/large|EINVAL|a dictionary has from 8 to 65536 bytes, not 65537
lz4|dict=$work/tiny|EINVAL|a dictionary has from 8 to 65536 bytes, not 7
lz4hc|level=17|EINVAL|level=17 is not from 1 to 16
lz4hc|dict=$work/large|EINVAL|a dictionary has at most 65536 bytes, not 65537
zstd|level=99|EINVAL|level=99 is not from -131072 to 22
zstd|level=-131073|EINVAL|level=-131073 is not from -131072 to 22
zstd|dict=$work/broken|EINVAL|no use can be made of the dictionary of 10 bytes, or no memory is left
deflate|level=10|EINVAL|level=10 is not from -1 to 9
deflate|dict=$work/tiny|EOPNOTSUPP|dict= is not for this algorithm, which has no dictionaries
deflate|deflate.winbits=8|EINVAL|deflate.winbits=8 is not from -15 to -9, or from 9 to 15
842|level=-1|EOPNOTSUPP|level=-1 is not for this algorithm, which has no levels
lzmem|level=4|EINVAL|level=4 is not from 1 to 3
lzmem|dict=$work/tiny|EOPNOTSUPP|dict= is not for this algorithm, which has no dictionaries
END

# --- block layer ---

echo 16M >$disk/disksize
while IFS='|' read -r file value; do
	is "$file" "$(<"$disk/$file")" "$value"
done <<END
size|32768
range|1
ext_range|1
removable|0
ro|0
hidden|0
partscan|0
alignment_offset|0
discard_alignment|0
queue/logical_block_size|$BLOCK
queue/physical_block_size|$PAGE
queue/hw_sector_size|$BLOCK
queue/minimum_io_size|$PAGE
queue/optimal_io_size|$PAGE
queue/discard_granularity|$PAGE
queue/discard_max_bytes|2199023255040
queue/discard_max_hw_bytes|2199023255040
queue/max_discard_segments|1
queue/write_zeroes_max_bytes|$((PAGE == BLOCK ? 2199023255040 : 0))
queue/stable_writes|1
queue/rotational|0
queue/write_cache|write through
queue/fua|0
queue/max_hw_sectors_kb|124
queue/max_sectors_kb|124
queue/max_segments|128
queue/max_segment_size|65536
queue/dma_alignment|511
queue/virt_boundary_mask|0
queue/chunk_sectors|0
queue/add_random|0
queue/iostats|0
queue/io_poll|0
queue/dax|0
queue/zoned|none
queue/nr_zones|0
queue/atomic_write_max_bytes|0
END

for pair in getsize64:16777216 getss:$BLOCK getpbsz:$PAGE getiomin:$PAGE getioopt:$PAGE getalignoff:0 getro:0 getdiscardzeroes:0; do
	is "blockdev --${pair%:*}" "$(blockdev "--${pair%:*}" /dev/zram0 2>&1)" "${pair#*:}"
done
major=$(awk '$2 == "zram" {print $1}' /proc/devices)
is 'the device number' "$(<$disk/dev)" "$major:0"
is 'the node is a block device with that number' "$(stat -c '%F %Hr:%Lr' /dev/zram0)" "block special file $major:0"
refused 'no partition table is read' 'Invalid argument' blockdev --rereadpt /dev/zram0
refused 'no secure discard' 'not supported' blkdiscard -s /dev/zram0
refused 'a discard that is not of whole blocks' 'Invalid argument\|not aligned' blkdiscard -o 512 -l 4096 /dev/zram0
refused 'direct I/O that is not of whole blocks' 'Invalid argument' dd if=/dev/zram0 of=/dev/null bs=512 count=1 iflag=direct

device 16M
dd if=/dev/zero of=/dev/zram0 bs=64k count=4 oflag=direct status=none
dd if=/dev/zram0 of=/dev/null bs=128k count=3 iflag=direct status=none
read -r reads _ sectors_read _ writes _ sectors_written _ in_flight _ <$disk/stat
is 'stat counts reads and writes and their sectors' "$reads $sectors_read $writes $sectors_written $in_flight" '3 768 4 512 0'

# --- hot_add and hot_remove ---

take "$CLASS/hot_add"
is 'hot_add gives the lowest number' "$ERR $OUT" $'OK 1\n.'
take "$CLASS/hot_add"
is 'hot_add gives the next number' "$ERR $OUT" $'OK 2\n.'
is 'a new device is blank' "$(<"/sys/block/${PREFIX}2/initstate") $(<"/sys/block/${PREFIX}2/disksize") $(blockdev --getsize64 "/dev/${PREFIX}2")" '0 0 0'
echo 1M >/sys/block/zram2/disksize
exec 3<>/dev/zram2
while IFS='|' read -r input error; do
	put "$CLASS/hot_remove" "$input"
	is "hot_remove <- ${input@Q}" "$ERR" "$error"
done <<'END'
foo|EINVAL
\n|EINVAL
-1|EINVAL
 1|EINVAL
1 |EINVAL
0x1|EINVAL
1 2|EINVAL
2147483648|ERANGE
99999999999999999999|ERANGE
77|ENODEV
2|EBUSY
1|OK
1|ENODEV
END
exec 3>&-
is 'a removed device is gone, the others stay' "$(cd /dev && echo zram*)" 'zram0 zram2'
take "$CLASS/hot_add"
is 'hot_add fills the gap' "$OUT" $'1\n.'
for id in 1 '+2\n' 0; do
	put "$CLASS/hot_remove" "$id"
	is "hot_remove <- ${id@Q}" "$ERR" OK
done
is 'no device is left' "$(cd /sys/block && ls -d zram* 2>/dev/null)" ''
put "$CLASS/hot_add" 1
is 'hot_add cannot be written' "$ERR" EACCES
take "$CLASS/hot_remove"
is 'hot_remove cannot be read' "$ERR" EACCES

works 'unloads' unload
is 'nothing is left in /sys, /dev and debugfs' "$(ls -d /sys/class/zram-control "/sys/module/$MODULE" /sys/kernel/debug/zram /dev/zram* 2>/dev/null)" ''
is 'no hotplug state is left' "$(grep -c "$CPUHP" $CPUS/hotplug/states)" 0
is 'no device number is left' "$(grep -c '^ *[0-9]* zram$' /proc/devices)" 0
finish
