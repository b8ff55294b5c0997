// SPDX-License-Identifier: GPL-2.0

//! Requests for I/O, and walking over their pages.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

mod kept;

use super::{
    disk::Operations,
    ffi,
    memory::{
        is_reclaiming,
        Patience, //
    },
    page::{
        Buffer,
        Mapped,
        MappedMut, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
pub(super) use kept::Kept;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
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

impl<T: Operations> Bio<T> {
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
    pub(crate) fn pages(&self) -> Result<(usize, usize)> {
        let iter = self.iter();
        let (sector, size) = (iter.bi_sector, iter.bi_size as usize);
        if sector % SECTORS_PER_PAGE != 0 || size % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        Ok(((sector / SECTORS_PER_PAGE) as usize, size / PAGE_SIZE))
    }

    /// The memory that the data goes to or comes from, page by page of the disk.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the operation of the bio is not that of `D`.
    #[inline]
    pub(crate) fn blocks<D: Direction>(&self) -> Result<Blocks<'_, T, D>> {
        if self.raw_operation() != D::OPERATION {
            return Err(EINVAL);
        }
        let iter = self.iter();
        // SAFETY: By the type invariant.
        let vecs = unsafe { (*self.0.as_ptr()).bi_io_vec };
        // INVARIANT: The bio says so.
        Ok(Blocks {
            vec: vecs.wrapping_add(iter.bi_idx as usize),
            done: iter.bi_offset as usize,
            left: iter.bi_size as usize,
            bio: self,
            _direction: PhantomData,
        })
    }

    /// Operation and flags, for a bio that does a part of this one's work.
    pub(super) fn flags(&self) -> ffi::blk_opf_t {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_opf }
    }

    /// Marks the whole bio as failed, with `EIO` for user space.
    pub(crate) fn fail(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_status = ffi::ZRAM_STS_IOERR };
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

/// Walks over the memory of a bio in steps of a page of the disk.
///
/// # Invariants
///
/// `bio` has `left` bytes of memory, from byte `done` of `vec` on, and its operation is that of `D`.
pub(crate) struct Blocks<'b, T, D> {
    vec: *const ffi::bio_vec,
    done: usize,
    left: usize,
    bio: &'b Bio<T>,
    _direction: PhantomData<D>,
}

impl<T, D> Clone for Blocks<'_, T, D> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: That of `self`.
        Self { ..*self }
    }
}

/// The memory for one page of the disk.
pub(crate) enum Block<'b, T, D> {
    /// A page, the usual case.
    Page(Page<'b, T, D>),
    /// Pieces of pages: direct I/O takes any buffer that is aligned to 512 bytes.
    Pieces(Pieces<'b, T, D>),
}

impl<'b, T, D> Blocks<'b, T, D> {
    /// The next page, the offset in it where memory of the bio begins, and how much follows in the same
    /// vector, in the pages after it as well. Some bytes are left.
    #[inline]
    fn here(&self) -> (*mut ffi::page, usize, usize) {
        // SAFETY: By the type invariant, as some bytes are left.
        let vec = unsafe { &*self.vec };
        let at = (vec.bv_offset as usize).wrapping_add(self.done);
        let len = (vec.bv_len as usize).wrapping_sub(self.done);
        // A vector's pages follow each other in the memory map.
        let page = vec.bv_page.wrapping_add(at / PAGE_SIZE);
        (page, at % PAGE_SIZE, len.min(self.left))
    }

    /// Goes on by `len` bytes, no more than [`Blocks::here`] says.
    #[inline]
    fn advance(&mut self, len: usize) {
        // SAFETY: By the type invariant, as some bytes are left.
        let in_vec = unsafe { (*self.vec).bv_len };
        // INVARIANT: Advanced by `len`, which is at most what is left.
        self.left = self.left.wrapping_sub(len);
        self.done = self.done.wrapping_add(len);
        if self.done == in_vec as usize {
            self.vec = self.vec.wrapping_add(1);
            self.done = 0;
        }
    }

    /// The next piece that lies in one page, at most `max` bytes: the page, the offset in it, and
    /// the length, which is zero only at the end.
    fn piece(&mut self, max: usize) -> (*mut ffi::page, usize, usize) {
        if max.min(self.left) == 0 {
            return (core::ptr::null_mut(), 0, 0);
        }
        let (page, at, len) = self.here();
        let len = max.min(len).min(PAGE_SIZE - at);
        self.advance(len);
        (page, at, len)
    }
}

impl<'b, T, D> Iterator for Blocks<'b, T, D> {
    type Item = Block<'b, T, D>;

    #[inline]
    fn next(&mut self) -> Option<Block<'b, T, D>> {
        if self.left == 0 {
            return None;
        }
        let (page, at, len) = self.here();
        if at != 0 || len < PAGE_SIZE {
            let pieces = Pieces(self.clone());
            *self = pieces.after();
            return Some(Block::Pieces(pieces));
        }
        self.advance(PAGE_SIZE);
        // INVARIANT: All of `page` belongs to the bio.
        Some(Block::Page(Page {
            raw: page,
            bio: self.bio,
            _direction: PhantomData,
        }))
    }
}

impl<T: Operations> Block<'_, T, Reading> {
    /// Fills it with `word`.
    #[inline]
    pub(crate) fn fill(&self, word: usize) {
        match self {
            Self::Page(page) => page.map().target().fill(word),
            Self::Pieces(pieces) => pieces.fill(word),
        }
    }
}

/// A page that belongs to a bio.
///
/// # Invariants
///
/// `raw` is a page of `bio`, which keeps it, and whose operation is that of `D`.
pub(crate) struct Page<'b, T, D> {
    raw: *mut ffi::page,
    bio: &'b Bio<T>,
    _direction: PhantomData<D>,
}

impl<'b, T> Page<'b, T, Writing> {
    /// Maps it for the current task, to read from.
    #[inline]
    pub(crate) fn map(&self) -> Mapped<'b> {
        // SAFETY: By the type invariant.
        unsafe { Mapped::new(self.raw) }
    }

    /// The memory node that it is on.
    #[inline]
    pub(crate) fn nid(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { ffi::page_to_nid(self.raw) }
    }
}

impl<'b, T> Page<'b, T, Reading> {
    /// Maps it for the current task, to write to.
    #[inline]
    pub(crate) fn map(&self) -> MappedMut<'b> {
        // SAFETY: By the type invariant; what a bio reads to may be written to.
        unsafe { MappedMut::new(self.raw) }
    }
}

/// Pieces that make up a page together.
pub(crate) struct Pieces<'b, T, D>(Blocks<'b, T, D>);

impl<'b, T, D> Pieces<'b, T, D> {
    /// What comes after them.
    #[cold]
    fn after(&self) -> Blocks<'b, T, D> {
        let mut blocks = self.0.clone();
        let mut left = PAGE_SIZE;
        while left > 0 && blocks.left > 0 {
            left = left.wrapping_sub(blocks.piece(left).2);
        }
        blocks
    }

    /// Calls `each` with a page, an offset in it and a length, piece by piece up to a page.
    fn for_each(&self, mut each: impl FnMut(*mut ffi::page, usize, usize)) {
        let mut blocks = self.0.clone();
        let mut left = PAGE_SIZE;
        loop {
            let (page, at, len) = blocks.piece(left);
            if len == 0 {
                return;
            }
            each(page, at, len);
            left = left.wrapping_sub(len);
        }
    }
}

impl<T> Pieces<'_, T, Writing> {
    /// The memory node that the first is on.
    pub(crate) fn nid(&self) -> i32 {
        let (page, _, _) = self.0.clone().piece(1);
        // SAFETY: There is a piece, and its page is the bio's.
        unsafe { ffi::page_to_nid(page) }
    }

    /// Copies them to `page`.
    pub(crate) fn gather(&self, page: &mut Buffer) {
        let mut rest = &mut page.0[..];
        self.for_each(|memory, at, len| {
            let Some((part, tail)) = core::mem::take(&mut rest).split_at_mut_checked(len) else {
                return;
            };
            // SAFETY: The page is the bio's, which keeps it, and `len` bytes at `at` are in it.
            unsafe {
                let mapped = Mapped::new(memory);
                let from = mapped.as_ptr().wrapping_add(at);
                part.as_mut_ptr().copy_from(from, len);
            }
            rest = tail;
        });
    }
}

impl<T> Pieces<'_, T, Reading> {
    /// Copies `page` to them.
    pub(crate) fn scatter(&self, page: &[u8; PAGE_SIZE]) {
        let mut rest = &page[..];
        self.for_each(|memory, at, len| {
            let Some((part, tail)) = rest.split_at_checked(len) else {
                return;
            };
            // SAFETY: The page is the bio's, which keeps it, and `len` bytes at `at` are in it; what a bio
            // reads to may be written to.
            unsafe {
                let mapped = MappedMut::new(memory);
                part.as_ptr().copy_to(mapped.as_ptr().wrapping_add(at), len);
            }
            rest = tail;
        });
    }

    /// Fills them with `word`, as if they were a page.
    pub(crate) fn fill(&self, word: usize) {
        let mut count = 0usize;
        self.for_each(|memory, at, len| {
            // SAFETY: The page is the bio's, which keeps it; what a bio reads to may be written to.
            let mapped = unsafe { MappedMut::new(memory) };
            for to in at..at.wrapping_add(len) {
                let byte = word.to_ne_bytes()[count % size_of::<usize>()];
                // SAFETY: `for_each` gives bytes that are in the page.
                unsafe { mapped.as_ptr().wrapping_add(to).write(byte) };
                count = count.wrapping_add(1);
            }
        });
    }
}
