// SPDX-License-Identifier: GPL-2.0-only

//! Compressing stored pages again, with an algorithm of a higher priority.

#![forbid(unsafe_code)]

use super::{
    Owner,
    Source, //
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
    },
    streams::{
        OwnStream,
        Zcomp, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The memory that it takes to recompress pages, any number of times.
pub(super) struct Recompressor<'t> {
    live: &'t Live,
    threshold: usize,
    priority: u8,
    counts: &'t Recompressed,
    /// The streams of the algorithms up to `priority`, by their priority.
    streams: KVec<Option<OwnStream<'t>>>,
    /// A buffer for a decompressed page.
    page: KBox<PageBuf>,
}

impl<'t> Recompressor<'t> {
    /// Allocates it.
    ///
    /// `threshold` is the size, in bytes, from which on pages are tried, and below which a result
    /// is kept; 0 for no such limits. `priority` is that of the algorithm to compress pages with.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such priority; `ENOMEM`.
    pub(super) fn new(live: &'t Live, threshold: usize, priority: u8) -> Result<Self> {
        let counts = live.recompressed(priority).ok_or(EINVAL)?;
        let mut streams = KVec::new();
        for priority in 0..=priority {
            let stream = live.zcomp(priority).map(Zcomp::own_stream).transpose()?;
            streams.push(stream, GFP_KERNEL)?;
        }
        Ok(Self {
            live,
            threshold,
            priority,
            counts,
            streams,
            page: KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?,
        })
    }

    /// Recompresses `candidates` for `owner`, but at most `max_pages`, and keeps the results that
    /// take less memory.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, or where a reset waits for the worker; `ENOMEM`; `EINVAL` for a page
    /// that can't be decompressed, or without an algorithm of the priority. The pages before stay
    /// recompressed.
    pub(super) fn run(
        &mut self,
        candidates: &mut dyn Source,
        owner: Owner<'_>,
        max_pages: u64,
    ) -> Result {
        let mut left = max_pages;
        while left > 0 {
            let Some(index) = candidates.pop()? else {
                break;
            };
            signal::freeze_if_asked();
            if owner.is_interrupted() {
                owner.unmark(&self.live.store, index);
                return Err(EINTR);
            }
            let tried = self.recompress_page(index, owner);
            if tried.is_err() {
                self.counts.count_failed();
            }
            if !matches!(tried, Ok(true)) {
                owner.unmark(&self.live.store, index);
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
    fn recompress_page(&mut self, index: usize, owner: Owner<'_>) -> Result<bool> {
        let mut there = None;
        loop {
            let Some(mut slot) = self.live.store.lock(index) else {
                return Ok(false);
            };
            let attr = slot.attr();
            if !attr.is_candidate_of(owner.selector()) || attr.size() < self.threshold {
                return Ok(false);
            }
            let Some(wanted) = self.recompress_slot(&mut slot, &mut there)? else {
                let (before, after) = (attr.size(), slot.attr().size());
                if after < before {
                    owner.count_moved(index, before.wrapping_sub(after));
                }
                slot.set_candidate(owner.selector(), false);
                return Ok(true);
            };
            drop(slot);
            there = Some(self.live.store.pool().alloc(wanted, -1)?);
        }
    }

    /// Recompresses the page in `slot`, or returns the size of the object that it takes if there is
    /// no memory for it at once.
    ///
    /// `there` is an object that was allocated for this page with nothing locked.
    fn recompress_slot(
        &mut self,
        slot: &mut SlotGuard<'t>,
        there: &mut Option<Object<'t>>,
    ) -> Result<Option<usize>> {
        slot.view(|view| match view {
            ContentRef::Object(object) => self.decompress(object, slot.attr().priority()),
            _ => Err(EINVAL),
        })?;
        // Recompression counts as an access, so that a later job with `type=idle` skips this page.
        slot.set_idle(false);

        let stream = self.streams.get_mut(usize::from(self.priority));
        let stream = stream.and_then(Option::as_mut).ok_or(EINVAL)?;
        let pool = self.live.store.pool();
        let before = slot.attr().size();
        let class = pool.class(before);
        let packed = stream.compress(RacyPage::from(&*self.page), PAGE_SIZE);
        let smaller = |size: usize| {
            pool.class(size) < class && (self.threshold == 0 || size < self.threshold)
            //
        };
        match packed {
            Some(bytes) if smaller(bytes.len()) => {
                let there = there.take();
                let there = there.filter(|object| object.size() >= bytes.len());
                let mut object = match there.map_or_else(|| pool.try_alloc(bytes.len(), -1), Ok) {
                    Err(error) if error == ENOMEM => return Ok(Some(bytes.len())),
                    object => object?,
                };
                let after = bytes.len();
                object.truncate(after);
                object.write(bytes.into());
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

    /// Decompresses `object`, which the algorithm of `priority` has compressed, to the buffer.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `object` is corrupt.
    fn decompress(&mut self, object: &Object<'_>, priority: u8) -> Result {
        let page = RacyPageMut::from(&mut *self.page);
        let stream = self.streams.get_mut(usize::from(priority));
        match stream.and_then(Option::as_mut) {
            Some(stream) if object.size() != PAGE_SIZE => stream.decompress_object(object, page),
            _ => self.live.decompress(object, priority, page),
        }
    }
}
