// SPDX-License-Identifier: GPL-2.0-only

//! The word of a slot: its lock, and what goes with its content.
//!
//! The lock is a bit next to the attributes of the content, so that locking is one atomic operation, and unlocking
//! is another that stores the attributes at once. While the word is locked, others may leave two requests for the
//! holder in it: [`Request::Wake`] and [`Request::Free`]. The holder finds them when it unlocks.
//!
//! `selftests/host/word.rs` explores this very file in all interleavings of a few tasks.

#![forbid(unsafe_code)]

use crate::zram::abstractions::atomic::{
    AtomicU64,
    Ordering, //
};
use kernel::page::PAGE_SIZE;

/// The bits of a word: size and flags, and above them the time of the last access.
mod bits {
    /// The size of the object, in bytes.
    pub(super) const SIZE: u64 = (1 << 13) - 1;
    /// Somebody holds the lock.
    pub(super) const LOCKED: u64 = 1 << 13;
    /// A task sleeps until the lock is free.
    pub(super) const WAITED: u64 = 1 << 14;
    /// Swap freed the slot while it was locked: the holder empties it when it unlocks.
    pub(super) const FREED: u64 = 1 << 15;
    pub(super) const SAME: u64 = 1 << 16;
    pub(super) const WRITTEN: u64 = 1 << 17;
    pub(super) const IDLE: u64 = 1 << 18;
    pub(super) const INCOMPRESSIBLE: u64 = 1 << 19;
    pub(super) const CANDIDATE: u64 = 1 << 20;
    /// Where the two bits of the priority begin.
    pub(super) const PRIORITY: u32 = 21;
    /// All but the time.
    pub(super) const CONTENT: u64 = (1 << TIME) - 1;
    /// Where the time begins.
    pub(super) const TIME: u32 = 32;
}

/// A slot's word. All zeroes are an empty slot that nobody has locked.
#[repr(transparent)]
pub(super) struct SlotWord(AtomicU64);

/// What a task that finds a word locked asks of the holder.
#[derive(Clone, Copy)]
pub(super) enum Request {
    /// To wake the tasks that sleep until the lock is free.
    Wake,
    /// To empty the slot.
    Free,
}

/// A locked word, as its holder knows it.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// The word as it was last seen, with the lock and the requests.
    seen: u64,
    /// The attributes that the word gets when it is unlocked.
    attr: SlotAttr,
}

impl SlotWord {
    /// Returns the attributes, which may change at any time unless the caller holds the lock.
    #[inline]
    pub(super) fn attr(&self) -> SlotAttr {
        SlotAttr(self.0.load(Ordering::Relaxed))
    }

    /// Returns whether nothing is stored, and nobody holds the lock.
    pub(super) fn seems_unused(&self) -> bool {
        self.0.load(Ordering::Relaxed) & bits::CONTENT == 0
    }

    /// Locks the word, unless it is locked.
    #[inline]
    pub(super) fn try_lock(&self) -> Option<Held> {
        let seen = self.0.load(Ordering::Relaxed);
        let free = seen & bits::LOCKED == 0;
        (free && self.cas(seen, seen | bits::LOCKED).is_ok()).then_some(Held::new(seen))
    }

    /// Locks the word; if it is locked, leaves `request` for the holder and returns `None`.
    #[cold]
    pub(super) fn lock_or(&self, request: Request) -> Option<Held> {
        let bit = match request {
            Request::Wake => bits::WAITED,
            Request::Free => bits::FREED,
        };
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let free = seen & bits::LOCKED == 0;
            match self.cas(seen, seen | if free { bits::LOCKED } else { bit }) {
                Ok(()) => return free.then_some(Held::new(seen)),
                Err(now) => seen = now,
            }
        }
    }

    /// Empties a slot that holds a same-filled page and is not locked, and returns what its attributes were.
    ///
    /// This is one atomic operation, where locking and unlocking take two: an element owns nothing to be freed.
    #[inline]
    pub(super) fn take_same(&self) -> Option<SlotAttr> {
        let seen = self.0.load(Ordering::Relaxed);
        let same = seen & (bits::SAME | bits::LOCKED) == bits::SAME;
        (same && self.cas(seen, seen & !bits::CONTENT).is_ok()).then_some(SlotAttr(seen))
    }

    /// Unlocks the word, unless somebody has left a request since it was last seen. Then the holder still has the
    /// lock, and goes on with [`SlotWord::unlock_requested`].
    ///
    /// After success the word may be gone.
    #[inline]
    pub(super) fn unlock(&self, held: &Held) -> Result<(), Held> {
        self.cas(held.seen, held.attr.0)
            .map_err(|seen| Held { seen, ..*held })
    }

    /// Unlocks a word with requests for the holder, and returns whether there are tasks to be woken.
    ///
    /// `empty` empties the slot, and is called for each look at the word that finds it freed. After this the word
    /// may be gone.
    #[cold]
    pub(super) fn unlock_requested(
        &self,
        mut held: Held,
        mut empty: impl FnMut(&mut Held),
    ) -> bool {
        loop {
            if held.seen & bits::FREED != 0 {
                empty(&mut held);
            }
            match self.unlock(&held) {
                Ok(()) => return held.seen & bits::WAITED != 0,
                Err(now) => held = now,
            }
        }
    }

    /// Replaces `old`, as last seen, by `new`; if the word is another, returns that.
    #[inline]
    fn cas(&self, old: u64, new: u64) -> Result<(), u64> {
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.0.compare_exchange(old, new, done, failed).map(|_| ())
    }
}

impl Held {
    /// The lock on a word that was `seen` just before it was locked.
    #[inline]
    fn new(seen: u64) -> Self {
        Self {
            seen: seen | bits::LOCKED,
            attr: SlotAttr(seen),
        }
    }

    /// The lock on the word of an empty slot.
    #[inline]
    pub(super) fn of_empty() -> Self {
        Self::new(0)
    }

    /// Returns the attributes that the word gets when it is unlocked.
    #[inline]
    pub(super) fn attr(&self) -> SlotAttr {
        self.attr
    }

    /// Replaces all attributes but the time of the last access.
    #[inline]
    pub(super) fn set_content(&mut self, attr: SlotAttr) {
        self.attr.0 = self.attr.0 & !bits::CONTENT | attr.0;
    }

    /// Sets the time of the last access, in seconds since boot: the page is not idle, and no candidate.
    #[inline]
    pub(super) fn touch(&mut self, seconds: u32) {
        let kept = self.attr.0 & bits::CONTENT & !(bits::IDLE | bits::CANDIDATE);
        self.attr.0 = kept | u64::from(seconds) << bits::TIME;
    }

    fn set(&mut self, bit: u64, on: bool) {
        if on {
            self.attr.0 |= bit;
        } else {
            self.attr.0 &= !bit;
        }
    }

    /// Marks the page as idle, or not.
    pub(super) fn set_idle(&mut self, on: bool) {
        self.set(bits::IDLE, on);
    }

    /// Marks the page as incompressible.
    pub(super) fn set_incompressible(&mut self) {
        self.set(bits::INCOMPRESSIBLE, true);
    }

    /// Marks the page as a job's candidate, or not.
    pub(super) fn set_candidate(&mut self, on: bool) {
        self.set(bits::CANDIDATE, on);
    }
}

/// The attributes of a slot's content.
#[derive(Clone, Copy)]
pub(crate) struct SlotAttr(u64);

impl SlotAttr {
    /// The attributes of an empty slot.
    pub(super) const EMPTY: Self = Self(0);

    /// The attributes of a same-filled page.
    pub(super) const SAME: Self = Self(bits::SAME);

    /// Returns the attributes of an object of `size` bytes, which is a page at most, that was compressed by the
    /// algorithm of `priority`.
    #[inline]
    pub(super) fn of_object(size: usize, priority: u8) -> Self {
        Self(u64::from(priority & 3) << bits::PRIORITY | size as u64)
    }

    /// Returns the attributes of the same content, when it is on the backing device: it is neither idle nor a
    /// candidate.
    pub(super) fn on_backing_device(self) -> Self {
        Self(self.0 & bits::CONTENT & !(bits::IDLE | bits::CANDIDATE) | bits::WRITTEN)
    }

    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Returns whether nothing is stored.
    pub(crate) fn is_empty(self) -> bool {
        !self.has(bits::SAME | bits::SIZE)
    }

    /// Returns whether one element fills the page.
    pub(crate) fn is_same(self) -> bool {
        self.has(bits::SAME)
    }

    /// Returns whether the page is on the backing device.
    pub(crate) fn is_written(self) -> bool {
        self.has(bits::WRITTEN)
    }

    /// Returns whether the page is stored as it is.
    pub(crate) fn is_huge(self) -> bool {
        self.size() == PAGE_SIZE
    }

    /// Returns whether the page was not accessed since it was marked as idle.
    pub(crate) fn is_idle(self) -> bool {
        self.has(bits::IDLE)
    }

    /// Returns whether the algorithm of the highest priority could not make the page smaller.
    pub(crate) fn is_incompressible(self) -> bool {
        self.has(bits::INCOMPRESSIBLE)
    }

    /// Returns whether a job has selected the page, and it was neither accessed nor changed since.
    pub(crate) fn is_candidate(self) -> bool {
        self.has(bits::CANDIDATE)
    }

    /// Returns the size of the stored object, in bytes.
    pub(crate) fn size(self) -> usize {
        (self.0 & bits::SIZE) as usize
    }

    /// Returns the priority of the algorithm that compressed the object.
    pub(crate) fn priority(self) -> u8 {
        (self.0 >> bits::PRIORITY & 3) as u8
    }

    /// Returns the time of the last access, in seconds since boot.
    pub(crate) fn time(self) -> u32 {
        (self.0 >> bits::TIME) as u32
    }
}
