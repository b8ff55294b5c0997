#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The repository that qemu/release makes, as apt reads it from a web server: what is signed is installed; what is not, or has been
# changed since, is refused.
# long

. "$(dirname "$0")/lib.sh"

# update: what apt then knows of ours comes from the server, and each error counts.
update() {
	rm -rf /var/lib/apt/lists/127.0.0.1*
	apt-get -q update -o APT::Update::Error-Mode=any
}

# spoiled FILE TEXT COMMAND...: a case: with another byte in this file of the server's apt refuses it. Then it is as it was.
spoiled() {
	local file=$www/$1 text=$2 at
	shift 2
	cp "$file" /var/tmp/kept
	at=$(($(stat -c %s "$file") / 2))
	dd if=/var/tmp/kept bs=1 skip="$at" count=1 status=none | LC_ALL=C tr '\0-\377' '\1-\377\0' |
		dd of="$file" bs=1 seek="$at" conv=notrunc status=none
	refused "${file##*/} is refused when a byte of it has changed" "$text" "$@"
	cp /var/tmp/kept "$file"
}

served() {
	local package deb www=/var/tmp/www
	package=rust-zram-modules-$(uname -r)
	deb=$(basename /host/packages/"$package"_*.deb)
	cp -r /host/packages "$www"
	/host/busybox httpd -p 127.0.0.1:80 -h "$www"
	mkdir -p /etc/apt/keyrings
	cp /host/key.asc /etc/apt/keyrings/rust-zram.asc
	sed -i '\|file:/host/packages |d' /etc/apt/sources.list
	is 'apt has ours from nowhere yet' "$(apt-get -q update >/dev/null 2>&1; apt-cache search rust-zram)" ''
	echo 'deb [signed-by=/etc/apt/keyrings/rust-zram.asc] http://127.0.0.1/ ./' >/etc/apt/sources.list.d/rust-zram.list

	mv "$www/InRelease" /var/tmp/
	refused 'what is not signed is refused' 'is not signed' update
	mv /var/tmp/InRelease "$www/"
	spoiled InRelease 'is not signed' update
	spoiled Packages.xz 'Hash Sum mismatch' update
	works 'what is signed is read' update
	matches 'and comes from the server' "$(apt-cache policy "$package")" 'http://127\.0\.0\.1'
	spoiled "$deb" 'Hash Sum mismatch' apt-get -q -y install "$package"
	is 'nothing of it is installed' "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" ''
	works "apt installs $package" apt-get -q -y install "$package"
	matches 'modprobe would load ours' "$(modinfo -n zram)" /updates/
	settled
}

# By a key of nobody's. What it signs is of yesterday, whatever the machine's clock says.
sign() {
	local -x GNUPGHOME=$work/gnupg
	mkdir -m 700 "$GNUPGHOME"
	gpg=(gpg -q --batch --faked-system-time "$(date -u -d yesterday +%Y%m%dT%H%M%S)")
	"${gpg[@]}" --passphrase '' --quick-generate-key 'nobody <nobody@example.org>' ed25519 sign never &&
		"${gpg[@]}" --armor --export >"$work/key.asc" &&
		"${gpg[@]}" --clearsign --output "$1/InRelease" "$1/Release"
	set -- "$?"
	gpgconf --kill all
	return "$1"
}

cp -r "$PACKAGES" "$work/signed"
PACKAGES=$work/signed
sign "$PACKAGES" >"$work/gpg" 2>&1 || die "gpg does not sign: $(tail -n 1 "$work/gpg")"
machine plain
boot served -f "$work/key.asc" -f "$root/usr/bin/busybox"
finish
