// SPDX-License-Identifier: GPL-2.0-only

//! The pages that the policy's worker has moved most recently, and when.

#![forbid(unsafe_code)]

use crate::zram::abstractions::atomic::{
    AtomicU64,
    Ordering, //
};
use kernel::prelude::*;

/// A table of the pages that were moved most recently: a hash of the index has one place.
///
/// A page that has the same place as a later one is forgotten, so that what is read soon after it
/// was moved is counted too low rather than too high.
pub(super) struct Moves(KVVec<AtomicU64>);

impl Moves {
    /// The number of seconds in which a page was moved too early if it is read then.
    pub(super) const SOON: u32 = 60;
    /// The binary logarithm of the number of pages, which take 512 KiB.
    const BITS: u32 = 16;

    /// Allocates an empty table.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let flags = GFP_KERNEL | __GFP_NOWARN;
        let mut places = KVVec::with_capacity(1 << Self::BITS, flags)?;
        for _ in 0..1 << Self::BITS {
            places.push(AtomicU64::new(0), flags)?;
        }
        Ok(Self(places))
    }

    /// Returns the place of page `index`.
    fn place(&self, index: usize) -> Option<&AtomicU64> {
        /// 2^64 divided by the golden ratio: neighbouring indexes get places far apart.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = (index as u64).wrapping_mul(SPREAD) >> (u64::BITS - Self::BITS);
        self.0.get(hash as usize)
    }

    /// Notes that page `index` was moved at second `now`, which is not 0.
    ///
    /// Context: Any context.
    pub(super) fn insert(&self, index: usize, now: u32) {
        if let Some(place) = self.place(index) {
            place.store(entry(index) | u64::from(now), Ordering::Relaxed);
        }
    }

    /// Forgets page `index`, and returns the second at which it was moved, if that is known.
    ///
    /// Context: Any context.
    pub(super) fn take(&self, index: usize) -> Option<u32> {
        let place = self.place(index)?;
        let found = place.load(Ordering::Relaxed);
        let time = found as u32;
        if time == 0 || found ^ u64::from(time) != entry(index) {
            return None;
        }
        let (done, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        let taken = place.compare_exchange(found, 0, done, failed);
        taken.is_ok().then_some(time)
    }
}

/// Returns the entry of page `index` without its time: the lower half of the index.
///
/// Pages that are 2^32 apart are taken for the same.
fn entry(index: usize) -> u64 {
    (index as u64) << 32
}
