// SPDX-License-Identifier: GPL-2.0

//! The blocks of a backing device: which are in use.

#![forbid(unsafe_code)]

use core::{
    mem::ManuallyDrop,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};
use kernel::prelude::*;

const BITS: usize = usize::BITS as usize;

/// Blocks of a page each. Any context but where it says so.
pub(crate) struct Blocks {
    len: usize,
    /// A bit for each, set when in use.
    words: KVVec<AtomicUsize>,
    used: AtomicUsize,
    /// Words before this one are full.
    hint: AtomicUsize,
}

impl Blocks {
    /// `len` free blocks. May sleep.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let count = len.div_ceil(BITS);
        let mut words = KVVec::with_capacity(count, GFP_KERNEL | __GFP_NOWARN)?;
        while words.len() < count {
            words.push(AtomicUsize::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            len,
            words,
            used: AtomicUsize::new(0),
            hint: AtomicUsize::new(0),
        })
    }

    /// How many are in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes the first that is free. One task at a time.
    pub(crate) fn reserve(&self) -> Option<Block<'_>> {
        let start = self.hint.load(Ordering::Relaxed);
        for (at, word) in self.words.iter().enumerate().skip(start) {
            let bit = word.load(Ordering::Relaxed).trailing_ones();
            if bit == usize::BITS {
                continue;
            }
            let index = at.wrapping_mul(BITS).wrapping_add(bit as usize);
            if index >= self.len {
                return None;
            }
            // A block released meanwhile below `at` is found the next time but one, at the latest.
            self.hint.store(at, Ordering::Relaxed);
            word.fetch_or(1 << bit, Ordering::Acquire);
            self.used.fetch_add(1, Ordering::Relaxed);
            return Some(Block {
                blocks: self,
                index,
            });
        }
        None
    }

    /// Takes back a block given up with [`Block::into_raw`], which no one else may do.
    pub(crate) fn own(&self, index: usize) -> Block<'_> {
        Block {
            blocks: self,
            index,
        }
    }
}

/// A block in use; free again when dropped.
#[must_use]
pub(crate) struct Block<'b> {
    blocks: &'b Blocks,
    index: usize,
}

impl Block<'_> {
    /// Its number.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Gives up ownership, to be taken back with [`Blocks::own`].
    pub(crate) fn into_raw(self) -> usize {
        ManuallyDrop::new(self).index
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let Some(word) = self.blocks.words.get(self.index / BITS) else {
            return;
        };
        let bit = 1 << (self.index % BITS);
        if word.fetch_and(!bit, Ordering::Release) & bit != 0 {
            self.blocks.used.fetch_sub(1, Ordering::Relaxed);
            self.blocks
                .hint
                .fetch_min(self.index / BITS, Ordering::Relaxed);
        }
    }
}
