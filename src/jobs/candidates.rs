// SPDX-License-Identifier: GPL-2.0-only

//! Candidates: the pages that a job has selected, handed out from the largest to the smallest.
//!
//! C zram's counterpart is `struct zram_pp_ctl`, which allocates an entry for each page. Here a
//! selected page is marked in its slot, and only counted, by size. [`Candidates::pop`] collects the
//! indexes in batches: it scans the table for as many of the largest pages as it has entries for.
//! So the memory needed is bounded, whatever the size of the disk.
//!
//! A page that is accessed or changed loses its mark, and the job leaves it alone. So it does with
//! the candidates of the policy's worker, which may run at the same time.

#![forbid(unsafe_code)]

use super::{
    BySize,
    IndexArray,
    Source, //
};
use crate::zram::{
    abstractions::signal,
    store::{
        Selector,
        SlotAttr,
        SlotGuard,
        Store, //
    }, //
};
use core::ops::{
    ControlFlow,
    Range, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The range of object sizes that share a bucket, in bytes.
const STEP: usize = 64;
/// The number of buckets; the last one is that of huge pages.
const BUCKETS: usize = PAGE_SIZE / STEP + 1;

/// Returns the index of the bucket that an object belongs to by its size.
fn bucket_of(attr: SlotAttr) -> usize {
    attr.size() / STEP
}

/// The candidates of one job, by size.
///
/// The job unmarks the slots that it has popped, unless it changes them, which also removes the
/// mark. Dropping this unmarks the others.
pub(super) struct Candidates<'t> {
    store: &'t Store,
    buckets: KBox<[Bucket; BUCKETS]>,
    room: IndexArray,
    /// Buckets with this index or a higher one have been collected.
    below: usize,
    /// The slot to go on with, if the bucket that is being collected is larger than `room`; else 0.
    position: usize,
}

/// The candidates of about one size.
#[derive(Zeroable)]
struct Bucket {
    /// Slots that are marked and have not been collected yet.
    marked: usize,
    /// The first of the bucket's entries in [`Candidates::room`].
    start: usize,
    /// The end of the entries that have not been popped yet.
    end: usize,
}

impl<'t> Candidates<'t> {
    /// Creates an empty set of candidates.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(store: &'t Store) -> Result<Self> {
        Ok(Self {
            store,
            buckets: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            room: IndexArray::new(),
            below: BUCKETS,
            position: 0,
        })
    }

    /// Adds the slots in `range` that own an object and whose attributes are `wanted`.
    ///
    /// A slot that was added before is not added again.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal; the slots before are added then.
    pub(super) fn select(
        &mut self,
        range: Range<usize>,
        wanted: impl Fn(SlotAttr) -> bool,
    ) -> Result {
        /// The number of slots after which a signal is looked for.
        const STRETCH: usize = 1 << 14;
        let store = self.store;
        let end = range.end.min(store.len());
        let mut start = range.start;
        while start < end {
            if signal::is_interrupted() {
                return Err(EINTR);
            }
            let next = start.saturating_add(STRETCH).min(end);
            store.for_each(
                start..next,
                |attr| attr.is_object() && !attr.is_candidate() && wanted(attr),
                |slot| self.add(slot),
            );
            start = next;
        }
        Ok(())
    }

    /// Marks and counts a slot that is no candidate yet.
    fn add(&mut self, mut slot: SlotGuard<'_>) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(slot.attr())) {
            slot.set_candidate(Selector::User, true);
            bucket.marked = bucket.marked.saturating_add(1);
        }
    }

    /// Returns the number of candidates that were not popped.
    ///
    /// This is an upper bound: it may include pages that lost their mark meanwhile.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().fold(0, |sum, bucket| {
            let found = bucket.end.wrapping_sub(bucket.start);
            sum.saturating_add(bucket.marked).saturating_add(found)
        })
    }

    /// Collects as many of the largest candidates as there are entries for, and returns false if
    /// none is left.
    fn find(&mut self) -> Result<bool> {
        let top = self.below;
        let mut wanted = 0_usize;
        let mut lowest = top;
        self.room.grow(self.len())?;
        let room = self.room.len();
        for (at, bucket) in self.buckets.iter_mut().enumerate().take(top).rev() {
            let sum = wanted.saturating_add(bucket.marked);
            if sum > room && wanted > 0 {
                break;
            }
            (bucket.start, bucket.end) = (wanted, wanted);
            (wanted, lowest) = (sum, at);
            // The rest of a large bucket is collected alone: the scan starts in the middle of the
            // table, where the candidates of other buckets would be missed.
            if wanted >= room || (wanted > 0 && self.position > 0) {
                break;
            }
        }
        if wanted == 0 {
            self.below = 0;
            return Ok(false);
        }
        let all = self.position..self.store.len();
        let (buckets, room) = (&mut self.buckets, &mut self.room);
        let full = self.store.scan(all, |index, attr| {
            let at = bucket_of(attr);
            let ours = attr.is_candidate_of(Selector::User);
            if !ours || attr.is_written() || at < lowest || at >= top {
                return ControlFlow::Continue(());
            }
            let Some(bucket) = buckets.get_mut(at).filter(|bucket| bucket.marked > 0) else {
                return ControlFlow::Continue(());
            };
            if !room.set(bucket.end, index) {
                return ControlFlow::Break(index);
            }
            bucket.end = bucket.end.wrapping_add(1);
            bucket.marked = bucket.marked.wrapping_sub(1);
            ControlFlow::Continue(())
        });
        match full {
            // The entries ran out, which happens only if a single bucket is larger than all of
            // them.
            ControlFlow::Break(index) => self.position = index,
            ControlFlow::Continue(()) => {
                self.position = 0;
                self.below = lowest;
                // Candidates that the scan did not find have lost their mark.
                for bucket in self.buckets.iter_mut().take(top).skip(lowest) {
                    bucket.marked = 0;
                }
            }
        }
        Ok(true)
    }
}

impl Source for Candidates<'_> {
    /// Removes one of the largest candidates and returns its index, or `None` if none is left.
    fn pop(&mut self) -> Result<Option<usize>> {
        loop {
            let mut buckets = self.buckets.iter_mut().rev();
            if let Some(bucket) = buckets.find(|bucket| bucket.start < bucket.end) {
                bucket.end = bucket.end.wrapping_sub(1);
                return Ok(self.room.get(bucket.end));
            }
            if !self.find()? {
                return Ok(None);
            }
        }
    }

    /// Puts candidates into `sizes`, in the order of the table.
    ///
    /// They stay counted until [`Source::forget`].
    fn collect(&mut self, sizes: &mut BySize) -> bool {
        let all = self.position..self.store.len();
        let full = self.store.scan(all, |index, attr| {
            let ours = attr.is_candidate_of(Selector::User);
            if ours && attr.is_object() && !sizes.insert(attr.size(), index) {
                return ControlFlow::Break(index);
            }
            ControlFlow::Continue(())
        });
        self.position = match full {
            ControlFlow::Break(index) => index,
            ControlFlow::Continue(()) => self.store.len(),
        };
        !sizes.is_empty()
    }

    fn forget(&mut self) {
        for bucket in self.buckets.iter_mut() {
            *bucket = Zeroable::zeroed();
        }
    }
}

impl Drop for Candidates<'_> {
    fn drop(&mut self) {
        if self.len() == 0 {
            return;
        }
        self.store.for_each(
            0..self.store.len(),
            |attr| attr.is_candidate_of(Selector::User),
            |mut slot| slot.set_candidate(Selector::User, false),
        );
    }
}
