// SPDX-License-Identifier: GPL-2.0

//! Writeback: stored pages, moved to a backing device.

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        bdev::{
            BackingDevice,
            Write, //
        },
        page::{
            Buffer,
            Target, //
        },
        sched::cond_resched, //
    },
    args,
    backing::Block,
    candidates::Candidates,
    device::Live,
    stats::count,
    table::{
        Guard,
        View, //
    }, //
};
use core::{
    ops::ControlFlow,
    sync::atomic::{
        AtomicBool,
        AtomicU32,
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::prelude::*;

/// What user space sets for writeback, at any time; a reset leaves it as it is.
pub(crate) struct Settings {
    /// Pages that may still be written, where that is limited.
    pub(crate) limit: AtomicU64,
    pub(crate) limit_enable: AtomicBool,
    /// How many pages are on their way to the device at a time, at most.
    pub(crate) batch_size: AtomicU32,
    /// Whether pages are written compressed. Fixed while the device has a disksize.
    pub(crate) compressed: AtomicBool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limit: AtomicU64::new(0),
            limit_enable: AtomicBool::new(false),
            batch_size: AtomicU32::new(32),
            compressed: AtomicBool::new(false),
        }
    }
}

impl Settings {
    /// Whether another page may be written.
    fn check_limit(&self) -> Result {
        let limited = self.limit_enable.load(Ordering::Relaxed);
        if limited && self.limit.load(Ordering::Relaxed) == 0 {
            return Err(EIO);
        }
        Ok(())
    }

    /// Counts a page against the limit.
    fn charge(&self) {
        if self.limit_enable.load(Ordering::Relaxed) {
            let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
            let _ = self
                .limit
                .fetch_update(set, get, |left| left.checked_sub(1));
        }
    }

    /// Takes [`Settings::charge`] back.
    fn refund(&self) {
        if self.limit_enable.load(Ordering::Relaxed) {
            self.limit.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A page to write, and the slot and the block that it is on its way between.
struct Request<'t> {
    write: Write,
    target: Option<(usize, Block<'t>)>,
}

impl Live {
    /// Marks the pages that `choice` names. May sleep; one job at a time.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub(crate) fn choose<'t>(
        &'t self,
        choice: &args::Choice,
        candidates: &mut Candidates<'t>,
    ) -> Result {
        let mut interrupted = false;
        let _ = self.table.for_each(choice.range.clone(), |index, slot| {
            let attr = slot.attr();
            interrupted = current!().signal_pending();
            if interrupted {
                return ControlFlow::Break(());
            }
            if attr.is_written() || attr.is_same() || !choice.pages.includes(attr) {
                return ControlFlow::Continue(());
            }
            candidates.add(index, slot)
        });
        if interrupted {
            return Err(EINTR);
        }
        Ok(())
    }

    /// Writes `candidates` to the backing device, and frees their memory. May sleep; one job at a
    /// time.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, `EIO` at the limit, `ENOSPC` when the device is full, `ENOMEM`; or that
    /// of the last write that failed, which ends nothing. What was done stays.
    pub(crate) fn write_back(&self, settings: &Settings, mut candidates: Candidates<'_>) -> Result {
        let device = self.backing.as_ref().ok_or(ENODEV)?;
        if candidates.len() == 0 {
            return Ok(());
        }
        let batch = settings.batch_size.load(Ordering::Relaxed) as usize;
        let mut requests = requests(batch.min(candidates.len()))?;
        let mut result = Ok(());
        'all: loop {
            for request in &mut requests {
                result = self.finish(settings, request).and(result);
                loop {
                    let Some(index) = candidates.pop() else {
                        break 'all;
                    };
                    match self.start(settings, device, request, index) {
                        Ok(true) => break,
                        Ok(false) => candidates.unmark(index),
                        Err(error) => {
                            candidates.unmark(index);
                            result = Err(error);
                            break 'all;
                        }
                    }
                }
                cond_resched();
            }
        }
        for request in &mut requests {
            result = self.finish(settings, request).and(result);
        }
        result
    }

    /// Starts to write slot `index`; the result is whether there is anything to write.
    fn start<'t>(
        &'t self,
        settings: &Settings,
        device: &BackingDevice,
        request: &mut Request<'t>,
        index: usize,
    ) -> Result<bool> {
        if current!().signal_pending() {
            return Err(EINTR);
        }
        settings.check_limit()?;
        let block = self.table.blocks().reserve().ok_or(ENOSPC)?;
        let page = request.write.page().ok_or(EBUSY)?;
        let Some(slot) = self.table.lock(index) else {
            return Ok(false);
        };
        // One that was accessed or changed since it was chosen stays, as does one that can't be read.
        if !slot.attr().is_candidate() || self.copy_out(&slot, page).is_err() {
            return Ok(false);
        }
        drop(slot);
        settings.charge();
        request.write.start(device, block.index());
        request.target = Some((index, block));
        Ok(true)
    }

    /// Waits for what `request` has on its way, and moves its slot to the block.
    fn finish(&self, settings: &Settings, request: &mut Request<'_>) -> Result {
        let (Some(written), Some((index, block))) = (request.write.wait(), request.target.take())
        else {
            return Ok(());
        };
        let slot = self.table.lock(index);
        if let Err(error) = written {
            settings.refund();
            if let Some(mut slot) = slot {
                slot.set_candidate(false);
            }
            return Err(error);
        }
        count!(self.table.stats(), BdWrites);
        // The slot was unlocked meanwhile: with new content, or none, it is no candidate any more.
        match slot {
            Some(mut slot) if slot.attr().is_candidate() => slot.set_written(block),
            _ => {}
        }
        Ok(())
    }

    /// Copies what `slot` holds to `page`, in the form that the backing device gets.
    fn copy_out(&self, slot: &Guard<'_>, page: &mut Buffer) -> Result {
        let priority = slot.attr().priority();
        slot.view(|view| match view {
            View::Object(object) if !self.compressed_writeback => {
                self.unpack(object, priority, Target::from(page))
            }
            View::Object(object) => {
                let mut stream = self.comp(priority).ok_or(EINVAL)?.stream();
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
        let request = Write::new().map(|write| Request {
            write,
            target: None,
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
