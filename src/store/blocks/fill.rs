// SPDX-License-Identifier: GPL-2.0-only

//! How many bytes of each block of a backing device have owners, where objects share blocks.

#![forbid(unsafe_code)]

use super::super::growing::{
    Extension,
    GrowingArray, //
};
use crate::zram::abstractions::atomic::{
    AtomicUsize,
    Ordering, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The number of bits of a count.
const BITS: usize = 16;
/// The number of counts in a word.
const COUNTS: usize = usize::BITS as usize / BITS;

// A block may be full, and held as a whole meanwhile.
const _: () = assert!(2 * PAGE_SIZE < 1 << BITS);

/// The counts, four to a word, and their sum.
pub(super) struct Fill {
    words: GrowingArray<AtomicUsize>,
    sum: AtomicUsize,
}

impl Fill {
    /// Creates the counts of `len` blocks, which are 0.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log.
    pub(super) fn new(len: usize) -> Result<Self> {
        Ok(Self {
            words: GrowingArray::new(len.div_ceil(COUNTS), || AtomicUsize::new(0))?,
            sum: AtomicUsize::new(0),
        })
    }

    /// Makes the counts that are missing to have `len`, to be appended with [`Fill::append`].
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log.
    pub(super) fn extension(&self, len: usize) -> Result<Extension<AtomicUsize>> {
        let count = len.div_ceil(COUNTS);
        self.words.extension(count, || AtomicUsize::new(0))
    }

    /// Appends `counts`.
    ///
    /// Context: Any context.
    pub(super) fn append(&self, counts: Extension<AtomicUsize>) {
        self.words.append(counts);
    }

    /// Adds `bytes` to the count of block `index`, which is at most two pages then.
    pub(super) fn add(&self, index: usize, bytes: usize) {
        if let Some(word) = self.words.get(index / COUNTS) {
            word.fetch_add(bytes << shift(index), Ordering::Relaxed);
            self.sum.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes `bytes` off the count of block `index`, which has at least as many, and returns
    /// whether that leaves none.
    pub(super) fn sub(&self, index: usize, bytes: usize) -> bool {
        let Some(word) = self.words.get(index / COUNTS) else {
            return false;
        };
        let before = word.fetch_sub(bytes << shift(index), Ordering::AcqRel);
        self.sum.fetch_sub(bytes, Ordering::Relaxed);
        count(before, index) == bytes
    }

    /// Returns the count of block `index`, which may change at any time.
    pub(super) fn get(&self, index: usize) -> usize {
        let word = self.words.get(index / COUNTS);
        word.map_or(0, |word| count(word.load(Ordering::Relaxed), index))
    }

    /// Returns the sum of all counts.
    pub(super) fn sum(&self) -> usize {
        self.sum.load(Ordering::Relaxed)
    }
}

/// Returns the lowest bit of the count of block `index` in its word.
fn shift(index: usize) -> usize {
    index % COUNTS * BITS
}

/// Returns the count of block `index`, whose word is `word`.
fn count(word: usize, index: usize) -> usize {
    word >> shift(index) & ((1 << BITS) - 1)
}
