// SPDX-License-Identifier: GPL-2.0-only

//! The table of slots: finding one, locking it, and going over all.
//!
//! A slot that is looked at stays for as long as a [`BioSlots`] lives, or under RCU, and then by its lock:
//! [`Store::shrink`] frees slots only when it has locked all of a page of them for good.

#![forbid(unsafe_code)]

use super::{
    bio_slots::BioSlots,
    slot::{
        Content,
        Slot,
        SlotGuard,
        CHUNK, //
    },
    sparse::SparseArray,
    word::SlotAttr,
    Store, //
};
use crate::zram::abstractions::{
    disk::OutsideIo,
    sched::{
        cond_resched,
        AtomicContext, //
    }, //
};
use core::ops::{
    ControlFlow,
    Range, //
};
use kernel::sync::rcu;

impl Store {
    /// The table as a bio sees it: no slot goes away before the result does. Its holder may sleep.
    #[inline]
    pub(crate) fn for_bio(&self) -> BioSlots<'_> {
        BioSlots {
            store: self,
            slots: self.slots.pin(),
        }
    }

    /// Locks slot `index`; nothing, if nothing near it was ever stored. May sleep.
    pub(crate) fn lock(&self, index: usize) -> Option<SlotGuard<'_>> {
        let rcu = rcu::read_lock();
        let slot = self.slots.under_rcu(&rcu).get(index)?;
        if let Some(guard) = slot.try_lock(self) {
            return Some(guard);
        }
        drop(rcu);
        self.wait(index)
    }

    /// Empties slot `index`, now or when who has it locked unlocks it.
    #[inline]
    pub(crate) fn free(&self, index: usize, atomic: &AtomicContext) {
        let Some(slot) = self.slots.in_atomic(atomic).get(index) else {
            return;
        };
        if let Some(mut guard) = slot.lock_or_free(self) {
            guard.store(Content::Empty);
        }
    }

    /// Calls `each` for the slots in `range` that have an object or a word, locked, until it says
    /// otherwise. May sleep, and so may `each`.
    pub(crate) fn for_each<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, SlotGuard<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let wanted = |attr: SlotAttr| !attr.is_empty() && !attr.is_written();
        self.scan(range, |index, attr| {
            match wanted(attr).then(|| self.lock(index)).flatten() {
                Some(guard) if wanted(guard.attr()) => each(index, guard),
                _ => ControlFlow::Continue(()),
            }
        })
    }

    /// Calls `each` for the slots in `range` that hold something, or seem to, with what goes with
    /// that at the moment, until it says otherwise. Takes no lock. May sleep, and so may `each`.
    pub(crate) fn scan<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, SlotAttr) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let end = range.end.min(self.len());
        let mut index = self.slots.skip_absent(range.start);
        while index < end {
            let next = SparseArray::<Slot, CHUNK>::chunk_end(index);
            while let Some((found, attr)) = self.next_in_chunk(index, next.min(end)) {
                each(found, attr)?;
                index = found.wrapping_add(1);
            }
            index = self.slots.skip_absent(next);
            cond_resched();
        }
        ControlFlow::Continue(())
    }

    /// The first slot of a chunk, from `start` to before `end`, that seems to hold something.
    fn next_in_chunk(&self, start: usize, end: usize) -> Option<(usize, SlotAttr)> {
        if start >= end {
            return None;
        }
        let rcu = rcu::read_lock();
        let chunk = self.slots.under_rcu(&rcu).chunk(start)?;
        let slots = chunk.iter().skip(start % CHUNK);
        let attrs = slots.map(|slot| slot.word.attr());
        (start..end).zip(attrs).find(|(_, attr)| !attr.is_empty())
    }

    /// Frees the memory of slots that are empty, page by page. Waits for bios that are in the driver; may
    /// sleep.
    pub(crate) fn shrink(&self, outside_io: OutsideIo<'_>) {
        // Who waits for a slot that is gone looks again, and finds none.
        self.slots.shrink(
            outside_io,
            |chunk| self.lock_empty(chunk),
            || self.waiters.wake_all(),
        );
    }

    /// Locks all slots of a chunk for good, if they are empty and nobody has one locked.
    fn lock_empty(&self, chunk: &[Slot; CHUNK]) -> bool {
        if !chunk.iter().all(|slot| slot.word.seems_unused()) {
            return false;
        }
        for (locked, slot) in chunk.iter().enumerate() {
            match slot.try_lock(self) {
                Some(guard) if guard.attr().is_empty() => {
                    guard.keep_locked();
                    continue;
                }
                _ => {}
            }
            for slot in chunk.iter().take(locked) {
                drop(slot.resume(self));
            }
            return false;
        }
        true
    }

    /// Sleeps until slot `index` can be locked; nothing, if it is gone.
    #[cold]
    pub(super) fn wait(&self, index: usize) -> Option<SlotGuard<'_>> {
        self.lockdep.acquire(false);
        let locked = self.waiters.wait(index % CHUNK, || {
            let rcu = rcu::read_lock();
            let Some(slot) = self.slots.under_rcu(&rcu).get(index) else {
                return Some(None);
            };
            slot.lock_or_wait(self).map(Some)
        });
        if locked.is_none() {
            self.lockdep.release();
        }
        locked
    }
}
