// SPDX-License-Identifier: GPL-2.0-only

//! Reads of pages on the backing device, with both halves: [`read_back`] and [`read_shared`] start
//! a read, and [`ReadEnd::end`] is called when the device has answered.
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
        page::{
            PageBox,
            PageBuf, //
        },
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
        Location,
        Place,
        Reservation,
        SlotAttr,
        SlotGuard, //
    }, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::UniqueArc, //
};

/// A read of a block that is the page.
struct WholeRead {
    /// Keeps the block from being used for another page until the read has ended.
    _block: BlockRead,
}

/// A read of a block that has the page, compressed, among others.
struct SharedRead {
    /// Keeps the block from being used for other pages until the read has ended.
    block: BlockRead,
    /// The part of the block that is the page.
    bytes: Range<usize>,
    /// The priority of the algorithm that compressed it.
    priority: u8,
}

/// Starts to read page `index` of the disk, which has a block of the backing device of its own, to
/// `page`, or returns false if it has no such block any more.
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
    let Some((slot, place)) = lock_written(live, slots, index, false) else {
        return Ok(false);
    };
    let read = WholeRead {
        _block: start(live, slot, place, reservation, now),
    };
    backing.read(live.store.blocks().locate(place).block, request, read);
    Ok(true)
}

/// Reads page `index` as [`read_back`] does, if it shares a block with others: at once if the block
/// was read a moment ago.
///
/// # Errors
///
/// `EIO` if there is no backing device; `EINVAL` if the page can't be decompressed.
#[cold]
pub(super) fn read_shared(
    live: &Live,
    slots: &BioSlots<'_>,
    index: usize,
    page: &BioPage<'_, Reading>,
    now: u32,
) -> Result<bool> {
    let backing = live.backing.as_ref().ok_or(EIO)?;
    let blocks = live.store.blocks();
    let mut memory = None;
    loop {
        let Some((mut slot, place)) = lock_written(live, slots, index, true) else {
            return Ok(false);
        };
        let priority = slot.attr().priority();
        let Location { block, bytes } = blocks.locate(place);
        if let Some(block) = blocks.kept(place) {
            slot.touch(now);
            drop(slot);
            let bytes = block.0.get(bytes).ok_or(EINVAL)?;
            unpack_to(live, priority, bytes, page)?;
            return Ok(true);
        }
        let Some((request, reservation)) = memory.take() else {
            drop(slot);
            let new = || Ok((ReadRequest::new(page)?, Reservation::new()?));
            memory = Some(Patience::Waits.allocate(new)?);
            continue;
        };
        let read = SharedRead {
            block: start(live, slot, place, reservation, now),
            bytes,
            priority,
        };
        backing.read(block, request, read);
        return Ok(true);
    }
}

/// Locks slot `index` if its page is on the backing device, and shares a block there or not.
fn lock_written<'t>(
    live: &Live,
    slots: &BioSlots<'t>,
    index: usize,
    shares: bool,
) -> Option<(SlotGuard<'t>, Place)> {
    let slot = slots.lock(index)?;
    let place = slot.written()?;
    (is_shared(live, slot.attr()) == shares).then_some((slot, place))
}

/// Returns whether a page with the attributes `attr` shares its block on the backing device.
pub(super) fn is_shared(live: &Live, attr: SlotAttr) -> bool {
    live.compressed_writeback && !attr.is_huge()
}

/// Pins the block of `slot`, whose page is at `place`, and unlocks it.
fn start(
    live: &Live,
    mut slot: SlotGuard<'_>,
    place: Place,
    reservation: Reservation,
    now: u32,
) -> BlockRead {
    let read = live.store.blocks().read(place, reservation);
    slot.touch(now);
    drop(slot);
    count!(live.store.stats(), BdReads);
    read
}

impl ReadEnd<Device> for WholeRead {
    type Buffer = ();

    fn end(self, _: &Live, (): (), _: RacyPageMut<'_>) -> Result {
        Ok(())
    }
}

impl ReadEnd<Device> for SharedRead {
    type Buffer = UniqueArc<PageBox<PageBuf>>;

    fn end(self, live: &Live, block: Self::Buffer, page: RacyPageMut<'_>) -> Result {
        let Self {
            block: read,
            bytes,
            priority,
        } = self;
        let bytes = block.0.get(bytes).ok_or(EINVAL)?;
        let mut stream = live.zcomp(priority).ok_or(EINVAL)?.stream();
        stream.decompress(bytes, page)?;
        drop(stream);
        read.keep(block.into());
        Ok(())
    }
}

/// Decompresses `bytes`, which the algorithm of `priority` made, to `page`.
fn unpack_to(live: &Live, priority: u8, bytes: &[u8], page: &BioPage<'_, Reading>) -> Result {
    let mut stream = live.zcomp(priority).ok_or(EINVAL)?.stream();
    match page {
        BioPage::Whole(page) => stream.decompress(bytes, page.map().page_mut()),
        BioPage::Pieces(pieces) => stream.decompress_bytes_to_pieces(bytes, pieces),
    }
}

/// Replaces `block`, as the backing device had it, by the page that it has at `place`.
///
/// `attr` is that of the page's slot.
///
/// Context: Process context. Sleeps while another task has this CPU's stream.
///
/// # Errors
///
/// `EINVAL` if the data is corrupt.
pub(super) fn unpack(live: &Live, attr: SlotAttr, place: Place, block: &mut PageBuf) -> Result {
    if !is_shared(live, attr) {
        return Ok(());
    }
    let mut stream = live.zcomp(attr.priority()).ok_or(EINVAL)?.stream();
    stream.decompress_in_place(block, live.store.blocks().locate(place).bytes)
}
