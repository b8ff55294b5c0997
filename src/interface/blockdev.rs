// SPDX-License-Identifier: GPL-2.0-only

//! The block device operations: bios, freed swap slots, and the list of a disk's files.
//!
//! All that faces swap is called from here.

#![forbid(unsafe_code)]

use super::attributes;
use crate::zram::{
    abstractions::{
        bio::Bio,
        disk::Operations,
        sched::AtomicContext,
        sysfs::Attribute, //
    },
    device::{
        Device,
        Live, //
    },
    io, //
};

impl Operations for Device {
    type Live = Live;

    const ATTRIBUTES: &'static [Attribute<Self>] = &attributes::ATTRIBUTES;

    fn submit(live: &Live, bio: &mut Bio<Self>) {
        io::submit(live, bio);
    }

    #[inline]
    fn swap_slot_free(live: &Live, index: usize, atomic: &AtomicContext) {
        io::swap_slot_free(live, index, atomic);
    }
}
