// SPDX-License-Identifier: GPL-2.0-only

//! Selections: the pages that a job is for.

#![forbid(unsafe_code)]

use crate::zram::store::SlotAttr;
use core::ops::Range;

/// A filter by attributes: a page passes that has all that are set here.
///
/// The default filter passes every page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageFilter {
    /// The page is marked as idle.
    pub idle: bool,
    /// The page is stored uncompressed.
    pub huge: bool,
    /// The algorithm of the highest priority could not make the page smaller.
    pub incompressible: bool,
}

impl PageFilter {
    /// Returns whether a page with the attributes `attr` passes.
    pub(super) fn includes(self, attr: SlotAttr) -> bool {
        (!self.idle || attr.is_idle())
            && (!self.huge || attr.is_huge())
            && (!self.incompressible || attr.is_incompressible())
    }
}

/// The pages in a range of the disk that pass a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The filter.
    pub filter: PageFilter,
    /// The range, as indexes of pages.
    pub range: Range<usize>,
}
