#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A pool that was fragmented on purpose: `compact` gives memory back, and pages_compacted says how much.
# vm: cpus=4 mem=768M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram python3

disk=/sys/block/zram0

# Objects of compressed text are smaller than half a page, and several share a page. After this few are left in each.
fragment() {
	"$here/pages.py" write /dev/zram0 0 8000 text >/dev/null
	python3 - <<-'END'
		import fcntl, mmap, os, struct
		fd = os.open("/dev/zram0", os.O_WRONLY)
		for page in range(8000):
		    if page % 8:
		        fcntl.ioctl(fd, 0x1277, struct.pack("=QQ", page * mmap.PAGESIZE, mmap.PAGESIZE))  # BLKDISCARD
	END
}

load num_devices=1
for algorithm in lz4 zstd; do
	device $((16384 * PAGE)) "$algorithm"
	works "$algorithm: pages are written, and seven of eight discarded" fragment
	before=$(mm used) data=$(mm compr)
	is "$algorithm: nothing was compacted yet" "$(mm compacted)" 0
	holds "$algorithm: the pool is fragmented" "$before > 2 * $data" "$(<$disk/mm_stat)"
	put $disk/compact 1
	after=$(mm used)
	is "$algorithm: compact works" "$ERR" OK
	holds "$algorithm: and frees memory, most of what is too much" "$before - after > ($before - $data) / 2" "$(<$disk/mm_stat)"
	is "$algorithm: pages_compacted are the pages that it freed" "$(mm compacted)" "$(((before - after) / PAGE))"
	compacted=$(mm compacted)
	put $disk/compact 1
	holds "$algorithm: they add up" "$(mm compacted) - $compacted == ($after - $(mm used)) / PAGE && $(mm compacted) >= $compacted"
	works "$algorithm: what is left is as it was" "$here/pages.py" verify /dev/zram0 0 1 text
	works "$algorithm: to its end" "$here/pages.py" verify /dev/zram0 7992 1 text
	device $((16384 * PAGE)) "$algorithm"
	is "$algorithm: a reset sets pages_compacted to 0" "$(mm compacted)" 0
done
finish
