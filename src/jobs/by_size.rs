// SPDX-License-Identifier: GPL-2.0-only

//! Objects by their size, to find the largest one that fits into what is left of a block.

#![forbid(unsafe_code)]

use super::IndexArray;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The number of bits in a word of the map of sizes.
const BITS: usize = u64::BITS as usize;
/// The number of words of that map, which has a bit for each size up to a page.
const WORDS: usize = PAGE_SIZE / BITS + 1;

/// A bounded set of objects, each with a key.
///
/// Of each size there is a list. An entry is a pair in `entries`: the key, and the number of the
/// next entry of the list, from 1 on.
pub(super) struct BySize {
    entries: IndexArray,
    /// The first entry of each size, from 1 on, or 0.
    heads: IndexArray,
    /// A bit for each size that has entries.
    sizes: KBox<[u64; WORDS]>,
    /// The number of entries that were used since the set was last empty.
    used: usize,
    /// The number of objects.
    len: usize,
}

impl BySize {
    /// Creates a set with room for `capacity` objects, or for as many as there is memory for, up to
    /// 512 KiB.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(capacity: usize) -> Result<Self> {
        let mut heads = IndexArray::new();
        heads.grow(PAGE_SIZE + 1)?;
        if heads.len() <= PAGE_SIZE {
            return Err(ENOMEM);
        }
        let mut entries = IndexArray::new();
        entries.grow(capacity.saturating_mul(2))?;
        Ok(Self {
            entries,
            heads,
            sizes: KBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
            used: 0,
            len: 0,
        })
    }

    /// Returns whether there are no objects.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an object of `size` bytes, and returns whether there was room for it.
    ///
    /// Room that objects leave is used again when all are gone.
    pub(super) fn insert(&mut self, size: usize, key: usize) -> bool {
        if self.len == 0 {
            self.used = 0;
        }
        let (Some(head), Some(word)) = (self.heads.get(size), self.sizes.get_mut(size / BITS))
        else {
            return false;
        };
        let at = self.used.wrapping_mul(2);
        let next = at.wrapping_add(1);
        if size > PAGE_SIZE || !self.entries.set(at, key) || !self.entries.set(next, head) {
            return false;
        }
        self.used = self.used.wrapping_add(1);
        self.len = self.len.wrapping_add(1);
        self.heads.set(size, self.used);
        *word |= 1 << (size % BITS);
        true
    }

    /// Removes one of the largest objects that have at most `room` bytes, and returns its size and
    /// its key, or `None` if there is none.
    pub(super) fn pop_at_most(&mut self, room: usize) -> Option<(usize, usize)> {
        let size = self.largest(room)?;
        self.pop(size)
    }

    /// Removes an object that fits well into `room` bytes with others to follow, and returns its
    /// size and its key, or `None` if none fits.
    ///
    /// It is one of the largest that fit, unless less would be left over with one that leaves room
    /// for more: where all objects take a little more or less than a third of a block, the two
    /// largest have no room for another.
    pub(super) fn pop_fitting(&mut self, room: usize) -> Option<(usize, usize)> {
        /// The number of objects that are told apart from an unlimited number.
        const FEW: usize = 4;
        /// The number of bytes of a block that may be left over.
        ///
        /// The largest objects are the hardest to find room for. They are not put off for less.
        const LITTLE: usize = PAGE_SIZE / 64;
        let largest = self.largest(room)?;
        let (mut best, mut least) = (largest, self.left_over(room, largest));
        if least > LITTLE && largest.wrapping_mul(FEW) > room {
            for parts in 2..=FEW {
                let Some(size) = self.largest(room / parts) else {
                    break;
                };
                let left = self.left_over(room, size);
                if left < least {
                    (best, least) = (size, left);
                }
            }
        }
        self.pop(best)
    }

    /// Returns what would be left of `room` bytes after an object of `size` bytes, which fits, and
    /// the largest ones that fit after it.
    fn left_over(&self, room: usize, size: usize) -> usize {
        /// The number of objects to follow that are looked at.
        const NEXT: usize = 6;
        let mut left = room.saturating_sub(size);
        for _ in 0..NEXT {
            match self.largest(left) {
                Some(next) if next > 0 => left = left.saturating_sub(next),
                _ => break,
            }
        }
        left
    }

    /// Removes an object of `size` bytes.
    fn pop(&mut self, size: usize) -> Option<(usize, usize)> {
        let at = self.heads.get(size)?.checked_sub(1)?.wrapping_mul(2);
        let (key, next) = (self.entries.get(at)?, self.entries.get(at.wrapping_add(1))?);
        self.heads.set(size, next);
        self.len = self.len.wrapping_sub(1);
        if next == 0 {
            *self.sizes.get_mut(size / BITS)? &= !(1 << (size % BITS));
        }
        Some((size, key))
    }

    /// Returns the largest size up to `room` that there are objects of.
    fn largest(&self, room: usize) -> Option<usize> {
        let room = room.min(PAGE_SIZE);
        let last = room / BITS;
        let mut below = u64::MAX >> (BITS - 1 - room % BITS);
        let words = self.sizes.iter().enumerate();
        for (at, word) in words.take(last.wrapping_add(1)).rev() {
            if let Some(bit) = (word & below).checked_ilog2() {
                return Some(at.wrapping_mul(BITS).wrapping_add(bit as usize));
            }
            below = u64::MAX;
        }
        None
    }
}
