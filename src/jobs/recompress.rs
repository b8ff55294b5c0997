// SPDX-License-Identifier: GPL-2.0-only

//! Recompression: compresses pages that user space selects again, with an algorithm of a higher
//! priority.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    Owner,
    Recompressor,
    Selection, //
};
use crate::zram::device::Live;
use kernel::prelude::*;

/// A job that recompresses pages.
pub(crate) struct Recompression<'t> {
    candidates: Candidates<'t>,
    recompressor: Recompressor<'t>,
    priority: u8,
}

impl<'t> Recompression<'t> {
    /// Creates a job with no pages selected.
    ///
    /// `threshold` is the size, in bytes, from which on pages are tried, and below which a result
    /// is kept; 0 for no such limits. `priority` is that of the algorithm to compress pages with.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such priority; `ENOMEM`.
    pub fn new(live: &'t Live, threshold: usize, priority: u8) -> Result<Self> {
        Ok(Self {
            candidates: Candidates::new(&live.store)?,
            recompressor: Recompressor::new(live, threshold, priority)?,
            priority,
        })
    }

    /// Adds the pages of `selection`, but for those that were compressed with this algorithm or one
    /// of a higher priority, and incompressible ones.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub fn select(&mut self, selection: &Selection) -> Result {
        let (filter, priority) = (selection.filter, self.priority);
        self.candidates.select(selection.range.clone(), |attr| {
            !attr.is_incompressible() && filter.includes(attr) && attr.priority() < priority
        })
    }

    /// Recompresses the selected pages, from the largest on but at most `max_pages`, and keeps the
    /// results that take less memory.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Recompressor::run`].
    pub fn run(mut self, max_pages: u64) -> Result {
        self.recompressor
            .run(&mut self.candidates, Owner::User, max_pages)
    }
}
