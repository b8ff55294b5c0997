// SPDX-License-Identifier: GPL-2.0-only

//! Memory for a page of the disk that is not one page, and memory for a part of one.
//!
//! Upstream this would be `rust/kernel/block/bio/pages/pieces.rs`.

use super::{
    BioPages,
    Place, //
};
use crate::zram::abstractions::{
    bio::{
        Bio,
        Reading,
        Writing,
        HAS_PARTS, //
    },
    ffi,
    kmap::{
        KmapLocal,
        KmapLocalMut, //
    },
    page::PageBuf,
    racy, //
};
use core::marker::PhantomData;
use kernel::page::PAGE_SIZE;

/// Pieces of pages of memory that together are one page of the disk, or a part of one.
///
/// They are the next ones of the iterator in `0`.
pub(crate) struct Pieces<'b, T, D>(BioPages<'b, T, D>);

impl<'b, T, D> Pieces<'b, T, D> {
    /// Returns the next pieces of `pages`, which goes on behind them.
    #[inline]
    pub(super) fn next_of(pages: &mut BioPages<'b, T, D>) -> Self {
        let pieces = Self(pages.clone());
        *pages = pieces.after();
        pieces
    }

    /// Returns the pieces that begin at `place` of the memory of `bio`.
    ///
    /// # Safety
    ///
    /// `place` was returned by [`Pieces::place`] of pieces of the same bio, of type
    /// `Pieces<'_, T, D>`.
    pub(in super::super) unsafe fn at(place: Place, bio: &'b Bio<T>) -> Self {
        // INVARIANT: `place` is a place in the memory of `bio`, whose operation is that of `D`, by
        // the safety requirement of `at`.
        Self(BioPages {
            place,
            index: 0,
            bio,
            _direction: PhantomData,
        })
    }

    /// Returns the place where the pieces begin.
    pub(in super::super) fn place(&self) -> Place {
        self.0.place
    }

    /// Returns the bio.
    pub(in super::super) fn bio(&self) -> &'b Bio<T> {
        self.0.bio
    }

    /// Returns whether the pieces are less than a page of the disk.
    ///
    /// The rest of that page is not the bio's, and a write leaves it as it is.
    #[inline]
    pub fn is_part(&self) -> bool {
        HAS_PARTS && self.0.place.in_page() < PAGE_SIZE
    }

    /// Returns an iterator that begins behind the pieces.
    #[cold]
    fn after(&self) -> BioPages<'b, T, D> {
        let mut pages = self.0.clone();
        let mut left = pages.place.in_page();
        while left > 0 && pages.place.left > 0 {
            left = left.wrapping_sub(pages.piece(left).2);
        }
        // INVARIANT: The next byte, if there is one, is the first of its page of the disk.
        pages.place.offset = 0;
        pages
    }

    /// Calls `each` with the page, the offset in it, and the length of each piece.
    fn for_each(&self, mut each: impl FnMut(*mut ffi::page, usize, usize)) {
        let mut pages = self.0.clone();
        let mut left = pages.place.in_page();
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

    /// Copies the pieces to `page`, whose rest stays as it is if they are a part of one.
    pub fn gather(&self, page: &mut PageBuf) {
        let mut rest = page.0.get_mut(self.0.place.offset()..).unwrap_or_default();
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
    /// Copies `page` to the pieces, or that part of it which they are.
    pub fn scatter(&self, page: &[u8; PAGE_SIZE]) {
        let mut rest = page.get(self.0.place.offset()..).unwrap_or_default();
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
    ///
    /// A part of a page begins at a block, and hence with a whole word.
    #[cold]
    pub(in super::super::super) fn fill(&self, word: usize) {
        const WORD: usize = size_of::<usize>();
        let mut count = 0usize;
        self.for_each(|memory, at, len| {
            // SAFETY: `memory` is a page of the bio, which keeps it. The data of the bio goes to
            // memory, so that the page may be written to.
            let mapped = unsafe { KmapLocalMut::new(memory) };
            if (at | len | count) % WORD == 0 {
                for to in (at..at.wrapping_add(len)).step_by(WORD) {
                    // SAFETY: `to` is aligned like a word and so far below `at + len`, which
                    // `for_each` keeps within the page, that a word fits.
                    unsafe {
                        let to = mapped.as_ptr().wrapping_add(to);
                        to.cast::<usize>().write_volatile(word);
                    }
                }
                count = count.wrapping_add(len);
                return;
            }
            for to in at..at.wrapping_add(len) {
                let byte = word.to_ne_bytes()[count % WORD];
                // SAFETY: `to` is less than `at + len`, which `for_each` keeps within the page.
                unsafe { mapped.as_ptr().wrapping_add(to).write_volatile(byte) };
                count = count.wrapping_add(1);
            }
        });
    }
}
