// SPDX-License-Identifier: GPL-2.0-only

//! The results of recompression with an algorithm.

#![forbid(unsafe_code)]

use crate::zram::abstractions::atomic::{
    AtomicU64,
    Ordering, //
};

/// The results of recompression with an algorithm since the device became live.
///
/// The methods take no lock, and any context will do.
#[derive(Default)]
pub(crate) struct Recompressed {
    pages: AtomicU64,
    before: AtomicU64,
    after: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
}

impl Recompressed {
    /// Counts a page whose object of `before` bytes was replaced by one of `after`.
    pub fn count_page(&self, before: usize, after: usize) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.before.fetch_add(before as u64, Ordering::Relaxed);
        self.after.fetch_add(after as u64, Ordering::Relaxed);
    }

    /// Counts a page that was tried and stays as it was, since that would have saved nothing.
    pub fn count_unchanged(&self) {
        self.unchanged.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a page that could not be tried to its end.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of pages that were recompressed, the bytes that they took before and
    /// after, the number of those that stay as they were, and of those that failed.
    pub fn counts(&self) -> [u64; 5] {
        let Self {
            pages,
            before,
            after,
            unchanged,
            failed,
        } = self;
        [pages, before, after, unchanged, failed].map(|count| count.load(Ordering::Relaxed))
    }
}
