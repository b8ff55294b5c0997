#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What the scripts in qemu/ and the Makefile say and do where something is wrong or in the way: each a case, with a cache of its
# own and no network. `make lint` runs it, as root.
# shellcheck disable=SC2016

set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd -P)
work=$(mktemp -d)
failed=0
pids=()
trap '((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
# Two clones.
mkdir "$work/one" "$work/two, it's \"\$HOME\""
for tree in "$work"/{one,two*}; do
	cp -r "$top"/{qemu,dkms,Makefile} "$tree/"
	mkdir "$tree/selftests"
	touch "$tree/selftests/10-sysfs.sh"
done
one=$work/one two="$work/two, it's \"\$HOME\""
export RUST_ZRAM_CACHE=$work/cache KVER=7.3.4+deb13-amd64
unset KERNEL NAME MIRROR KEYRING ACCEL

wrong() {
	printf '%s: expected %s, got %s\n' "$1" "$2" "$3"
	failed=1
}

# is NAME GOT WANTED
is() { [[ $2 == "$3" ]] || wrong "$1" "$3" "$2"; }

# fails NAME TEXT COMMAND…: the command fails with one line, which has this text.
fails() {
	local name=$1 wanted=$2 got status=0
	shift 2
	got=$("$@" 2>&1 </dev/null) || status=$?
	[[ $status != 0 && $got == "error: "*"$wanted"* && $got != *$'\n'* ]] ||
		wrong "$name" "error: … $wanted" "status $status, $got"
}

# value TREE NAME: what qemu/lib.sh of a tree sets a variable to.
value() { bash -c '. "$1/qemu/lib.sh" && echo "${!2-unset}"' value "$@"; }

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# ---- the environment ----------------------------------------------------------------------------------------------

is 'the language of messages' 'C.UTF-8 unset' \
	"$(LANGUAGE=de env LC_ALL=de_DE.UTF-8 bash -c '. "$1/qemu/lib.sh"; echo "$LC_ALL ${LANGUAGE-unset}"' - "$one" 2>/dev/null)"
is 'make says nothing of a language that the machine lacks' 0 \
	"$(env LC_ALL=xx_XX.UTF-8 make -C "$one" help 2>&1 | grep -c setlocale)"
is 'a relative cache' "$(cd "$work" && RUST_ZRAM_CACHE=here/../there value one cache)" "$work/there"
is 'the scripts that are called then have it, too' "$work/there" \
	"$(cd "$work" && RUST_ZRAM_CACHE=there value one RUST_ZRAM_CACHE)"
ln -s "$one" "$work/link"
is 'a link to a tree is that tree' "$(value "$work/link" built)" "$(value "$one" built)"
[[ $(value "$one" own) =~ ^"$work"/cache/tree/one-[0-9a-f]{8}$ ]] ||
	wrong "a tree's folder" 'its name and a hash' "$(value "$one" own)"
[[ $(value "$two" own) =~ ^"$work"/cache/tree/two__it_s___HOME_-[0-9a-f]{8}$ ]] ||
	wrong "a tree's folder" 'no odd characters' "$(value "$two" own)"
is 'what is built for a debug kernel' "$(KERNEL=kasan value "$one" built)" "$(value "$one" own)/$KVER/kasan"

# ---- wrong calls --------------------------------------------------------------------------------------------------

fails 'setup without root' 'run this with sudo' nobody "$one/qemu/setup"
fails 'a VM without root' 'run this with sudo' nobody "$one/qemu/vm" -- true
fails 'setup without mounts' 'privileged container' setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$one/qemu/setup"
touch "$work/file"
for cache in "$work/file" "$work/file/below"; do
	fails "a cache at $cache" 'set RUST_ZRAM_CACHE to another place' env RUST_ZRAM_CACHE="$cache" "$one/qemu/setup"
	fails "a cache at $cache, kernels" 'set RUST_ZRAM_CACHE to another place' env RUST_ZRAM_CACHE="$cache" "$one/qemu/kernels"
done
mkdir "$work/bin"
printf '#!/bin/sh\nprintf "Avail\\n300M\\n"\n' >"$work/bin/df"
chmod +x "$work/bin/df"
fails 'a disk that is nearly full' '8 GiB are needed at '"$work"'/cache, 0.2 are free: make room' \
	env PATH="$work/bin:$PATH" "$one/qemu/setup"
for mirror in nonsense deb.debian.org/debian //deb.debian.org ''\''http://x'; do
	fails "MIRROR=$mirror" 'begins as in MIRROR=http' env MIRROR="$mirror" "$one/qemu/setup"
done
fails 'a keyring that is not there' 'no file KEYRING=nosuch' env KEYRING=nosuch "$one/qemu/setup"
fails 'ACCEL=foo' 'kvm, tcg, or nothing' env ACCEL=foo "$one/qemu/accel"
is 'ACCEL=kvm' "$(ACCEL=kvm "$one/qemu/accel")" kvm
fails 'a test that is not there' "no selftest's name begins with 'nosuch'" "$one/qemu/test" 10 nosuch
fails 'no workbench' 'run qemu/setup' bash -c '. "$1/qemu/lib.sh"; in_root true' - "$one"
for size in 8M lots 999 0 -1G 1.5G ''; do
	fails "a VM with -m '$size'" 'as in 768M or 2G' "$one/qemu/vm" -m "$size" -- true
done
fails 'a VM with -c 0' 'how many vCPUs' "$one/qemu/vm" -c 0 -- true
fails 'a VM without a command' 'which command? see qemu/vm -h' "$one/qemu/vm"
fails 'a VM before setup' 'run qemu/setup' "$one/qemu/vm" -- true
mkdir -p "$work/cache/kernel/$KVER"
touch "$work/cache/kernel/$KVER/guest.img"
fails 'a VM before a module was built' 'rust_zram.ko: run qemu/build' "$one/qemu/vm" -- true
is 'qemu/vm -h' "$("$one/qemu/vm" -h | grep -cE '^(Boots|    -. )')" 10
fails 'qemu/vm -z' 'see qemu/vm -h' bash -c '"$1" -z 2>&1 | grep -v illegal; exit "${PIPESTATUS[0]}"' - "$one/qemu/vm"

# ---- what a log says ----------------------------------------------------------------------------------------------

# tells NAME WANTED: of the log on standard input.
tells() {
	local got
	cat >"$work/log"
	got=$(bash -c 'space=8 cache=/c mirror=http://m suite=trixie; . "$1"; reason "$2"; echo "$reason"' - \
		"$one/qemu/steps.sh" "$work/log" 2>&1)
	[[ $got == *"$2"* && $got != *$'\n'* ]] || wrong "$1" "$2" "$got"
}
tells 'dpkg on a full disk' 'the disk is full: free 8 GiB at /c' <<'END'
dpkg: error processing archive x.deb (--unpack): cannot copy extracted data: failed to write (No space left on device)
END
tells 'apt on a full disk' 'the disk is full' <<"END"
E: You don't have enough free space in /c/apt/trixie.amd64/archives/.
error: http://m does not give all packages of kernel 7.3.4+deb13-amd64
END
tells 'a quota' 'the disk is full' <<<'cp: error writing x: Disk quota exceeded'
tells 'an error of ours' 'it wants rustc 1.97.1' < <(printf '%s\n' 'error: it wants rustc 1.97.1' 'E: Failed to fetch x')
tells 'a mirror that is not there' 'the mirror http://m cannot be reached' <<'END'
W: Failed to fetch http://m/dists/trixie/InRelease  Could not connect to m:80 (127.0.0.1). - connect (111: Connection refused)
END
tells 'old keys' 'debian-archive-keyring' <<<'W: GPG error: http://m trixie InRelease: NO_PUBKEY 6ED0E7B82643E131'
tells 'no mounts' 'privileged container' <<<'unshare: unshare failed: Operation not permitted'

# ---- what tests print ---------------------------------------------------------------------------------------------

is 'a test that bails out' "$(bash -c 'set -eu; . "$1"; tally x.sh; echo "$passed $failed ${#unended[@]}"' - \
	"$one/qemu/tally.sh" <<'END'
# begin x.sh
KTAP version 1
Bail out! a zram is loaded
# end x.sh 1 3
END
)" '    Bail out! a zram is loaded
  x.sh                         0 passed     1 failed     3 s
0 1 0'

# ---- one at a time ------------------------------------------------------------------------------------------------

mkdir -p "$work/cache/stamp"
flock -o "$work/cache/lock" sleep 60 &
pids+=($!)
echo $! >"$work/cache/lock"
until ! flock -n "$work/cache/lock" true; do sleep 0.1; done
is 'setup waits, and says for whom' "$(timeout 5 "$one/qemu/setup" 2>&1)" \
	"waiting for another set-up that uses the same cache, process ${pids[0]}"
fails 'distclean while a set-up is at work' "a set-up is at work in $work/cache, process ${pids[0]}" "$one/qemu/clean" all
kill "${pids[0]}"
wait "${pids[0]}" 2>/dev/null || true
pids=()

# at_once COUNT COMMAND…: runs it COUNT times, all at the same time, and prints what all of them say.
at_once() {
	local n
	for ((n = 0; n < $1; n++)); do "${@:2}" & done
	wait
}
is 'the accelerator, as each of many VMs finds it out' "$(at_once 40 "$one/qemu/accel" 2>&1 | sort | uniq -c | xargs)" '40 tcg'
is "the host's counter, as each of many VMs measures it" "$(at_once 5 bash -c '
	. "$1/qemu/lib.sh"
	. "$1/qemu/machine.sh"
	accel=tcg append=""
	# As rustc and its linker do it, the program is there before it can be run.
	in_root() {
		local file="$*"
		file=${file##*/own/}
		file=$own/${file%% *}
		[[ $1 == rustc ]] || exec "$file"
		touch "$file"
		sleep 0.2
		printf "#!/bin/sh\necho 2000000\n" >"$file"
		chmod +x "$file"
	}
	machine
	echo "${kernel_arguments##*=}"' - "$one" 2>&1 | sort | uniq -c | xargs)" '5 2000000'

# The module is not there, then a part of it, then all.
built=$(value "$one" built)
mkdir -p "$built/module"
{
	flock 8
	bash -c 'sleep 0.2; printf half >"$1"; sleep 0.2; printf " and half" >>"$1"' - "$built/module/rust_zram.ko" &
} 8>"$built/module.lock"
is 'a module that is being built is copied when it is ready' "$(bash -c '. "$1/qemu/lib.sh"
	copy_built "$built/module/rust_zram.ko" "$2" && copy_built "$built/peer/zram_full.ko" "$2" && cat "$2"' - "$one" "$work/copy" 2>&1)" \
	'half and half'
rm -r "$built"

# What make starts does not outlive it.
printf '#!/bin/sh\necho $$ >"%s"\nexec sleep 60\n' "$work/started" >"$one/qemu/setup"
make -C "$one" host-test >/dev/null 2>&1 &
pids+=($!)
until [[ -s $work/started ]]; do sleep 0.1; done
{ kill -KILL "${pids[0]}" && wait "${pids[0]}"; } 2>/dev/null || true
pids=("$(<"$work/started")")
for ((i = 0; i < 50; i++)); do
	kill -0 "${pids[0]}" 2>/dev/null || break
	sleep 0.1
done
((i < 50)) || wrong 'make is killed' 'the end of what it had started' "process ${pids[0]}"
pids=()

# ---- cleaning -----------------------------------------------------------------------------------------------------

for tree in "$one" "$two"; do
	mkdir -p "$(value "$tree" built)/module" "$(value "$tree" own)"/{host,log}
	ln -s "$tree" "$(value "$tree" own)/tree"
	touch "$tree/rust_zram.ko" "$(value "$tree" built)/module/rust_zram.ko" "$(value "$tree" own)/log/vm"
done
fails 'clean of what is root'\''s' 'run this with sudo' nobody "$one/qemu/clean"
got=$("$one/qemu/clean")
[[ $got == "removed $one/rust_zram.ko ("*")"$'\n'"removed $(value "$one" built) $(value "$one" own)/host ("*")" ]] ||
	wrong clean 'what was removed' "$got"
is 'clean leaves the logs, and all of another tree' "$(cd "$work/cache/tree" && find . -type f | sort | sed 's/-[0-9a-f]*/-X/')" \
	"./one-X/log/vm"$'\n'"./two__it_s___HOME_-X/$KVER/module/rust_zram.ko"$'\n'"./two__it_s___HOME_-X/log/vm"
is 'and its module' "$(ls "$two"/*.ko)" "$two/rust_zram.ko"
is 'clean once more' "$("$one/qemu/clean")" "nothing of this tree is left in $work/cache"
is 'clean as a user who has no cache' "$(RUST_ZRAM_CACHE=$work/none nobody "$one/qemu/clean")" \
	"nothing of this tree is left in $work/none"$'\n'"what was built with sudo is in root's cache: remove that with sudo"
mkdir "$work/other" "$work/cache/vm" "$work/cache/vm/$$"
fails 'distclean of something else' 'is not a cache of rust_zram' env RUST_ZRAM_CACHE="$work/other" "$one/qemu/clean" all
fails 'distclean while a VM runs' "a VM runs from $work/cache, process $$" "$one/qemu/clean" all
rmdir "$work/cache/vm/$$"
fails 'distclean without root' "$work/cache may not be removed: run this with sudo" nobody "$one/qemu/clean" all
got=$("$one/qemu/clean" all)
[[ $got == "$two used the same workbench"$'\n'"removed $work/cache ("*")" ]] || wrong distclean 'what was removed' "$got"
[[ ! -e $work/cache ]] || wrong distclean 'no cache' "$work/cache"
is 'distclean once more' "$("$one/qemu/clean" all)" "nothing of this tree is left in $work/cache"
exit "$failed"
