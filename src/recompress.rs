// SPDX-License-Identifier: GPL-2.0

//! Recompression: stored pages, compressed again with a better algorithm.

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        page::{
            Buffer,
            Source,
            Target, //
        },
        sched::cond_resched,
        signal,
        zsmalloc::Object, //
    },
    args,
    candidates::Candidates,
    device::Live,
    table::{
        Content,
        Guard,
        View, //
    }, //
};
use core::ops::ControlFlow;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

impl Live {
    /// Compresses the pages that `request` chooses with the algorithm of `priority`, and keeps what
    /// takes less memory. May sleep; one job at a time.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, `ENOMEM`, and that of a page that can't be read; what was done before
    /// stays.
    pub(crate) fn recompress(&self, request: &args::Recompress<'_>, priority: u8) -> Result {
        let mut page = KBox::init(pin_init::init_zeroed::<Buffer>(), GFP_KERNEL)?;
        let mut candidates = Candidates::new(&self.table)?;
        let mut interrupted = false;
        let _ = self.table.for_each(0..self.table.len(), |_, slot| {
            let attr = slot.attr();
            interrupted = signal::is_interrupted();
            if interrupted {
                return ControlFlow::Break(());
            }
            if attr.is_written() || attr.is_same() || attr.is_incompressible() {
                return ControlFlow::Continue(());
            }
            if !request.pages.includes(attr) || attr.priority() >= priority {
                return ControlFlow::Continue(());
            }
            candidates.add(slot);
            ControlFlow::Continue(())
        });
        if interrupted {
            return Err(EINTR);
        }

        let mut left = request.max_pages;
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
                threshold: request.threshold,
                priority,
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
    fn recompress_page<'t>(&'t self, index: usize, attempt: &mut Attempt<'_, 't>) -> Result<bool> {
        loop {
            let Some(mut slot) = self.table.lock(index) else {
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
            attempt.object = Some(self.table.pool().alloc(wanted, -1)?);
        }
    }

    /// The result is how large an object it takes to go on, with nothing locked.
    fn recompress_slot<'t>(
        &'t self,
        slot: &mut Guard<'t>,
        attempt: &mut Attempt<'_, 't>,
    ) -> Result<Option<usize>> {
        let Attempt {
            page,
            threshold,
            priority,
            object,
        } = attempt;
        slot.view(|view| match view {
            View::Object(object) => {
                self.unpack(object, slot.attr().priority(), Target::from(&mut **page))
            }
            _ => Err(EINVAL),
        })?;
        // Its page was looked at: it is no business of a later job that wants what nobody looks at.
        slot.set_idle(false);

        let comp = self.comp(*priority).ok_or(EINVAL)?;
        let pool = self.table.pool();
        let class = pool.class(slot.attr().size());
        let mut stream = comp.stream();
        let packed = stream.pack(Source::from(&**page), PAGE_SIZE)?;
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
            _ if self.is_best(*priority) => slot.set_incompressible(),
            _ => {}
        }
        Ok(None)
    }
}

/// What recompressing one page takes.
struct Attempt<'a, 't> {
    page: &'a mut Buffer,
    /// Only pages of at least that size, in bytes, and only if they get smaller than that.
    threshold: usize,
    priority: u8,
    /// Got for this page with nothing locked.
    object: Option<Object<'t>>,
}
