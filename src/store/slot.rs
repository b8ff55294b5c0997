// SPDX-License-Identifier: GPL-2.0-only

//! Slots: what is stored for each page of the disk.

use super::{
    blocks::Block,
    stats::count,
    word::{
        Held,
        Request,
        SlotAttr,
        SlotWord, //
    },
    Store, //
};
use crate::zram::abstractions::{
    racy::RacyBytes,
    zsmalloc::Object, //
};
use core::{
    cell::UnsafeCell,
    mem::{
        self,
        ManuallyDrop, //
    },
    num::NonZero,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// What a page of the disk holds.
pub(crate) enum Content<'t> {
    /// Nothing: it reads as zeroes.
    Empty,
    /// One word all over.
    Same(usize),
    /// A compressed page, or one stored as it is (a *huge* one) when the object is as large; and the
    /// priority of the algorithm that compressed it.
    Object(Object<'t>, u8),
}

/// What a locked slot holds, to look at.
pub(crate) enum ContentRef<'g, 't> {
    Empty,
    Same(usize),
    Object(&'g Object<'t>),
    /// What is on the backing device.
    Written,
}

/// One page of the disk.
///
/// # Invariants
///
/// `value` is accessed by the holder of the word's lock only. By the attributes, it is
///
/// - the element that fills a same-filled page;
/// - the index of a block that the slot owns, if the page is on the backing device;
/// - the handle of an object that the slot owns, in the pool of the store, if there is a size: the object is at
///   least that large;
/// - anything, if the slot is empty.
#[repr(C)]
pub(super) struct Slot {
    pub(super) word: SlotWord,
    value: UnsafeCell<usize>,
}

const _: () = assert!(size_of::<Slot>() == 16);

pub(super) const CHUNK: usize = PAGE_SIZE / size_of::<Slot>();

// SAFETY: A slot of zeroes is an empty one.
unsafe impl Zeroable for Slot {}
// SAFETY: A slot is words, the second of which is guarded by a lock in the first.
unsafe impl Send for Slot {}
// SAFETY: As above.
unsafe impl Sync for Slot {}

impl Slot {
    /// Locks the slot, which is one of `store`, unless it is locked.
    #[inline]
    pub(super) fn try_lock<'t>(&self, store: &'t Store) -> Option<SlotGuard<'t>> {
        let held = self.word.try_lock()?;
        store.lockdep.acquire(true);
        Some(SlotGuard::new(store, self, held))
    }

    /// Locks the slot, which is one of `store`; if it is locked, leaves a request to free it instead.
    #[inline]
    pub(super) fn lock_or_free<'t>(&self, store: &'t Store) -> Option<SlotGuard<'t>> {
        if let Some(guard) = self.try_lock(store) {
            return Some(guard);
        }
        let held = self.word.lock_or(Request::Free)?;
        store.lockdep.acquire(true);
        Some(SlotGuard::new(store, self, held))
    }

    /// Locks the slot, which is one of `store`, for a task that waits for it, and has told lockdep so; if it is
    /// locked, leaves a request to wake that task.
    pub(super) fn lock_or_wait<'t>(&self, store: &'t Store) -> Option<SlotGuard<'t>> {
        let held = self.word.lock_or(Request::Wake)?;
        Some(SlotGuard::new(store, self, held))
    }

    /// Takes up the lock that [`SlotGuard::keep_locked`] of a guard of this slot, which is empty, has left.
    pub(super) fn resume<'t>(&self, store: &'t Store) -> SlotGuard<'t> {
        store.lockdep.acquire(true);
        SlotGuard::new(store, self, Held::of_empty())
    }

    /// Returns the slot's index within its chunk, which selects the wait queue.
    fn key(&self) -> usize {
        ptr::from_ref(self).addr() % PAGE_SIZE / size_of::<Self>()
    }
}

/// A locked slot; unlocked when dropped.
///
/// # Invariants
///
/// `slot` is a slot of `store`, whose word we hold the lock of as `held` says: so its chunk stays, and `value` is
/// ours.
pub(crate) struct SlotGuard<'t> {
    store: &'t Store,
    slot: NonNull<Slot>,
    held: Held,
}

impl<'t> SlotGuard<'t> {
    /// The guard of `slot`, of `store`, whose lock is `held`.
    #[inline]
    fn new(store: &'t Store, slot: &Slot, held: Held) -> Self {
        // INVARIANT: The callers, all in this file, have just locked it.
        Self {
            store,
            slot: NonNull::from(slot),
            held,
        }
    }

    /// Leaves the slot locked, for good or until [`Slot::resume`].
    pub(super) fn keep_locked(self) {
        self.store.lockdep.release();
        mem::forget(self);
    }

    #[inline]
    fn value(&self) -> *mut usize {
        // SAFETY: By the type invariant.
        unsafe { self.slot.as_ref() }.value.get()
    }

    /// Calls `f` with what the slot holds.
    #[inline]
    pub(crate) fn view<R>(&self, f: impl FnOnce(ContentRef<'_, 't>) -> R) -> R {
        // SAFETY: By the type invariant the value is ours.
        let value = unsafe { *self.value() };
        let attr = self.attr();
        match NonZero::new(value) {
            _ if attr.is_same() => f(ContentRef::Same(value)),
            _ if attr.is_written() => f(ContentRef::Written),
            Some(raw) if attr.size() != 0 => {
                // SAFETY: By the invariants of `Slot`; the slot stays the owner.
                let object = unsafe { Object::from_raw(&self.store.pool, raw, attr.size()) };
                f(ContentRef::Object(ManuallyDrop::new(object).deref()))
            }
            _ => f(ContentRef::Empty),
        }
    }

    /// Replaces what the slot holds, frees what that was, and counts both.
    #[inline(always)]
    pub(crate) fn store(&mut self, content: Content<'t>) {
        let (attr, value) = match content {
            Content::Empty => (SlotAttr::EMPTY, 0),
            Content::Same(element) => (SlotAttr::SAME, element),
            Content::Object(object, priority) => {
                // An object of another table would be lost; there is no such caller.
                if !object.is_of(&self.store.pool) {
                    return;
                }
                let attr = SlotAttr::of_object(object.size(), priority);
                (attr, object.into_raw().get())
            }
        };
        // SAFETY: The word, the object or nothing: it is the slot's now.
        unsafe { self.replace(attr, value) };
    }

    /// Replaces the slot's content, frees what that was, and counts both.
    ///
    /// # Safety
    ///
    /// `value` goes with `attr` by the invariants of `Slot`.
    #[inline(always)]
    unsafe fn replace(&mut self, new: SlotAttr, value: usize) {
        let old = self.attr();
        self.held.set_content(new);
        // SAFETY: By the type invariant the value is ours. INVARIANT: By the safety requirement.
        let value = unsafe { self.value().replace(value) };
        self.store.stats.account::<1>(new);
        self.store.stats.account::<-1>(old);
        match NonZero::new(value) {
            _ if old.is_same() => {}
            _ if old.is_written() => drop(Block::from_raw(&self.store.blocks, value)),
            Some(raw) if old.size() != 0 => {
                // SAFETY: By the invariants of `Slot`, which has just lost it.
                drop(unsafe { Object::from_raw(&self.store.pool, raw, old.size()) });
            }
            _ => {}
        }
    }

    /// How many bytes [`SlotGuard::overwrite`] has room for.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        let attr = self.attr();
        if attr.is_same() || attr.is_written() {
            return 0;
        }
        attr.size()
    }

    /// Copies `bytes`, a page that the primary algorithm compressed or that is stored as it is, over the object
    /// that the slot holds, and counts that. Allocates nothing. False if there is no room.
    #[inline]
    pub(crate) fn overwrite(&mut self, bytes: RacyBytes<'_>) -> bool {
        let (old, len) = (self.attr(), bytes.len());
        if len == 0 || len > self.room() {
            return false;
        }
        // SAFETY: By the type invariant the value is ours.
        let Some(raw) = NonZero::new(unsafe { *self.value() }) else {
            return false;
        };
        // SAFETY: By the invariants of `Slot`; the slot stays the owner.
        let object = unsafe { Object::from_raw(&self.store.pool, raw, old.size()) };
        ManuallyDrop::new(object).write(bytes);
        // INVARIANT: The object has room for `old.size()` bytes, which are at least as many.
        let new = SlotAttr::of_object(len, 0);
        self.held.set_content(new);
        if old.is_huge() && new.is_huge() {
            count!(self.store.stats, HugePagesSince);
        } else {
            self.store.stats.account::<1>(new);
            self.store.stats.account::<-1>(old);
        }
        true
    }

    /// The number of the block that the page was written to, if it was.
    #[inline]
    pub(crate) fn written(&self) -> Option<usize> {
        // SAFETY: By the type invariant the value is ours.
        self.attr().is_written().then(|| unsafe { *self.value() })
    }

    /// Notes an access at `seconds` since boot: the page is not idle, and no candidate.
    #[inline]
    pub(crate) fn touch(&mut self, seconds: u32) {
        self.held.touch(seconds);
    }

    /// Returns the attributes of the content.
    #[inline]
    pub(crate) fn attr(&self) -> SlotAttr {
        self.held.attr()
    }

    /// Marks the page as idle, or not.
    pub(crate) fn set_idle(&mut self, on: bool) {
        self.held.set_idle(on);
    }

    /// Marks the page as incompressible: the algorithm of the highest priority can't make it smaller.
    pub(crate) fn set_incompressible(&mut self) {
        self.held.set_incompressible();
    }

    /// Marks the page as a job's candidate, or not.
    pub(crate) fn set_candidate(&mut self, on: bool) {
        self.held.set_candidate(on);
    }

    /// Replaces the object by the block that it was written to, frees it, and counts that. What goes
    /// with the object stays, but it is not idle any more.
    pub(crate) fn move_to_block(&mut self, block: Block<'t>) {
        let attr = self.attr();
        if attr.is_empty() || attr.is_same() || attr.is_written() {
            return;
        }
        // SAFETY: The block is the slot's now.
        unsafe { self.replace(attr.on_backing_device(), block.into_raw()) };
    }

    /// Unlocks a slot that has requests for its holder.
    #[cold]
    fn unlock_requested(self) {
        let mut guard = ManuallyDrop::new(self);
        let (slot, store, held) = (guard.slot, guard.store, guard.held);
        // SAFETY: By the type invariant.
        let key = unsafe { slot.as_ref() }.key();
        let empty = |held: &mut Held| {
            guard.held = *held;
            // Swap freed the slot while it was locked; it does not do so while it writes to it.
            guard.store(Content::Empty);
            *held = guard.held;
        };
        // SAFETY: By the type invariant; after this the chunk may be freed.
        let waited = unsafe { slot.as_ref() }.word.unlock_requested(held, empty);
        if waited {
            store.waiters.wake(key);
        }
    }
}

impl Drop for SlotGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.store.lockdep.release();
        // SAFETY: By the type invariant; after this the chunk may be freed.
        if let Err(held) = unsafe { self.slot.as_ref() }.word.unlock(&self.held) {
            // INVARIANT: By that of `self`, which is gone after this. A copy, so that the guard itself can
            // stay in registers.
            Self { held, ..*self }.unlock_requested();
        }
    }
}
