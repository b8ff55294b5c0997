#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What qemu/scan takes for a splat, and what not: samples of a kernel's log, each a case. `make lint` runs it.

set -euo pipefail
scan=$(dirname "$0")/../../qemu/scan
failed=0

# says NAME WANTED: of the log on standard input a line with that is reported, or `nothing`.
says() {
	local got status=0
	got=$("$scan") || status=$?
	case $2:$status in
	nothing:0) ;;
	nothing:* | *:0) false ;;
	*) grep -q "$2" <<<"$got" ;;
	esac || {
		printf '%s: expected %s, got status %s\n%s\n' "$1" "$2" "$status" "$got"
		failed=1
	}
}

# lacks MODE [TASK]: what the kernel says of a page that it did not get, with a call trace.
lacks() {
	cat <<-END
		[   70.1] ${2:-kworker/u9:2}: page allocation failure: order:0, mode:0x82dc0($1), nodemask=(null),cpuset=/,mems_allowed=0
		[   70.1] CPU: 1 UID: 0 PID: 42 Comm: ${2:-kworker/u9:2} Not tainted 7.3.4 #1 PREEMPT(lazy)
		[   70.1] Call Trace:
		[   70.1]  <TASK>
		[   70.1]  dump_stack_lvl+0x5d/0x80
		[   70.1]  </TASK>
		[   70.1] Mem-Info:
	END
}

damage='[   12.3] rust_zram: Decompression failed! err=-22, page=17'
splat='[   50.0] WARNING: CPU: 1 PID: 7 at mm/slub.c:1 kfree+0x1/0x2'

says 'an ordinary log' nothing <<<'[    0.0] Linux version 7.3.4'
says 'a warning' 'WARNING:' <<<"$splat"
says 'a call trace by itself' 'Call Trace' <<<'[    1.0] Call Trace:'

for scope in KERNEL NOFS NOIO; do
	says "the swap core has no page for a table, $scope" nothing < <(
		lacks "GFP_$scope|__GFP_HIGH|__GFP_COMP|__GFP_ZERO|__GFP_NOMEMALLOC")
	says "a splat after that, $scope" 'WARNING:' < <(
		lacks "GFP_$scope|__GFP_HIGH|__GFP_COMP|__GFP_ZERO|__GFP_NOMEMALLOC"
		echo "$splat")
	says "anyone else has no page, $scope" 'page allocation failure' < <(lacks "GFP_$scope|__GFP_ZERO")
done
says 'a killed process has no page for its memory' nothing < <(
	lacks 'GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP' python3)
says 'a splat after that' 'WARNING:' < <(
	lacks 'GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP' python3
	echo "$splat")
says 'the pool has no page' 'page allocation failure' < <(
	lacks '__GFP_RECLAIM|__GFP_HIGHMEM|__GFP_MOVABLE|__GFP_IO' python3)
slow_end='[   29.9] oom_reaper: unable to reap pid:186 (python3)
[   29.9] task:python3         state:R  running task     stack:0     pid:186   tgid:186   ppid:179    task_flags:0x40044c
[   29.9] Call Trace:
[   29.9]  <TASK>
[   29.9]  exit_mmap+0x120/0x390
[   29.9]  </TASK>'
says 'a killed task that takes long to end' nothing <<<"$slow_end"
says 'a call trace after that' 'Call Trace' <<<"$slow_end"$'\n[   30.0] Call Trace:'
says 'a call trace after a killed task that has just ended' 'Call Trace' < <(
	head -n 1 <<<"$slow_end"
	echo '[   30.0] Call Trace:')
says 'an OOM kill' nothing <<'END'
[   70.1] python3 invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
[   70.1] Call Trace:
[   70.1]  <TASK>
[   70.1]  dump_stack_lvl+0x5d/0x80
[   70.1]  </TASK>
[   70.1] Mem-Info:
END

says 'data that is damaged' 'Decompression failed' <<<"$damage"
says 'data that is damaged, outside of the test that damages some' 'Decompression failed' <<END
[   10.0] selftest: 91-corrupt.sh
[   11.0] selftest: damages data
[   20.0] selftest: 92-abuse.sh
$damage
END
says 'data that a test damaged' nothing <<END
[   10.0] selftest: 91-corrupt.sh
[   11.0] selftest: damages data
$damage
END
says 'the same at a serial console' nothing < <(printf '%s\r\n' '[   11.0] selftest: damages data' "$damage")
says 'another splat in that test' 'WARNING:' <<END
[   11.0] selftest: damages data
$damage
$splat
END
exit "$failed"
