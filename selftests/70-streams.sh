#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# debugfs zram/zramN/streams: its form, what it counts, and that it follows the CPUs.
# vm: cpus=4 mem=768M
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs cpu=3 python3

load num_devices=2
streams=$DEBUG/zram0/streams
header='cpu algorithm state takes contended retries'
mapfile -t cpus <<<"$(find $CPUS -maxdepth 1 -name 'cpu[0-9]*' -printf '%f\n' | tr -d cpu | sort -n)"

# sum COLUMN [CPU]: over all lines, or those of a CPU.
sum() {
	local -A column=([takes]=4 [contended]=5 [retries]=6)
	awk -v c="${column[$1]}" -v cpu="${2:-all}" 'NR > 1 && (cpu == "all" || cpu == $1) {n += $c} END {print n + 0}' "$streams"
}
state() { awk -v cpu="$1" 'NR > 1 && $1 == cpu {print $3}' "$streams"; }

is 'a blank device has only the header' "$(tr -s ' ' <"$streams" | sed 's/^ //')" "$header"
refused 'nobody can write to it' 'Permission denied\|Invalid argument' dd if=/dev/zero of="$streams" bs=1 count=1
for algorithm in lz4 zstd; do
	device 32M "$algorithm"
	is "$algorithm: the header" "$(head -n 1 "$streams" | xargs)" "$header"
	is "$algorithm: a line for each CPU, with nothing counted" "$(tail -n +2 "$streams" | tr -s ' ' | sed 's/^ //')" \
		"$(printf "%s $algorithm present 0 0 0\n" "${cpus[@]}")"
done
is 'of the other device' "$(tr -s ' ' <"$DEBUG/zram1/streams" | sed 's/^ //')" "$header"

"$here/pages.py" write /dev/zram0 0 500 text >/dev/null
is 'a write of a page takes a stream' "$(sum takes)" 500
"$here/pages.py" verify /dev/zram0 0 500 text
is 'a read takes one' "$(sum takes)" 1000
"$here/pages.py" write /dev/zram0 1000 500 same >/dev/null
"$here/pages.py" verify /dev/zram0 1000 1000 same >/dev/null
is 'same-filled and missing pages take none' "$(sum takes)" 1000
before=$(sum takes 2)
taskset -c 2 "$here/pages.py" write /dev/zram0 0 500 text >/dev/null
is 'a task on CPU 2 takes the stream of CPU 2' "$(($(sum takes 2) - before))" 500

contended() {
	local job
	for job in {0..7}; do
		taskset -c 1 "$here/pages.py" write /dev/zram0 $((job * 1000)) 1000 text 2 1 >/dev/null &
	done
	wait
}
# Whether a task is preempted while it has the stream is a matter of chance.
for _ in {1..5}; do
	contended
	(($(sum contended 1) == 0)) || break
done
holds 'tasks on one CPU wait for its stream at times' "$(sum contended 1) > 0 && $(sum contended 1) < $(sum takes 1)" "$(<"$streams")"
is 'while all CPUs are up no one looks twice' "$(sum retries)" 0

cpu 3 0
is 'CPU 3 goes, its stream too' "$(state 2) $(state 3)" 'present absent'
takes=$(sum takes 3)
"$here/pages.py" verify /dev/zram0 0 1000 text 2
is 'no one uses it' "$(sum takes 3)" "$takes"
cpu 3 1
is 'CPU 3 comes, its stream too' "$(state 3)" present
works 'and is used' taskset -c 3 "$here/pages.py" verify /dev/zram0 0 500 text 2
is 'as often as it was taken' "$(($(sum takes 3) - takes))" 500
cpu 3 0
device 4M zstd
is 'a device that is set up while CPU 3 is down' "$(state 0) $(state 1) $(state 2) $(state 3)" 'present present present absent'
cpu 3 1
is 'gets its stream later' "$(state 3)" present
# read_while_used FILE: in two parts, while numbers get more digits.
read_while_used() {
	python3 - "$1" "$here/pages.py" <<-'END'
		import os, subprocess, sys
		fd = os.open(sys.argv[1], os.O_RDONLY)
		parts = [os.read(fd, 60)]
		for part in 1 << 16, 1 << 16:
		    subprocess.run([sys.argv[2], "write", "/dev/zram0", "0", "1000", "text"], stdout=subprocess.DEVNULL, check=True)
		    parts.append(os.read(fd, part))
		if parts[-1]:
		    sys.exit(f"{parts[-1]} comes after the end")
		sys.stdout.buffer.write(b"".join(parts))
	END
}
for file in streams ages; do
	device 32M
	before=$(<"$DEBUG/zram0/$file")
	is "$file: a reader sees what there was at the first read" "$(read_while_used "$DEBUG/zram0/$file" 2>&1)" "$before"
done
echo 1 >/sys/block/zram0/reset
is 'a reset leaves the header' "$(tr -s ' ' <"$streams" | sed 's/^ //')" "$header"
echo 1 >"$CLASS/hot_remove"
is 'a removed device has no file' "$(cd "$DEBUG" && echo *)" zram0
finish
