// SPDX-License-Identifier: GPL-2.0-only

//! Regions of the table of slots, with what is known of the ages of their pages.
//!
//! A page only gets younger while it stays in memory, and a page that is stored has the age 0. So
//! what a scan of a region has found remains a bound, and I/O has nothing to keep up to date: a
//! region is scanned again when its bound is reached.

#![forbid(unsafe_code)]

use super::super::IndexArray;
use core::ops::Range;
use kernel::prelude::*;

/// Bounds of the ages in a region, which a scan has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// No page in memory was last accessed before this second.
    pub oldest: u32,
    /// No rule by age applies to a page that was there before this second.
    pub due: u32,
}

impl Bounds {
    /// The bounds of a region that was not scanned: nothing is known of it.
    const UNKNOWN: Self = Self { oldest: 0, due: 0 };

    fn from_entry(entry: usize) -> Self {
        Self {
            oldest: (entry >> 32) as u32,
            due: entry as u32,
        }
    }

    fn into_entry(self) -> usize {
        (self.oldest as usize) << 32 | self.due as usize
    }
}

// Two seconds since boot fit into an entry.
const _: () = assert!(usize::BITS == 64);

/// The regions of a disk.
pub(super) struct Regions {
    entries: IndexArray,
    /// The binary logarithm of the number of slots in a region.
    shift: u32,
    /// The number of slots of the disk.
    slots: usize,
}

impl Regions {
    /// The binary logarithm of the fewest slots in a region, which take 4 KiB.
    const SHIFT: u32 = 8;

    /// Allocates what a disk of `slots` takes, or what there is memory for, at most 512 KiB:
    /// regions are larger where there would be more of them.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(slots: usize) -> Result<Self> {
        let mut entries = IndexArray::new();
        entries.grow(regions_of(slots, Self::SHIFT))?;
        let mut regions = Self {
            entries,
            shift: Self::SHIFT,
            slots,
        };
        regions.fit(slots);
        Ok(regions)
    }

    /// Fits the regions to a disk of `slots`; nothing is known of them after that.
    fn fit(&mut self, slots: usize) {
        self.slots = slots;
        self.shift = Self::SHIFT;
        while self.len() > self.entries.len() {
            self.shift = self.shift.wrapping_add(1);
        }
        self.forget();
    }

    /// Notes that the disk has `slots` slots, which may be more than before.
    pub(super) fn resize(&mut self, slots: usize) {
        if slots != self.slots {
            self.fit(slots);
        }
    }

    /// Returns the number of regions.
    pub(super) fn len(&self) -> usize {
        regions_of(self.slots, self.shift)
    }

    /// Forgets what is known of all regions.
    pub(super) fn forget(&mut self) {
        for at in 0..self.len() {
            self.set(at, Bounds::UNKNOWN);
        }
    }

    /// Has all regions scanned again, as for rules by age.
    pub(super) fn make_due(&mut self) {
        for at in 0..self.len() {
            let Bounds { oldest, .. } = self.get(at);
            self.set(at, Bounds { oldest, due: 0 });
        }
    }

    /// Returns the slots of region `at`.
    pub(super) fn slots(&self, at: usize) -> Range<usize> {
        let start = |at: usize| at.wrapping_shl(self.shift).min(self.slots);
        start(at)..start(at.wrapping_add(1))
    }

    /// Returns what is known of region `at`.
    pub(super) fn get(&self, at: usize) -> Bounds {
        self.entries
            .get(at)
            .map_or(Bounds::UNKNOWN, Bounds::from_entry)
    }

    /// Sets what is known of region `at`.
    pub(super) fn set(&mut self, at: usize, bounds: Bounds) {
        self.entries.set(at, bounds.into_entry());
    }

    /// Returns the first second at which a rule by age may apply to a page that was scanned.
    pub(super) fn first_due(&self) -> u32 {
        let due = (0..self.len()).map(|at| self.get(at).due);
        due.min().unwrap_or(u32::MAX)
    }
}

/// Returns how many regions of `1 << shift` slots a disk of `slots` has.
fn regions_of(slots: usize, shift: u32) -> usize {
    let last = slots.wrapping_sub(1).wrapping_shr(shift);
    if slots == 0 {
        0
    } else {
        last.wrapping_add(1)
    }
}
