# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# What the scripts in qemu/ share, which run on the host: where things are, how to fail, and how to enter the toolchain root.
# Those in qemu/root/ run in that root, and those in qemu/guest/ in a VM. qemu/scan runs on either side.

set -euo pipefail
shopt -s inherit_errexit
# What apt and others say is read by these scripts, too, and so it must not be translated.
export LC_ALL=C.UTF-8
unset LANGUAGE

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
# A relative path is meant from the folder that the first of these scripts is called in, not from where it goes then.
cache=$(realpath -ms -- "${RUST_ZRAM_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/rust_zram}")
export RUST_ZRAM_CACHE=$cache
root=$cache/root
# What is built from this tree, and the logs of that, have a folder of their own in the cache. Several trees can share the rest.
own=${top##*/}
own=$cache/tree/${own//[^A-Za-z0-9._-]/_}-$(sha256sum <<<"$top" | head -c 8)

# What most of these scripts do, only root may, and only where mounts are allowed.
need_root() {
	((EUID == 0)) || die 'root is needed (chroot, mounts, apt): run this with sudo'
	unshare --mount --propagation private mount -t tmpfs tmpfs /mnt 2>/dev/null ||
		die 'mounts are not allowed here: run this on a machine or in a privileged container'
}

# need_space GIB: makes sure that there is a cache, with so much room.
need_space() {
	local free
	{ mkdir -p "$cache" && [[ -w $cache ]]; } 2>/dev/null ||
		die "no cache can be made at $cache: set RUST_ZRAM_CACHE to another place"
	free=$(df --output=avail -BM "$cache" | tail -n 1 | tr -dc 0-9)
	((free >= $1 * 1024)) && return
	free=$((free / 1024)).$((free % 1024 * 10 / 1024))
	die "$1 GiB are needed at $cache, $free are free: make room, or set RUST_ZRAM_CACHE"
}

# The kernel that everything is built for and booted with: KVER= picks a version, else it is what `qemu/setup` found; and
# KERNEL= a debug kernel of that version, which qemu/kernel/$KERNEL.config describes, in place of Debian's.
kernel=${KERNEL:-stock}
[[ $kernel == stock || -e $top/qemu/kernel/$kernel.config ]] || die "there is no kernel '$kernel' in qemu/kernel/"

# use_kernel VERSION: sets what follows from Debian's name for a kernel. 7.3.4+deb13-rt-arm64 has the source 7.3.4+deb13, which all
# flavours share, is of series 7.3, built with the toolchain of Debian 13, for arm64. Without +deb it comes from experimental.
use_kernel() {
	kver=$1 arch=amd64 suite=trixie series=''
	if [[ $kver ]]; then
		[[ $kver =~ ^([0-9]+\.[0-9]+)(\.[0-9]+)?(\+deb([0-9]+))?-((cloud|rt)-)?(amd64|arm64(-16k)?)$ ]] ||
			die "KVER=$kver is no kernel that the workbench can build for: 'make kernels' prints those that it can"
		series=${BASH_REMATCH[1]} arch=${BASH_REMATCH[7]%-16k}
		case ${BASH_REMATCH[4]} in
		13) suite=trixie ;;
		14) suite=sid ;;
		'') suite=experimental ;;
		*) die "KVER=$kver is of Debian ${BASH_REMATCH[4]}, which the workbench does not know: see use_kernel in qemu/lib.sh" ;;
		esac
		[[ $kernel == stock || $arch.$suite == amd64.trixie ]] || die "there is a $kernel kernel only for amd64, of Debian 13"
	fi
	kdir=$cache/kernel/$kver ksrc=$cache/source/${kver%%-*}
	# The one kernel is in $kout, and what is built for it from this tree in $built.
	kout=$kdir built=$own/$kver
	[[ $kernel == stock ]] || kout+=/$kernel built+=/$kernel
	# The root with its compilers, the suite of which experimental shares with sid.
	compilers=$root
	[[ $suite == trixie ]] || compilers=$cache/root.sid
	export kver kernel kout ksrc built
}
use_kernel "${KVER:-$(cat "$cache/kver" 2>/dev/null || true)}"

# copy_built FILE TO: copies what was built from this tree, if there is such a file. While another command builds it, this waits:
# qemu/build and qemu/peer hold a lock of the file's folder.
copy_built() (
	[[ ! -e ${1%/*}.lock ]] || {
		exec 8<"${1%/*}.lock"
		flock --shared 8
	}
	[[ ! -e $1 ]] || cp "$1" "$2"
)

# Runs a command in the toolchain root, in this tree; it sees the tree as /tree, the cache as /cache and the tree's own folder in
# it as /own, so nothing that is built depends on where those are. All mounts live in a namespace of their own: none outlives
# the command, and the command does not outlive its caller.
in_root() {
	[[ -d $root ]] || die "there is no workbench in $cache yet: run qemu/setup"
	mkdir -p "$own/log" "$root/own"
	# For people, who see by that whose folder it is.
	[[ -e $own/tree ]] || ln -sfn "$top" "$own/tree"
	# shellcheck disable=SC2016
	setpriv --pdeathsig TERM unshare --mount --propagation private -- bash -euc '
		root=$1 top=$2 cache=$3 own=$4
		shift 4
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs tmpfs "$root/tmp"
		mount --bind "$top" "$root/tree"
		mount --bind "$cache" "$root/cache"
		mount --bind "$own" "$root/own"
		exec chroot "$root" env -i --chdir=/tree HOME=/root LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" \
			kver="$kver" kernel="$kernel" kout="/cache${kout#"$cache"}" ksrc="/cache${ksrc#"$cache"}" \
			built="/own${built#"$own"}" \
			PATH=/usr/lib/llvm-19/bin:/usr/sbin:/usr/bin "$@"
	' in_root "$root" "$top" "$cache" "$own" "$@"
}

# The same in the root that has the kernel's compilers.
with_compilers() {
	root=$compilers in_root "$@"
}

# QEMU's TCG may take a CPU that comes up for one that still waits to be started, and start it a second time while it runs: then
# it is found at address 0 with the code segment of real mode, which no kernel ever runs with. Says so of a file with the
# console of a VM.
started_twice() {
	grep -aqE 'RIP: [1-9a-f][0-9a-f]00:0x0[[:space:]]*$' "$1"
}
