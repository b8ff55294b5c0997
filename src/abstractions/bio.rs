// SPDX-License-Identifier: GPL-2.0-only

//! Bios: requests for I/O, and the pages that their data is in.
//!
//! A driver is lent a bio, and does not own it: whoever lends it also ends it, when the driver is
//! done. So there is nothing that a driver can forget. What must go on after that takes a share in
//! the bio; see [`super::backing_device`].
//!
//! Upstream this would be `rust/kernel/block/bio.rs`.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

mod destination;
mod kept_part;
mod pages;
mod share;

use super::{
    atomic::{
        AtomicU8,
        Ordering, //
    },
    ffi,
    memory::{
        is_reclaiming,
        Patience, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
pub(super) use destination::Destination;
pub(crate) use kept_part::KeptPart;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
pub(crate) use pages::{
    BioPage,
    Pieces, //
};

/// Size of a block of the disk in bytes: bios are for whole blocks.
///
/// It is the same whatever the size of a page, so that a file system made on one machine can be
/// used on another. A build for tests has smaller ones, so that a page of 4 KiB has parts.
pub(super) const BLOCK_SIZE: usize = if cfg!(small_blocks) { 1024 } else { 4096 };
/// A constant that says whether a page has more than one block, so that bios may be for parts of
/// pages.
///
/// Where it is false, nothing of what is done for parts is in the machine code.
pub(super) const HAS_PARTS: bool = PAGE_SIZE > BLOCK_SIZE;
const _: () = assert!(PAGE_SIZE % BLOCK_SIZE == 0);

const SECTOR_SIZE: usize = 512;
const SECTORS_PER_BLOCK: u64 = (BLOCK_SIZE / SECTOR_SIZE) as u64;
const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
const REQ_META: ffi::blk_opf_t = 1 << ffi::req_flag_bits___REQ_META;
const REQ_SWAP: ffi::blk_opf_t = 1 << ffi::req_flag_bits___REQ_SWAP;

/// Operation of a bio.
pub(crate) enum Operation {
    /// Copy from the disk to memory.
    Read,
    /// Copy from memory to the disk.
    Write,
    /// Discard, or write zeroes: the pages read as zeroes after it.
    Free,
    /// Any other operation.
    Other,
}

/// Direction that the data of a bio goes in.
pub(crate) trait Direction {
    /// Operation whose data goes in this direction.
    const OPERATION: ffi::req_op;
}

/// Marks a bio whose data goes from the disk to memory.
pub(crate) struct Reading;
/// Marks a bio whose data goes from memory to the disk; the memory must not be written to.
pub(crate) struct Writing;

impl Direction for Reading {
    const OPERATION: ffi::req_op = ffi::req_op_REQ_OP_READ;
}

impl Direction for Writing {
    const OPERATION: ffi::req_op = ffi::req_op_REQ_OP_WRITE;
}

/// A bio that the driver of a disk of `T` is working on.
///
/// # Invariants
///
/// `0` is a live bio that was sent to a disk of `T` and has not ended. Nobody else changes it,
/// except for its status and its `__bi_remaining`, by those who have a share in it.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::bio::{Bio, Operation, Reading};
/// fn read_zeroes<T>(bio: &Bio<T>) -> Result {
///     match bio.operation() {
///         Operation::Read => {
///             for (_index, page) in bio.pages::<Reading>()? {
///                 page.fill(0);
///             }
///             Ok(())
///         }
///         _ => Err(EINVAL),
///     }
/// }
/// ```
pub(crate) struct Bio<T>(NonNull<ffi::bio>, PhantomData<T>);

impl<T> Bio<T> {
    /// Makes a bio of the driver from one of the block layer.
    ///
    /// # Safety
    ///
    /// `raw` is a live bio that was handed to the `submit_bio` of a disk of `T`. It does not end,
    /// and `submit_bio` does not return, during the life of the result.
    pub(super) unsafe fn new(raw: NonNull<ffi::bio>) -> Self {
        // INVARIANT: `raw` is live, was sent to a disk of `T`, and has not ended, by the safety
        // requirement of `new`.
        Self(raw, PhantomData)
    }

    /// Returns the C bio, which the caller is to end.
    pub(super) fn into_raw(self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    /// Returns the C bio.
    pub(super) fn as_ptr(&self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    /// Returns a copy of the bio's iterator: the sector, the size, and the place in the vectors.
    fn iter(&self) -> ffi::bvec_iter {
        // SAFETY: `self.0` is a live bio by the type invariant.
        unsafe { (*self.0.as_ptr()).bi_iter }
    }

    /// Returns the operation.
    #[inline]
    pub fn operation(&self) -> Operation {
        match self.raw_operation() {
            ffi::req_op_REQ_OP_READ => Operation::Read,
            ffi::req_op_REQ_OP_WRITE => Operation::Write,
            ffi::req_op_REQ_OP_DISCARD | ffi::req_op_REQ_OP_WRITE_ZEROES => Operation::Free,
            _ => Operation::Other,
        }
    }

    #[inline]
    fn raw_operation(&self) -> ffi::req_op {
        self.flags() & ((1 << ffi::REQ_OP_BITS) - 1)
    }

    /// Returns whether the driver waits for memory to carry out the bio.
    ///
    /// Swap-out does not wait, nor does any other request by which the current task frees memory.
    #[cold]
    pub fn patience(&self) -> Patience {
        if self.flags() & REQ_SWAP != 0 || is_reclaiming() {
            Patience::Fails
        } else {
            Patience::Waits
        }
    }

    /// Returns whether the bio is for metadata of a file system.
    #[inline]
    pub fn is_metadata(&self) -> bool {
        self.flags() & REQ_META != 0
    }

    /// Returns the index of the first page on the disk that is the bio's as a whole, and the number
    /// of such pages.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the bio is not for whole blocks. The block layer checks that for user space, but
    /// other drivers that send bios to this disk must check it themselves.
    #[inline]
    pub fn page_range(&self) -> Result<(usize, usize)> {
        let iter = self.iter();
        let (sector, size) = (iter.bi_sector, iter.bi_size as usize);
        if sector % SECTORS_PER_BLOCK != 0 || size % BLOCK_SIZE != 0 {
            return Err(EINVAL);
        }
        // The sectors of a page that began before the bio.
        let skipped = if HAS_PARTS {
            sector.wrapping_neg() % SECTORS_PER_PAGE
        } else {
            0
        };
        let first = sector.wrapping_add(skipped) / SECTORS_PER_PAGE;
        let size = size.saturating_sub(skipped as usize * SECTOR_SIZE);
        Ok((first as usize, size / PAGE_SIZE))
    }

    /// Returns the operation and the flags, for another bio that does a part of this one's work.
    pub(super) fn flags(&self) -> ffi::blk_opf_t {
        // SAFETY: `self.0` is a live bio by the type invariant.
        unsafe { (*self.0.as_ptr()).bi_opf }
    }

    /// Marks the whole bio as failed; user space sees `EIO`.
    pub fn fail(&mut self) {
        self.set_status(ffi::ZRAM_STS_IOERR);
    }

    /// Sets the status.
    ///
    /// Takes `&self` because others that have a share in the bio may do the same meanwhile.
    fn set_status(&self, status: ffi::blk_status_t) {
        // SAFETY: `self.0` is a live bio by the type invariant. `bi_status` is a byte, and aligned
        // as such.
        let place = unsafe { &*(&raw const (*self.0.as_ptr()).bi_status).cast::<AtomicU8>() };
        place.store(status, Ordering::Relaxed);
    }

    /// Calls `work`, and counts the bio in the disk's I/O statistics meanwhile.
    #[inline]
    pub fn accounted<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: `self.0` is a live bio by the type invariant.
        let start = unsafe { ffi::bio_start_io_acct(self.0.as_ptr()) };
        let result = work(self);
        // SAFETY: `self.0` is a live bio by the type invariant. `start` was returned for the same
        // bio and the same device.
        unsafe {
            let raw = self.0.as_ptr();
            ffi::bio_end_io_acct_remapped(raw, start, (*raw).bi_bdev);
        }
        result
    }
}
