// SPDX-License-Identifier: GPL-2.0-only

//! Arrays of numbers, such as indexes of slots, that jobs keep.

#![forbid(unsafe_code)]

use crate::zram::abstractions::page::PageBox;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Entries in a page of an [`IndexArray`].
const ENTRIES: usize = PAGE_SIZE / size_of::<usize>();

/// An array of numbers, in single pages of memory.
pub(super) struct IndexArray(KVec<PageBox<[usize; ENTRIES]>>);

impl IndexArray {
    /// The most pages to allocate, which are 512 KiB.
    const PAGES: usize = (512 << 10) / PAGE_SIZE;

    /// Creates an array without entries.
    pub(super) fn new() -> Self {
        Self(KVec::new())
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.0.len().wrapping_mul(ENTRIES)
    }

    /// Returns entry `at`, or `None` if there is no such entry.
    pub(super) fn get(&self, at: usize) -> Option<usize> {
        self.0.get(at / ENTRIES)?.get(at % ENTRIES).copied()
    }

    /// Sets entry `at`, and returns whether there is such an entry.
    pub(super) fn set(&mut self, at: usize, index: usize) -> bool {
        let page = self.0.get_mut(at / ENTRIES);
        match page.and_then(|page| page.get_mut(at % ENTRIES)) {
            Some(place) => {
                *place = index;
                true
            }
            None => false,
        }
    }

    /// Grows to `count` entries, or to as many as there is memory for.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there would be no entry at all.
    pub(super) fn grow(&mut self, count: usize) -> Result {
        let pages = count.div_ceil(ENTRIES).clamp(1, Self::PAGES);
        while self.0.len() < pages {
            let page = PageBox::new_noio();
            let added = page.and_then(|page| Ok(self.0.push(page, GFP_KERNEL | __GFP_NOWARN)?));
            match added {
                Err(error) if self.0.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
