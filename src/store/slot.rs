// SPDX-License-Identifier: GPL-2.0-only

//! Slots, each of which stores one page of the disk.

mod lookup;

use super::{
    blocks::{
        Block,
        Place, //
    },
    stats::count,
    word::{
        Held,
        Selector,
        SlotAttr,
        SlotWord, //
    },
    Store, //
};
use crate::zram::abstractions::{
    guarded::Guarded,
    racy::RacyBytes,
    zsmalloc::Object, //
};
use core::{
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
pub(super) use lookup::{
    PinnedSlots,
    SlotRef,
    Slots, //
};

/// The content of a page of the disk, to be stored in a slot.
pub(crate) enum Content<'t> {
    /// No content: the page reads as zeroes.
    Empty,
    /// A same-filled page: the element that fills it.
    Same(usize),
    /// An object with the compressed page, and the priority of the algorithm that compressed it.
    ///
    /// An object as large as a page is a *huge* page, stored without compression.
    Object(Object<'t>, u8),
}

/// The content of a locked slot, borrowed from its guard.
pub(crate) enum ContentRef<'g, 't> {
    /// No content: the page reads as zeroes.
    Empty,
    /// The element that fills the page.
    Same(usize),
    /// The object that holds the page, compressed or huge.
    Object(&'g Object<'t>),
    /// The page is on the backing device; [`SlotGuard::written`] returns the place.
    Written,
}

/// One page of the disk.
///
/// # Invariants
///
/// `value` is accessed only by the holder of the lock in `word`. Depending on the attributes in
/// `word`, it is
///
/// - the element that fills the page, if the page is same-filled;
/// - that of a [`Block`] which the slot owns, if the page is on the backing device;
/// - otherwise, with a non-zero size, the handle of an object that the slot owns: it is in the pool
///   of the slot's store and at least of that size;
/// - otherwise unspecified, as the slot is empty.
#[repr(C)]
pub(super) struct Slot {
    word: SlotWord,
    value: Guarded<usize>,
}

const _: () = assert!(size_of::<Slot>() == 16);

/// The number of slots in a page of memory.
pub(super) const CHUNK: usize = PAGE_SIZE / size_of::<Slot>();

// SAFETY: `Slot` consists of two integers, and all zeroes is an empty, unlocked slot.
unsafe impl Zeroable for Slot {}

impl Slot {
    /// Returns the slot's index within its chunk, which selects the wait queue.
    fn key(&self) -> usize {
        ptr::from_ref(self).addr() % PAGE_SIZE / size_of::<Self>()
    }
}

/// A locked slot, which is unlocked when this is dropped.
///
/// The holder may sleep. The head of `store.rs` has the lock order.
///
/// # Invariants
///
/// `slot` is a slot of `store`, and `self` holds the lock in its word, as `held` describes it.
/// Hence the slot's memory stays, and `self` has exclusive access to its `value`.
pub(crate) struct SlotGuard<'t> {
    store: &'t Store,
    slot: NonNull<Slot>,
    held: Held,
}

impl<'t> SlotGuard<'t> {
    /// Gives up the guard and leaves the slot locked, for good or until `SlotRef::unlock_kept`.
    fn keep_locked(self) {
        self.store.lockdep.release();
        mem::forget(self);
    }

    /// Returns the slot's value, which `self` has exclusive access to.
    #[inline]
    fn value(&self) -> &Guarded<usize> {
        // SAFETY: `self.slot` points to a live slot by the type invariant.
        unsafe { &self.slot.as_ref().value }
    }

    /// Calls `f` with the content of the slot, and returns its result.
    #[inline]
    pub fn view<R>(&self, f: impl FnOnce(ContentRef<'_, 't>) -> R) -> R {
        // SAFETY: `self` has exclusive access to the slot's value by the type invariant.
        let value = unsafe { self.value().get() };
        let attr = self.attr();
        match NonZero::new(value) {
            _ if attr.is_same() => f(ContentRef::Same(value)),
            _ if attr.is_written() => f(ContentRef::Written),
            Some(raw) if attr.size() != 0 => {
                // SAFETY: With a size, `raw` is the handle of an object in this pool by the
                // invariants of `Slot`. The slot remains its owner, as the `Object` is not dropped.
                let object = unsafe { Object::from_raw(&self.store.pool, raw, attr.size()) };
                f(ContentRef::Object(ManuallyDrop::new(object).deref()))
            }
            _ => f(ContentRef::Empty),
        }
    }

    /// Stores `content`, frees what the slot held before, and accounts for both.
    ///
    /// The time of the last access stays.
    ///
    /// Context: Any context but interrupts.
    #[inline(always)]
    pub fn store(&mut self, content: Content<'t>) {
        let (attr, value) = match content {
            Content::Empty => (SlotAttr::EMPTY, 0),
            Content::Same(element) => (SlotAttr::SAME, element),
            Content::Object(object, priority) => {
                // A handle means something in its own pool only. No caller passes an object of
                // another store; it would be freed here, and the slot left as it is.
                if !object.is_of(&self.store.pool) {
                    return;
                }
                let attr = SlotAttr::of_object(object.size(), priority);
                (attr, object.into_raw().get())
            }
        };
        // SAFETY: `value` is the element for `SAME` and the handle for an object, which has given
        // up its ownership to the slot; an empty slot may have any value.
        unsafe { self.replace(attr, value, drop) };
    }

    /// Empties the slot and accounts for that, and has what it held freed by a worker.
    ///
    /// Context: Any context but interrupts.
    #[inline]
    pub fn empty_later(&mut self) {
        // SAFETY: An empty slot may have any value.
        unsafe { self.replace(SlotAttr::EMPTY, 0, Object::free_later) };
    }

    /// Replaces attributes and value, frees what the slot held before, an object by `free`, and
    /// accounts for both.
    ///
    /// # Safety
    ///
    /// `value` is valid with the attributes `new` by the invariants of `Slot`. The slot becomes the
    /// owner of the object or block that `value` stands for.
    #[inline(always)]
    unsafe fn replace(&mut self, new: SlotAttr, value: usize, free: impl FnOnce(Object<'t>)) {
        let old = self.attr();
        self.held.set_content(new);
        // SAFETY: `self` has exclusive access to the slot's value by the type invariant.
        // INVARIANT: `value` is valid with the attributes `new` by the safety requirement.
        let value = unsafe { self.value().replace(value) };
        self.store.stats.account::<1>(new);
        self.store.stats.account::<-1>(old);
        match NonZero::new(value) {
            _ if old.is_same() => {}
            _ if old.is_written() => drop(Block::from_raw(&self.store.blocks, value)),
            Some(raw) if old.size() != 0 => {
                // SAFETY: With a size, the old value is the handle of an object in this pool by the
                // invariants of `Slot`. The slot owned it, and was given another value above.
                free(unsafe { Object::from_raw(&self.store.pool, raw, old.size()) });
            }
            _ => {}
        }
    }

    /// Returns how many bytes [`SlotGuard::overwrite`] may store; 0 unless the slot holds an
    /// object.
    #[inline]
    pub fn room(&self) -> usize {
        let attr = self.attr();
        if attr.is_same() || attr.is_written() {
            return 0;
        }
        attr.size()
    }

    /// Copies `bytes` over the object that the slot holds, and accounts for that.
    ///
    /// `bytes` is a page as the primary algorithm compressed it, or a huge page. Returns false, and
    /// leaves the slot as it is, if that is longer than [`SlotGuard::room`]. Allocates no memory.
    #[inline]
    pub fn overwrite(&mut self, bytes: RacyBytes<'_>) -> bool {
        let (old, len) = (self.attr(), bytes.len());
        if len == 0 || len > self.room() {
            return false;
        }
        // SAFETY: `self` has exclusive access to the slot's value by the type invariant.
        let Some(raw) = NonZero::new(unsafe { self.value().get() }) else {
            return false;
        };
        // SAFETY: `room()` is not 0, so that `raw` is the handle of an object in this pool by the
        // invariants of `Slot`. The slot remains its owner, as the `Object` is not dropped.
        let object = unsafe { Object::from_raw(&self.store.pool, raw, old.size()) };
        ManuallyDrop::new(object).write(bytes);
        // INVARIANT: The object is at least of the size `old.size()`, which `len` does not exceed.
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

    /// Returns the page's place on the backing device, or `None` if it is not there.
    #[inline]
    pub fn written(&self) -> Option<Place> {
        let written = self.attr().is_written();
        // SAFETY: `self` has exclusive access to the slot's value by the type invariant.
        written.then(|| Place::from_raw(unsafe { self.value().get() }))
    }

    /// Records an access at `seconds` since boot.
    ///
    /// After that the page is neither idle nor a candidate.
    #[inline]
    pub fn touch(&mut self, seconds: u32) {
        self.held.touch(seconds);
    }

    /// Returns the attributes of the content.
    #[inline]
    pub fn attr(&self) -> SlotAttr {
        self.held.attr()
    }

    /// Sets or clears the mark of an idle page.
    pub fn set_idle(&mut self, on: bool) {
        self.held.set_idle(on);
    }

    /// Marks the page as incompressible.
    ///
    /// Recompression with the highest priority did not make it smaller.
    pub fn set_incompressible(&mut self) {
        self.held.set_incompressible();
    }

    /// Sets or clears the mark of a candidate of `selector`.
    pub fn set_candidate(&mut self, selector: Selector, on: bool) {
        self.held.set_candidate(selector, on);
    }

    /// Replaces the object by `block`, which it was written to, frees it, and accounts for that.
    ///
    /// The attributes stay, but the page is neither idle nor a candidate after that. A slot that
    /// holds no object stays as it is, and `block` is freed.
    pub fn move_to_block(&mut self, block: Block<'t>) {
        let attr = self.attr();
        if attr.is_empty() || attr.is_same() || attr.is_written() {
            return;
        }
        // SAFETY: With the attributes of a page on the backing device, the value is that of a
        // block, which has given up its ownership to the slot.
        unsafe { self.replace(attr.on_backing_device(), block.into_raw(), drop) };
    }

    /// Replaces the page's place on the backing device, which is `from`, by `block`, to which it
    /// was copied.
    ///
    /// The attributes stay. If the page is not there any more, `block` is dropped.
    pub fn relocate(&mut self, from: Place, block: Block<'t>) {
        if self.written() == Some(from) {
            // SAFETY: The page is on the backing device, so the value is that of a block, which has
            // given up its ownership to the slot.
            unsafe { self.replace(self.attr(), block.into_raw(), drop) };
        }
    }

    /// Unlocks a slot whose word has requests: the slow path of the drop.
    #[cold]
    fn unlock_requested(self) {
        let mut guard = ManuallyDrop::new(self);
        let (slot, store, held) = (guard.slot, guard.store, guard.held);
        // SAFETY: `slot` points to a live slot by the type invariant.
        let key = unsafe { slot.as_ref() }.key();
        let empty = |held: &mut Held| {
            guard.held = *held;
            // Swap freed the slot while it was locked. Whatever the slot holds is from before that,
            // as swap does not free a slot that it is writing to.
            guard.store(Content::Empty);
            *held = guard.held;
        };
        // SAFETY: `slot` points to a slot that this task has locked, so that it is live until it is
        // unlocked. After that its memory may be freed, and is not accessed here.
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
        // SAFETY: `self.slot` points to a live slot, locked by `self`, by the type invariant. Once
        // it is unlocked its memory may be freed, and is not accessed here.
        if let Err(held) = unsafe { self.slot.as_ref() }.word.unlock(&self.held) {
            // INVARIANT: `self.slot` is still locked, as `held` describes, and `self` is not used
            // after this. A copy is made so that the guard itself can stay in registers.
            Self { held, ..*self }.unlock_requested();
        }
    }
}
