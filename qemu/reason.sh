# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# From what a step of qemu/setup left in its log: what went wrong, and what to do.

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
