#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The policy of a device: what its worker moves by age and when memory is short, what it leaves alone, and that nobody waits
# for it.
# vm: cpus=4 mem=1G
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root ours no-zram debugfs module=loop python3 dmsetup

disk=/sys/block/zram0
loop_device $((8192 * PAGE))
loop_device $((512 * PAGE))
backing=${loop_devices[0]} small=${loop_devices[1]}

# fresh [NAME=TEXT...]: reset the device, write these files, and give it a size of 16384 pages; then nothing has failed.
fresh() {
	local setting
	settle
	echo 1 >$disk/reset || return
	for setting; do echo "${setting#*=}" >"$disk/${setting%%=*}" || return; done
	echo $((16384 * PAGE)) >$disk/disksize && settle
}
recompressing=("recomp_algorithm=algo=zstd priority=1")

# moved RULE: the pages that it has moved. freed RULE: the bytes that they left.
moved() { awk -v rule="$1" '$1 == rule {print $2}' $disk/policy_stat; }
freed() { awk -v rule="$1" '$1 == rule {print $3}' $disk/policy_stat; }
# unchanged: the pages that recompression did not make smaller.
unchanged() { awk '{print $6}' $disk/recomp_stat; }
# within_seconds N EXPRESSION: in a kernel that is not slower than others, wait until the arithmetic expression, evaluated again and again, is not zero.
within_seconds() {
	local end=$((SECONDS + $1 * ${SLOWER:-1}))
	until eval "(($2))"; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}
# comes NAME SECONDS EXPRESSION: a case: it becomes true in that time.
comes() {
	if within_seconds "$2" "$3"; then
		pass "$1"
	else
		fail "$1" "expected: $3" "$(cat $disk/policy_stat $disk/recomp_stat $disk/mm_stat)"
	fi
}
worker() { pgrep -x zram0_policy; }
# switches: how often the worker has gone to sleep.
switches() { awk '$1 == "voluntary_ctxt_switches:" {print $2}' "/proc/$(worker)/status"; }
writes() { "$here/pages.py" write /dev/zram0 "$@"; }
verifies() { "$here/pages.py" verify /dev/zram0 "$@"; }
# flagged FLAG FIRST COUNT: how many of these pages have the flag in block_state.
flagged() {
	awk -v flag="$1" -v first="$2" -v end=$(($2 + $3)) '$1 >= first && $1 < end && index($3, flag) {n++} END {print n + 0}' \
		"$DEBUG/zram0/block_state"
}

load num_devices=1

# --- what it takes ----------------------------------------------------------------------------------------------------

is 'off at first' "$(<$disk/policy)" off
is 'a blank device has done nothing' "$(<$disk/policy_stat)" ''
all='recompress_idle=60 writeback_idle=3600 writeback_incompressible=30 high=90% low=80% cpu=5'
put $disk/policy "$all\n"
is 'all rules at once' "$ERR" OK
is 'read back as they were set' "$(<$disk/policy)" "$all"
for good in 'writeback_idle=1 recompress_idle=4294967295:recompress_idle=4294967295 writeback_idle=1' \
	'high=64M:high=67108864 low=58720256' 'high=1G low=4096:high=1073741824 low=4096' 'high=1%:high=1% low=0%' \
	'high=100% low=99%:high=100% low=99%' '  cpu=100   high=50% :high=50% low=43% cpu=100' \
	'writeback_incompressible="7":writeback_incompressible=7'; do
	put $disk/policy "${good%%:*}\n"
	is "takes ${good%%:*}" "$ERR $(<$disk/policy)" "OK ${good#*:}"
done
put $disk/policy "$all"
for bad in '\n' ' ' on 'off off' OFF 'recompress_idle' 'recompress_idle=' 'recompress_idle=0' 'recompress_idle=-1' \
	'recompress_idle=4294967296' 'recompress_idle=5s' 'recompress_idle=5 recompress_idle=5' 'cpu=5' 'cpu=0 high=50%' \
	'cpu=101 high=50%' 'low=50%' 'high=50% low=50%' 'high=50% low=51%' 'high=101%' 'high=0%' 'high=-1%' 'high=50% low=1M' \
	'high=1M low=50%' 'high=1M low=1M' 'high=' 'high=M' 'high=1X' 'high=0' 'high=1M low=2M' 'idle=5' 'writeback_idle=5 x=1' \
	'off writeback_idle=5' 'high=50%%' 'high=50 %'; do
	put $disk/policy "$bad"
	is "refuses ${bad@Q}" "$ERR $(<$disk/policy)" "EINVAL $all"
done
works 'a size' fresh "policy=recompress_idle=60"
is 'what was set before the size holds' "$(<$disk/policy)" recompress_idle=60
holds 'a worker is there' "$(worker | wc -l) == 1"
put $disk/policy off
is 'off again' "$ERR $(<$disk/policy)" 'OK off'
echo 1 >$disk/reset
is 'a reset ends the worker' "$(worker)" ''
echo recompress_idle=60 >$disk/policy
echo 1 >$disk/reset
is 'a reset turns the policy off, also on a blank device' "$(<$disk/policy)" off
works 'a size without a policy' fresh
is 'needs no worker' "$(worker)" ''

# --- recompression by age ---------------------------------------------------------------------------------------------

works 'recompress_idle: set up' fresh "${recompressing[@]}" 'policy=recompress_idle=8 cpu=100'
begun=$SECONDS
works 'recompress_idle: write incompressible pages' writes 2000 100 random
sleep 1
tried=$(unchanged)
# On a slow host they are not new any more.
holds 'recompress_idle: nothing happens to new pages' "$tried == 0 || $SECONDS - begun >= 8" "$tried"
works 'recompress_idle: write' writes 0 1000 text
comes 'recompress_idle: old pages are recompressed' 30 "\$(moved recompress_idle) == 1000"
comes 'recompress_idle: those that get no smaller are tried' 30 "\$(unchanged) == 100"
is 'recompress_idle: it counts what it saves' "$(freed recompress_idle)" "$(awk '{print $4 - $5}' $disk/recomp_stat)"
holds 'recompress_idle: time was spent' "$(awk '$1 == "busy_ms" {print $2}' $disk/policy_stat) > 0"
works 'recompress_idle: the data is there' verifies 0 1000 text
works 'recompress_idle: the other data, too' verifies 2000 100 random
is 'recompress_idle: read within a minute: refaults' "$(awk '$1 == "refaults" {print $2, $3}' $disk/policy_stat)" '1000 0'
sleep 10
is 'recompress_idle: nothing is tried twice' "$(moved recompress_idle) $(unchanged)" '1000 100'
before=$(switches)
sleep 12
is 'nothing to do: the worker does not wake' "$(switches)" "$before"
works 'a page is written over' writes 5 1 text 2
comes 'it is recompressed as well' 30 "\$(moved recompress_idle) == 1001"
works 'a huge page over another' writes 2000 1 random 2
comes 'it is tried as well' 30 "\$(unchanged) == 101"
put $disk/policy off
works 'off: write' writes 3000 100 text
sleep 10
is 'off: nothing is moved' "$(moved recompress_idle)" 1001

# Without pressure the worker takes no more than its share of a CPU: 2 percent, and what is under way when it is used up.
works 'cpu: set up' fresh "${recompressing[@]}" 'policy=recompress_idle=1 cpu=2'
works 'cpu: write' writes 0 4000 text
begun=$(date +%s%3N)
ran() { awk '{print ($14 + $15) * 10}' "/proc/$(worker)/stat"; }
sleep 20
busy=$(awk '$1 == "busy_ms" {print $2}' $disk/policy_stat)
holds 'cpu: it has begun' "$(moved recompress_idle) > 0 && $busy > 0"
holds 'cpu: it keeps to its share' "$(ran) < ($(date +%s%3N) - begun) / 50 + 1500 * ${SLOWER:-1}" "$(ran) ms"
holds 'cpu: it says how much it used' "$busy > $(ran) / 2 - 50 && $busy < $(ran) * 2 + 50" "$busy ms, not $(ran)"
holds 'cpu: so it is not done' "$(moved recompress_idle) < 4000" "$(moved recompress_idle)"

# --- writeback by age -------------------------------------------------------------------------------------------------

for compressed in 0 1; do
	name="writeback, compressed=$compressed"
	begun=$SECONDS
	works "$name: set up" fresh "compressed_writeback=$compressed" "backing_dev=$backing" \
		'policy=writeback_incompressible=2 cpu=100'
	works "$name: write" writes 0 1000 text
	works "$name: write incompressible pages" writes 2000 200 random
	comes "$name: incompressible pages go" 30 "\$(moved writeback_incompressible) == 200"
	is "$name: and only they" "$(flagged w 0 1000) $(flagged w 2000 200)" '0 200'
	is "$name: they leave their size" "$(freed writeback_incompressible)" $((200 * PAGE))
	echo 300 >$disk/writeback_limit
	echo 1 >$disk/writeback_limit_enable
	put $disk/policy 'writeback_idle=2 cpu=100'
	comes "$name: old pages go, up to the limit" 30 "\$(<$disk/writeback_limit) == 0"
	sleep 1
	before=$(moved writeback_idle)
	sleep 4
	is "$name: and no further" "$(moved writeback_idle)" "$before"
	if ((compressed)); then
		holds "$name: several to a block" "$before > 400 && $before < 1000" "$before"
	else
		is "$name: each has a block" "$before" "$((300 * 4096 / PAGE))"
	fi
	echo 0 >$disk/writeback_limit_enable
	comes "$name: without a limit, all" 30 "\$(moved writeback_idle) == 1000"
	is "$name: nothing is left in memory" "$(mm compr)" 0
	works "$name: the data is there" verifies 0 1000 text
	works "$name: the other data, too" verifies 2000 200 random
	# On a slow host the first pages went more than a minute ago.
	refaults=$(awk '$1 == "refaults" {print $3}' $disk/policy_stat)
	holds "$name: refaults" "$refaults == 1200 || $SECONDS - begun > 50 && $refaults > 0 && $refaults < 1200" "$refaults"
done

# --- watermarks -------------------------------------------------------------------------------------------------------

mib=$((1 << 20))
for way in recompress writeback; do
	if [[ $way == recompress ]]; then
		works 'high: set up to recompress' fresh "${recompressing[@]}"
	else
		works 'high: set up to write' fresh "backing_dev=$backing"
	fi
	works "high, $way: cold pages" writes 0 2000 1500
	sleep 3
	works "high, $way: warm pages" writes 4000 2000 text
	sleep 3
	works "high, $way: hot pages" writes 8000 500 text
	used=$(mm used)
	put $disk/policy "high=$((used - mib / 4)) low=$((used - mib))"
	if [[ $way == recompress ]]; then
		# Of what has 1500 incompressible bytes, nothing gets smaller; of the rest, the warmer half stays.
		comes "high, $way: pages of the colder half are tried" 60 "\$(unchanged) + \$(moved recompress_high) > 1000"
		is "high, $way: none of the hot ones" "$(flagged r 8000 500)" 0
	else
		comes "high, $way: the pool gets smaller" 60 "\$(mm used) <= $used - $mib"
		sleep 1
		holds "high, $way: but not by much more" "$(mm used) > $used - 3 * $mib" "$(mm used)"
		holds "high, $way: the coldest went" "$(flagged w 0 2000) > 200" "$(flagged w 0 2000)"
		is "high, $way: and only they" "$(flagged w 4000 6000)" 0
		is "high, $way: all are counted" "$(moved writeback_high)" "$(flagged w 0 2000)"
	fi
	works "high, $way: cold data is there" verifies 0 2000 1500
	works "high, $way: warm data is there" verifies 4000 2000 text
	works "high, $way: hot data is there" verifies 8000 500 text
done
works 'high: below it nothing is moved' fresh "backing_dev=$backing" "policy=high=64M"
works 'high: write' writes 0 2000 text
sleep 3
is 'high: nothing was' "$(moved writeback_high)" 0

# --- room at mem_limit ------------------------------------------------------------------------------------------------

limit=$((4 * mib))
for compressed in 0 1; do
	name="limit, compressed=$compressed"
	works "$name: set up" fresh "compressed_writeback=$compressed" "backing_dev=$backing" "mem_limit=$limit" \
		'policy=high=90% low=80%'
	works "$name: write four times as much" writes 0 $((4 * limit / PAGE)) random
	is "$name: no write has failed" "$(io failed_writes)" 0
	holds "$name: the limit is kept" "$(mm max) <= $limit + 16 * PAGE" "$(<$disk/mm_stat)"
	works "$name: the data is there" verifies 0 $((4 * limit / PAGE)) random
done
works 'limit, no watermarks: set up' fresh "backing_dev=$backing" "mem_limit=$limit" 'policy=writeback_idle=3600'
works 'limit, no watermarks: write' writes 0 $((2 * limit / PAGE)) random
holds 'limit, no watermarks: writes waited' "$(awk '$1 == "waits" {print $2}' $disk/policy_stat) > 0"
is 'limit, no watermarks: none in vain' "$(awk '$1 == "waits" {print $3}' $disk/policy_stat)" 0

works 'a small limit: set up' fresh "backing_dev=$backing" "mem_limit=$((mib / 2))" 'policy=high=90%'
works 'a small limit: write eight times as much' writes 0 $((4 * mib / PAGE)) random
is 'a small limit: no write has failed' "$(io failed_writes)" 0

# Swap-out is a write by a task that is freeing memory.
works 'swap: set up' fresh "backing_dev=$backing" "mem_limit=$limit" 'policy=high=90% low=80%'
mkswap -q /dev/zram0
works 'swap: swap to it' swapon /dev/zram0
works 'swap: a process has more than fits' bash -c "$(declare -f within cgroup2)
	within $((16 * mib)) '$here/pages.py' hold 8000 random 2"
holds 'swap: pages were written back' "$(moved writeback_high) > 1000" "$(moved writeback_high)"
is 'swap: no write has failed, and no read' "$(io failed_reads) $(io failed_writes)" '0 0'
works 'swap: and off' swapoff /dev/zram0

# fails_soon NAME LESS: writing more than fits fails, with EIO, and in less than so many seconds.
fails_soon() {
	local begun=$SECONDS
	writes 0 $((3 * limit / PAGE)) random >"$work/out"
	matches "$1: a write fails in the end" "$(<"$work/out")" '^[0-9]+ EIO$'
	holds "$1: it does not take long" "$SECONDS - begun < $2 * ${SLOWER:-1}" "$((SECONDS - begun)) s"
}
works 'limit, nowhere to go: set up' fresh "mem_limit=$limit" 'policy=high=90%'
fails_soon 'limit, nowhere to go' 8
is 'limit, nowhere to go: nobody waited' "$(awk '$1 == "waits" {print $2, $3}' $disk/policy_stat)" '0 0'
works 'limit, a full device: set up' fresh "backing_dev=$small" "mem_limit=$limit" 'policy=high=90%'
fails_soon 'limit, a full device' 12
holds 'limit, a full device: it is full' "$(flagged w 0 16384) > 400" "$(flagged w 0 16384)"
before=$(switches)
sleep 12
holds 'limit, a full device: the worker rests' "$(switches) - $before < 5" "$before $(switches)"
works 'limit, writeback_limit: set up' fresh "backing_dev=$backing" "mem_limit=$limit" 'policy=high=90%' writeback_limit=0 \
	writeback_limit_enable=1
fails_soon 'limit, writeback_limit' 12
echo 0 >$disk/writeback_limit_enable
works 'limit, writeback_limit: without one, it works' writes 4000 $((limit / PAGE)) random

# --- a device that fails ----------------------------------------------------------------------------------------------

remove_mapper() { ! dmsetup info zram-selftest >/dev/null 2>&1 || dmsetup remove --retry zram-selftest; }
at_exit remove_mapper

# mapped NAME TARGET POLICY: cases: the backing device is one of device-mapper with that target; 500 pages that do not get
# smaller are stored, and 500 that do.
mapped() {
	echo 1 >$disk/reset
	dmsetup create zram-selftest --table "0 $((8192 * PAGE / 512)) $2"
	works "$1: set up" fresh "${recompressing[@]}" "mem_limit=$limit" "policy=$3" \
		"backing_dev=/dev/$(dmsetup info --columns --noheadings -o blkdevname zram-selftest)"
	works "$1: write" writes 0 500 random
	works "$1: write others" writes 1000 500 text
}
mapped errors error 'recompress_idle=2 writeback_incompressible=1 cpu=100'
comes 'errors: what needs no device goes on' 30 "\$(moved recompress_idle) == 500"
is 'errors: nothing was moved there' "$(moved writeback_incompressible) $(flagged w 0 16384)" '0 0'
before=$(switches)
sleep 10
holds 'errors: the worker does not try all the time' "$(switches) - $before < 5" "$before $(switches)"
works 'errors: the data is there' verifies 0 500 random
fails_soon 'errors, at the limit' 12
echo 1 >$disk/reset
works 'errors: the device is free' dmsetup remove --retry zram-selftest

# --- a device that is too slow ----------------------------------------------------------------------------------------

# One page every three seconds: the worker gets on, but not before a write has waited for as long as it may.
echo 1 >$disk/writeback_batch_size
mapped 'too slow' "delay $backing 0 0 $backing 0 3000" 'high=90% cpu=100'
begun=$SECONDS
writes 4000 $((3 * limit / PAGE)) random >"$work/out"
matches 'too slow: a write at the limit fails in the end' "$(<"$work/out")" '^[0-9]+ EIO$'
holds 'too slow: after twenty seconds' "$SECONDS - begun >= 19 && $SECONDS - begun < 30 * ${SLOWER:-1}" "$((SECONDS - begun)) s"
holds 'too slow: in which pages were moved' "$(moved writeback_high) > 2" "$(moved writeback_high)"
holds 'too slow: it waited in vain' "$(awk '$1 == "waits" {print $3}' $disk/policy_stat) > 0"
begun=$SECONDS
works 'too slow: a reset' bash -c "echo 1 >$disk/reset"
holds 'too slow: it waits for the page that is on its way, not for all' "$SECONDS - begun < 15 * ${SLOWER:-1}" "$((SECONDS - begun)) s"
works 'too slow: the device is free' dmsetup remove --retry zram-selftest
echo 32 >$disk/writeback_batch_size

# --- a device that does not answer ------------------------------------------------------------------------------------

mapped 'no answer' "linear $backing 0" 'writeback_incompressible=1 high=90% cpu=100'
dmsetup suspend --nolockfs zram-selftest
writes 4000 $((3 * limit / PAGE)) random >"$work/out"
matches 'no answer: a write at the limit fails' "$(<"$work/out")" '^[0-9]+ EIO$'
begun=$SECONDS
works 'no answer: a job of a user does not wait for the worker' bash -c "echo type=huge max_pages=1 >$disk/recompress"
works 'no answer: nor do settings' bash -c "echo high=95% >$disk/policy && cat $disk/policy $disk/policy_stat $disk/mm_stat"
works 'no answer: nor do pages in memory' verifies 1000 500 text
holds 'no answer: none took long' "$SECONDS - begun < 10 * ${SLOWER:-1}" "$((SECONDS - begun)) s"
timeout -s KILL 2 bash -c "echo 1 >$disk/reset"
is 'no answer: a reset waits, and can be killed' "$?" 137
dmsetup resume zram-selftest
works 'answer: data that was on its way is there' verifies 0 500 random
works 'answer: writes go on' writes 4000 $((limit / PAGE)) random 2
works 'answer: a reset' bash -c "echo 1 >$disk/reset"
works 'answer: the device is free' dmsetup remove --retry zram-selftest

# --- all at once ------------------------------------------------------------------------------------------------------

works 'fire: set up' fresh "${recompressing[@]}" compressed_writeback=1 "backing_dev=$backing" "mem_limit=$((4 * limit))" \
	'policy=recompress_idle=1 writeback_idle=3 writeback_incompressible=2 high=80% low=60% cpu=100'
log
user_jobs() {
	echo all >"$disk/idle" && { echo type=idle >"$disk/recompress" || true; } && { echo type=huge >"$disk/writeback" || true; } &&
		echo 1 >"$disk/compact"
}
policies() {
	local policy
	for policy in off recompress_idle=1 'writeback_idle=1 high=40% low=20% cpu=1' \
		'recompress_idle=1 writeback_idle=3 writeback_incompressible=2 high=80% low=60% cpu=100'; do
		echo "$policy" >"$disk/policy" || return
		sleep 0.3
	done
}
rounds() { writes "$1" 2000 mix "$2" >/dev/null && verifies "$1" 2000 mix "$2"; }
fire() { for turn in 1 2 3; do rounds "$1" "$turn" || return; done; }
repeat 'fire: jobs of a user' user_jobs
repeat 'fire: other policies' policies
repeat 'fire: CPUs come and go' toggle 2
repeat 'fire: two thousand pages' fire 0
repeat 'fire: two thousand more' fire 3000
repeat 'fire: the files are read' cat $disk/policy $disk/policy_stat "$DEBUG/zram0/ages"
sleep 40
for name in 'jobs of a user' 'other policies' 'CPUs come and go' 'two thousand pages' 'two thousand more' 'the files are read'; do
	repeated "fire: $name"
done
is 'fire: no write has failed, and no read' "$(io failed_reads) $(io failed_writes)" '0 0'
works 'fire: the device is reset while its worker is at work' bash -c "echo 1 >$disk/reset"
is 'fire: the log is clean' "$(log "$mark" | grep -iE 'bug|warn|corrupt|failed')" ''
for turn in 1 2 3 4 5; do
	fresh "${recompressing[@]}" "backing_dev=$backing" 'policy=recompress_idle=1 writeback_idle=2 high=1M' || break
	writes 0 2000 mix >/dev/null || break
	sleep "0.$turn"
done
is 'fire: reset again and again' "$turn" 5
begun=$SECONDS
for ((turn = 0; turn < 25; turn++)); do
	fresh 'policy=recompress_idle=1' || break
	echo 1 >$disk/reset || break
done
is 'a worker that has just begun is ended' "$turn" 25
holds 'and that does not take long' "$SECONDS - begun < 300 * ${SLOWER:-1}" "$((SECONDS - begun)) s"
works 'set up' fresh "${recompressing[@]}" 'policy=recompress_idle=1 cpu=100'
works 'write' writes 0 2000 text
sleep 2
works 'unloads while the worker is at work' unload
is 'no worker is left' "$(worker)" ''
finish
