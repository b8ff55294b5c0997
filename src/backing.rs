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
    /// Where to look first.
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

    /// Takes the first that is free, or almost the first: one that is released meanwhile may be missed.
    pub(crate) fn reserve(&self) -> Option<Block<'_>> {
        let hint = self.hint.load(Ordering::Relaxed);
        self.reserve_from(hint).or_else(|| self.reserve_from(0))
    }

    fn reserve_from(&self, start: usize) -> Option<Block<'_>> {
        for (at, word) in self.words.iter().enumerate().skip(start) {
            let mut seen = word.load(Ordering::Relaxed);
            while seen != usize::MAX {
                let bit = seen.trailing_ones();
                let index = at.wrapping_mul(BITS).wrapping_add(bit as usize);
                if index >= self.len {
                    return None;
                }
                seen = word.fetch_or(1 << bit, Ordering::Acquire);
                if seen >> bit & 1 == 0 {
                    self.hint.store(at, Ordering::Relaxed);
                    self.used.fetch_add(1, Ordering::Relaxed);
                    // INVARIANT: Its bit was set here.
                    return Some(Block {
                        blocks: self,
                        index,
                    });
                }
            }
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
