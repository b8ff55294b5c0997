// SPDX-License-Identifier: GPL-2.0

//! Requests for I/O, and walking over their pages.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use super::{
    bdev::To,
    disk::Queue,
    ffi,
    page::{
        Buffer,
        Mapped,
        PageBox, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{
        AtomicI32,
        Ordering, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

const SECTOR_SIZE: usize = 512;
const SECTORS_PER_PAGE: u64 = (PAGE_SIZE / SECTOR_SIZE) as u64;

/// What a bio asks for.
pub(crate) enum Operation {
    Read,
    Write,
    /// Discard, or write zeroes.
    Free,
    Other,
}

/// A bio that a disk's driver is working on.
///
/// # Invariants
///
/// `0` is a live bio that has not ended, and is in its disk's queue. Nobody else changes it, but for the
/// status, and the count of those who share in it, once there are any.
pub(crate) struct Bio(NonNull<ffi::bio>);

impl Bio {
    /// # Safety
    ///
    /// `raw` is a live bio, handed to this driver's `submit_bio`, which neither ends it nor returns
    /// during the result's life.
    pub(super) unsafe fn new(raw: NonNull<ffi::bio>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(raw)
    }

    pub(super) fn into_raw(self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    /// Whether it was sent to the disk with this queue.
    #[inline]
    pub(super) fn is_in(&self, queue: &Queue) -> bool {
        // SAFETY: By the type invariant.
        let own = unsafe { (*(*self.0.as_ptr()).bi_bdev).bd_queue };
        own == queue.as_ptr()
    }

    /// A copy of the part that says where the bio is at.
    fn iter(&self) -> ffi::bvec_iter {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_iter }
    }

    /// What to do.
    #[inline]
    pub(crate) fn operation(&self) -> Operation {
        match self.flags() & ((1 << ffi::REQ_OP_BITS) - 1) {
            ffi::req_op_REQ_OP_READ => Operation::Read,
            ffi::req_op_REQ_OP_WRITE => Operation::Write,
            ffi::req_op_REQ_OP_DISCARD | ffi::req_op_REQ_OP_WRITE_ZEROES => Operation::Free,
            _ => Operation::Other,
        }
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

    /// The memory to read from or to write to, page by page of the disk.
    #[inline]
    pub(crate) fn blocks(&self) -> Blocks<'_> {
        let iter = self.iter();
        // SAFETY: By the type invariant.
        let vecs = unsafe { (*self.0.as_ptr()).bi_io_vec };
        // INVARIANT: The bio says so.
        Blocks {
            vec: vecs.wrapping_add(iter.bi_idx as usize),
            done: iter.bi_offset as usize,
            left: iter.bi_size as usize,
            _bio: PhantomData,
        }
    }

    /// Operation and flags, for a bio that does a part of this one's work.
    pub(super) fn flags(&self) -> ffi::blk_opf_t {
        // SAFETY: By the type invariant.
        unsafe { (*self.0.as_ptr()).bi_opf }
    }

    /// Keeps the bio from ending until the result is dropped.
    pub(super) fn chain(&self) -> Parent {
        let raw = self.0.as_ptr();
        // SAFETY: By the type invariant; nobody else changes the flags, and the count is atomic.
        unsafe {
            (*raw).bi_flags |= 1 << ffi::BIO_CHAIN;
            let remaining = (&raw mut (*raw).__bi_remaining.counter).cast::<AtomicI32>();
            (*remaining).fetch_add(1, Ordering::SeqCst);
        }
        // INVARIANT: Counted above.
        Parent(self.0)
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

/// A share in a bio that waits for others.
///
/// # Invariants
///
/// The bio does not end before `bio_endio` is called for this share.
pub(super) struct Parent(NonNull<ffi::bio>);

impl Parent {
    pub(super) fn as_ptr(&self) -> *mut ffi::bio {
        self.0.as_ptr()
    }

    /// Marks the whole bio as failed, for the reason that `status` says, or else with `EIO`.
    pub(super) fn fail(&mut self, status: ffi::blk_status_t) {
        let status = match status {
            0 => ffi::ZRAM_STS_IOERR,
            status => status,
        };
        // SAFETY: By the type invariant the bio is there.
        unsafe { (*self.0.as_ptr()).bi_status = status };
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::bio_endio(self.0.as_ptr()) };
    }
}

/// Walks over the memory of a bio in steps of a page of the disk.
///
/// # Invariants
///
/// A bio that does not end during `'b` has `left` bytes of memory, from byte `done` of `vec` on.
#[derive(Clone)]
pub(crate) struct Blocks<'b> {
    vec: *const ffi::bio_vec,
    done: usize,
    left: usize,
    _bio: PhantomData<&'b Bio>,
}

/// The memory for one page of the disk.
pub(crate) enum Block<'b> {
    /// A page, the usual case.
    Page(Page<'b>),
    /// Pieces of pages: direct I/O takes any buffer that is aligned to 512 bytes.
    Pieces(Pieces<'b>),
}

impl<'b> Blocks<'b> {
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

impl<'b> Iterator for Blocks<'b> {
    type Item = Block<'b>;

    #[inline]
    fn next(&mut self) -> Option<Block<'b>> {
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
        Some(Block::Page(Page(page, PhantomData)))
    }
}

impl Block<'_> {
    /// Fills it with `word`.
    #[inline]
    pub(crate) fn fill(&self, word: usize) {
        match self {
            Self::Page(page) => page.map().target().fill(word),
            Self::Pieces(pieces) => pieces.fill(word),
        }
    }

    /// The same memory, for as long as a [`Parent`] keeps the bio.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn keep(self) -> Result<To> {
        Ok(match self {
            Self::Page(Page(page, _)) => To::Page(page),
            Self::Pieces(Pieces(blocks)) => {
                let memory = PageBox::new_noio()?;
                // INVARIANT: The parent is kept as long as this.
                let blocks = Blocks {
                    vec: blocks.vec,
                    done: blocks.done,
                    left: blocks.left,
                    _bio: PhantomData,
                };
                To::Pieces(Pieces(blocks), memory)
            }
        })
    }
}

/// A page that belongs to a bio.
///
/// # Invariants
///
/// The page is the bio's, which keeps it.
pub(crate) struct Page<'b>(*mut ffi::page, PhantomData<&'b Bio>);

impl<'b> Page<'b> {
    /// Maps it for the current task.
    #[inline]
    pub(crate) fn map(&self) -> Mapped<'b> {
        // SAFETY: By the type invariant. A bio to write has pages that may be written to as well:
        // nobody but the bio's owner sees it.
        unsafe { Mapped::new(self.0) }
    }

    /// The memory node that it is on.
    #[inline]
    pub(crate) fn nid(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { ffi::page_to_nid(self.0) }
    }
}

/// Pieces that make up a page together.
pub(crate) struct Pieces<'b>(Blocks<'b>);

impl<'b> Pieces<'b> {
    /// What comes after them.
    #[cold]
    fn after(&self) -> Blocks<'b> {
        let mut blocks = self.0.clone();
        let mut left = PAGE_SIZE;
        while left > 0 && blocks.left > 0 {
            left = left.wrapping_sub(blocks.piece(left).2);
        }
        blocks
    }

    /// The memory node that the first is on.
    pub(crate) fn nid(&self) -> i32 {
        let (page, _, _) = self.0.clone().piece(1);
        // SAFETY: There is a piece, and its page is the bio's.
        unsafe { ffi::page_to_nid(page) }
    }

    /// Copies them to `page`.
    pub(crate) fn gather(&self, page: &mut Buffer) {
        let mut rest = &mut page.0[..];
        self.for_each(|memory, len| {
            let Some((part, tail)) = core::mem::take(&mut rest).split_at_mut_checked(len) else {
                return;
            };
            // SAFETY: `for_each` gives memory that is as long as `len`.
            unsafe { part.as_mut_ptr().copy_from(memory, len) };
            rest = tail;
        });
    }

    /// Copies `page` to them.
    pub(crate) fn scatter(&self, page: &[u8; PAGE_SIZE]) {
        let mut rest = &page[..];
        self.for_each(|memory, len| {
            let Some((part, tail)) = rest.split_at_checked(len) else {
                return;
            };
            // SAFETY: `for_each` gives memory that is as long as `len`.
            unsafe { part.as_ptr().copy_to(memory, len) };
            rest = tail;
        });
    }

    /// Fills them with `word`, as if they were a page.
    pub(crate) fn fill(&self, word: usize) {
        let mut at = 0usize;
        self.for_each(|memory, len| {
            for i in 0..len {
                let byte = word.to_ne_bytes()[at % size_of::<usize>()];
                // SAFETY: `for_each` gives memory that is as long as `len`.
                unsafe { memory.wrapping_add(i).write(byte) };
                at = at.wrapping_add(1);
            }
        });
    }

    /// Calls `each` with memory and its length, piece by piece up to a page.
    fn for_each(&self, mut each: impl FnMut(*mut u8, usize)) {
        let mut blocks = self.0.clone();
        let mut left = PAGE_SIZE;
        loop {
            let (page, at, len) = blocks.piece(left);
            if len == 0 {
                return;
            }
            // SAFETY: The page is the bio's, which keeps it.
            let mapped = unsafe { Mapped::new(page) };
            each(mapped.as_ptr().wrapping_add(at), len);
            left = left.wrapping_sub(len);
        }
    }
}
