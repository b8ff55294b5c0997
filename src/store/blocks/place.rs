// SPDX-License-Identifier: GPL-2.0-only

//! Places on a backing device, as the values of slots have them.
//!
//! Where each page has a block of its own, a place is the block's index. Where objects share
//! blocks, it is the block's index, the object's size and its offset in the block, all in one word:
//!
//! ```text
//! bit 63                      PAGE_SHIFT * 2 + 1                  PAGE_SHIFT          0
//!     | index of the block    | size, up to a page                | offset            |
//! ```

#![forbid(unsafe_code)]

use core::ops::Range;
use kernel::page::PAGE_SIZE;

/// The number of bits of an offset within a block.
const OFFSET_BITS: u32 = PAGE_SIZE.ilog2();
/// The number of bits of a size, which may be a whole page.
const SIZE_BITS: u32 = OFFSET_BITS + 1;
/// The lowest bit of the index.
const INDEX: u32 = OFFSET_BITS + SIZE_BITS;

/// The most blocks that places of shared blocks can name: 2 PiB, where pages have 4 KiB.
pub(super) const MOST: usize = 1 << (usize::BITS - INDEX);

// Sizes and offsets of a page fit, and what is left names more blocks than disks have pages.
const _: () = assert!(PAGE_SIZE < 1 << SIZE_BITS && MOST >= 1 << 32);

/// The place of a page on the backing device; [`super::Blocks::locate`] says where that is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// A location on the backing device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The index of the block.
    pub block: usize,
    /// The bytes in the block; may end beyond it if the place was not made by this module.
    pub bytes: Range<usize>,
}

impl Location {
    /// Returns the number of bytes.
    pub fn size(&self) -> usize {
        // `ExactSizeIterator::len()` is said to panic.
        self.bytes.end.saturating_sub(self.bytes.start)
    }
}

impl Place {
    /// Returns the place that is the value `raw` of a slot.
    pub(in super::super) fn from_raw(raw: usize) -> Self {
        Self(raw)
    }

    /// Returns the value for a slot, which is not 0 for a place in a shared block.
    pub(super) fn into_raw(self) -> usize {
        self.0
    }

    /// Returns the place of block `index`, which belongs to one page.
    pub(super) fn of_block(index: usize) -> Self {
        Self(index)
    }

    /// Returns the place of `size` bytes at `offset` in block `index`, which may have more owners.
    ///
    /// `index` is below [`MOST`]; returns `None` unless there are any such bytes.
    pub(super) fn of_share(index: usize, offset: usize, size: usize) -> Option<Self> {
        let fits = size > 0 && offset < PAGE_SIZE && size <= PAGE_SIZE.wrapping_sub(offset);
        (fits && index < MOST).then_some(Self(index << INDEX | size << OFFSET_BITS | offset))
    }

    /// Returns where a block is that belongs to one page.
    pub(super) fn locate_block(self) -> Location {
        Location {
            block: self.0,
            bytes: 0..PAGE_SIZE,
        }
    }

    /// Returns where a share of a block is.
    pub(super) fn locate_share(self) -> Location {
        let offset = self.0 & ((1 << OFFSET_BITS) - 1);
        let size = self.0 >> OFFSET_BITS & ((1 << SIZE_BITS) - 1);
        Location {
            block: self.0 >> INDEX,
            bytes: offset..offset.wrapping_add(size),
        }
    }
}
