// SPDX-License-Identifier: GPL-2.0-only

//! Storage of a disk's pages: the slots, the objects and blocks that they own, and the statistics.
//!
//! Slots have memory only where something was stored, so an empty disk costs next to nothing
//! however large it is. A slot is two machine words: `word` with the lock and the attributes of the
//! content, and `value` with the content itself or the handle of it.
//!
//! Lock order: slot → stream → zsmalloc. A task locks one slot at a time, for at most the time that
//! it takes to compress or decompress one page. It holds no slot while it waits for memory or for a
//! device.

mod bio_slots;
mod blocks;
#[expect(unsafe_code)]
mod growing;
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
    workqueue::Workqueue,
    zsmalloc::Pool, //
};
pub(crate) use bio_slots::BioSlots;
use blocks::Blocks;
pub(crate) use blocks::{
    Block,
    BlockRead,
    Location,
    Place,
    Reservation, //
};
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
pub(crate) use word::{
    Selector,
    SlotAttr, //
};

/// The slots of a disk, and all that they own.
pub(crate) struct Store {
    slots: SparseArray<Slot, CHUNK>,
    pool: Pool,
    /// The blocks of the backing device, shared with each read of one.
    blocks: Arc<Blocks>,
    stats: Stats,
    /// The tasks that wait for a slot's lock.
    waiters: Pin<KBox<Waiters>>,
    /// The lock class of all slots, as lockdep knows nothing of a lock that is a bit.
    lockdep: lockdep::Map,
}

/// The memory that a store takes to grow: see [`Store::growth`].
pub(crate) struct Growth {
    slots: sparse::Extension<Slot, CHUNK>,
    blocks: blocks::Growth,
}

impl Store {
    /// Creates a store of `len` empty slots, for a backing device of `blocks` pages.
    ///
    /// `name` is that of the zsmalloc pool, whose objects in swap slots that are freed a worker of
    /// `queue` frees. If objects share blocks, `shared` is true.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. The allocations that grow with `len` or `blocks` fail without a warning in the
    /// log.
    pub fn new(
        name: &CStr,
        len: usize,
        blocks: usize,
        shared: bool,
        queue: &Arc<Workqueue>,
    ) -> Result<Self> {
        Ok(Self {
            slots: SparseArray::new(len)?,
            pool: Pool::new(name, queue)?,
            blocks: Blocks::new(blocks, len, shared)?,
            stats: Stats::new()?,
            waiters: KBox::pin_init(Waiters::new(), GFP_KERNEL)?,
            lockdep: lockdep::Map::new(c"zram_slot", static_lock_class!())?,
        })
    }

    /// Allocates what the store takes to grow to `len` slots.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, as for a new store.
    pub fn growth(&self, len: usize) -> Result<Growth> {
        Ok(Growth {
            slots: self.slots.extension(len)?,
            blocks: self.blocks.growth(len)?,
        })
    }

    /// Grows the store to the number of slots that `growth` was made for; all others stay as they
    /// are.
    ///
    /// Context: Any context.
    pub fn grow(&self, growth: Growth) {
        self.blocks.grow(growth.blocks);
        self.slots.grow(growth.slots);
    }

    /// Returns the number of slots, which is the disk's size in pages.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the pool that all objects are allocated from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the map of the blocks of the backing device.
    pub fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// Returns the statistics.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.for_each(
            0..self.len(),
            |attr| !attr.is_empty(),
            |mut slot| slot.store(Content::Empty),
        );
    }
}
