// SPDX-License-Identifier: GPL-2.0-only

//! The blocks of a backing device: which are in use, and which are being read.
//!
//! A block that is read keeps its number until that is done, even if the page that it was written for has
//! another content by then: a read does not lock that page.

#![forbid(unsafe_code)]

use crate::zram::abstractions::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    memory::NoIo, //
};
use core::mem::ManuallyDrop;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        SpinLock, //
    }, //
};

const BITS: usize = usize::BITS as usize;

/// Blocks of a page each. Any context but where it says so, and but for interrupts.
#[pin_data]
pub(crate) struct Blocks {
    len: usize,
    /// A bit for each, set when in use.
    words: KVVec<AtomicUsize>,
    used: AtomicUsize,
    /// Where to look first.
    hint: AtomicUsize,
    /// The blocks that are being read.
    #[pin]
    reads: SpinLock<RBTree<usize, Reads>>,
}

/// Reads of a block that are under way.
struct Reads {
    count: usize,
    /// Whether the block's owner has given it up meanwhile.
    freed: bool,
}

/// Memory to remember a read by.
pub(crate) struct Reservation(RBTreeNodeReservation<usize, Reads>);

impl Reservation {
    /// Allocates it. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let _no_io = NoIo::new();
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL | __GFP_NOWARN)?))
    }
}

impl Blocks {
    /// `len` free blocks. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(super) fn new(len: usize) -> Result<Arc<Self>> {
        let count = len.div_ceil(BITS);
        let mut words = KVVec::with_capacity(count, GFP_KERNEL | __GFP_NOWARN)?;
        while words.len() < count {
            words.push(AtomicUsize::new(0), GFP_KERNEL)?;
        }
        let init = pin_init!(Self {
            len,
            words,
            used: AtomicUsize::new(0),
            hint: AtomicUsize::new(0),
            reads <- new_spinlock!(RBTree::new(), "zram_reads"),
        });
        Arc::pin_init(init, GFP_KERNEL)
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
}

/// A block in use; free again when dropped.
#[must_use]
pub(crate) struct Block<'b> {
    blocks: &'b Blocks,
    index: usize,
}

impl<'b> Block<'b> {
    /// Takes back a block of `blocks` that was given up with [`Block::into_raw`], which no one else may do.
    pub(super) fn from_raw(blocks: &'b Blocks, index: usize) -> Self {
        Self { blocks, index }
    }

    /// Its number.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Gives up ownership, to be taken back with [`Block::from_raw`].
    pub(super) fn into_raw(self) -> usize {
        ManuallyDrop::new(self).index
    }
}

impl Blocks {
    /// Keeps block `index`, which has an owner at the moment, for a read.
    pub(crate) fn read(self: &Arc<Self>, index: usize, reservation: Reservation) -> BlockRead {
        // INVARIANT: Counted here.
        let read = BlockRead {
            blocks: self.clone(),
            index,
        };
        let node = reservation.0.into_node(
            index,
            Reads {
                count: 1,
                freed: false,
            },
        );
        let mut reads = self.reads.lock();
        let unused = match reads.get_mut(&index) {
            Some(others) => {
                others.count = others.count.wrapping_add(1);
                Some(node)
            }
            None => reads.insert(node),
        };
        drop(reads);
        drop(unused);
        read
    }

    /// Lets another take block `index`.
    fn free(&self, index: usize) {
        let Some(word) = self.words.get(index / BITS) else {
            return;
        };
        let bit = 1 << (index % BITS);
        if word.fetch_and(!bit, Ordering::Release) & bit != 0 {
            self.used.fetch_sub(1, Ordering::Relaxed);
            self.hint.fetch_min(index / BITS, Ordering::Relaxed);
        }
    }
}

/// A read of a block that is under way until this is dropped. It keeps the block's number.
///
/// # Invariants
///
/// It is counted in `blocks`.
pub(crate) struct BlockRead {
    blocks: Arc<Blocks>,
    index: usize,
}

impl Drop for BlockRead {
    fn drop(&mut self) {
        let mut reads = self.blocks.reads.lock();
        let Some(these) = reads.get_mut(&self.index) else {
            return;
        };
        these.count = these.count.wrapping_sub(1);
        if these.count > 0 {
            return;
        }
        let freed = these.freed;
        let last = reads.remove_node(&self.index);
        drop(reads);
        drop(last);
        if freed {
            self.blocks.free(self.index);
        }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let mut reads = self.blocks.reads.lock();
        if let Some(reads) = reads.get_mut(&self.index) {
            reads.freed = true;
            return;
        }
        drop(reads);
        self.blocks.free(self.index);
    }
}
