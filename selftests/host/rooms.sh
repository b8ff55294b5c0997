#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What qemu/rooms finds wrong with a source tree, and what not: small trees, each a case. `qemu/lint rooms` runs it.

set -euo pipefail
rooms=$(cd "$(dirname "$0")/../../qemu" && pwd)/rooms
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# file NAME: of the tree, from standard input.
file() {
	mkdir -p "$(dirname "$tree/$1")"
	cat >"$tree/$1"
}

# fresh: a tree that is as it should be, for the next case to change.
fresh() {
	rm -rf "$tree/src"
	file rust_zram.rs <<-'END'
		#[path = "src"]
		mod zram {
		    mod abstractions;
		    pub(crate) mod interface;
		}
		use zram::interface::devices::Devices;
	END
	file src/interface.rs <<<'pub(crate) mod devices;'
	file src/interface/devices.rs <<-'END'
		use crate::zram::{
		    abstractions::{
		        bio::Bio,
		        disk::{
		            self,
		            Disk as Gendisk, //
		        }, //
		    },
		    device::Device, //
		};
	END
	file src/device.rs <<-'END'
		mod live;
		pub(crate) use live::Live;
		pub(crate) struct Device;
	END
	file src/device/live.rs <<<'use super::Device;'
	file src/io.rs <<<'use crate::zram::{device::Live, store::Store};'
	file src/store.rs <<-'END'
		mod slot;
		mod stats;
		use slot::Slot;
		pub(crate) struct Store(Slot);
	END
	file src/store/slot.rs <<-'END'
		//! See `crate::zram::device::Device`, which this does not use.
		use super::stats::Stats;
		pub(in crate::zram::store) struct Slot(Stats);
		const NOTE: &str = "crate::zram::io::Io";
		#[cfg(test)]
		use crate::seen;
		type Module = crate::LocalModule;
	END
	file src/store/stats.rs <<<'pub(super) struct Stats(kernel::sync::Arc<crate::zram::abstractions::disk::Disk>);'
	file src/abstractions.rs <<<'pub(crate) mod bio; pub(crate) mod disk;'
	file src/abstractions/bio.rs <<<'use super::disk::Disk;'
	file src/abstractions/disk.rs <<<'pub(crate) struct Disk;'
}

# says NAME WANTED: of the tree a line with that is printed, or `nothing`.
says() {
	local got status=0
	got=$("$rooms" "$tree") || status=$?
	case $2:$status in
	nothing:0) [[ -z $got ]] ;;
	nothing:* | *:0) false ;;
	*) grep -qF -e "$2" <<<"$got" ;;
	esac || {
		printf '%s: expected %s, got status %s\n%s\n' "$1" "$2" "$status" "$got"
		failed=1
	}
}

fresh
says 'a tree as it should be' nothing

fresh
file src/store/table.rs <<-'END'
	use crate::zram::{
	    abstractions::disk::Disk,
	    device::Live, //
	};
END
says 'an import from above' 'src/store/table.rs:1: store may not use device, which is above it: crate::zram::device::Live'

fresh
file src/codecs/lz4.rs <<<$'fn level() -> usize {\n    crate::zram::streams::level()\n}'
file src/streams.rs <<<'pub(crate) fn level() -> usize { 1 }'
says 'a path from above' 'src/codecs/lz4.rs:2: codecs may not use streams'

fresh
file src/abstractions/kmap.rs <<<'use super::super::store::Store;'
says 'a path from above by way of super' 'src/abstractions/kmap.rs:1: abstractions may not use store'

fresh
file src/io.rs <<<'use crate::num_devices;'
says 'the crate root' 'src/io.rs:1: uses the crate root: crate::num_devices'

fresh
file src/helpers.rs <<<''
says 'a room that is none' "src/helpers.rs: there is no room 'helpers'"

fresh
file src/device/live.rs <<<'use crate::zram::io::Io;'
says 'two rooms that use each other' 'rooms in a circle: device, io'

fresh
file src/jobs.rs <<<'use crate::zram::io::Io;'
file src/device/live.rs <<<'use crate::zram::jobs::Job;'
says 'three rooms, one after the other' 'rooms in a circle: device, jobs, io'

fresh
file src/abstractions/disk.rs <<<'impl Disk { fn bio(&self) -> super::bio::Bio { todo() } }'
says 'two files that use each other' 'src/abstractions/disk.rs:1: super::bio::Bio, in src/abstractions/bio.rs'

fresh
file src/store/stats.rs <<<'use super::Slot;'
says 'a circle by way of what the parent imports' 'src/store/stats.rs:1: super::Slot, in src/store/slot.rs'

fresh
file src/store/table.rs <<-'END'
	pub(super) struct Table {
	    pub len: usize,
	    pub(super) root: usize,
	}
	impl Table {
	    pub fn len(&self) -> usize { self.len }
	    // A line with
	    // pub(crate) fn root
	}
	macro_rules! table {
	    () => {
	        pub(crate) enum Kind {}
	    };
	}
END
says 'members that reach as far as their type' nothing

fresh
file src/store/table.rs <<-'END'
	pub(crate) struct Table {
	    pub(crate) len: usize,
	}
END
says 'a field that says what its type says' 'src/store/table.rs:2: a member is pub'

fresh
file src/store/table.rs <<-'END'
	impl Table {
	    pub(crate) const unsafe fn len(&self) -> usize { 1 }
	}
END
says 'a method that says what its type says' 'src/store/table.rs:2: a member is pub'

fresh
file src/store/table.rs <<<'pub struct Table;'
says 'an item that is pub' 'src/store/table.rs:1: an item is at most pub(crate)'

fresh
file src/store/table.rs <<<$'mod bits {\n    pub use super::Slot;\n}'
says 'an import that is pub' 'src/store/table.rs:2: an item is at most pub(crate)'

exit "$failed"
