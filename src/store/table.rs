// SPDX-License-Identifier: GPL-2.0-only

//! The table of slots: how to find, lock and scan them.
//!
//! The memory of a slot is kept by RCU, or by a [`BioSlots`], until the slot is locked. From then
//! on the lock keeps it: [`Store::shrink`] frees a chunk of slots only after it has locked all of
//! them for good.

#![forbid(unsafe_code)]

use super::{
    bio_slots::BioSlots,
    slot::{
        Content,
        Slot,
        SlotGuard,
        SlotRef,
        Slots,
        CHUNK, //
    },
    sparse::SparseArray,
    word::SlotAttr,
    Store, //
};
use crate::zram::abstractions::sched::{
    cond_resched,
    AtomicContext, //
};
use core::ops::{
    ControlFlow,
    Range, //
};
use kernel::sync::rcu;

impl Store {
    /// Returns the slots for a bio to access; see [`BioSlots`].
    ///
    /// Context: Process context. May sleep until the result is dropped.
    #[inline]
    pub fn for_bio(&self) -> BioSlots<'_> {
        BioSlots::new(self)
    }

    /// Locks slot `index`, or returns `None` if there is no memory for it: then the slot is empty.
    ///
    /// Context: Process context. May sleep.
    pub fn lock(&self, index: usize) -> Option<SlotGuard<'_>> {
        let rcu = rcu::read_lock();
        let slot = Slots::under_rcu(self, &rcu).get(index)?;
        if let Some(guard) = slot.try_lock() {
            return Some(guard);
        }
        drop(rcu);
        self.wait(index)
    }

    /// Empties slot `index`; if it is locked, leaves that to the holder of the lock.
    ///
    /// The spinlock is that of a swap cluster, which other tasks wait for. So the object that the
    /// slot held is freed later, by a worker.
    ///
    /// Context: A spinlock is held. Does not sleep.
    #[inline]
    pub fn free(&self, index: usize, atomic: &AtomicContext) {
        let Some(slot) = Slots::in_atomic(self, atomic).get(index) else {
            return;
        };
        if let Some(mut guard) = slot.lock_or_free() {
            guard.empty_later();
        }
    }

    /// Locks each slot in `range` whose attributes are `wanted`, and calls `each`.
    ///
    /// `wanted` is asked before a slot is locked, and again when it is. So a slot that is not
    /// wanted costs no more than a look at it.
    ///
    /// Context: Process context. May sleep. `each` must not: it is called under the RCU read lock.
    pub fn for_each(
        &self,
        range: Range<usize>,
        wanted: impl Fn(SlotAttr) -> bool,
        mut each: impl FnMut(SlotGuard<'_>),
    ) {
        self.for_each_indexed(range, wanted, |_, guard| each(guard));
    }

    /// Does what [`Store::for_each`] does, and tells `each` the index of the slot as well.
    ///
    /// Context: Process context. May sleep. `each` must not: it is called under the RCU read lock.
    #[inline]
    pub fn for_each_indexed(
        &self,
        range: Range<usize>,
        wanted: impl Fn(SlotAttr) -> bool,
        mut each: impl FnMut(usize, SlotGuard<'_>),
    ) {
        self.visit(
            range,
            |slot| !wanted(slot.attr()),
            |index, guard| {
                if wanted(guard.attr()) {
                    each(index, guard);
                }
            },
        );
    }

    /// Empties the slots in `range`.
    ///
    /// Context: Process context. May sleep.
    pub fn free_range(&self, range: Range<usize>) {
        self.visit(
            range,
            |slot| slot.seems_unused() || slot.take_same(),
            |_, mut guard| guard.store(Content::Empty),
        );
    }

    /// Locks each slot in `range` but those that `skips` returns true for, and calls `each`.
    ///
    /// Context: Process context. May sleep. `skips` and `each` must not: they are called under the
    /// RCU read lock.
    #[inline]
    fn visit(
        &self,
        range: Range<usize>,
        skips: impl Fn(SlotRef<'_, '_>) -> bool,
        mut each: impl FnMut(usize, SlotGuard<'_>),
    ) {
        let _ = self.by_chunk(range, |mut rest| {
            while !rest.is_empty() {
                let rcu = rcu::read_lock();
                let slots = Slots::under_rcu(self, &rcu).rest_of_chunk(rest.start);
                let mut locked = None;
                for (index, slot) in rest.clone().zip(slots) {
                    if skips(slot) {
                        continue;
                    }
                    match slot.try_lock() {
                        Some(guard) => each(index, guard),
                        None => {
                            locked = Some(index);
                            break;
                        }
                    }
                }
                drop(rcu);
                // To wait for a slot means to sleep; then the rest of the chunk is looked up again.
                let Some(index) = locked else {
                    break;
                };
                if let Some(guard) = self.wait(index) {
                    each(index, guard);
                }
                rest.start = index.wrapping_add(1);
            }
            ControlFlow::<()>::Continue(())
        });
    }

    /// Calls `each` with the index and the attributes of each slot in `range` that is not empty,
    /// until it breaks.
    ///
    /// Takes no lock, so the attributes may be stale.
    ///
    /// Context: Process context. May sleep, and so may `each`.
    pub fn scan<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, SlotAttr) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.by_chunk(range, |mut rest| {
            while let Some((found, attr)) = self.next_in_chunk(rest.start, rest.end) {
                each(found, attr)?;
                rest.start = found.wrapping_add(1);
            }
            ControlFlow::Continue(())
        })
    }

    /// Does what [`Store::scan`] does for a sample of the slots: those of one in `stride` chunks.
    ///
    /// Context: Process context. May sleep, and so may `each`.
    pub fn sample<B>(
        &self,
        stride: usize,
        mut each: impl FnMut(usize, SlotAttr) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.by_chunk(0..self.len(), |chunk| {
            if (chunk.start / CHUNK) % stride.max(1) != 0 {
                return ControlFlow::Continue(());
            }
            self.scan(chunk, &mut each)
        })
    }

    /// Calls `each` with the part of `range` in each chunk, until it breaks.
    ///
    /// Chunks whose node does not exist are left out.
    ///
    /// Context: Process context. May sleep.
    #[inline]
    fn by_chunk<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(Range<usize>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let end = range.end.min(self.len());
        let mut index = range.start;
        while index < end {
            let next = SparseArray::<Slot, CHUNK>::chunk_end(index);
            each(index..next.min(end))?;
            if next >= end {
                break;
            }
            index = self.slots.skip_absent(next, end);
            cond_resched();
        }
        ControlFlow::Continue(())
    }

    /// Returns the first slot in `start..end` that does not look empty, and its attributes.
    ///
    /// `start..end` lies within one chunk.
    fn next_in_chunk(&self, start: usize, end: usize) -> Option<(usize, SlotAttr)> {
        if start >= end {
            return None;
        }
        let rcu = rcu::read_lock();
        let slots = Slots::under_rcu(self, &rcu).rest_of_chunk(start);
        let mut attrs = (start..end).zip(slots.map(|slot| slot.attr()));
        attrs.find(|(_, attr)| !attr.is_empty())
    }

    /// Sleeps until slot `index` is locked for the caller, or returns `None` if its memory is gone.
    ///
    /// Context: Process context. May sleep.
    #[cold]
    pub(super) fn wait(&self, index: usize) -> Option<SlotGuard<'_>> {
        self.lockdep.acquire(false);
        let locked = self.waiters.wait(index % CHUNK, || {
            let rcu = rcu::read_lock();
            let Some(slot) = Slots::under_rcu(self, &rcu).get(index) else {
                return Some(None);
            };
            slot.lock_or_wait().map(Some)
        });
        if locked.is_none() {
            self.lockdep.release();
        }
        locked
    }
}
