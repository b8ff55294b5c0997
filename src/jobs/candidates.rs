// SPDX-License-Identifier: GPL-2.0-only

//! The pages that a job has chosen, those that it gains most from first.
//!
//! What is chosen is said by a mark in each slot, so that any number of pages takes no memory. The job is given
//! them in batches: as many of the largest as there is room for, found by another look at all slots.

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        page::PageBox,
        signal, //
    },
    store::{
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

/// RacyBytes by which the sizes of a bucket differ at most.
const STEP: usize = 64;
const BUCKETS: usize = PAGE_SIZE / STEP + 1;

fn bucket_of(attr: SlotAttr) -> usize {
    attr.size() / STEP
}

/// Candidates by size. Their slots are marked until the job has done with them or they change; what is left
/// is unmarked when dropped.
pub(super) struct Candidates<'t> {
    store: &'t Store,
    buckets: KBox<[Bucket; BUCKETS]>,
    room: Room,
    /// The buckets below this one are still to be looked for.
    below: usize,
    /// Where in the table to go on, in the middle of a bucket that is larger than the room.
    position: usize,
}

/// Pages of about one size.
#[derive(Zeroable)]
struct Bucket {
    /// How many are marked, and were not found again yet.
    marked: usize,
    /// Which entries of the room it has: those from `start` on to before `end` are to be taken.
    start: usize,
    end: usize,
}

/// Entries in a page.
const ENTRIES: usize = PAGE_SIZE / size_of::<usize>();

/// Room for the indexes of slots.
struct Room(KVec<PageBox<[usize; ENTRIES]>>);

impl Room {
    /// The most pages that it has.
    const PAGES: usize = 128;

    /// How many indexes fit.
    fn len(&self) -> usize {
        self.0.len().wrapping_mul(ENTRIES)
    }

    fn get(&self, at: usize) -> Option<usize> {
        self.0.get(at / ENTRIES)?.get(at % ENTRIES).copied()
    }

    /// Whether there is such a place.
    fn set(&mut self, at: usize, index: usize) -> bool {
        let page = self.0.get_mut(at / ENTRIES);
        match page.and_then(|page| page.get_mut(at % ENTRIES)) {
            Some(place) => {
                *place = index;
                true
            }
            None => false,
        }
    }

    /// Gets room for `count` indexes, or for as many as memory is easily had for. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is none at all.
    fn grow(&mut self, count: usize) -> Result {
        let pages = count.div_ceil(ENTRIES).clamp(1, Self::PAGES);
        while self.0.len() < pages {
            let page = PageBox::new_noio();
            let added = page.and_then(|page| Ok(self.0.push(page, GFP_KERNEL | __GFP_NOWARN)?));
            match added {
                Err(error) if self.0.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

impl<'t> Candidates<'t> {
    /// None yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(store: &'t Store) -> Result<Self> {
        Ok(Self {
            store,
            buckets: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
            room: Room(KVec::new()),
            below: BUCKETS,
            position: 0,
        })
    }

    /// Adds the slots in `range` that hold a page in memory whose attributes are `wanted`, but no same-filled page.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub(super) fn select(
        &mut self,
        range: Range<usize>,
        wanted: impl Fn(SlotAttr) -> bool,
    ) -> Result {
        let store = self.store;
        let end = store.for_each(range, |_, slot| {
            if signal::is_interrupted() {
                return ControlFlow::Break(EINTR);
            }
            let attr = slot.attr();
            if !attr.is_same() && wanted(attr) {
                self.add(slot);
            }
            ControlFlow::Continue(())
        });
        match end {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// Adds a slot, once.
    fn add(&mut self, mut slot: SlotGuard<'_>) {
        let attr = slot.attr();
        if attr.is_candidate() {
            return;
        }
        if let Some(bucket) = self.buckets.get_mut(bucket_of(attr)) {
            slot.set_candidate(true);
            bucket.marked = bucket.marked.saturating_add(1);
        }
    }

    /// How many there are that were not taken out yet, or a few less of those that have changed.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().fold(0, |sum, bucket| {
            let found = bucket.end.wrapping_sub(bucket.start);
            sum.saturating_add(bucket.marked).saturating_add(found)
        })
    }

    /// Takes out one of the largest. Its slot stays marked. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn pop(&mut self) -> Result<Option<usize>> {
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

    /// Looks for as many of the largest as there is room for; false if there are none left.
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
            // The rest of a bucket is looked for by itself: others begin at the start of the table.
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
            if !attr.is_candidate() || attr.is_written() || at < lowest || at >= top {
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
            // There is more in this bucket, which is the only one that was looked for.
            ControlFlow::Break(index) => self.position = index,
            ControlFlow::Continue(()) => {
                self.position = 0;
                self.below = lowest;
                // What was not found has changed.
                for bucket in self.buckets.iter_mut().take(top).skip(lowest) {
                    bucket.marked = 0;
                }
            }
        }
        Ok(true)
    }

    /// Removes the mark of slot `index`.
    pub(super) fn unmark(&self, index: usize) {
        if let Some(mut slot) = self.store.lock(index) {
            slot.set_candidate(false);
        }
    }
}

impl Drop for Candidates<'_> {
    fn drop(&mut self) {
        if self.len() == 0 {
            return;
        }
        let _ = self.store.scan(0..self.store.len(), |index, attr| {
            if attr.is_candidate() {
                self.unmark(index);
            }
            ControlFlow::<()>::Continue(())
        });
    }
}
