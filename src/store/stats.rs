// SPDX-License-Identifier: GPL-2.0-only

//! What a device counts.

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

/// What there is a counter for. The first four are of what is stored now, the others of events.
#[derive(Clone, Copy)]
pub(crate) enum Stat {
    /// RacyBytes of compressed data, huge pages included.
    ComprDataSize,
    /// Pages that hold one word all over.
    SamePages,
    /// Pages that hold anything else.
    OtherPages,
    /// Pages stored as they are.
    HugePages,
    /// Pages that were stored as they are.
    HugePagesSince,
    /// Swap slots that were freed, and pages discarded.
    NotifyFree,
    /// Bios to read that failed.
    FailedReads,
    /// Bios to write that failed.
    FailedWrites,
    /// Pages read from the backing device.
    BdReads,
    /// Pages written to the backing device.
    BdWrites,
}

const COUNT: usize = Stat::BdWrites as usize + 1;

/// The counters of a device, from its disksize to its reset.
pub(crate) struct Stats {
    counters: Counters<COUNT>,
    max_used_pages: AtomicUsize,
}

/// Adds to a counter, one or what is said: `count!(stats, Name)`, `count!(stats, Name, delta)`. Any
/// context.
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
    /// Allocates counters that are all zero. May sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            counters: Counters::new()?,
            max_used_pages: AtomicUsize::new(0),
        })
    }

    /// What [`count`] adds to.
    #[inline]
    pub(crate) fn this_cpu(&self) -> LocalCounters<'_, COUNT> {
        self.counters.this_cpu()
    }

    /// Counts what goes with a page: once with `BY` 1 when it is stored, and with -1 when it is gone.
    /// Any context.
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

    /// The value of a counter. Any context.
    pub(crate) fn get(&self, stat: Stat) -> u64 {
        // A sum taken while a page moves may be below zero for a moment.
        self.counters.sum(stat as usize).max(0) as u64
    }

    /// Pages that hold anything. Any context.
    pub(crate) fn pages_stored(&self) -> u64 {
        self.get(Stat::SamePages)
            .wrapping_add(self.get(Stat::OtherPages))
    }

    /// Notes that the pool uses `pages` now. Any context.
    #[inline]
    pub(crate) fn note_used_pages(&self, pages: usize) {
        if pages > self.max_used_pages.load(Ordering::Relaxed) {
            self.max_used_pages.fetch_max(pages, Ordering::Relaxed);
        }
    }

    /// The most pages that the pool has used.
    pub(crate) fn max_used_pages(&self) -> usize {
        self.max_used_pages.load(Ordering::Relaxed)
    }

    /// Starts to look for the maximum anew, at `pages`.
    pub(crate) fn reset_max_used_pages(&self, pages: usize) {
        self.max_used_pages.store(pages, Ordering::Relaxed);
    }
}
