// SPDX-License-Identifier: GPL-2.0

//! What goes with the content of a slot, in one word.

#![forbid(unsafe_code)]

use kernel::page::PAGE_SIZE;

/// The first word of a slot: size and flags, and above them the time of the last access.
pub(crate) mod word {
    /// Of the object, in bytes.
    pub(crate) const SIZE: u64 = (1 << 13) - 1;
    pub(crate) const LOCKED: u64 = 1 << 13;
    /// Someone sleeps until the lock is free.
    pub(crate) const WAITED: u64 = 1 << 14;
    /// Swap has freed the slot while it was locked: who unlocks it empties it.
    pub(crate) const FREED: u64 = 1 << 15;
    pub(crate) const SAME: u64 = 1 << 16;
    pub(crate) const WRITTEN: u64 = 1 << 17;
    pub(crate) const IDLE: u64 = 1 << 18;
    pub(crate) const INCOMPRESSIBLE: u64 = 1 << 19;
    pub(crate) const CANDIDATE: u64 = 1 << 20;
    /// Two bits, here.
    pub(crate) const PRIORITY: u32 = 21;
    /// All but the time.
    pub(crate) const CONTENT: u64 = (1 << TIME) - 1;
    /// Where the time begins.
    pub(crate) const TIME: u32 = 32;
}

/// What goes with a slot's content.
#[derive(Clone, Copy)]
pub(crate) struct Attr(pub(crate) u64);

impl Attr {
    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Nothing is stored.
    pub(crate) fn is_empty(self) -> bool {
        !self.has(word::SAME | word::SIZE)
    }

    /// It is one word all over.
    pub(crate) fn is_same(self) -> bool {
        self.has(word::SAME)
    }

    /// It is on the backing device.
    pub(crate) fn is_written(self) -> bool {
        self.has(word::WRITTEN)
    }

    /// The page is stored as it is.
    pub(crate) fn is_huge(self) -> bool {
        self.size() == PAGE_SIZE
    }

    /// It was not accessed since user space said so.
    pub(crate) fn is_idle(self) -> bool {
        self.has(word::IDLE)
    }

    /// The best algorithm could not make it smaller.
    pub(crate) fn is_incompressible(self) -> bool {
        self.has(word::INCOMPRESSIBLE)
    }

    /// A job has chosen it, and it was neither accessed nor changed since.
    pub(crate) fn is_candidate(self) -> bool {
        self.has(word::CANDIDATE)
    }

    /// Of the object, in bytes.
    pub(crate) fn size(self) -> usize {
        (self.0 & word::SIZE) as usize
    }

    /// Of the algorithm that the object was compressed with.
    pub(crate) fn priority(self) -> u8 {
        (self.0 >> word::PRIORITY & 3) as u8
    }

    /// Of the last access, in seconds since boot.
    pub(crate) fn time(self) -> u32 {
        (self.0 >> word::TIME) as u32
    }
}
