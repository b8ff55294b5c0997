// SPDX-License-Identifier: GPL-2.0-only

//! The word of a slot: its lock, and the attributes of its content.
//!
//! The lock is a bit next to the attributes, so that locking is one atomic operation, and unlocking
//! is another that also stores the attributes. While the word is locked, other tasks may leave two
//! requests in it for the holder of the lock: [`Request::Wake`] and [`Request::Free`]. The holder
//! finds them when it unlocks the word.

#![forbid(unsafe_code)]

use crate::zram::abstractions::atomic::{
    AtomicU64,
    Ordering, //
};
use kernel::page::PAGE_SIZE;

/// The bits of a word: size, lock, requests, flags and priority, and above them the time.
mod bits {
    use super::PAGE_SIZE;

    /// The number of bits of [`SIZE`].
    const SIZE_BITS: u32 = PAGE_SIZE.ilog2() + 1;
    /// The size of the object in bytes, up to a page; 0 without an object.
    pub(super) const SIZE: u64 = (1 << SIZE_BITS) - 1;
    /// The word is locked.
    pub(super) const LOCKED: u64 = 1 << SIZE_BITS;
    /// A task sleeps until the word is unlocked.
    pub(super) const WAITED: u64 = LOCKED << 1;
    /// Swap freed the slot while it was locked: the holder empties it before it unlocks.
    pub(super) const FREED: u64 = LOCKED << 2;
    /// The page is same-filled.
    pub(super) const SAME: u64 = LOCKED << 3;
    /// The page is on the backing device; [`SIZE`] is that of the object it was written from.
    pub(super) const WRITTEN: u64 = LOCKED << 4;
    /// The page was marked as idle and not accessed since.
    pub(super) const IDLE: u64 = LOCKED << 5;
    /// Recompression with the highest priority did not make the page smaller.
    pub(super) const INCOMPRESSIBLE: u64 = LOCKED << 6;
    /// A job of user space selected the page, which was neither accessed nor changed since.
    pub(super) const OF_USER: u64 = LOCKED << 7;
    /// The policy's worker selected the page, which was neither accessed nor changed since.
    pub(super) const OF_POLICY: u64 = LOCKED << 8;
    /// The page is a candidate of some job.
    pub(super) const CANDIDATE: u64 = OF_USER | OF_POLICY;
    /// The lowest bit of the priority, which has two.
    pub(super) const PRIORITY: u32 = SIZE_BITS + 9;
    /// All bits but those of the time.
    pub(super) const CONTENT: u64 = (1 << TIME) - 1;
    /// The lowest bit of the time of the last access, in seconds since boot.
    pub(super) const TIME: u32 = 32;
}

// A whole page is a size, and the highest priority ends below the time.
const _: () = assert!(PAGE_SIZE as u64 <= bits::SIZE);
const _: () = assert!(bits::PRIORITY + 2 <= bits::TIME);

/// A slot's word.
///
/// All zeroes is the word of an empty slot that is not locked.
#[repr(transparent)]
pub(super) struct SlotWord(AtomicU64);

/// A request to the holder of the lock, left by a task that found the word locked.
#[derive(Clone, Copy)]
pub(super) enum Request {
    /// Wake the tasks that sleep until the word is unlocked.
    Wake,
    /// Empty the slot before it is unlocked.
    Free,
}

/// The one that has selected a page, and works on it.
///
/// Two jobs never work on the same page: what is a candidate of one is not selected by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// A job that user space has started.
    User,
    /// The worker of the device's policy.
    Policy,
}

impl Selector {
    /// Returns the bit that marks its candidates.
    fn bit(self) -> u64 {
        match self {
            Self::User => bits::OF_USER,
            Self::Policy => bits::OF_POLICY,
        }
    }
}

/// A locked word, as the holder of the lock knows it.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// The word as it was last seen, including the lock and the requests.
    seen: u64,
    /// The attributes that the word gets when it is unlocked.
    attr: SlotAttr,
}

impl SlotWord {
    /// Returns the attributes in the word, which may be stale.
    ///
    /// Those that the holder of the lock has set meanwhile are in [`Held`] only.
    #[inline]
    pub(super) fn attr(&self) -> SlotAttr {
        SlotAttr(self.0.load(Ordering::Relaxed))
    }

    /// Returns whether the slot is empty and not locked, which may change at any time.
    pub(super) fn seems_unused(&self) -> bool {
        self.0.load(Ordering::Relaxed) & bits::CONTENT == 0
    }

    /// Locks the word, or returns `None` if it is locked or has just changed.
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

    /// Empties a same-filled slot that is not locked, and returns its former attributes.
    ///
    /// Returns `None` for any other slot, or if the word has just changed. An element owns nothing
    /// to be freed, so one atomic operation does what takes two with the lock.
    #[inline]
    pub(super) fn take_same(&self) -> Option<SlotAttr> {
        let seen = self.0.load(Ordering::Relaxed);
        let same = seen & (bits::SAME | bits::LOCKED) == bits::SAME;
        (same && self.cas(seen, seen & !bits::CONTENT).is_ok()).then_some(SlotAttr(seen))
    }

    /// Unlocks the word and stores the attributes in `held`, unless there is a new request.
    ///
    /// A request that was left since the word was last seen makes this fail. Then the caller still
    /// holds the lock, as the returned `Held` says, and goes on with
    /// [`SlotWord::unlock_requested`].
    ///
    /// Once the word is unlocked, its memory may be freed.
    #[inline]
    pub(super) fn unlock(&self, held: &Held) -> Result<(), Held> {
        self.cas(held.seen, held.attr.0)
            .map_err(|seen| Held { seen, ..*held })
    }

    /// Unlocks a word that has requests, and returns whether there are tasks to wake.
    ///
    /// `empty` empties the slot. It is called each time that the word is seen with the request to
    /// do so. Once the word is unlocked, its memory may be freed.
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

    /// Replaces the word by `new` if it is `old`, or returns the word as it is.
    #[inline]
    fn cas(&self, old: u64, new: u64) -> Result<(), u64> {
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.0.compare_exchange(old, new, done, failed).map(|_| ())
    }
}

impl Held {
    /// Returns the lock on a word that was `seen` just before it was locked.
    #[inline]
    fn new(seen: u64) -> Self {
        Self {
            seen: seen | bits::LOCKED,
            attr: SlotAttr(seen),
        }
    }

    /// Returns the lock on the word of an empty slot.
    ///
    /// The caller holds that lock. If the word also has a time or requests, unlocking it takes the
    /// slow path.
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

    /// Sets the time of the last access, in seconds since boot.
    ///
    /// After that the page is neither idle nor a candidate.
    #[inline]
    pub(super) fn touch(&mut self, seconds: u32) {
        let kept = self.attr.0 & bits::CONTENT & !(bits::IDLE | bits::CANDIDATE);
        self.attr.0 = kept | u64::from(seconds) << bits::TIME;
    }

    /// Sets or clears the flag `bit`.
    fn set(&mut self, bit: u64, on: bool) {
        if on {
            self.attr.0 |= bit;
        } else {
            self.attr.0 &= !bit;
        }
    }

    /// Sets or clears the mark of an idle page.
    pub(super) fn set_idle(&mut self, on: bool) {
        self.set(bits::IDLE, on);
    }

    /// Marks the page as incompressible.
    pub(super) fn set_incompressible(&mut self) {
        self.set(bits::INCOMPRESSIBLE, true);
    }

    /// Sets or clears the mark of a candidate of `selector`.
    pub(super) fn set_candidate(&mut self, selector: Selector, on: bool) {
        self.set(selector.bit(), on);
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

    /// Returns the attributes of an object of `size` bytes.
    ///
    /// `size` is at most a page; `priority` is that of the algorithm that compressed the object.
    #[inline]
    pub(super) fn of_object(size: usize, priority: u8) -> Self {
        Self(u64::from(priority & 3) << bits::PRIORITY | size as u64)
    }

    /// Returns the attributes of the same content once it is on the backing device.
    ///
    /// It is neither idle nor a candidate then.
    pub(super) fn on_backing_device(self) -> Self {
        Self(self.0 & bits::CONTENT & !(bits::IDLE | bits::CANDIDATE) | bits::WRITTEN)
    }

    /// Returns whether one of `bits` is set.
    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Returns whether the slot is empty.
    pub fn is_empty(self) -> bool {
        !self.has(bits::SAME | bits::SIZE)
    }

    /// Returns whether the content is an object.
    pub fn is_object(self) -> bool {
        self.has(bits::SIZE) && !self.has(bits::SAME | bits::WRITTEN)
    }

    /// Returns whether the page is same-filled.
    pub fn is_same(self) -> bool {
        self.has(bits::SAME)
    }

    /// Returns whether the page is on the backing device.
    pub fn is_written(self) -> bool {
        self.has(bits::WRITTEN)
    }

    /// Returns whether the page is huge, which means stored without compression.
    pub fn is_huge(self) -> bool {
        self.size() == PAGE_SIZE
    }

    /// Returns whether the page was marked as idle and not accessed since.
    pub fn is_idle(self) -> bool {
        self.has(bits::IDLE)
    }

    /// Returns whether recompression with the highest priority did not make the page smaller.
    pub fn is_incompressible(self) -> bool {
        self.has(bits::INCOMPRESSIBLE)
    }

    /// Returns whether some job selected the page, which was neither accessed nor changed since.
    pub fn is_candidate(self) -> bool {
        self.has(bits::CANDIDATE)
    }

    /// Returns whether `selector` selected the page, which was neither accessed nor changed since.
    pub fn is_candidate_of(self, selector: Selector) -> bool {
        self.has(selector.bit())
    }

    /// Returns the size of the stored object, in bytes; 0 if there is none.
    ///
    /// For a page on the backing device, it is that of the object it was written from.
    pub fn size(self) -> usize {
        (self.0 & bits::SIZE) as usize
    }

    /// Returns the priority of the algorithm that compressed the object.
    pub fn priority(self) -> u8 {
        (self.0 >> bits::PRIORITY & 3) as u8
    }

    /// Returns the time of the last access, in seconds since boot.
    pub fn time(self) -> u32 {
        (self.0 >> bits::TIME) as u32
    }
}
