// SPDX-License-Identifier: GPL-2.0-only

//! Recompression: stored pages, compressed again with a better algorithm.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    PageFilter, //
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
    device::Live,
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

/// A job that compresses pages again.
pub(crate) struct Recompression<'t> {
    pub(crate) live: &'t Live,
    pub(crate) filter: PageFilter,
    /// How many pages to try at most.
    pub(crate) max_pages: u64,
    /// Only pages of at least that size, in bytes, and only if they get smaller than that.
    pub(crate) threshold: usize,
    /// The priority of the algorithm to compress them with.
    pub(crate) priority: u8,
}

impl<'t> Recompression<'t> {
    /// Compresses the pages again, and keeps what takes less memory.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, `ENOMEM`, and that of a page that can't be read; what was done before stays.
    pub(crate) fn run(&self) -> Result {
        let store = &self.live.store;
        let mut page = KBox::init(pin_init::init_zeroed::<PageBuf>(), GFP_KERNEL)?;
        let mut candidates = Candidates::new(store)?;
        candidates.select(0..store.len(), |attr| {
            !attr.is_incompressible()
                && self.filter.includes(attr)
                && attr.priority() < self.priority
        })?;

        let mut left = self.max_pages;
        while left > 0 {
            let Some(index) = candidates.pop()? else {
                break;
            };
            signal::freeze_if_asked();
            if signal::is_interrupted() {
                candidates.unmark(index);
                return Err(EINTR);
            }
            let mut attempt = Attempt {
                page: &mut page,
                threshold: self.threshold,
                priority: self.priority,
                object: None,
            };
            let tried = self.recompress_page(index, &mut attempt);
            if !matches!(tried, Ok(true)) {
                candidates.unmark(index);
            }
            if tried? {
                // A page counts even if it does not get smaller: the work was done.
                left = left.wrapping_sub(1);
            }
            cond_resched();
        }
        Ok(())
    }

    /// Recompresses a page if it is still a candidate and large enough; the result is whether that was so. While
    /// it allocates what it can't get at once, nothing is locked.
    fn recompress_page(&self, index: usize, attempt: &mut Attempt<'_, 't>) -> Result<bool> {
        loop {
            let Some(mut slot) = self.live.store.lock(index) else {
                return Ok(false);
            };
            if !slot.attr().is_candidate() || slot.attr().size() < attempt.threshold {
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

    /// The result is how large an object it takes to go on, with nothing locked.
    fn recompress_slot(
        &self,
        slot: &mut SlotGuard<'t>,
        attempt: &mut Attempt<'_, 't>,
    ) -> Result<Option<usize>> {
        let Attempt {
            page,
            threshold,
            priority,
            object,
        } = attempt;
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

        let zcomp = self.live.zcomp(*priority).ok_or(EINVAL)?;
        let pool = self.live.store.pool();
        let class = pool.class(slot.attr().size());
        let mut stream = zcomp.stream();
        let packed = stream.compress(RacyPage::from(&**page), PAGE_SIZE)?;
        let smaller = |size: usize| {
            pool.class(size) < class && (*threshold == 0 || size < *threshold) //
        };
        match packed {
            Some(bytes) if smaller(bytes.len()) => {
                let there = object.take();
                let there = there.filter(|object| object.size() >= bytes.len());
                let mut object = match there.map_or_else(|| pool.try_alloc(bytes.len(), -1), Ok) {
                    Err(error) if error == ENOMEM => return Ok(Some(bytes.len())),
                    object => object?,
                };
                object.truncate(bytes.len());
                object.write(bytes.into());
                drop(stream);
                slot.store(Content::Object(object, *priority));
            }
            _ if self.live.is_highest_priority(*priority) => slot.set_incompressible(),
            _ => {}
        }
        Ok(None)
    }
}

/// What recompressing one page takes.
struct Attempt<'a, 't> {
    page: &'a mut PageBuf,
    /// Only pages of at least that size, in bytes, and only if they get smaller than that.
    threshold: usize,
    priority: u8,
    /// Got for this page with nothing locked.
    object: Option<Object<'t>>,
}
