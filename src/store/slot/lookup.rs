// SPDX-License-Identifier: GPL-2.0-only

//! Slots as they are found: each with the store that it belongs to, which it is locked for.

#![forbid(unsafe_code)]

use super::{
    super::{
        sparse::{
            Pinned,
            SparseReader, //
        },
        word::{
            Held,
            Request,
            SlotAttr, //
        },
        Store, //
    },
    Slot,
    SlotGuard,
    CHUNK, //
};
use crate::zram::abstractions::{
    disk::OutsideIo,
    sched::AtomicContext, //
};
use core::ptr::NonNull;
use kernel::sync::rcu;

/// A slot that was found, and its store.
///
/// # Invariants
///
/// `slot` is a slot of `store`.
#[derive(Clone, Copy)]
pub(in super::super) struct SlotRef<'r, 't> {
    store: &'t Store,
    slot: &'r Slot,
}

impl<'r, 't> SlotRef<'r, 't> {
    /// Returns `slots`, which are some of `store`, each with it.
    #[inline]
    fn each(store: &'t Store, slots: &'r [Slot]) -> impl Iterator<Item = SlotRef<'r, 't>> {
        // INVARIANT: The callers found `slots` in the array of `store`.
        slots.iter().map(move |slot| Self { store, slot })
    }

    /// Returns the attributes of the content, which may be stale.
    #[inline]
    pub(in super::super) fn attr(self) -> SlotAttr {
        self.slot.word.attr()
    }

    /// Returns whether the slot is empty and not locked, which may change at any time.
    #[inline]
    pub(in super::super) fn seems_unused(self) -> bool {
        self.slot.word.seems_unused()
    }

    /// Empties the slot, accounts for that and returns true, if it is same-filled and not locked.
    ///
    /// Context: Any context.
    #[inline]
    pub(in super::super) fn take_same(self) -> bool {
        let same = self.slot.word.take_same();
        same.is_some_and(|same| {
            self.store.stats.account::<-1>(same);
            true
        })
    }

    /// Locks the slot, or returns `None` if it is locked or has just changed.
    ///
    /// Context: Any context.
    #[inline]
    pub(in super::super) fn try_lock(self) -> Option<SlotGuard<'t>> {
        let held = self.slot.word.try_lock()?;
        self.store.lockdep.acquire(true);
        Some(self.guard(held))
    }

    /// Locks the slot; if it is locked, asks the holder to empty it and returns `None`.
    ///
    /// Context: Any context.
    #[inline]
    pub(in super::super) fn lock_or_free(self) -> Option<SlotGuard<'t>> {
        if let Some(guard) = self.try_lock() {
            return Some(guard);
        }
        let held = self.slot.word.lock_or(Request::Free)?;
        self.store.lockdep.acquire(true);
        Some(self.guard(held))
    }

    /// Locks the slot; if it is locked, asks the holder to wake the waiters and returns `None`.
    ///
    /// The caller has told lockdep already that it acquires the lock.
    ///
    /// Context: Any context.
    pub(in super::super) fn lock_or_wait(self) -> Option<SlotGuard<'t>> {
        let held = self.slot.word.lock_or(Request::Wake)?;
        Some(self.guard(held))
    }

    /// Unlocks an empty slot that [`SlotGuard::keep_locked`] has left locked.
    fn unlock_kept(self) {
        self.store.lockdep.acquire(true);
        drop(self.guard(Held::of_empty()));
    }

    /// Returns the guard of the slot, which the caller has locked as `held` describes.
    #[inline]
    fn guard(self, held: Held) -> SlotGuard<'t> {
        // INVARIANT: `self.slot` is one of `self.store` by the type invariant. The callers, which
        // are methods of `self`, hold the lock in its word and leave it to the guard.
        SlotGuard {
            store: self.store,
            slot: NonNull::from(self.slot),
            held,
        }
    }
}

/// A reader of the slots of a store, which finds those that have memory.
///
/// # Invariants
///
/// `reader` is one of the array of `store`.
pub(in super::super) struct Slots<'r, 't> {
    store: &'t Store,
    reader: SparseReader<'r, Slot, CHUNK>,
}

impl<'r, 't: 'r> Slots<'r, 't> {
    /// Returns a reader that is protected by RCU.
    ///
    /// Context: Any context.
    #[inline]
    pub(in super::super) fn under_rcu(store: &'t Store, rcu: &'r rcu::Guard) -> Self {
        // INVARIANT: The reader is made of the array of `store`.
        Self {
            store,
            reader: store.slots.under_rcu(rcu),
        }
    }

    /// Returns a reader that is protected by the spinlock that the caller holds.
    ///
    /// Context: A spinlock is held.
    #[inline]
    pub(in super::super) fn in_atomic(store: &'t Store, atomic: &'r AtomicContext) -> Self {
        // INVARIANT: The reader is made of the array of `store`.
        Self {
            store,
            reader: store.slots.in_atomic(atomic),
        }
    }

    /// Returns slot `index`, or `None` if there is no memory for it: then the slot is empty.
    #[inline]
    pub(in super::super) fn get(&self, index: usize) -> Option<SlotRef<'r, 't>> {
        let slot = self.reader.get(index)?;
        // INVARIANT: `slot` was found in the array of `self.store`, by the type invariant.
        Some(SlotRef {
            store: self.store,
            slot,
        })
    }

    /// Returns the slots of the chunk of slot `index` from that one on, or none if the chunk has no
    /// memory.
    #[inline]
    pub(in super::super) fn rest_of_chunk(
        &self,
        index: usize,
    ) -> impl Iterator<Item = SlotRef<'r, 't>> {
        let chunk = self.reader.chunk(index);
        let rest = chunk.and_then(|slots| slots.get(index % CHUNK..));
        SlotRef::each(self.store, rest.unwrap_or_default())
    }
}

/// The SRCU read lock of the slots of a store.
///
/// The memory of no slot that is found through it is freed before it is dropped.
///
/// # Invariants
///
/// `pin` is one of the array of `store`.
pub(in super::super) struct PinnedSlots<'t> {
    store: &'t Store,
    pin: Pinned<'t, Slot, CHUNK>,
}

impl<'t> PinnedSlots<'t> {
    /// Takes the lock on the slots of `store`.
    ///
    /// Context: Process context. May sleep until the result is dropped.
    #[inline]
    pub(in super::super) fn new(store: &'t Store) -> Self {
        // INVARIANT: The lock is that of the array of `store`.
        Self {
            store,
            pin: store.slots.pin(),
        }
    }

    /// Returns the store.
    #[inline]
    pub(in super::super) fn store(&self) -> &'t Store {
        self.store
    }

    /// Returns a reader that is protected by this lock.
    #[inline]
    pub(in super::super) fn reader(&self) -> Slots<'_, 't> {
        // INVARIANT: `self.pin` is one of the array of `self.store` by the type invariant.
        Slots {
            store: self.store,
            reader: self.pin.reader(),
        }
    }
}

impl Store {
    /// Frees the chunks whose slots are all empty.
    ///
    /// Waits for the bios that are being carried out.
    ///
    /// Context: Process context. May sleep.
    pub fn shrink(&self, outside_io: OutsideIo<'_>) {
        // A task that waits for a slot of an unlinked chunk wakes, looks the slot up and finds
        // none.
        self.slots.shrink(
            outside_io,
            |chunk| self.lock_empty(chunk),
            || self.waiters.wake_all(),
        );
    }

    /// Locks all slots of `chunk` for good and returns true, if they are empty and not locked.
    ///
    /// Otherwise it leaves them unlocked and returns false. `chunk` is one of this store.
    fn lock_empty(&self, chunk: &[Slot; CHUNK]) -> bool {
        let slots = || SlotRef::each(self, chunk);
        if !slots().all(SlotRef::seems_unused) {
            return false;
        }
        for (locked, slot) in slots().enumerate() {
            match slot.try_lock() {
                Some(guard) if guard.attr().is_empty() => {
                    guard.keep_locked();
                    continue;
                }
                _ => {}
            }
            slots().take(locked).for_each(SlotRef::unlock_kept);
            return false;
        }
        true
    }
}
