// SPDX-License-Identifier: GPL-2.0-only

//! Ages of the pages in memory, to find out which are the coldest.

#![forbid(unsafe_code)]

use crate::zram::store::{
    SlotAttr,
    Store, //
};
use core::ops::ControlFlow;
use kernel::prelude::*;

/// The number of buckets.
const BUCKETS: usize = 32 + 27 * 4;

/// Returns the bucket of an age in seconds: one for each second at first, and then four for each
/// doubling.
const fn bucket(age: u32) -> usize {
    if age < 32 {
        return age as usize;
    }
    let log = age.ilog2();
    let quarter = age.wrapping_shr(log.wrapping_sub(2)) & 3;
    (32 + log.wrapping_sub(5).wrapping_mul(4).wrapping_add(quarter)) as usize
}

/// Returns the lowest age in bucket `at`, in seconds.
const fn lowest_age(at: usize) -> u32 {
    if at < 32 {
        return at as u32;
    }
    let above = at.wrapping_sub(32) as u32;
    let (log, quarter) = (above / 4 + 5, above % 4);
    (4 | quarter).wrapping_shl(log.wrapping_sub(2))
}

// Each bucket begins where the one before ends.
const _: () = {
    let mut at = 0;
    while at < BUCKETS {
        assert!(bucket(lowest_age(at)) == at);
        assert!(at == 0 || bucket(lowest_age(at) - 1) == at - 1);
        at += 1;
    }
    assert!(bucket(u32::MAX) == BUCKETS - 1);
};

/// The bytes of the pages in memory, by their age, as a sample has them.
pub(super) struct Ages {
    /// The bytes in each bucket: of all pages, and of those that were asked for.
    bytes: KBox<[[u64; 2]; BUCKETS]>,
    /// The number of pages for one in the sample.
    stride: u64,
}

impl Ages {
    /// The number of pages that a sample has at most, about.
    const SAMPLE: u64 = 1 << 17;

    /// Allocates an empty sample.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            bytes: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            stride: 1,
        })
    }

    /// Takes a sample of the pages of `store` at second `now`; pages are asked for by `wanted`.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn sample(&mut self, store: &Store, now: u32, wanted: impl Fn(SlotAttr) -> bool) {
        *self.bytes = [[0; 2]; BUCKETS];
        self.stride = store.stats().pages_stored() / Self::SAMPLE + 1;
        let bytes = &mut self.bytes;
        let _ = store.sample(self.stride as usize, |_, attr| {
            if attr.is_object() {
                let at = bucket(now.saturating_sub(attr.time()));
                if let Some([all, asked_for]) = bytes.get_mut(at) {
                    let size = attr.size() as u64;
                    *all = all.saturating_add(size);
                    if wanted(attr) {
                        *asked_for = asked_for.saturating_add(size);
                    }
                }
            }
            ControlFlow::<()>::Continue(())
        });
    }

    /// Returns the highest age that pages with `wanted` bytes in all have at least, or 0 if there
    /// are not as many.
    pub(super) fn age_of_coldest(&self, wanted: u64) -> u32 {
        self.oldest(wanted, |[all, _]| all)
    }

    /// Returns the number of bytes in all pages.
    pub(super) fn sum(&self) -> u64 {
        let sum: u64 = self.bytes.iter().map(|[all, _]| *all).sum();
        sum.saturating_mul(self.stride)
    }

    /// Returns the age that the coldest of the pages that were asked for have at least, if one of
    /// them is as old as `least`; of these pages there are `wanted` bytes, or all there are.
    pub(super) fn age_of_asked_for(&self, wanted: u64, least: u32) -> Option<u32> {
        let above = self.bytes.iter().skip(bucket(least));
        if above.map(|[_, asked_for]| *asked_for).sum::<u64>() == 0 {
            return None;
        }
        Some(self.oldest(wanted, |[_, asked_for]| asked_for).max(least))
    }

    fn oldest(&self, wanted: u64, bytes: impl Fn([u64; 2]) -> u64) -> u32 {
        let mut sum = 0_u64;
        for (at, &bucket) in self.bytes.iter().enumerate().rev() {
            sum = sum.saturating_add(bytes(bucket).saturating_mul(self.stride));
            if sum > 0 && sum >= wanted {
                return lowest_age(at);
            }
        }
        0
    }
}
