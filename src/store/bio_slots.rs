// SPDX-License-Identifier: GPL-2.0-only

//! The slots as a bio accesses them.

#![forbid(unsafe_code)]

use super::{
    slot::{
        Content,
        PinnedSlots,
        SlotGuard,
        SlotRef, //
    },
    word::SlotAttr,
    Store, //
};
use crate::zram::abstractions::memory::Patience;
use kernel::prelude::*;

/// The slots of a store, for a bio that is being carried out.
///
/// Holds the SRCU read lock of the slots, so that the memory of no slot that is found is freed
/// before this is dropped. Unlike RCU, that allows the holder to sleep.
pub(crate) struct BioSlots<'t> {
    slots: PinnedSlots<'t>,
}

impl<'t> BioSlots<'t> {
    /// Takes the lock on the slots of `store`.
    ///
    /// Context: Process context. May sleep until the result is dropped.
    #[inline]
    pub(super) fn new(store: &'t Store) -> Self {
        Self {
            slots: PinnedSlots::new(store),
        }
    }

    /// Locks slot `index`, or returns `None` if there is no memory for it: then the slot is empty.
    ///
    /// Context: Process context. May sleep.
    #[inline]
    pub fn lock(&self, index: usize) -> Option<SlotGuard<'t>> {
        self.lock_this(self.slots.reader().get(index)?, index)
    }

    /// Locks slot `index`, which was found at `slot`.
    ///
    /// Returns `None` if [`Store::shrink`] has unlinked the slot since.
    ///
    /// Context: Process context. May sleep.
    #[inline]
    fn lock_this(&self, slot: SlotRef<'_, 't>, index: usize) -> Option<SlotGuard<'t>> {
        match slot.try_lock() {
            Some(guard) => Some(guard),
            None => self.slots.store().wait(index),
        }
    }

    /// Stores `content` in slot `index`, frees what the slot held before, and accounts for both.
    ///
    /// `seconds` is the time of the access, since boot. `patience` is asked if the slot has no
    /// memory yet, and decides whether to wait for it.
    ///
    /// Context: Process context. May sleep. The caller holds no slot and no stream.
    ///
    /// # Errors
    ///
    /// - `ENOMEM` if there is no memory and `patience` does not wait for it.
    /// - `EINVAL` if `index` is beyond the end of the disk.
    #[inline(always)]
    pub fn store(
        &self,
        index: usize,
        content: Content<'t>,
        seconds: u32,
        patience: impl FnOnce() -> Patience,
    ) -> Result {
        let mut slot = match self.lock(index) {
            Some(slot) => slot,
            None => self.lock_new(index, patience())?,
        };
        slot.store(content);
        slot.touch(seconds);
        Ok(())
    }

    /// Locks slot `index`, and allocates memory for it first if there is none.
    ///
    /// Loops because [`Store::shrink`] may free the memory again before the slot is locked.
    ///
    /// Context: Process context. May sleep. The caller holds no slot and no stream.
    ///
    /// # Errors
    ///
    /// Those of [`BioSlots::store`].
    #[cold]
    pub fn lock_new(&self, index: usize, patience: Patience) -> Result<SlotGuard<'t>> {
        loop {
            patience.allocate(|| self.slots.store().slots.populate(index))?;
            if let Some(slot) = self.lock(index) {
                return Ok(slot);
            }
        }
    }

    /// Locks slot `index` if it holds a huge page in memory, or else returns `None`.
    ///
    /// Context: Process context. May sleep.
    #[inline]
    pub fn lock_huge(&self, index: usize) -> Option<SlotGuard<'t>> {
        let here = |attr: SlotAttr| attr.is_huge() && !attr.is_written();
        let slot = self.slots.reader().get(index)?;
        if !here(slot.attr()) {
            return None;
        }
        self.lock_this(slot, index).filter(|slot| here(slot.attr()))
    }
}
