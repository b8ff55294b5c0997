// SPDX-License-Identifier: GPL-2.0-only

//! Reads: pages in memory are read here, those on the backing device in [`super::read_back`].

#![forbid(unsafe_code)]

use super::{
    read_back::{
        is_shared,
        read_back,
        read_shared, //
    },
    Bio,
    BioPage,
    Pieces, //
};
use crate::zram::{
    abstractions::{
        bio::Reading,
        sched::boot_seconds,
        zsmalloc::Object, //
    },
    device::{
        Live,
        Tier, //
    },
    store::{
        ContentRef,
        SlotGuard, //
    }, //
};
use kernel::prelude::*;

/// Reads the pages of `bio`.
///
/// Context: Process context. May sleep, but does not wait for a device.
///
/// # Errors
///
/// `EINVAL` for a page that can't be decompressed; `EIO` for one on a backing device that is not
/// there. The pages before are read then.
pub(super) fn read(live: &Live, bio: &Bio) -> Result {
    let slots = live.store.for_bio();
    let now = boot_seconds();
    for (index, page) in bio.pages::<Reading>()? {
        loop {
            match slots.lock(index) {
                Some(slot) if slot.attr().is_written() => {
                    let shared = is_shared(live, slot.attr());
                    drop(slot);
                    live.tiers.note_read(index, Tier::Written, now);
                    let read = if shared { read_shared } else { read_back };
                    if read(live, &slots, index, &page, now)? {
                        break;
                    }
                }
                Some(mut slot) => {
                    read_slot(live, &slot, &page)
                        .inspect_err(|&error| log_failure(index, error))?;
                    if slot.attr().priority() > 0 {
                        live.tiers.note_read(index, Tier::Recompressed, now);
                    }
                    slot.touch(now);
                    break;
                }
                None => break page.fill(0),
            }
        }
    }
    Ok(())
}

/// Reads the page in `slot`, which is not on the backing device.
#[inline(always)]
fn read_slot(live: &Live, slot: &SlotGuard<'_>, page: &BioPage<'_, Reading>) -> Result {
    let priority = slot.attr().priority();
    slot.view(|content| {
        match (content, page) {
            (ContentRef::Object(object), BioPage::Whole(page)) => {
                live.decompress(object, priority, page.map().page_mut())?;
            }
            (ContentRef::Object(object), BioPage::Pieces(pieces)) => {
                decompress_to_pieces(live, object, priority, pieces)?;
            }
            (ContentRef::Same(element), page) => page.fill(element),
            (ContentRef::Empty, page) => page.fill(0),
            (ContentRef::Written, _) => return Err(EIO),
        }
        Ok(())
    })
}

/// Reads `object`, which is huge or was compressed by the algorithm of `priority`, to `pieces`.
#[cold]
fn decompress_to_pieces(
    live: &Live,
    object: &Object<'_>,
    priority: u8,
    pieces: &Pieces<'_, Reading>,
) -> Result {
    if let Some(bytes) = object.read_huge() {
        pieces.scatter(bytes.first_chunk().ok_or(EINVAL)?);
        return Ok(());
    }
    live.zcomp(priority)
        .ok_or(EINVAL)?
        .stream()
        .decompress_to_pieces(object, pieces)
}

/// Logs that page `index` can't be decompressed.
#[cold]
pub(super) fn log_failure(index: usize, error: Error) {
    pr_err!(
        "Decompression failed! err={}, page={}\n",
        error.to_errno(),
        index
    );
}
