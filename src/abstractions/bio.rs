// SPDX-License-Identifier: GPL-2.0-only

//! Requests for I/O, and walking over their pages.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

mod destination;
mod pages;

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
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use pages::BioPages;
pub(crate) use pages::{
    BioPage,
    Pieces, //
};

const SECTOR_SIZE: usize = 512;
const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;
const REQ_META: ffi::blk_opf_t = 1 << ffi::req_flag_bits___REQ_META;
const REQ_SWAP: ffi::blk_opf_t = 1 << ffi::req_flag_bits___REQ_SWAP;

/// What a bio asks for.
pub(crate) enum Operation {
    Read,
    Write,
    /// Discard, or write zeroes.
    Free,
    Other,
}

/// Which way the data of a bio goes.
pub(crate) trait Direction {
    /// The operation whose data goes that way.
    const OPERATION: ffi::req_op;
}

/// From the disk to memory.
pub(crate) struct Reading;
/// From memory, which may not be written to, to the disk.
pub(crate) struct Writing;

impl Direction for Reading {
    const OPERATION: ffi::req_op = ffi::req_op_REQ_OP_READ;
}

impl Direction for Writing {
    const OPERATION: ffi::req_op = ffi::req_op_REQ_OP_WRITE;
}

/// A bio that a disk's driver is working on.
///
/// # Invariants
///
/// `0` is a live bio that was sent to a disk of `T` and has not ended. Nobody else changes it, but for the
/// status, and the count of those who share in it, once there are any.
pub(crate) struct Bio<T>(NonNull<ffi::bio>, PhantomData<T>);

impl<T> Bio<T> {
    /// # Safety
    ///
    /// `raw` is a live bio, handed to the `submit_bio` of a disk of `T`, which neither ends it nor returns
    /// during the result's life.
    pub(super) unsafe fn new(raw: NonNull<ffi::bio>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(raw, PhantomData)
    }

    pub(super) fn into_raw(self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    /// A copy of the part that says where the bio is at.
    fn iter(&self) -> ffi::bvec_iter {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_iter }
    }

    /// What to do.
    #[inline]
    pub(crate) fn operation(&self) -> Operation {
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

    /// Whether it waits for memory. Swap-out does not, and nor does whatever else the current task frees
    /// memory by.
    #[cold]
    pub(crate) fn patience(&self) -> Patience {
        if self.flags() & REQ_SWAP != 0 || is_reclaiming() {
            Patience::Fails
        } else {
            Patience::Waits
        }
    }

    /// Whether it is for what a file system keeps its files with.
    #[inline]
    pub(crate) fn is_metadata(&self) -> bool {
        self.flags() & REQ_META != 0
    }

    /// The pages of the disk that it is for: the first, and how many.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not for whole pages: the block layer sees to that for user space, and
    /// drivers that stack on this disk must.
    #[inline]
    pub(crate) fn page_range(&self) -> Result<(usize, usize)> {
        let iter = self.iter();
        let (sector, size) = (iter.bi_sector, iter.bi_size as usize);
        if sector % SECTORS_PER_PAGE != 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        Ok(((sector / SECTORS_PER_PAGE) as usize, size / PAGE_SIZE))
    }

    /// Operation and flags, for a bio that does a part of this one's work.
    pub(super) fn flags(&self) -> ffi::blk_opf_t {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_opf }
    }

    /// Marks the whole bio as failed, with `EIO` for user space.
    pub(crate) fn fail(&mut self) {
        self.set_status(ffi::ZRAM_STS_IOERR);
    }

    /// Sets the status, as may others that read a part of the bio from elsewhere.
    fn set_status(&self, status: ffi::blk_status_t) {
        // SAFETY: By the type invariant. A status is a byte.
        let place = unsafe { &*(&raw const (*self.0.as_ptr()).bi_status).cast::<AtomicU8>() };
        place.store(status, Ordering::Relaxed);
    }

    /// Counts the bio in the disk's I/O statistics while `work` runs.
    #[inline]
    pub(crate) fn accounted<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        // SAFETY: By the type invariant.
        let start = unsafe { ffi::bio_start_io_acct(self.0.as_ptr()) };
        let result = work(self);
        // SAFETY: By the type invariant; the call above was for the same device.
        unsafe {
            let raw = self.0.as_ptr();
            ffi::bio_end_io_acct_remapped(raw, start, (*raw).bi_bdev);
        }
        result
    }
}
