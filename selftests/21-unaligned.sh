#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Direct I/O with buffers at any multiple of 512 bytes, and with blocks in several pieces: the right data, and no other
# byte of memory touched.
# vm: cpus=4 mem=768M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram python3

load num_devices=1
for algorithm in lz4 lzo-rle zstd; do
	device 16M "$algorithm"
	"$here/unaligned.py" /dev/zram0 >"$work/transfers" 2>&1
	while read -r verdict name; do
		# Whole aligned pages are the one thing that C zram gets right.
		[[ $name == *'at page + 0'* ]] || c_bug 'ignores where in a page a buffer begins'
		if [[ $verdict == ok ]]; then pass "$algorithm: $name"; else fail "$algorithm: ${name%%:*}" "${name#*: }"; fi
	done <"$work/transfers"
	is "$algorithm: no I/O failed" "$(io failed_reads) $(io failed_writes)" '0 0'
done
holds 'all transfers took place' "$count >= 140" "got: $count"
finish
