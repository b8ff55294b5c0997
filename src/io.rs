// SPDX-License-Identifier: GPL-2.0-only

//! I/O: carries out bios, and frees swap slots.

#![forbid(unsafe_code)]

mod read;
mod read_back;
mod write;
mod write_part;

use crate::zram::{
    abstractions::{
        bio::{
            self,
            Operation, //
        },
        sched::AtomicContext, //
    },
    device::{
        Device,
        Live, //
    },
    store::count, //
};
use read::read;
use write::write;

type Bio = bio::Bio<Device>;
type BioPage<'b, D> = bio::BioPage<'b, Device, D>;
type Pieces<'b, D> = bio::Pieces<'b, Device, D>;

/// Carries out `bio`: reads, writes or frees its pages, and marks it as failed if that fails.
///
/// Reads from the backing device may still be under way when this returns; the bio ends after them.
///
/// Context: Process context. May sleep, but does not wait for a device.
pub(super) fn submit(live: &Live, bio: &mut Bio) {
    let Ok((first, pages)) = bio.page_range() else {
        return bio.fail();
    };
    match bio.operation() {
        Operation::Read => bio.accounted(|bio| {
            if read(live, bio).is_err() {
                count!(live.store.stats(), FailedReads);
                bio.fail();
            }
        }),
        Operation::Write => bio.accounted(|bio| {
            if write(live, bio).is_err() {
                count!(live.store.stats(), FailedWrites);
                bio.fail();
            }
        }),
        Operation::Free => {
            live.store.free_range(first..first.saturating_add(pages));
            count!(live.store.stats(), NotifyFree, pages as i64);
        }
        Operation::Other => bio.fail(),
    }
}

/// Frees page `index`, which swap does not need any more.
///
/// If the slot is locked, its holder empties it when it unlocks it.
///
/// Context: A spinlock is held.
#[inline]
pub(super) fn swap_slot_free(live: &Live, index: usize, atomic: &AtomicContext) {
    count!(live.store.stats(), NotifyFree);
    live.store.free(index, atomic);
}
