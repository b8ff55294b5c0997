// SPDX-License-Identifier: GPL-2.0-only

//! What is stored for the pages of a disk: slots, the objects and blocks that they own, and what is counted of
//! them.
//!
//! Slots have memory only where something was stored, so that an empty disk costs next to nothing however large
//! it is. A slot is two words: one with its lock and the attributes of its content, and one with the content, or
//! the handle of it.
//!
//! Lock order: slot → stream → zsmalloc. A task has one slot locked at a time, for as long as it takes to
//! compress or decompress one page: not while it waits for memory, or for a device.

mod bio_slots;
mod blocks;
#[expect(unsafe_code)]
mod slot;
#[expect(unsafe_code)]
mod sparse;
mod stats;
mod table;
mod waiters;
mod word;

use crate::zram::abstractions::{
    lockdep,
    zsmalloc::Pool, //
};
pub(crate) use bio_slots::BioSlots;
use blocks::Blocks;
pub(crate) use blocks::{
    Block,
    BlockRead,
    Reservation, //
};
use core::ops::ControlFlow;
use kernel::{
    prelude::*,
    static_lock_class,
    sync::Arc, //
};
pub(crate) use slot::{
    Content,
    ContentRef,
    SlotGuard, //
};
use slot::{
    Slot,
    CHUNK, //
};
use sparse::SparseArray;
use stats::Stats;
pub(crate) use stats::{
    count,
    Stat, //
};
use waiters::Waiters;
pub(crate) use word::SlotAttr;

/// The slots of a disk, and the pool of their objects.
pub(crate) struct Store {
    slots: SparseArray<Slot, CHUNK>,
    pool: Pool,
    blocks: Arc<Blocks>,
    stats: Stats,
    waiters: Pin<KBox<Waiters>>,
    lockdep: lockdep::Map,
}

impl Store {
    /// Makes a table of `len` empty slots, with a backing device of `blocks` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(crate) fn new(name: &CStr, len: usize, blocks: usize) -> Result<Self> {
        Ok(Self {
            slots: SparseArray::new(len)?,
            pool: Pool::new(name)?,
            // No more than there are pages are ever in use.
            blocks: Blocks::new(blocks.min(len))?,
            stats: Stats::new()?,
            waiters: KBox::pin_init(Waiters::new(), GFP_KERNEL)?,
            lockdep: lockdep::Map::new(c"zram_slot", static_lock_class!())?,
        })
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where the objects come from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Which blocks of the backing device are in use.
    pub(crate) fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// What is stored, and what happened.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.scan(0..self.len(), |index, _| {
            if let Some(mut slot) = self.lock(index) {
                slot.store(Content::Empty);
            }
            ControlFlow::<()>::Continue(())
        });
    }
}
