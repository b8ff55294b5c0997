// SPDX-License-Identifier: GPL-2.0-only

//! Reads of pages on the backing device, with both halves: [`read_back`] starts a read, and
//! [`ReadEnd::end`] is called when the device has answered.
//!
//! Between the two a [`BlockRead`] pins the block, and the slot is not locked. So the page can be
//! written, discarded or freed meanwhile, without waiting for the device.

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
    /// Keeps the block from being used for another page until the read has ended.
    _block: BlockRead,
    /// The attributes of the page when the read started.
    attr: SlotAttr,
}

/// Starts to read page `index` of the disk from the backing device to `page`, or returns false if
/// the page is not on the device any more.
///
/// The access counts for `now`, in seconds since boot.
///
/// Context: Process context. Waits for memory, so the caller holds no slot and no stream; does not
/// wait for the device.
///
/// # Errors
///
/// `EIO` if there is no backing device.
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
    fn end(self, live: &Live, page: RacyPageMut<'_>) -> Result {
        unpack(live, self.attr, page)
    }
}

/// Decompresses `page` in place, if it is compressed on the backing device.
///
/// `attr` is that of the page's slot.
///
/// Context: Process context. Sleeps while another task has this CPU's stream.
///
/// # Errors
///
/// `EINVAL` if the data is corrupt.
pub(super) fn unpack(live: &Live, attr: SlotAttr, page: RacyPageMut<'_>) -> Result {
    if !live.compressed_writeback || attr.is_huge() {
        return Ok(());
    }
    let mut stream = live.zcomp(attr.priority()).ok_or(EINVAL)?.stream();
    stream.decompress_in_place(page, attr.size())
}
