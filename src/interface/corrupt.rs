// SPDX-License-Identifier: GPL-2.0-only

//! The debugfs file `corrupt`, which damages a stored page to test the decompressors.
//!
//! It is built only for kernels with `CONFIG_FAULT_INJECTION`, which no distribution ships.

#![forbid(unsafe_code)]

use super::args;
use crate::zram::{
    abstractions::{
        debugfs::Reader,
        page::PageBuf,
        racy::RacyPageMut, //
    },
    device::{
        Device,
        Live, //
    },
    store::{
        Content,
        ContentRef, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The file `corrupt`, which takes `PAGE BIT` and flips that bit, counted from 0, of the object
/// that is stored for that page.
pub(super) struct CorruptFile(pub(super) Arc<Device>);

impl Reader for CorruptFile {
    fn read_from(&self, arg: &[u8]) -> Result {
        let arg = args::strip_newline(arg);
        let space = arg.iter().position(|&byte| byte == b' ').ok_or(EINVAL)?;
        let (index, bit) = arg.split_at_checked(space).ok_or(EINVAL)?;
        let index = args::kstrtouint(index)?;
        let bit = args::kstrtouint(bit.strip_prefix(b" ").ok_or(EINVAL)?)?;
        self.0.with_live_pinned(|live| corrupt(live, index, bit))
    }
}

/// Replaces the object of slot `index` by a copy with one bit flipped, and decompresses that.
///
/// Context: Process context. May sleep.
///
/// # Errors
///
/// `ENOENT` if the slot has no object; `ERANGE` if the object has no such bit; `ENOMEM`.
fn corrupt(live: &Live, index: usize, bit: usize) -> Result {
    let mut page = KBox::init(pin_init::init_zeroed::<PageBuf>(), GFP_KERNEL)?;
    let mut slot = live.store.lock(index).ok_or(ENOENT)?;
    let priority = slot.attr().priority();
    let bytes = slot.view(|view| {
        let ContentRef::Object(object) = view else {
            return Err(ENOENT);
        };
        // No reclaim, which may want the slot that is locked here.
        let mut bytes = KVec::with_capacity(object.size(), GFP_NOWAIT)?;
        bytes.extend_from_slice(&object.read(&mut page.0), GFP_NOWAIT)?;
        *bytes.get_mut(bit / 8).ok_or(ERANGE)? ^= 1 << (bit % 8);
        Ok(bytes)
    })?;
    let mut object = live.store.pool().try_alloc(bytes.len(), -1)?;
    object.write(bytes.as_slice().into());
    let huge = object.read_huge().is_some();
    slot.store(Content::Object(object, priority));
    drop(slot);

    // KASAN knows where this copy ends, but not where an object ends in the pool. So it is here
    // that a decompressor which reads beyond the end is found. That the data is corrupt is no error
    // of this file; whoever reads the page gets it.
    if !huge {
        let zcomp = live.zcomp(priority).ok_or(EINVAL)?;
        let _ = zcomp
            .stream()
            .decompress(&bytes, RacyPageMut::from(&mut *page));
    }
    Ok(())
}
