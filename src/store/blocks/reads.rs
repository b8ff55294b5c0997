// SPDX-License-Identifier: GPL-2.0-only

//! Reads of blocks that are under way, and the blocks that were read last.
//!
//! Both are behind one lock, under which a block is also given up. So a block that is kept here is
//! one that still has an owner, and has not been written to since it was read.

#![forbid(unsafe_code)]

use super::{
    Blocks,
    Place, //
};
use crate::zram::abstractions::{
    memory::NoIo,
    page::{
        PageBox,
        PageBuf, //
    }, //
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};

/// The content of a block, as it was read.
pub(crate) type BlockPage = Arc<PageBox<PageBuf>>;

/// The most blocks that are kept after they were read, for the sake of their other pages.
const KEPT: usize = 16;

/// The reads that are in progress, and the blocks that were read last.
pub(super) struct Reading {
    /// The blocks that are being read, by index.
    reads: RBTree<usize, Reads>,
    /// Blocks that were read and whose other pages may be read next.
    kept: [Option<(usize, BlockPage)>; KEPT],
    /// The place in `kept` for the next one.
    next: usize,
}

/// The reads of one block that are in progress.
struct Reads {
    /// The number of reads.
    count: usize,
    /// The last owner has given up the block, which the last read marks as free.
    freed: bool,
}

impl Reading {
    /// Returns a value for a device without reads.
    pub(super) fn new() -> Self {
        Self {
            reads: RBTree::new(),
            kept: [const { None }; KEPT],
            next: 0,
        }
    }

    /// Removes what is kept of block `index`.
    fn forget(&mut self, index: usize) -> Option<(usize, BlockPage)> {
        let is_it = |kept: &&mut Option<(usize, BlockPage)>| {
            kept.as_ref().is_some_and(|&(other, _)| other == index)
        };
        self.kept.iter_mut().find(is_it)?.take()
    }
}

impl Blocks {
    /// Keeps the block of `place` from becoming free until the result is dropped.
    ///
    /// The block is in use. The caller holds the lock of a slot that owns a part of it, so that it
    /// stays in use during the call.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub fn read(self: &Arc<Self>, place: Place, reservation: Reservation) -> BlockRead {
        // INVARIANT: The read is added to `reads` below, before the value is returned.
        let read = BlockRead {
            blocks: self.clone(),
            place,
        };
        let index = read.index();
        let node = reservation.0.into_node(
            index,
            Reads {
                count: 1,
                freed: false,
            },
        );
        let mut reading = self.reading.lock();
        let unused = match reading.reads.get_mut(&index) {
            Some(others) => {
                others.count = others.count.wrapping_add(1);
                Some(node)
            }
            None => reading.reads.insert(node),
        };
        drop(reading);
        drop(unused);
        read
    }

    /// Returns the block of `place` if it was read a moment ago.
    ///
    /// The caller holds the lock of a slot that owns that place.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub fn kept(&self, place: Place) -> Option<BlockPage> {
        let index = self.locate(place).block;
        let reading = self.reading.lock();
        let mut kept = reading.kept.iter().flatten();
        let found = kept.find(|&&(other, _)| other == index);
        found.map(|(_, page)| page.clone())
    }

    /// Marks block `index`, which has lost its last owner, as free, or leaves that to its last
    /// read.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub(super) fn give_up(&self, index: usize) {
        let mut reading = self.reading.lock();
        let kept = reading.forget(index);
        let freed = match reading.reads.get_mut(&index) {
            Some(reads) => {
                reads.freed = true;
                false
            }
            None => true,
        };
        drop(reading);
        drop(kept);
        if freed {
            self.free(index);
        }
    }
}

/// A read that is in progress until this is dropped, and keeps its block from becoming free.
///
/// # Invariants
///
/// The read is counted in the entry of the block of `place` in `blocks.reading`.
pub(crate) struct BlockRead {
    blocks: Arc<Blocks>,
    place: Place,
}

impl BlockRead {
    /// Returns the place that is read.
    ///
    /// As long as the block does not become free, nothing else gets the same place.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns the index of the block.
    fn index(&self) -> usize {
        self.blocks.locate(self.place).block
    }

    /// Keeps `page`, which the block was read to, for reads of its other pages, if there are any.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub fn keep(&self, page: BlockPage) {
        let index = self.index();
        if !self.blocks.is_shared(self.place) {
            return;
        }
        let mut reading = self.blocks.reading.lock();
        // Once a block was given up, `give_up` is not called again before it is free.
        let owned = reading
            .reads
            .get_mut(&index)
            .is_some_and(|reads| !reads.freed);
        let kept = reading
            .kept
            .iter()
            .flatten()
            .any(|&(other, _)| other == index);
        if !owned || kept {
            return;
        }
        let next = reading.next % KEPT;
        reading.next = next.wrapping_add(1);
        let old = reading
            .kept
            .get_mut(next)
            .and_then(|place| place.replace((index, page)));
        // The memory is freed without the lock.
        drop(reading);
        drop(old);
    }
}

impl Drop for BlockRead {
    fn drop(&mut self) {
        let index = self.index();
        let mut reading = self.blocks.reading.lock();
        let Some(these) = reading.reads.get_mut(&index) else {
            return;
        };
        these.count = these.count.wrapping_sub(1);
        if these.count > 0 {
            return;
        }
        let freed = these.freed;
        let last = reading.reads.remove_node(&index);
        drop(reading);
        drop(last);
        if freed {
            self.blocks.free(index);
        }
    }
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
