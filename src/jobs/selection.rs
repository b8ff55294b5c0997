// SPDX-License-Identifier: GPL-2.0-only

//! Which pages a job is for.

#![forbid(unsafe_code)]

use crate::zram::store::SlotAttr;
use core::ops::Range;

/// A kind of pages; with nothing set, all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageFilter {
    pub(crate) idle: bool,
    pub(crate) huge: bool,
    pub(crate) incompressible: bool,
}

impl PageFilter {
    /// Returns whether a page with these attributes is of the kind.
    pub(super) fn includes(self, attr: SlotAttr) -> bool {
        (!self.idle || attr.is_idle())
            && (!self.huge || attr.is_huge())
            && (!self.incompressible || attr.is_incompressible())
    }
}

/// The pages of a kind in a range of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) filter: PageFilter,
    pub(crate) range: Range<usize>,
}
