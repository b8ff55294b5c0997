// SPDX-License-Identifier: GPL-2.0-only

//! Walks over the memory of a bio, one page of the disk at a time.
//!
//! Upstream this would be `rust/kernel/block/bio/pages.rs`.

use super::{
    Bio,
    Direction,
    Reading,
    Writing,
    SECTORS_PER_PAGE, //
};
use crate::zram::abstractions::{
    compat,
    ffi,
    kmap::{
        KmapLocal,
        KmapLocalMut, //
    },
    page::PageBuf,
    racy, //
};
use core::marker::PhantomData;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

impl<T> Bio<T> {
    /// Returns an iterator over the bio's pages: the index of each on the disk, and the memory that
    /// its data goes to or comes from.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the operation of the bio is not that of `D`.
    #[inline]
    pub fn pages<D: Direction>(&self) -> Result<BioPages<'_, T, D>> {
        if self.raw_operation() != D::OPERATION {
            return Err(EINVAL);
        }
        let iter = self.iter();
        // SAFETY: `self.0` is a live bio by the type invariant.
        let vecs = unsafe { (*self.0.as_ptr()).bi_io_vec };
        // INVARIANT: `bi_iter` says that the bio has `bi_size` bytes from byte `offset` of
        // vector `bi_idx` on, and its operation was compared with that of `D` above.
        Ok(BioPages {
            vec: vecs.wrapping_add(iter.bi_idx as usize),
            done: compat::offset(&iter) as usize,
            left: iter.bi_size as usize,
            index: (iter.bi_sector / SECTORS_PER_PAGE) as usize,
            bio: self,
            _direction: PhantomData,
        })
    }
}

/// An iterator over the memory of a bio, in steps of a page of the disk.
///
/// # Invariants
///
/// `bio` has `left` bytes of memory, which begin at byte `done` of `vec`, and its operation is that
/// of `D`.
pub(crate) struct BioPages<'b, T, D> {
    pub(super) vec: *const ffi::bio_vec,
    pub(super) done: usize,
    pub(super) left: usize,
    /// Index on the disk of the next page.
    pub(super) index: usize,
    pub(super) bio: &'b Bio<T>,
    pub(super) _direction: PhantomData<D>,
}

impl<T, D> Clone for BioPages<'_, T, D> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: All fields are those of `self`, which keeps the invariant.
        Self { ..*self }
    }
}

/// The memory for one page of the disk.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{bio::{BioPage, Writing}, page::PageBuf, racy::RacyPage};
/// fn is_zero<T>(page: &BioPage<'_, T, Writing>, copy: &mut PageBuf) -> bool {
///     match page {
///         BioPage::Whole(page) => page.map().page().same() == Some(0),
///         BioPage::Pieces(pieces) => {
///             pieces.gather(copy);
///             RacyPage::from(&*copy).same() == Some(0)
///         }
///     }
/// }
/// ```
pub(crate) enum BioPage<'b, T, D> {
    /// One page, which is the usual case.
    Whole(WholePage<'b, T, D>),
    /// Pieces of pages: direct I/O takes any buffer that is aligned to 512 bytes.
    Pieces(Pieces<'b, T, D>),
}

impl<'b, T, D> BioPages<'b, T, D> {
    /// Returns the page where the next byte is, the byte's offset in that page, and how many bytes
    /// follow in the same vector, which may go on in the pages after it.
    ///
    /// # Safety
    ///
    /// `self.left` is not zero.
    #[inline]
    unsafe fn here(&self) -> (*mut ffi::page, usize, usize) {
        // SAFETY: `self.vec` is a vector of the bio by the type invariant, as `self.left` is not
        // zero by the safety requirement.
        let vec = unsafe { &*self.vec };
        let at = (vec.bv_offset as usize).wrapping_add(self.done);
        let len = (vec.bv_len as usize).wrapping_sub(self.done);
        // A vector's pages follow each other in the memory map.
        let page = vec.bv_page.wrapping_add(at / PAGE_SIZE);
        (page, at % PAGE_SIZE, len.min(self.left))
    }

    /// Skips `len` bytes.
    ///
    /// # Safety
    ///
    /// `self.left` is not zero, and `len` is no more than [`BioPages::here`] returns.
    #[inline]
    unsafe fn advance(&mut self, len: usize) {
        // SAFETY: `self.vec` is a vector of the bio by the type invariant, as `self.left` is not
        // zero by the safety requirement.
        let in_vec = unsafe { (*self.vec).bv_len };
        // INVARIANT: `len` is at most `self.left`, and does not go beyond the vector. At its end
        // `vec` becomes the next vector.
        self.left = self.left.wrapping_sub(len);
        self.done = self.done.wrapping_add(len);
        if self.done == in_vec as usize {
            self.vec = self.vec.wrapping_add(1);
            self.done = 0;
        }
    }

    /// Returns the next piece of at most `max` bytes that lies in one page, and skips it: the page,
    /// the offset in the page, and the length, which is zero only at the end.
    fn piece(&mut self, max: usize) -> (*mut ffi::page, usize, usize) {
        if max.min(self.left) == 0 {
            return (core::ptr::null_mut(), 0, 0);
        }
        // SAFETY: `self.left` is not zero.
        let (page, at, len) = unsafe { self.here() };
        let len = max.min(len).min(PAGE_SIZE - at);
        // SAFETY: `self.left` is not zero, and `len` is no more than `here` returned.
        unsafe { self.advance(len) };
        (page, at, len)
    }
}

impl<'b, T, D> Iterator for BioPages<'b, T, D> {
    type Item = (usize, BioPage<'b, T, D>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let index = self.index;
        self.index = index.wrapping_add(1);
        // SAFETY: `self.left` is not zero.
        let (page, at, len) = unsafe { self.here() };
        if at != 0 || len < PAGE_SIZE {
            let pieces = Pieces(self.clone());
            *self = pieces.after();
            return Some((index, BioPage::Pieces(pieces)));
        }
        // SAFETY: `self.left` is not zero, and `here` returned at least a page.
        unsafe { self.advance(PAGE_SIZE) };
        // INVARIANT: `page` lies in a vector of the bio, and all its `PAGE_SIZE` bytes do: `at` is
        // zero and `len` is at least that.
        Some((
            index,
            BioPage::Whole(WholePage {
                raw: page,
                bio: self.bio,
                _direction: PhantomData,
            }),
        ))
    }
}

impl<T> BioPage<'_, T, Reading> {
    /// Fills the memory with copies of `word`.
    #[inline]
    pub fn fill(&self, word: usize) {
        match self {
            Self::Whole(page) => page.map().page_mut().fill(word),
            Self::Pieces(pieces) => pieces.fill(word),
        }
    }
}

/// A page of memory that belongs to a bio.
///
/// # Invariants
///
/// `raw` is a page of `bio`, which keeps it allocated, and whose operation is that of `D`.
pub(crate) struct WholePage<'b, T, D> {
    pub(super) raw: *mut ffi::page,
    pub(super) bio: &'b Bio<T>,
    _direction: PhantomData<D>,
}

impl<'b, T> WholePage<'b, T, Writing> {
    /// Maps the page for the current task, to read from it.
    #[inline]
    pub fn map(&self) -> KmapLocal<'b> {
        // SAFETY: `self.raw` is a page of a bio by the type invariant, which keeps it during `'b`.
        unsafe { KmapLocal::new(self.raw) }
    }

    /// Returns the memory node that the page is on.
    #[inline]
    pub fn nid(&self) -> i32 {
        // SAFETY: `self.raw` is a page of a bio by the type invariant.
        unsafe { ffi::page_to_nid(self.raw) }
    }
}

impl<'b, T> WholePage<'b, T, Reading> {
    /// Maps the page for the current task, to write to it.
    #[inline]
    pub fn map(&self) -> KmapLocalMut<'b> {
        // SAFETY: `self.raw` is a page of a bio by the type invariant, which keeps it during `'b`.
        // The data of the bio goes to memory, so that the page may be written to.
        unsafe { KmapLocalMut::new(self.raw) }
    }
}

/// Pieces of pages of memory that together are one page of the disk.
pub(crate) struct Pieces<'b, T, D>(pub(super) BioPages<'b, T, D>);

impl<'b, T, D> Pieces<'b, T, D> {
    /// Returns an iterator that begins behind the pieces.
    #[cold]
    fn after(&self) -> BioPages<'b, T, D> {
        let mut pages = self.0.clone();
        let mut left = PAGE_SIZE;
        while left > 0 && pages.left > 0 {
            left = left.wrapping_sub(pages.piece(left).2);
        }
        pages
    }

    /// Calls `each` with the page, the offset in it, and the length of each piece.
    fn for_each(&self, mut each: impl FnMut(*mut ffi::page, usize, usize)) {
        let mut pages = self.0.clone();
        let mut left = PAGE_SIZE;
        loop {
            let (page, at, len) = pages.piece(left);
            if len == 0 {
                return;
            }
            each(page, at, len);
            left = left.wrapping_sub(len);
        }
    }
}

impl<T> Pieces<'_, T, Writing> {
    /// Returns the memory node that the first piece is on.
    pub fn nid(&self) -> i32 {
        let (page, _, _) = self.0.clone().piece(1);
        // SAFETY: `page` is a page of the bio: the pieces of a page are not empty, so `piece` has
        // returned one.
        unsafe { ffi::page_to_nid(page) }
    }

    /// Copies the pieces to `page`.
    pub fn gather(&self, page: &mut PageBuf) {
        let mut rest = &mut page.0[..];
        self.for_each(|memory, at, len| {
            let Some((part, tail)) = core::mem::take(&mut rest).split_at_mut_checked(len) else {
                return;
            };
            // SAFETY: `memory` is a page of the bio, which keeps it, and has `len` bytes at `at`.
            // `part` is as long.
            unsafe {
                let mapped = KmapLocal::new(memory);
                let from = mapped.as_ptr().wrapping_add(at);
                racy::copy(part.as_mut_ptr(), from, len);
            }
            rest = tail;
        });
    }
}

impl<T> Pieces<'_, T, Reading> {
    /// Copies `page` to the pieces.
    pub fn scatter(&self, page: &[u8; PAGE_SIZE]) {
        let mut rest = &page[..];
        self.for_each(|memory, at, len| {
            let Some((part, tail)) = rest.split_at_checked(len) else {
                return;
            };
            // SAFETY: `memory` is a page of the bio, which keeps it, and has `len` bytes at `at`.
            // The data of the bio goes to memory, so that the page may be written to.
            unsafe {
                let mapped = KmapLocalMut::new(memory);
                racy::copy(mapped.as_ptr().wrapping_add(at), part.as_ptr(), len);
            }
            rest = tail;
        });
    }

    /// Fills the pieces with copies of `word`, like one page.
    pub(in super::super) fn fill(&self, word: usize) {
        let mut count = 0usize;
        self.for_each(|memory, at, len| {
            // SAFETY: `memory` is a page of the bio, which keeps it. The data of the bio goes to
            // memory, so that the page may be written to.
            let mapped = unsafe { KmapLocalMut::new(memory) };
            for to in at..at.wrapping_add(len) {
                let byte = word.to_ne_bytes()[count % size_of::<usize>()];
                // SAFETY: `to` is less than `at + len`, which `for_each` keeps within the page.
                unsafe { mapped.as_ptr().wrapping_add(to).write_volatile(byte) };
                count = count.wrapping_add(1);
            }
        });
    }
}
