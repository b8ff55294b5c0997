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
        sched::cond_resched,
        signal, //
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
        Ordering, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// What user space sets for writeback, at any time; a reset leaves it as it is.
pub(crate) struct Settings {
    limit: Pin<KBox<SpinLock<Limit>>>,
    /// How many pages are on their way to the device at a time, at most.
    pub(crate) batch_size: AtomicU32,
    /// Whether pages are written compressed. Fixed while the device has a disksize.
    pub(crate) compressed: AtomicBool,
}

/// How many pages may be written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limit {
    /// Pages that may still be written, if that is limited.
    pub(crate) pages: u64,
    pub(crate) enabled: bool,
    /// How often the number was set.
    set: u64,
}

/// What a page was charged to: [`Limit::set`] then, if it was charged at all.
type Charge = Option<u64>;

impl Settings {
    /// As of a new device. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let limit = new_spinlock!(Limit::default(), "zram_limit");
        Ok(Self {
            limit: KBox::pin_init(limit, GFP_KERNEL)?,
            batch_size: AtomicU32::new(32),
            compressed: AtomicBool::new(false),
        })
    }

    /// The limit as it is now.
    pub(crate) fn limit(&self) -> Limit {
        *self.limit.lock()
    }

    /// Sets how many pages may be written. What is on its way to the device was charged to the number before.
    pub(crate) fn set_limit(&self, pages: u64) {
        let mut limit = self.limit.lock();
        limit.pages = pages;
        limit.set = limit.set.wrapping_add(1);
    }

    /// Sets whether that counts.
    pub(crate) fn enable_limit(&self, enabled: bool) {
        self.limit.lock().enabled = enabled;
    }

    /// Whether another page may be written.
    fn check_limit(&self) -> Result {
        let limit = self.limit();
        if limit.enabled && limit.pages == 0 {
            return Err(EIO);
        }
        Ok(())
    }

    /// Counts a page against the limit.
    fn charge(&self) -> Charge {
        let mut limit = self.limit.lock();
        if !limit.enabled {
            return None;
        }
        limit.pages = limit.pages.checked_sub(1)?;
        Some(limit.set)
    }

    /// Takes a charge back, unless the number was set anew meanwhile.
    fn refund(&self, charge: Charge) {
        let mut limit = self.limit.lock();
        if charge == Some(limit.set) {
            limit.pages = limit.pages.saturating_add(1);
        }
    }
}

/// A page to write, and the slot and the block that it is on its way between.
struct Request<'t> {
    write: Write,
    target: Option<(usize, Block<'t>)>,
    charge: Charge,
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
        let _ = self.table.for_each(choice.range.clone(), |_, slot| {
            let attr = slot.attr();
            interrupted = signal::is_interrupted();
            if interrupted {
                return ControlFlow::Break(());
            }
            if attr.is_written() || attr.is_same() || !choice.pages.includes(attr) {
                return ControlFlow::Continue(());
            }
            candidates.add(slot);
            ControlFlow::Continue(())
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
        /// The most pages that may be on their way, whatever user space says.
        const MOST: usize = 1024;
        let device = self.backing.as_ref().ok_or(ENODEV)?;
        if candidates.len() == 0 {
            return Ok(());
        }
        let batch = settings.batch_size.load(Ordering::Relaxed) as usize;
        let mut requests = requests(batch.min(candidates.len()).min(MOST))?;
        let mut result = Ok(());
        'all: loop {
            for request in &mut requests {
                result = self.finish(settings, request).and(result);
                loop {
                    let index = match candidates.pop() {
                        Ok(Some(index)) => index,
                        Ok(None) => break 'all,
                        Err(error) => {
                            result = Err(error);
                            break 'all;
                        }
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
        signal::freeze_if_asked();
        if signal::is_interrupted() {
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
        request.charge = settings.charge();
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
            settings.refund(request.charge);
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
