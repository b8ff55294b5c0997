// SPDX-License-Identifier: GPL-2.0-only

//! The statistics of a device.

#![forbid(unsafe_code)]

use super::word::SlotAttr;
use crate::zram::abstractions::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    percpu::{
        Counters,
        LocalCounters, //
    }, //
};
use kernel::prelude::*;

/// The counters of a device.
///
/// The first four describe what is stored at the moment; the others count events.
#[derive(Clone, Copy)]
pub(crate) enum Stat {
    /// Bytes of compressed data in memory, huge pages included.
    ComprDataSize,
    /// Same-filled pages.
    SamePages,
    /// Pages with an object in memory or a block on the backing device.
    OtherPages,
    /// Huge pages in memory.
    HugePages,
    /// Huge pages that were stored since disksize was set.
    HugePagesSince,
    /// Swap slots that were freed, and pages that were discarded.
    NotifyFree,
    /// Read bios that failed.
    FailedReads,
    /// Write bios that failed.
    FailedWrites,
    /// Pages read from the backing device.
    BdReads,
    /// Pages written to the backing device.
    BdWrites,
    /// Bytes of objects that were written to the backing device again, to make room there.
    BdRewritten,
}

const COUNT: usize = Stat::BdRewritten as usize + 1;

/// The statistics of a device, from disksize to reset.
pub(crate) struct Stats {
    counters: Counters<COUNT>,
    /// The peak of the pool's size, in pages.
    max_used_pages: AtomicUsize,
}

/// Adds one to a counter with `count!(stats, Name)`, or `delta` with `count!(stats, Name, delta)`.
///
/// Context: Any context.
macro_rules! count {
    ($stats:expr, $stat:ident) => {
        $stats
            .this_cpu()
            .add_const::<{ $crate::zram::store::Stat::$stat as usize }, 1>()
    };
    ($stats:expr, $stat:ident, $delta:expr) => {
        $stats
            .this_cpu()
            .add::<{ $crate::zram::store::Stat::$stat as usize }>($delta)
    };
}
pub(crate) use count;

impl Stats {
    /// Allocates the counters, which are all zero.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            counters: Counters::new()?,
            max_used_pages: AtomicUsize::new(0),
        })
    }

    /// Returns this CPU's share of the counters, which [`count`] adds to.
    ///
    /// Context: Any context.
    #[inline]
    pub fn this_cpu(&self) -> LocalCounters<'_, COUNT> {
        self.counters.this_cpu()
    }

    /// Accounts for a page with attributes `page` that was stored (`BY` = 1) or removed (`BY` =
    /// -1).
    ///
    /// Context: Any context.
    #[inline(always)]
    pub(super) fn account<const BY: i64>(&self, page: SlotAttr) {
        let words = self.this_cpu();
        if page.is_same() {
            words.add_const::<{ Stat::SamePages as usize }, BY>();
        } else if !page.is_empty() {
            words.add_const::<{ Stat::OtherPages as usize }, BY>();
            if !page.is_written() {
                words.add::<{ Stat::ComprDataSize as usize }>(page.size() as i64 * BY);
                if page.is_huge() {
                    words.add_const::<{ Stat::HugePages as usize }, BY>();
                    if BY > 0 {
                        words.add_const::<{ Stat::HugePagesSince as usize }, 1>();
                    }
                }
            }
        }
    }

    /// Returns the value of a counter.
    ///
    /// Context: Any context.
    pub fn get(&self, stat: Stat) -> u64 {
        // A page that moves between two CPUs' shares may make the sum negative for a moment.
        self.counters.sum(stat as usize).max(0) as u64
    }

    /// Returns the number of pages that are not empty.
    ///
    /// Context: Any context.
    pub fn pages_stored(&self) -> u64 {
        self.get(Stat::SamePages)
            .wrapping_add(self.get(Stat::OtherPages))
    }

    /// Updates the peak of the pool's size, which is `pages` now.
    ///
    /// Context: Any context.
    #[inline]
    pub fn note_used_pages(&self, pages: usize) {
        if pages > self.max_used_pages.load(Ordering::Relaxed) {
            self.max_used_pages.fetch_max(pages, Ordering::Relaxed);
        }
    }

    /// Returns the peak of the pool's size, in pages.
    ///
    /// Context: Any context.
    pub fn max_used_pages(&self) -> usize {
        self.max_used_pages.load(Ordering::Relaxed)
    }

    /// Resets the peak of the pool's size to `pages`.
    ///
    /// Context: Any context.
    pub fn reset_max_used_pages(&self, pages: usize) {
        self.max_used_pages.store(pages, Ordering::Relaxed);
    }
}
