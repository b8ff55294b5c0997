// SPDX-License-Identifier: GPL-2.0-only

//! The memory of a bio, page by page of the disk.

use super::{
    Bio,
    Direction,
    Reading,
    Writing,
    SECTORS_PER_PAGE, //
};
use crate::zram::abstractions::{
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
    /// The memory that the data goes to or comes from, page by page of the disk.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the operation of the bio is not that of `D`.
    #[inline]
    pub(crate) fn pages<D: Direction>(&self) -> Result<BioPages<'_, T, D>> {
        if self.raw_operation() != D::OPERATION {
            return Err(EINVAL);
        }
        let iter = self.iter();
        // SAFETY: By the type invariant.
        let vecs = unsafe { (*self.0.as_ptr()).bi_io_vec };
        // INVARIANT: The bio says so.
        Ok(BioPages {
            vec: vecs.wrapping_add(iter.bi_idx as usize),
            done: iter.bi_offset as usize,
            left: iter.bi_size as usize,
            index: (iter.bi_sector / SECTORS_PER_PAGE) as usize,
            bio: self,
            _direction: PhantomData,
        })
    }
}

/// Walks over the memory of a bio in steps of a page of the disk.
///
/// # Invariants
///
/// `bio` has `left` bytes of memory, from byte `done` of `vec` on, and its operation is that of `D`.
pub(crate) struct BioPages<'b, T, D> {
    pub(super) vec: *const ffi::bio_vec,
    pub(super) done: usize,
    pub(super) left: usize,
    /// The index on the disk of the page that is next.
    pub(super) index: usize,
    pub(super) bio: &'b Bio<T>,
    pub(super) _direction: PhantomData<D>,
}

impl<T, D> Clone for BioPages<'_, T, D> {
    #[inline]
    fn clone(&self) -> Self {
        // INVARIANT: That of `self`.
        Self { ..*self }
    }
}

/// The memory for one page of the disk.
pub(crate) enum BioPage<'b, T, D> {
    /// A page, the usual case.
    Whole(WholePage<'b, T, D>),
    /// Pieces of pages: direct I/O takes any buffer that is aligned to 512 bytes.
    Pieces(Pieces<'b, T, D>),
}

impl<'b, T, D> BioPages<'b, T, D> {
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

    /// Goes on by `len` bytes, no more than [`BioPages::here`] says.
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

impl<'b, T, D> Iterator for BioPages<'b, T, D> {
    type Item = (usize, BioPage<'b, T, D>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let index = self.index;
        self.index = index.wrapping_add(1);
        let (page, at, len) = self.here();
        if at != 0 || len < PAGE_SIZE {
            let pieces = Pieces(self.clone());
            *self = pieces.after();
            return Some((index, BioPage::Pieces(pieces)));
        }
        self.advance(PAGE_SIZE);
        // INVARIANT: All of `page` belongs to the bio.
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
    /// Fills it with `word`.
    #[inline]
    pub(crate) fn fill(&self, word: usize) {
        match self {
            Self::Whole(page) => page.map().target().fill(word),
            Self::Pieces(pieces) => pieces.fill(word),
        }
    }
}

/// A page that belongs to a bio.
///
/// # Invariants
///
/// `raw` is a page of `bio`, which keeps it, and whose operation is that of `D`.
pub(crate) struct WholePage<'b, T, D> {
    pub(super) raw: *mut ffi::page,
    pub(super) bio: &'b Bio<T>,
    _direction: PhantomData<D>,
}

impl<'b, T> WholePage<'b, T, Writing> {
    /// Maps it for the current task, to read from.
    #[inline]
    pub(crate) fn map(&self) -> KmapLocal<'b> {
        // SAFETY: By the type invariant.
        unsafe { KmapLocal::new(self.raw) }
    }

    /// The memory node that it is on.
    #[inline]
    pub(crate) fn nid(&self) -> i32 {
        // SAFETY: By the type invariant.
        unsafe { ffi::page_to_nid(self.raw) }
    }
}

impl<'b, T> WholePage<'b, T, Reading> {
    /// Maps it for the current task, to write to.
    #[inline]
    pub(crate) fn map(&self) -> KmapLocalMut<'b> {
        // SAFETY: By the type invariant; what a bio reads to may be written to.
        unsafe { KmapLocalMut::new(self.raw) }
    }
}

/// Pieces that make up a page together.
pub(crate) struct Pieces<'b, T, D>(pub(super) BioPages<'b, T, D>);

impl<'b, T, D> Pieces<'b, T, D> {
    /// What comes after them.
    #[cold]
    fn after(&self) -> BioPages<'b, T, D> {
        let mut pages = self.0.clone();
        let mut left = PAGE_SIZE;
        while left > 0 && pages.left > 0 {
            left = left.wrapping_sub(pages.piece(left).2);
        }
        pages
    }

    /// Calls `each` with a page, an offset in it and a length, piece by piece up to a page.
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
    /// The memory node that the first is on.
    pub(crate) fn nid(&self) -> i32 {
        let (page, _, _) = self.0.clone().piece(1);
        // SAFETY: There is a piece, and its page is the bio's.
        unsafe { ffi::page_to_nid(page) }
    }

    /// Copies them to `page`.
    pub(crate) fn gather(&self, page: &mut PageBuf) {
        let mut rest = &mut page.0[..];
        self.for_each(|memory, at, len| {
            let Some((part, tail)) = core::mem::take(&mut rest).split_at_mut_checked(len) else {
                return;
            };
            // SAFETY: The page is the bio's, which keeps it, and `len` bytes at `at` are in it.
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
                let mapped = KmapLocalMut::new(memory);
                racy::copy(mapped.as_ptr().wrapping_add(at), part.as_ptr(), len);
            }
            rest = tail;
        });
    }

    /// Fills them with `word`, as if they were a page.
    pub(in super::super) fn fill(&self, word: usize) {
        let mut count = 0usize;
        self.for_each(|memory, at, len| {
            // SAFETY: The page is the bio's, which keeps it; what a bio reads to may be written to.
            let mapped = unsafe { KmapLocalMut::new(memory) };
            for to in at..at.wrapping_add(len) {
                let byte = word.to_ne_bytes()[count % size_of::<usize>()];
                // SAFETY: `for_each` gives bytes that are in the page.
                unsafe { mapped.as_ptr().wrapping_add(to).write_volatile(byte) };
                count = count.wrapping_add(1);
            }
        });
    }
}
