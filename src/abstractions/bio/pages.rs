// SPDX-License-Identifier: GPL-2.0-only

//! Walks over the memory of a bio, one page of the disk at a time.
//!
//! Upstream this would be `rust/kernel/block/bio/pages.rs`.

mod pieces;

use super::{
    Bio,
    Direction,
    Reading,
    Writing,
    HAS_PARTS,
    SECTORS_PER_PAGE,
    SECTOR_SIZE, //
};
use crate::zram::abstractions::{
    compat,
    ffi,
    kmap::{
        KmapLocal,
        KmapLocalMut, //
    }, //
};
use core::marker::PhantomData;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
pub(crate) use pieces::Pieces;

impl<T> Bio<T> {
    /// Returns an iterator over the bio's pages: the index of each on the disk, and the memory that
    /// its data goes to or comes from.
    ///
    /// The first page and the last one may be the bio's in part only.
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
        // vector `bi_idx` on, and its operation was compared with that of `D` above. The offset of
        // a sector in its page is less than a page.
        Ok(BioPages {
            place: Place {
                vec: vecs.wrapping_add(iter.bi_idx as usize),
                done: compat::offset(&iter) as usize,
                left: iter.bi_size as usize,
                offset: if HAS_PARTS {
                    (iter.bi_sector % SECTORS_PER_PAGE) as usize * SECTOR_SIZE
                } else {
                    0
                },
            },
            index: (iter.bi_sector / SECTORS_PER_PAGE) as usize,
            bio: self,
            _direction: PhantomData,
        })
    }
}

/// A place in the memory of a bio, and the place on the disk that it is for.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The vector.
    vec: *const ffi::bio_vec,
    /// The bytes of the vector that come before the place.
    done: usize,
    /// The bytes of the bio from the place on.
    left: usize,
    /// The offset in its page of the place on the disk; see [`Place::offset`].
    offset: usize,
}

impl Place {
    /// Returns the offset in its page of the place on the disk, which is 0 without [`HAS_PARTS`].
    #[inline]
    fn offset(&self) -> usize {
        if HAS_PARTS {
            self.offset
        } else {
            0
        }
    }

    /// Returns the bytes from the place to the end of its page of the disk, or to that of the bio.
    #[inline]
    fn in_page(&self) -> usize {
        if HAS_PARTS {
            self.left.min(PAGE_SIZE.wrapping_sub(self.offset()))
        } else {
            PAGE_SIZE
        }
    }
}

/// An iterator over the memory of a bio, in steps of a page of the disk.
///
/// # Invariants
///
/// `bio` has `place.left` bytes of memory, which begin at byte `place.done` of `place.vec`, and its
/// operation is that of `D`. `place.offset` is less than a page.
pub(crate) struct BioPages<'b, T, D> {
    place: Place,
    /// Index on the disk of the next page.
    index: usize,
    bio: &'b Bio<T>,
    _direction: PhantomData<D>,
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
    /// Pieces of pages, as direct I/O takes any buffer that is aligned to 512 bytes; or memory for
    /// a part of a page of the disk.
    Pieces(Pieces<'b, T, D>),
}

impl<'b, T, D> BioPages<'b, T, D> {
    /// Returns the page where the next byte is, the byte's offset in that page, and how many bytes
    /// follow in the same vector, which may go on in the pages after it.
    ///
    /// # Safety
    ///
    /// `self.place.left` is not zero.
    #[inline]
    unsafe fn here(&self) -> (*mut ffi::page, usize, usize) {
        let Place {
            vec, done, left, ..
        } = self.place;
        // SAFETY: `vec` is a vector of the bio by the type invariant, as `left` is not zero by the
        // safety requirement.
        let vec = unsafe { &*vec };
        let at = (vec.bv_offset as usize).wrapping_add(done);
        let len = (vec.bv_len as usize).wrapping_sub(done);
        // A vector's pages follow each other in the memory map.
        let page = vec.bv_page.wrapping_add(at / PAGE_SIZE);
        (page, at % PAGE_SIZE, len.min(left))
    }

    /// Skips `len` bytes of memory; the place on the disk is left to the caller.
    ///
    /// # Safety
    ///
    /// `self.place.left` is not zero, and `len` is no more than [`BioPages::here`] returns.
    #[inline]
    unsafe fn advance(&mut self, len: usize) {
        let place = &mut self.place;
        // SAFETY: `place.vec` is a vector of the bio by the type invariant, as `place.left` is not
        // zero by the safety requirement.
        let in_vec = unsafe { (*place.vec).bv_len };
        // INVARIANT: `len` is at most `place.left`, and does not go beyond the vector. At its end
        // `vec` becomes the next vector.
        place.left = place.left.wrapping_sub(len);
        place.done = place.done.wrapping_add(len);
        if place.done == in_vec as usize {
            place.vec = place.vec.wrapping_add(1);
            place.done = 0;
        }
    }

    /// Returns the next piece of at most `max` bytes that lies in one page, and skips it: the page,
    /// the offset in the page, and the length, which is zero only at the end.
    fn piece(&mut self, max: usize) -> (*mut ffi::page, usize, usize) {
        if max.min(self.place.left) == 0 {
            return (core::ptr::null_mut(), 0, 0);
        }
        // SAFETY: `self.place.left` is not zero.
        let (page, at, len) = unsafe { self.here() };
        let len = max.min(len).min(PAGE_SIZE - at);
        // SAFETY: `self.place.left` is not zero, and `len` is no more than `here` returned.
        unsafe { self.advance(len) };
        (page, at, len)
    }
}

impl<'b, T, D> Iterator for BioPages<'b, T, D> {
    type Item = (usize, BioPage<'b, T, D>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.place.left == 0 {
            return None;
        }
        let index = self.index;
        self.index = index.wrapping_add(1);
        // SAFETY: `self.place.left` is not zero.
        let (page, at, len) = unsafe { self.here() };
        if at != 0 || len < PAGE_SIZE || self.place.offset() != 0 {
            let pieces = Pieces::next_of(self);
            return Some((index, BioPage::Pieces(pieces)));
        }
        // SAFETY: `self.place.left` is not zero, and `here` returned at least a page.
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
