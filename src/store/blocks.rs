// SPDX-License-Identifier: GPL-2.0-only

//! The blocks of a backing device: which are in use, and by how many pages.
//!
//! With `compressed_writeback` objects share blocks. A [`Block`] is then a share of one, and the
//! block becomes free when it has lost the last. Blocks are never written to while they have shares
//! other than those of the objects that are written just then: what is freed of a block is used
//! again after all of it is free.
//!
//! A read does not keep the slot locked that owns the block. If the block loses its last owner in
//! the meantime, it becomes free only after its last read.

#![forbid(unsafe_code)]

mod fill;
mod place;
mod reads;

use super::growing::{
    Extension,
    GrowingArray, //
};
use crate::zram::abstractions::atomic::{
    AtomicUsize,
    Ordering, //
};
use core::mem::ManuallyDrop;
use fill::Fill;
use kernel::{
    new_spinlock,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
pub(crate) use place::{
    Location,
    Place, //
};
use reads::Reading;
pub(crate) use reads::{
    BlockRead,
    Reservation, //
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
    /// The number of bytes of each block that are in use, if objects share blocks.
    fill: Option<Fill>,
    /// The blocks that are being read, or were a moment ago.
    #[pin]
    reading: SpinLock<Reading>,
}

impl Blocks {
    /// Creates a map of `all` blocks, all free, for a disk of `pages`; objects share them or not.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log if it is the bitmap, or the counts.
    pub(super) fn new(all: usize, pages: usize, shared: bool) -> Result<Arc<Self>> {
        let len = length(all, pages, shared);
        let count = len.div_ceil(BITS);
        let words = GrowingArray::new(count, || AtomicUsize::new(0))?;
        let counts = count.saturating_mul(BITS);
        let fill = if shared {
            Some(Fill::new(counts)?)
        } else {
            None
        };
        let init = pin_init!(Self {
            all,
            len: AtomicUsize::new(len),
            words,
            used: AtomicUsize::new(0),
            hint: AtomicUsize::new(0),
            fill,
            reading <- new_spinlock!(Reading::new(), "zram_reads"),
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
        let len = length(self.all, pages, self.fill.is_some());
        let count = len.div_ceil(BITS);
        let counts = count.saturating_mul(BITS);
        let fill = self.fill.as_ref();
        Ok(Growth {
            words: self.words.extension(count, || AtomicUsize::new(0))?,
            fill: fill.map(|fill| fill.extension(counts)).transpose()?,
            len,
        })
    }

    /// Grows the map, unless it is as large already.
    ///
    /// Context: Any context.
    pub(super) fn grow(&self, growth: Growth) {
        // A block that is found in the bitmap has a count.
        if let (Some(fill), Some(more)) = (&self.fill, growth.fill) {
            fill.append(more);
        }
        self.words.append(growth.words);
        self.len.fetch_max(growth.len, Ordering::Relaxed);
    }

    /// Returns the number of blocks.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Returns the number of blocks in use.
    ///
    /// Context: Any context.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns the number of blocks that are free.
    ///
    /// Context: Any context.
    pub fn free_blocks(&self) -> usize {
        self.len().saturating_sub(self.used())
    }

    /// Returns the number of bytes that have owners, if objects share blocks.
    ///
    /// A block that is being filled counts as full as well.
    ///
    /// Context: Any context.
    pub fn stored(&self) -> Option<usize> {
        self.fill.as_ref().map(Fill::sum)
    }

    /// Returns how many bytes of block `index` have owners, if objects share blocks.
    ///
    /// The result may be stale.
    ///
    /// Context: Any context.
    pub fn filled(&self, index: usize) -> usize {
        self.fill.as_ref().map_or(0, |fill| fill.get(index))
    }

    /// Returns where `place` is.
    pub fn locate(&self, place: Place) -> Location {
        if self.fill.is_some() {
            place.locate_share()
        } else {
            place.locate_block()
        }
    }

    /// Returns whether the block of `place` has other owners, which may be stale.
    fn is_shared(&self, place: Place) -> bool {
        let location = self.locate(place);
        self.filled(location.block) > location.size()
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
                    return Some(self.own(index));
                }
            }
        }
        None
    }

    /// Returns block `index`, whose bit the caller has set, as a whole.
    fn own(&self, index: usize) -> Block<'_> {
        let mut place = Place::of_block(index);
        if let Some(fill) = &self.fill {
            if let Some(whole) = Place::of_share(index, 0, PAGE_SIZE) {
                place = whole;
                fill.add(index, PAGE_SIZE);
            }
        }
        // INVARIANT: The caller has set the bit of the block. If objects share blocks, the bytes of
        // this share are counted, since `index` is below `place::MOST`.
        Block {
            blocks: self,
            place,
        }
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
    fill: Option<Extension<AtomicUsize>>,
    len: usize,
}

/// Returns how many of `all` blocks a disk of `pages` may use.
///
/// Each block in use belongs to a page. Where objects share them, some more are in use for a
/// moment, while objects move from one to another.
fn length(all: usize, pages: usize, shared: bool) -> usize {
    /// Blocks beyond one for each page of the disk.
    const SPARE: usize = 64;
    if shared {
        all.min(pages.saturating_add(SPARE)).min(place::MOST)
    } else {
        all.min(pages)
    }
}

/// An owned block or share of a block; the block becomes free when its last share is dropped.
///
/// # Invariants
///
/// The bit of the block of `place` is set in `blocks`. If objects share blocks, the bytes of
/// `place` are counted in `blocks.fill`; else no other `Block` or slot owns that block.
#[must_use]
pub(crate) struct Block<'b> {
    blocks: &'b Blocks,
    place: Place,
}

impl<'b> Block<'b> {
    /// Takes back what [`Block::into_raw`] has given up as `raw`.
    ///
    /// The caller makes sure that it was a block of `blocks`, and is taken back only once.
    ///
    /// Context: Any context.
    pub(super) fn from_raw(blocks: &'b Blocks, raw: usize) -> Self {
        // INVARIANT: `into_raw` has left the block in use and the share counted, which the caller
        // owns.
        Self {
            blocks,
            place: Place::from_raw(raw),
        }
    }

    /// Returns the index of the block on the backing device, in pages.
    pub fn index(&self) -> usize {
        self.blocks.locate(self.place).block
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.blocks.locate(self.place).size()
    }

    /// Returns a share of the block: `size` bytes at `offset`.
    ///
    /// Returns `None` if there are no such bytes, or if objects do not share blocks. The caller,
    /// who has the block as a whole, gives out no byte twice.
    ///
    /// Context: Any context.
    pub fn share(&self, offset: usize, size: usize) -> Option<Self> {
        let fill = self.blocks.fill.as_ref()?;
        let index = self.index();
        let place = Place::of_share(index, offset, size)?;
        fill.add(index, size);
        // INVARIANT: `self` keeps the block in use, and the share is counted above.
        Some(Self {
            blocks: self.blocks,
            place,
        })
    }

    /// Gives up ownership and returns the value for [`Block::from_raw`].
    pub(super) fn into_raw(self) -> usize {
        ManuallyDrop::new(self).place.into_raw()
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        let location = self.blocks.locate(self.place);
        let fill = self.blocks.fill.as_ref();
        if fill.is_none_or(|fill| fill.sub(location.block, location.size())) {
            self.blocks.give_up(location.block);
        }
    }
}
