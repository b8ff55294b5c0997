// SPDX-License-Identifier: GPL-2.0-only

//! Reads of pages on the backing device: how they start, and how they end.
//!
//! A read keeps the block, not the slot, so that nobody who wants the page waits for the device.

#![forbid(unsafe_code)]

use super::BioPage;
use crate::zram::{
    abstractions::{
        backing_device::{
            ReadEnd,
            ReadRequest, //
        },
        bio::Reading,
        memory::Patience,
        racy::RacyPageMut, //
    },
    device::{
        Device,
        Live, //
    },
    store::{
        count,
        BioSlots,
        BlockRead,
        Reservation,
        SlotAttr, //
    }, //
};
use kernel::prelude::*;

/// A read that is under way.
struct ReadBack {
    /// Keeps the block, whatever becomes of the page meanwhile.
    _block: BlockRead,
    /// The attributes of the page when the read started.
    attr: SlotAttr,
}

/// Starts to read page `index`, which was on the backing device a moment ago, to `page`; returns false if it is not
/// there any more.
///
/// Waits for memory with nothing locked, and not for the device.
///
/// Context: Process context. May sleep.
#[cold]
pub(super) fn read_back(
    live: &Live,
    slots: &BioSlots<'_>,
    index: usize,
    page: &BioPage<'_, Reading>,
    now: u32,
) -> Result<bool> {
    let backing = live.backing.as_ref().ok_or(EIO)?;
    let (request, reservation) =
        Patience::Waits.allocate(|| Ok((ReadRequest::new(page)?, Reservation::new()?)))?;
    let Some(mut slot) = slots.lock(index) else {
        return Ok(false);
    };
    let Some(block) = slot.written() else {
        return Ok(false);
    };
    let read = ReadBack {
        _block: live.store.blocks().read(block, reservation),
        attr: slot.attr(),
    };
    slot.touch(now);
    drop(slot);
    count!(live.store.stats(), BdReads);
    backing.read(block, request, read);
    Ok(true)
}

impl ReadEnd<Device> for ReadBack {
    /// Decompresses `page`, if pages are written back as they are stored.
    fn end(self, live: &Live, page: RacyPageMut<'_>) -> Result {
        let attr = self.attr;
        if !live.compressed_writeback || attr.is_huge() {
            return Ok(());
        }
        let mut stream = live.zcomp(attr.priority()).ok_or(EINVAL)?.stream();
        stream.decompress_in_place(page, attr.size())
    }
}
