#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A file system on a device: made, filled, checked, mounted again; trims; BLKDISCARD and BLKZEROOUT.
# vm: cpus=4 mem=768M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram mkfs.ext4

disk=/sys/block/zram0
mnt=$work/mnt
mkdir "$mnt"
printf '%s\n' a b c d >"$work/names"

load num_devices=1
for algorithm in lz4 zstd; do
	device 160M "$algorithm"
	# One with blocks that are parts of pages, where there are such; one with what mkfs chooses, which is the same elsewhere.
	if [[ $algorithm == lz4 ]]; then size=(-b "$BLOCK"); else size=(); fi
	works "$algorithm: mkfs.ext4 ${size[*]}" mkfs.ext4 -q "${size[@]}" /dev/zram0
	works "$algorithm: mount" mount /dev/zram0 "$mnt"
	empty=$(mm orig)
	works "$algorithm: copy files to it" cp -a /etc /usr/sbin "$mnt/"
	works "$algorithm: and more in parallel" xargs -a "$work/names" -P 4 -I{} cp -a /etc "$mnt/{}"
	works "$algorithm: umount" umount "$mnt"
	works "$algorithm: fsck finds nothing" fsck.ext4 -fn /dev/zram0
	works "$algorithm: mount again" mount /dev/zram0 "$mnt"
	works "$algorithm: the files are there" diff -r --no-dereference /usr/sbin "$mnt/sbin"
	for name in etc a b c d; do
		works "$algorithm: and so is $name" diff -r --no-dereference /etc "$mnt/$name"
	done
	full=$(mm orig)
	holds "$algorithm: they take up room" "$full > $empty + 1000000" "empty: $empty" "full: $full"
	rm -rf "${mnt:?}"/{etc,sbin,a,b,c,d}
	sync
	works "$algorithm: fstrim" fstrim "$mnt"
	# A page is given back when nothing is left in it: where it has several blocks, one of an inode table or the journal keeps all.
	parts=$((PAGE > BLOCK ? 2 : 3))
	holds "$algorithm: gives it back" "$(mm orig) < $empty + ($full - $empty) / $parts" "empty: $empty" "full: $full" "now: $(mm orig)"
	works "$algorithm: umount again" umount "$mnt"
	works "$algorithm: fsck finds nothing again" fsck.ext4 -fn /dev/zram0
	is "$algorithm: no I/O failed" "$(io failed_reads) $(io failed_writes)" '0 0'
done

works 'mkfs over it, with discards, leaves its own blocks only' mkfs.ext4 -q -F -E discard,lazy_itable_init=1 /dev/zram0
holds 'which are few' "$(mm orig) < (PAGE > BLOCK ? 24 : 16) << 20" "$(<$disk/mm_stat)"
works 'mount -o discard' mount -o discard /dev/zram0 "$mnt"
before=$(mm orig)
dd if=/dev/urandom of="$mnt/file" bs=1M count=16 status=none
sync
holds 'a file of 16 MiB takes that' "$(mm orig) >= $before + (16 << 20)" "before: $before" "now: $(mm orig)"
rm "$mnt/file"
sync
# ext4 discards in the background what was deleted, and not at all while it is unmounted.
for ((tenths = 0; tenths < 300 && $(mm orig) >= before + (1 << 20); tenths++)); do sleep 0.1; done
holds 'and gives it back when it is deleted' "$(mm orig) < $before + (1 << 20)" "before: $before" "now: $(mm orig)"
umount "$mnt"

works 'BLKZEROOUT of the whole device' blkdiscard -z -f /dev/zram0
is 'stores nothing that takes memory' "$(mm compr) $(((PAGE == BLOCK) * $(mm orig)))" '0 0'
works 'the device reads as zeroes' cmp -n 160M /dev/zero /dev/zram0
finish
