# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# How qemu/setup runs a step; and, from what the step left in its log, what went wrong, and what to do.

# step KEY TITLE FUNCTION: runs FUNCTION unless it was finished for the same KEY. The key names all that the result
# depends on. Its output goes to a log; a live line, or one every half minute where there is no terminal, shows the
# way.
step() {
	local key=$1 title=$2 run=$3 log=$cache/log/$3.log stamp=$cache/stamp/$3 start=$SECONDS last=0 pid
	case $run in
	compiler_root) stamp+=@${compilers##*.} ;;
	cross_tools) stamp+=@$arch.$key.${compilers##*/} ;;
	guest_root) stamp+=@$arch ;;
	kernel_source) stamp+=@${ksrc##*/} ;;
	crate_source) stamp+=@$version ;;
	kernel_* | guest_image) stamp+=@$kver ;;
	debug_kernel | um_kernel) stamp+=@$kver.$kernel ;;
	esac
	step=$((step + 1))
	[[ -e $stamp && $(<"$stamp") == "$key" ]] && return
	[[ ! ${looking:-} ]] || exit 1
	title="[$step/$steps] $title"
	mirror=${mirror:-${MIRROR:-$(host_mirror)}}
	[[ -t 1 ]] || printf '%s …\n' "$title"
	# A process group of its own, so that stopping this script stops all of the step.
	set -m
	(set -e; "$run") >"$log" 2>&1 </dev/null &
	set +m
	pid=$!
	# shellcheck disable=SC2064
	trap "kill -- -$pid 2>/dev/null" EXIT
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		if [[ -t 1 ]]; then
			printf '\r\e[K%s … %d s  \e[2m%.60s\e[0m' "$title" $((SECONDS - start)) "$(tail -n 1 "$log" | tr -cd '[:print:]')"
		elif ((SECONDS - start >= last + 30)); then
			last=$((SECONDS - start))
			printf '    %d s: %.100s\n' "$last" "$(tail -n 1 "$log")"
		fi
	done
	[[ ! -t 1 ]] || printf '\r\e[K'
	trap - EXIT
	wait "$pid" || {
		reason "$log"
		die "${title#\[*\] }: $reason ($log)"
	}
	printf '%s' "$key" >"$stamp.tmp"
	mv "$stamp.tmp" "$stamp"
	printf '%s … done (%d s)\n' "$title" $((SECONDS - start))
}

# reason LOG: sets $reason to one line. Where that is only the log's name, the log's end is shown.
reason() {
	if grep -qE 'No space left on device|enough free space|Disk quota exceeded' "$1"; then
		reason="the disk is full: free $space GiB at $cache, or set RUST_ZRAM_CACHE to a roomier place"
	elif reason=$(grep -m 1 '^error: ' "$1"); then
		reason=${reason#error: }
	elif grep -qE 'Could not (resolve|connect)|Unable to connect|Failed to fetch|Temporary failure|404 +Not Found' "$1"; then
		reason="the mirror $mirror cannot be reached or lacks $suite: check the network and apt's proxy, or set MIRROR="
	elif grep -qE 'NO_PUBKEY|not signed|EXPKEYSIG' "$1"; then
		reason="the Debian archive key is missing or too old: install a current debian-archive-keyring package, or set KEYRING="
	elif grep -qE 'unshare failed|cannot mount|mount: .*permission denied' "$1"; then
		reason='mounts are not allowed here: run this on a machine or in a privileged container'
	else
		tail -n 5 "$1" >&2
		reason='see the log'
	fi
}
