#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Our module in the place of C zram, under its name: found by modprobe, used by zramctl, by zram-generator, and by the selftests
# of the kernel tree. A small module tree is mounted over the one in use, in a mount namespace of this test.
# Our module is dropin/zram.ko (`make NAME=zram`) beside this directory, the kernel's selftests are in dropin/kselftest.
# vm: cpus=4 mem=1G
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
if ((EUID == 0)) && [[ ${1:-} != inside ]]; then exec unshare --mount -- "$0" inside; fi
source "$(dirname "$0")/lib.sh"
needs root ours no-zram module=zram module=lz4hc_compress module=loop zramctl

disk=/sys/block/zram0
tree=/lib/modules/$(uname -r)
generator=/usr/lib/systemd/system-generators/zram-generator
file=$here/../dropin/zram.ko

# says NAME WANTED COMMAND...: the command succeeds and prints that, blanks apart.
says() {
	local name=$1 wanted=$2 got
	shift 2
	if got=$("$@" 2>&1); then is "$name" "$(xargs <<<"$got")" "$wanted"; else fail "$name" "got failure: $got"; fi
}

if [[ ! -e $file ]]; then
	skip 'the module as zram' "no ${file##*/}: make NAME=zram"
	finish
fi

# --- modprobe ---

# The modules that this test needs, as the distribution has them, and ours in updates/.
mkdir "$work/tree"
cp "$tree"/modules.{order,builtin,builtin.modinfo} "$work/tree"
modprobe -a --show-depends zram loop | while read -r _ ko _; do
	[[ $ko != /* ]] || install -D -m 644 "$ko" "$work/tree/${ko#"$tree/"}"
done
modprobe loop
modprobe -q -r zram lz4hc_compress
mount --bind "$work/tree" "$tree"
depmod
is 'before: modprobe finds the zram.ko of the distribution' "$(modinfo -n zram)" "$tree/kernel/drivers/block/zram/zram.ko.xz"
install -D -m 644 "$file" "$tree/updates/zram.ko"
works 'depmod with ours in updates/' depmod
is 'modprobe finds ours' "$(modinfo -n zram)" "$tree/updates/zram.ko"
is 'ours depends on lz4hc_compress' "$(modprobe --show-depends zram | sed 's|.*/||' | xargs)" 'lz4hc_compress.ko.xz zram.ko'
works 'modprobe zram num_devices=4' modprobe zram num_devices=4
is 'makes these devices' "$(disks)" 'zram0 zram1 zram2 zram3'
is 'brings lz4hc_compress' "$(awk '$1 == "lz4hc_compress" {print $4}' /proc/modules)" 'zram,'
is 'offers lz4hc and all else' "$(<$disk/comp_algorithm)" 'lzo-rle lzo [lz4] lz4hc zstd deflate 842 lzmem '
# A kernel with fault injection has one more file.
matches 'it is ours' "$(cd /sys/kernel/debug/zram/zram0 && echo *)" '^ages block_state (corrupt )?streams$'
is 'modinfo: the name of C zram' "$(modinfo -F name "$tree/updates/zram.ko")" \
	"$(modinfo -F name "$tree/kernel/drivers/block/zram/zram.ko.xz")"
is 'modinfo: a license of its own' "$(modinfo -F license "$tree/updates/zram.ko")" GPL

# --- zramctl ---

says 'zramctl lists nothing that is not set up' '' zramctl --noheadings
says 'zramctl --find' '/dev/zram0' zramctl --find --size 16M
says 'zramctl --find takes the next' '/dev/zram1' zramctl --find --size 32MiB --algorithm zstd
says 'zramctl lists both' '/dev/zram0 16M lz4 /dev/zram1 32M zstd' \
	sh -c 'zramctl -n -o NAME,DISKSIZE,ALGORITHM | sort'
works 'zramctl sets one anew' zramctl /dev/zram0 --size 8M --algorithm lzo
says 'zramctl of one device' '/dev/zram0 8388608 lzo' zramctl -nb -o NAME,DISKSIZE,ALGORITHM /dev/zram0
for i in 2 3 4; do
	says "zramctl --find: device $i" "/dev/zram$i" zramctl --find --size 1M
done
is 'the last of them was added' "$(disks)" 'zram0 zram1 zram2 zram3 zram4'
works 'zramctl --reset of several, which removes them' zramctl --reset /dev/zram{1,2,3,4}
is 'only these' "$(disks)" zram0
exec 3</dev/zram0
refused 'zramctl --reset of one in use' 'busy' zramctl --reset /dev/zram0
refused 'zramctl of one in use' 'busy' zramctl /dev/zram0 --size 1M
exec 3<&-
refused 'zramctl of an unknown algorithm' 'zramctl:' zramctl /dev/zram0 --size 1M --algorithm foo
for algorithm in $(algorithms); do
	says "zramctl --algorithm $algorithm" "8388608 $algorithm" \
		sh -c "zramctl /dev/zram0 --size 8M --algorithm $algorithm && zramctl -nb -o DISKSIZE,ALGORITHM /dev/zram0"
done

# stored ALGORITHM PARAMETERS: the bytes that a megabyte of this shell takes.
stored() {
	zramctl /dev/zram0 --size 8M --algorithm "$1" ${2:+--algorithm-params "$2"} || return
	dd if="$BASH" of=/dev/zram0 bs=64k count=16 oflag=direct status=none && cmp -n 1M "$BASH" /dev/zram0 && mm compr
}
head -c 32K "$BASH" >"$work/dictionary"
while IFS='|' read -r algorithm parameters comparison; do
	with=$(stored "$algorithm" "$parameters") without=$(stored "$algorithm" '')
	holds "zramctl --algorithm-params: $algorithm ${parameters//"$work"\//}" "with $comparison without" "$with, $without"
done <<END
lz4|level=50|>
lz4|dict=$work/dictionary|<
lz4hc|level=1|>
zstd|level=19|<
zstd|dict=$work/dictionary|<
deflate|level=1|>
deflate|level=9 deflate.winbits=-9|>
END
for parameters in level=99 'dict=/nowhere' foo; do
	refused "zramctl --algorithm-params: zstd $parameters" 'zramctl:' \
		zramctl /dev/zram0 --size 8M --algorithm zstd --algorithm-params "$parameters"
	echo 1 >$disk/reset
done

device 16M zstd
echo 12M >$disk/mem_limit
dd if="$BASH" of=/dev/zram0 bs=64k count=16 oflag=direct status=none
dd if=/dev/zero of=/dev/zram0 bs=64k seek=16 count=4 oflag=direct status=none
read -r data compr total limit max same migrated _ <$disk/mm_stat
says 'zramctl: columns are those of mm_stat' "/dev/zram0 16777216 $data $compr zstd $same $total $limit $max $migrated" \
	zramctl -n --bytes -o NAME,DISKSIZE,DATA,COMPR,ALGORITHM,ZERO-PAGES,TOTAL,MEM-LIMIT,MEM-USED,MIGRATED /dev/zram0
holds 'zramctl: and there is something in them' 'data == 1310720 && compr > 0 && same >= 64 && limit == 12582912'
works 'zramctl --output-all' zramctl --output-all
says 'zramctl --raw' "/dev/zram0 $data" zramctl --raw -nb -o NAME,DATA
mkswap -q -f /dev/zram0 >"$work/out" && swapon /dev/zram0
says 'zramctl shows swap' '/dev/zram0 [SWAP]' zramctl -n -o NAME,MOUNTPOINT
refused 'zramctl --reset of swap' 'busy' zramctl --reset /dev/zram0
swapoff /dev/zram0
works 'zramctl --reset' zramctl --reset /dev/zram0
is 'removes the last' "$(disks)" ''
says 'zramctl --find makes a new one' /dev/zram0 zramctl --find --size 1M
works 'modprobe -r zram' modprobe -r zram
is 'takes lz4hc_compress along' "$(grep -c '^lz4hc_compress ' /proc/modules)" 0

# --- zram-generator ---

# generate ARGUMENT...: run zram-generator on that configuration, and list what it writes to which file, with the result.
generate() {
	ZRAM_GENERATOR_ROOT=$work/root strace -y -s 200 -e trace=write -o "$work/trace" "$generator" "$@" >"$work/out" 2>&1 ||
		return
	sed -nE 's|.*write\([0-9]+<.*/block/([^>]*)>, "(.*)", [0-9]+\) += (.*)|\1 <- \2: \3|p' "$work/trace" >"$work/writes"
	! grep -i 'warning\|failed' "$work/out"
}

if [[ ! -x $generator ]] || ! command -v strace >/dev/null; then
	skip 'zram-generator' 'not installed'
else
	loop_device 8M
	mkdir -p "$work/root"/{proc,etc/systemd} "$work/mnt"
	echo 'MemTotal: 1048576 kB' >"$work/root/proc/meminfo"
	cat >"$work/root/etc/systemd/zram-generator.conf" <<END
[zram0]
zram-size = ram / 16
zram-resident-limit = 32
compression-algorithm = lzo-rle zstd(level=5) deflate(level=9,deflate.winbits=-12)
writeback-device = $loop_device
[zram1]
zram-size = min(ram / 8, 48)
compression-algorithm = lz4hc(level=4)
mount-point = $work/mnt
fs-type = ext4
END
	works 'zram-generator loads the module' modprobe zram num_devices=2
	works 'zram-generator sets up swap' generate --setup-device zram0
	# It writes parameters to recompress, before there is anything to recompress; C zram refuses that, too.
	is 'with these writes' "$(<"$work/writes")" "zram0/comp_algorithm <- lzo-rle: 7
zram0/recomp_algorithm <- algo=zstd priority=1: 20
zram0/recompress <- level=5 priority=1: -1 EINVAL (Invalid argument)
zram0/recomp_algorithm <- algo=deflate priority=2: 23
zram0/recompress <- level=9 deflate.winbits=-12 priority=2: -1 EINVAL (Invalid argument)
zram0/backing_dev <- $loop_device: ${#loop_device}
zram0/mem_limit <- 33554432: 8
zram0/disksize <- 67108864: 8"
	is 'with these settings' "$(cd $disk && cat disksize recomp_algorithm backing_dev && mm limit)" "67108864
#1: lzo-rle lzo lz4 lz4hc [zstd] deflate 842 lzmem 
#2: lzo-rle lzo lz4 lz4hc zstd [deflate] 842 lzmem 
$loop_device
33554432"
	works 'which is ready for use' swapon -p 100 /dev/zram0
	works 'and off again' swapoff /dev/zram0
	works 'zram-generator sets up a file system' generate --setup-device zram1
	is 'with these writes' "$(<"$work/writes")" "zram1/comp_algorithm <- lz4hc: 5
zram1/algorithm_params <- algo=lz4hc level=4: 18
zram1/mem_limit <- 0: 1
zram1/disksize <- 50331648: 8"
	works 'which mounts' mount -o discard /dev/zram1 "$work/mnt"
	works 'and takes a file' cp "$BASH" "$work/mnt"
	umount "$work/mnt"
	for name in zram0 zram1; do
		works "zram-generator resets $name" generate --reset-device $name
		is "with this write to $name" "$(<"$work/writes") $(<"/sys/block/$name/initstate")" "$name/reset <- 1: 1 0"
	done
	works 'the module unloads' modprobe -r zram
fi

# --- the kernel's own selftests ---

# kselftest NAME: run one as it is in the kernel tree; it passes, and complains of nothing.
kselftest() {
	cp -r "$here/../dropin/kselftest" "$work/$1" && cd "$work/$1" || return
	"./$1.sh" >output 2>&1
	local status=$?
	if ((status == 0)) && grep -q "^$1 : \[PASS\]" output && ! grep -qi 'fail\|error\|not found' output; then pass "kernel: $2"
	else fail "kernel: $2" "exit status $status" "$(tail -n 20 output)"; fi
	cd /
}

if [[ ! -d $here/../dropin/kselftest ]]; then
	skip 'the selftests of the kernel tree' 'not here: qemu/vm brings them'
else
	kselftest zram01 'zram01 passes'
	is 'and leaves nothing' "$(grep -c '^zram ' /proc/modules) $(disks)" '0 '
	modprobe zram
	kselftest zram02 'zram02 passes beside a device'
	is 'and leaves that device' "$(disks)" zram0
	modprobe -r zram
fi
finish
