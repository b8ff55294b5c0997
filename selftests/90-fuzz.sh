#!/bin/bash
# A hostile root: odd reads, writes, ioctls and opens on every file while data is verified, see fuzz.py; and odd module
# parameters. FUZZ_SECONDS= says for how long, SEED= repeats what was done.
# Needs: root, debugfs, no zram device in use, python3, the module loop.
# vm: cpus=4 mem=1G
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh disable=SC2317
source "$(dirname "$0")/lib.sh"

seconds=${FUZZ_SECONDS:-$((${SLOWER:-1} > 1 ? 600 : 40))}
seed=${SEED:-$RANDOM$RANDOM}
loops=()

undo() {
	[[ ! -d /sys/module/$MODULE ]] || works "unloads at the end" rmmod "$MODULE"
	((${#loops[@]} == 0)) || losetup -d "${loops[@]}"
	clean_up
}
trap undo EXIT

if is_c; then
	skip 'a hostile root' 'this is C zram'
	finish
fi

# --- module parameters ---

while IFS='|' read -r wanted parameters; do
	eval "parameters=($parameters)"
	text=$(load "${parameters[@]}" 2>&1)
	loaded=$([[ -d /sys/module/$MODULE ]] && find /sys/block -name '*zram*' | wc -l)
	is "parameters ${parameters[*]@Q}" "${loaded:-refused}" "$wanted"
	[[ -z $loaded ]] || works 'and unloads' unload
done <<'END'
0|num_devices=0
1|num_devices=+1
refused|num_devices=-1
refused|num_devices=4294967296
refused|num_devices=99999999999999999999
refused|num_devices=
refused|num_devices
refused|num_devices=zwei
refused|num_devices=２
refused|num_devices=1,2
refused|"num_devices=1 2"
refused|num_devices=1M
16|num_devices=0x10
8|num_devices=010
refused|num_devices=2 num_devices=3
1|unknown=1
refused|coexist=perhaps
refused|coexist=
refused|coexist=y coexist=N
refused|num_devices=2 coexist=2
END
names zram

# --- everything else ---

modprobe loop
for i in {0..5}; do
	truncate -s $((4 << i))M "$work/disk$i"
	loops+=("$(losetup -f --show "$work/disk$i")")
done
cd "$work" || exit
load num_devices=4
printf '# seed %s\n' "$seed"
relay "seed $seed" python3 "$here/fuzz.py" "$seconds" "$seed" "${loops[@]}"
works 'unloads' unload
finish
