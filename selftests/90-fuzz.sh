#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A hostile root: odd reads, writes, ioctls and opens on every file while data is verified, see fuzz/; and odd module
# parameters. FUZZ_SECONDS= says for how long, SEED= repeats a run.
# vm: cpus=4 mem=1G
# timeout: 200
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs module=loop python3

seconds=${FUZZ_SECONDS:-$((${SLOWER:-1} > 1 ? 600 : 40))}
seed=${SEED:-$RANDOM$RANDOM}

# --- module parameters ---

while IFS='|' read -r wanted first second; do
	parameters=("$first" ${second:+"$second"})
	text=$(load "${parameters[@]}" 2>&1)
	loaded=$([[ -d /sys/module/$MODULE ]] && find /sys/block -name '*zram*' | wc -l)
	is "parameters ${parameters[*]@Q}" "${loaded:-refused}" "$wanted"
	if [[ $loaded ]]; then works 'and unloads' unload; fi
done <<'END'
0|num_devices=0
1|num_devices=+1
refused|num_devices=-1
refused|num_devices=8193
refused|num_devices=4294967295
refused|num_devices=4294967296
refused|num_devices=99999999999999999999
refused|num_devices=
refused|num_devices
refused|num_devices=zwei
refused|num_devices=２
refused|num_devices=1,2
refused|num_devices=1 2
refused|num_devices=1M
16|num_devices=0x10
8|num_devices=010
3|num_devices=2|num_devices=3
1|unknown=1
refused|coexist=perhaps
refused|coexist=
1|coexist=y|coexist=N
1|coexist
refused|num_devices=2|coexist=2
END
names zram

# --- everything else ---

for i in {0..5}; do loop_device $((4 << i))M; done
cd "$work" || exit
load num_devices=4
printf '# seed %s\n' "$seed"
relay "seed $seed" python3 -m fuzz "$seconds" "$seed" "${loop_devices[@]}"
works 'unloads' unload
finish
