# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# How the scripts in qemu/ make a Debian root: from which mirror, with which keys.

# apt takes a path for one only if it is absolute.
keyring=$(realpath -ms -- "${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}")
[[ ! ${KEYRING:-} || -r $keyring ]] || die "there is no file KEYRING=$KEYRING"
[[ ! ${MIRROR:-} || $MIRROR =~ ^[a-z][a-z0-9+.-]*:/ ]] ||
	die "MIRROR=$MIRROR is no address of a mirror: it begins as in MIRROR=http://deb.debian.org/debian"

# The Debian mirror that the host's own apt uses; deb.debian.org where the host is not Debian.
host_mirror() {
	local uri
	# shellcheck disable=SC2016
	uri=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" { print $2; exit }')
	# Cloud images keep the URI in a file of its own.
	[[ $uri != mirror+file:* ]] || uri=$(grep -m 1 -oE '^[a-z]+:[^[:space:]]+' "${uri#mirror+file:}" || true)
	printf '%s' "${uri:-http://deb.debian.org/debian}"
}

# What apt reads for $suite: a release has updates and backports, sid and experimental have not.
sources() {
	local name names=("$suite")
	[[ $suite =~ ^(sid|experimental)$ ]] || names+=("$suite-updates" "$suite-backports")
	for name in "${names[@]}"; do
		echo "deb [arch=$arch signed-by=$keyring] $mirror $name main"
	done
}

# A Debian root of $suite with these packages, of $arch; apt is set up as on the host. variant= is a kind of root that
# mmdebstrap knows, first= a hook of mmdebstrap for when only the essential packages are there.
debian_root() {
	local target=$1
	shift
	rm -rf --one-file-system "$target"
	apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' >"$cache/apt/host.conf" || true
	# Its mounts must not outlive it either.
	sources | unshare --mount --propagation private -- mmdebstrap --variant="${variant:-apt}" --architectures="$arch" --mode=root \
		--aptopt="$cache/apt/host.conf" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "0"' \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		${first:+--essential-hook="$first"} "${@/#/--include=}" "$suite" "$target" -
}
