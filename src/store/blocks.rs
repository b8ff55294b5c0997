// SPDX-License-Identifier: GPL-2.0-only

//! The blocks of a backing device: which are in use, and which are being read.
//!
//! A read does not keep the slot locked that owns the block. If the slot gives up its block in the
//! meantime, the block becomes free only after its last read.

#![forbid(unsafe_code)]

use super::growing::{
    Extension,
    GrowingArray, //
};
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

/// The number of bits in a word of the bitmap.
const BITS: usize = usize::BITS as usize;

/// A map of the blocks of a backing device, of a page each.
///
/// Each block in use belongs to a page of the disk, so there are no more blocks in the map than
/// pages on the disk.
#[pin_data]
pub(crate) struct Blocks {
    /// The number of blocks that the device has.
    all: usize,
    /// The number of blocks in the map.
    len: AtomicUsize,
    /// A bitmap, with a bit set for each block in use.
    words: GrowingArray<AtomicUsize>,
    /// The number of blocks in use.
    used: AtomicUsize,
    /// The index in `words` at which the search for a free block starts.
    hint: AtomicUsize,
    /// The blocks that are being read, by index.
    #[pin]
    reads: SpinLock<RBTree<usize, Reads>>,
}

impl Blocks {
    /// Creates a map of `all` blocks, all free, for a disk of `pages`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log if it is the bitmap.
    pub(super) fn new(all: usize, pages: usize) -> Result<Arc<Self>> {
        let len = all.min(pages);
        let words = GrowingArray::new(len.div_ceil(BITS), || AtomicUsize::new(0))?;
        let init = pin_init!(Self {
            all,
            len: AtomicUsize::new(len),
            words,
            used: AtomicUsize::new(0),
            hint: AtomicUsize::new(0),
            reads <- new_spinlock!(RBTree::new(), "zram_reads"),
        });
        Arc::pin_init(init, GFP_KERNEL)
    }

    /// Allocates what the map takes to grow for a disk of `pages` with [`Blocks::grow`].
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log.
    pub(super) fn growth(&self, pages: usize) -> Result<Growth> {
        let len = self.all.min(pages);
        let words = self
            .words
            .extension(len.div_ceil(BITS), || AtomicUsize::new(0))?;
        Ok(Growth { words, len })
    }

    /// Grows the map, unless it is as large already.
    ///
    /// Context: Any context.
    pub(super) fn grow(&self, growth: Growth) {
        self.words.append(growth.words);
        self.len.fetch_max(growth.len, Ordering::Relaxed);
    }

    /// Returns the number of blocks in use.
    ///
    /// Context: Any context.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes a free block, near the first one, or returns `None` if there is none.
    ///
    /// A block that becomes free during the search may be missed.
    ///
    /// Context: Any context.
    pub fn reserve(&self) -> Option<Block<'_>> {
        let hint = self.hint.load(Ordering::Relaxed);
        self.reserve_from(hint).or_else(|| self.reserve_from(0))
    }

    /// Takes the first free block from word `start` of the bitmap on.
    fn reserve_from(&self, start: usize) -> Option<Block<'_>> {
        for (at, word) in self.words.iter().enumerate().skip(start) {
            let mut seen = word.load(Ordering::Relaxed);
            while seen != usize::MAX {
                let bit = seen.trailing_ones();
                let index = at.wrapping_mul(BITS).wrapping_add(bit as usize);
                if index >= self.len.load(Ordering::Relaxed) {
                    return None;
                }
                seen = word.fetch_or(1 << bit, Ordering::Acquire);
                if seen >> bit & 1 == 0 {
                    self.hint.store(at, Ordering::Relaxed);
                    self.used.fetch_add(1, Ordering::Relaxed);
                    // INVARIANT: The bit of `index` was clear, and `fetch_or` above has set it.
                    return Some(Block {
                        blocks: self,
                        index,
                    });
                }
            }
        }
        None
    }

    /// Keeps block `index` from becoming free until the result is dropped.
    ///
    /// The block is in use. The caller holds the lock of the slot that owns it, so that it stays in
    /// use during the call.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub fn read(self: &Arc<Self>, index: usize, reservation: Reservation) -> BlockRead {
        // INVARIANT: The read is added to `reads` below, before the value is returned.
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

    /// Marks block `index` as free.
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

/// The part that a map grows by: see [`Blocks::growth`].
pub(super) struct Growth {
    words: Extension<AtomicUsize>,
    len: usize,
}

/// An owned block, which becomes free when this is dropped.
///
/// # Invariants
///
/// The bit of `index` is set in `blocks`, and no other `Block` or slot owns that block.
#[must_use]
pub(crate) struct Block<'b> {
    blocks: &'b Blocks,
    index: usize,
}

impl<'b> Block<'b> {
    /// Takes back the block that [`Block::into_raw`] has given up as `index`.
    ///
    /// The caller makes sure that it was a block of `blocks`, and is taken back only once.
    ///
    /// Context: Any context.
    pub(super) fn from_raw(blocks: &'b Blocks, index: usize) -> Self {
        // INVARIANT: `into_raw` has left the bit of `index` set, and the caller owns the block.
        Self { blocks, index }
    }

    /// Returns the index of the block on the backing device, in pages.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Gives up ownership and returns the block's index, for [`Block::from_raw`].
    pub(super) fn into_raw(self) -> usize {
        ManuallyDrop::new(self).index
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

/// A read that is in progress until this is dropped, and keeps its block from becoming free.
///
/// # Invariants
///
/// The read is counted in the entry of `index` in `blocks.reads`.
pub(crate) struct BlockRead {
    blocks: Arc<Blocks>,
    index: usize,
}

impl BlockRead {
    /// Returns the index of the block on the backing device, in pages.
    pub fn index(&self) -> usize {
        self.index
    }
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

/// The reads of one block that are in progress.
struct Reads {
    /// The number of reads.
    count: usize,
    /// The owner has given up the block, which the last read marks as free.
    freed: bool,
}

/// Memory for the entry of a read in [`Blocks`], allocated before the slot is locked.
pub(crate) struct Reservation(RBTreeNodeReservation<usize, Reads>);

impl Reservation {
    /// Allocates the memory, and starts no I/O to reclaim some.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let _no_io = NoIo::new();
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL | __GFP_NOWARN)?))
    }
}
