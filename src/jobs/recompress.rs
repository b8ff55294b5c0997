// SPDX-License-Identifier: GPL-2.0-only

//! Recompression: compresses stored pages again, with an algorithm of a higher priority.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    Selection, //
};
use crate::zram::{
    abstractions::{
        page::PageBuf,
        racy::{
            RacyPage,
            RacyPageMut, //
        },
        sched::cond_resched,
        signal,
        zsmalloc::Object, //
    },
    device::{
        Live,
        Recompressed, //
    },
    store::{
        Content,
        ContentRef,
        SlotGuard, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// A job that recompresses pages.
pub(crate) struct Recompression<'t> {
    live: &'t Live,
    candidates: Candidates<'t>,
    threshold: usize,
    priority: u8,
    counts: &'t Recompressed,
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
            live,
            candidates: Candidates::new(&live.store)?,
            threshold,
            priority,
            counts: live.recompressed(priority).ok_or(EINVAL)?,
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
    /// `EINTR` after a signal; `ENOMEM`; `EINVAL` for a page that can't be decompressed, or without
    /// an algorithm of the priority. The pages before stay recompressed.
    pub fn run(mut self, max_pages: u64) -> Result {
        let mut page = KBox::init(pin_init::init_zeroed::<PageBuf>(), GFP_KERNEL)?;
        let mut left = max_pages;
        while left > 0 {
            let Some(index) = self.candidates.pop()? else {
                break;
            };
            signal::freeze_if_asked();
            if signal::is_interrupted() {
                self.candidates.unmark(index);
                return Err(EINTR);
            }
            let mut attempt = Attempt {
                page: &mut page,
                object: None,
            };
            let tried = self.recompress_page(index, &mut attempt);
            if tried.is_err() {
                self.counts.count_failed();
            }
            if !matches!(tried, Ok(true)) {
                self.candidates.unmark(index);
            }
            if tried? {
                // A page that did not get smaller counts, too: it took as much time.
                left = left.wrapping_sub(1);
            }
            cond_resched();
        }
        Ok(())
    }

    /// Recompresses page `index` if it is still a candidate and large enough, and returns whether
    /// it was tried.
    ///
    /// Where there is no memory for the object at once, this allocates it with nothing locked,
    /// which may start reclaim, and tries the page again.
    fn recompress_page(&self, index: usize, attempt: &mut Attempt<'_, 't>) -> Result<bool> {
        loop {
            let Some(mut slot) = self.live.store.lock(index) else {
                return Ok(false);
            };
            if !slot.attr().is_candidate() || slot.attr().size() < self.threshold {
                return Ok(false);
            }
            let Some(wanted) = self.recompress_slot(&mut slot, attempt)? else {
                slot.set_candidate(false);
                return Ok(true);
            };
            drop(slot);
            attempt.object = Some(self.live.store.pool().alloc(wanted, -1)?);
        }
    }

    /// Recompresses the page in `slot`, or returns the size of the object that it takes if there is
    /// no memory for it at once.
    fn recompress_slot(
        &self,
        slot: &mut SlotGuard<'t>,
        attempt: &mut Attempt<'_, 't>,
    ) -> Result<Option<usize>> {
        let Attempt { page, object } = attempt;
        slot.view(|view| match view {
            ContentRef::Object(object) => self.live.decompress(
                object,
                slot.attr().priority(),
                RacyPageMut::from(&mut **page),
            ),
            _ => Err(EINVAL),
        })?;
        // Recompression counts as an access, so that a later job with `type=idle` skips this page.
        slot.set_idle(false);

        let zcomp = self.live.zcomp(self.priority).ok_or(EINVAL)?;
        let pool = self.live.store.pool();
        let before = slot.attr().size();
        let class = pool.class(before);
        let mut stream = zcomp.stream();
        let packed = stream.compress(RacyPage::from(&**page), PAGE_SIZE)?;
        let smaller = |size: usize| {
            pool.class(size) < class && (self.threshold == 0 || size < self.threshold)
            //
        };
        match packed {
            Some(bytes) if smaller(bytes.len()) => {
                let there = object.take();
                let there = there.filter(|object| object.size() >= bytes.len());
                let mut object = match there.map_or_else(|| pool.try_alloc(bytes.len(), -1), Ok) {
                    Err(error) if error == ENOMEM => return Ok(Some(bytes.len())),
                    object => object?,
                };
                let after = bytes.len();
                object.truncate(after);
                object.write(bytes.into());
                drop(stream);
                slot.store(Content::Object(object, self.priority));
                self.counts.count_page(before, after);
            }
            _ => {
                if self.live.is_highest_priority(self.priority) {
                    slot.set_incompressible();
                }
                self.counts.count_unchanged();
            }
        }
        Ok(None)
    }
}

/// The memory for recompressing one page.
struct Attempt<'a, 't> {
    /// A buffer for the decompressed page.
    page: &'a mut PageBuf,
    /// An object that was allocated for this page with nothing locked.
    object: Option<Object<'t>>,
}
