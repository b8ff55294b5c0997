// SPDX-License-Identifier: GPL-2.0-only

//! Writeback: stored pages, moved to a backing device.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    Selection, //
};
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        backing_device::{
            BackingDevice,
            PageWrite, //
        },
        page::PageBuf,
        racy::RacyPageMut,
        sched::cond_resched,
        signal, //
    },
    device::{
        Charge,
        Live,
        WritebackSettings, //
    },
    store::{
        count,
        Block,
        ContentRef,
        SlotGuard, //
    }, //
};
use kernel::prelude::*;

/// A page to write, and the slot and the block that it is on its way between.
struct Request<'t> {
    write: PageWrite,
    target: Option<(usize, Block<'t>)>,
    charge: Charge,
}

/// A job that writes pages to the backing device, and frees their memory.
pub(crate) struct Writeback<'t> {
    live: &'t Live,
    settings: &'t WritebackSettings,
    device: &'t BackingDevice,
    candidates: Candidates<'t>,
}

impl<'t> Writeback<'t> {
    /// Begins with no pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` without a backing device; `ENOMEM`.
    pub(crate) fn new(live: &'t Live, settings: &'t WritebackSettings) -> Result<Self> {
        Ok(Self {
            live,
            settings,
            device: live.backing.as_ref().ok_or(ENODEV)?,
            candidates: Candidates::new(&live.store)?,
        })
    }

    /// Adds the pages of `selection`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub(crate) fn select(&mut self, selection: &Selection) -> Result {
        let filter = selection.filter;
        self.candidates
            .select(selection.range.clone(), |attr| filter.includes(attr))
    }

    /// Writes the pages, and frees their memory.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, `EIO` at the limit, `ENOSPC` when the device is full, `ENOMEM`; or that
    /// of the last write that failed, which ends nothing. What was done stays.
    pub(crate) fn run(mut self) -> Result {
        /// The most pages that may be on their way, whatever user space says.
        const MOST: usize = 1024;
        let len = self.candidates.len();
        if len == 0 {
            return Ok(());
        }
        let batch = self.settings.batch_size.load(Ordering::Relaxed) as usize;
        let mut requests = requests(batch.min(len).min(MOST))?;
        let mut result = Ok(());
        'all: loop {
            for request in &mut requests {
                result = self.finish(request).and(result);
                loop {
                    let index = match self.candidates.pop() {
                        Ok(Some(index)) => index,
                        Ok(None) => break 'all,
                        Err(error) => {
                            result = Err(error);
                            break 'all;
                        }
                    };
                    match self.start(request, index) {
                        Ok(true) => break,
                        Ok(false) => self.candidates.unmark(index),
                        Err(error) => {
                            self.candidates.unmark(index);
                            result = Err(error);
                            break 'all;
                        }
                    }
                }
                cond_resched();
            }
        }
        for request in &mut requests {
            result = self.finish(request).and(result);
        }
        result
    }

    /// Starts to write slot `index`; the result is whether there is anything to write.
    fn start(&self, request: &mut Request<'t>, index: usize) -> Result<bool> {
        signal::freeze_if_asked();
        if signal::is_interrupted() {
            return Err(EINTR);
        }
        self.settings.check_limit()?;
        let block = self.live.store.blocks().reserve().ok_or(ENOSPC)?;
        let page = request.write.page().ok_or(EBUSY)?;
        let Some(slot) = self.live.store.lock(index) else {
            return Ok(false);
        };
        // One that was accessed or changed since it was chosen stays, as does one that can't be read.
        if !slot.attr().is_candidate() || self.copy_out(&slot, page).is_err() {
            return Ok(false);
        }
        drop(slot);
        request.charge = self.settings.charge();
        request.write.start(self.device, block.index());
        request.target = Some((index, block));
        Ok(true)
    }

    /// Waits for what `request` has on its way, and moves its slot to the block.
    fn finish(&self, request: &mut Request<'_>) -> Result {
        let (Some(written), Some((index, block))) = (request.write.wait(), request.target.take())
        else {
            return Ok(());
        };
        let slot = self.live.store.lock(index);
        if let Err(error) = written {
            self.settings.refund(request.charge);
            if let Some(mut slot) = slot {
                slot.set_candidate(false);
            }
            return Err(error);
        }
        count!(self.live.store.stats(), BdWrites);
        // The slot was unlocked meanwhile: with new content, or none, it is no candidate any more.
        match slot {
            Some(mut slot) if slot.attr().is_candidate() => slot.move_to_block(block),
            _ => {}
        }
        Ok(())
    }

    /// Copies what `slot` holds to `page`, in the form that the backing device gets.
    fn copy_out(&self, slot: &SlotGuard<'_>, page: &mut PageBuf) -> Result {
        let priority = slot.attr().priority();
        slot.view(|view| match view {
            ContentRef::Object(object) if !self.live.compressed_writeback => {
                self.live
                    .decompress(object, priority, RacyPageMut::from(page))
            }
            ContentRef::Object(object) => {
                let mut stream = self.live.zcomp(priority).ok_or(EINVAL)?.stream();
                stream.copy_object(object, page)
            }
            _ => Err(EINVAL),
        })
    }
}

/// Up to `count` requests; one is enough to go on with.
fn requests<'t>(count: usize) -> Result<KVVec<Request<'t>>> {
    let mut requests = KVVec::new();
    for _ in 0..count {
        let request = PageWrite::new().map(|write| Request {
            write,
            target: None,
            charge: None,
        });
        let added = request.and_then(|request| Ok(requests.push(request, GFP_KERNEL)?));
        if added.is_err() {
            break;
        }
    }
    if requests.is_empty() {
        return Err(ENOMEM);
    }
    Ok(requests)
}
