// SPDX-License-Identifier: GPL-2.0-only

//! Writeback: moves stored pages to the backing device; [`super::pack`] does it where they stay
//! compressed.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    Packer,
    Selection, //
};
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        backing_device::{
            BackingDevice,
            Run, //
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
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A write to the backing device, used again and again.
struct Transfer<'t> {
    run: Run,
    /// The index of the slot that the page came from, and the block that it is written to, while
    /// the write is under way.
    target: Option<(usize, Block<'t>)>,
    /// The charge to the limit, to be refunded if the write fails.
    charge: Charge,
}

/// A job that writes pages to the backing device and frees their memory.
///
/// A write is under way with the slot unlocked. When it is done, the slot moves to the block if the
/// page was neither accessed nor changed meanwhile.
pub(crate) struct Writeback<'t> {
    live: &'t Live,
    settings: &'t WritebackSettings,
    device: &'t Arc<BackingDevice>,
    candidates: Candidates<'t>,
}

impl<'t> Writeback<'t> {
    /// Creates a job with no pages selected.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` without a backing device; `ENOMEM`.
    pub fn new(live: &'t Live, settings: &'t WritebackSettings) -> Result<Self> {
        Ok(Self {
            live,
            settings,
            device: live.backing.as_ref().ok_or(ENODEV)?,
            candidates: Candidates::new(&live.store)?,
        })
    }

    /// Adds the pages of `selection` that are in memory, but no same-filled ones.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub fn select(&mut self, selection: &Selection) -> Result {
        let filter = selection.filter;
        self.candidates
            .select(selection.range.clone(), |attr| filter.includes(attr))
    }

    /// Writes the selected pages, from the largest on, and frees their memory.
    ///
    /// A write that fails does not end the job, but its error is returned in the end.
    ///
    /// Context: Process context. May sleep; waits for the backing device.
    ///
    /// # Errors
    ///
    /// The last one of: that of a write that failed; `EINTR` after a signal; `EIO` at the limit;
    /// `ENOSPC` if the backing device is full; `ENOMEM`. Pages that were written stay so.
    #[inline(never)] // For the sake of the stack frame of its caller.
    pub fn run(mut self) -> Result {
        /// The most writes under way at a time, whatever user space sets.
        const MOST: usize = 1024;
        let len = self.candidates.len();
        if len == 0 {
            return Ok(());
        }
        let batch = self.settings.batch_size.load(Ordering::Relaxed) as usize;
        let batch = batch.min(len).min(MOST);
        if self.live.compressed_writeback {
            let mut packer = Packer::new(self.live, self.settings, self.device, batch, len)?;
            return packer.run(&mut self.candidates);
        }
        let mut transfers = transfers(self.device, batch)?;
        let mut result = Ok(());
        'all: loop {
            for transfer in &mut transfers {
                result = self.finish(transfer).and(result);
                loop {
                    let index = match self.candidates.pop() {
                        Ok(Some(index)) => index,
                        Ok(None) => break 'all,
                        Err(error) => {
                            result = Err(error);
                            break 'all;
                        }
                    };
                    match self.start(transfer, index) {
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
        for transfer in &mut transfers {
            result = self.finish(transfer).and(result);
        }
        result
    }

    /// Starts to write the page of slot `index`, and returns false if it is no candidate any more.
    fn start(&self, transfer: &mut Transfer<'t>, index: usize) -> Result<bool> {
        signal::freeze_if_asked();
        if signal::is_interrupted() {
            return Err(EINTR);
        }
        self.settings.check_limit()?;
        let block = self.live.store.blocks().reserve().ok_or(ENOSPC)?;
        let page = transfer.run.page(0).ok_or(EBUSY)?;
        let Some(slot) = self.live.store.lock(index) else {
            return Ok(false);
        };
        // A page that was accessed or changed since it was selected stays in memory. So does one
        // that can't be decompressed.
        if !slot.attr().is_candidate() || self.copy_out(&slot, page).is_err() {
            return Ok(false);
        }
        drop(slot);
        transfer.charge = self.settings.charge();
        transfer.run.write(block.index(), 1);
        transfer.target = Some((index, block));
        Ok(true)
    }

    /// Waits for the write of `transfer`, if one is under way, and moves its slot to the block.
    ///
    /// # Errors
    ///
    /// That of the write; the page stays in memory then.
    fn finish(&self, transfer: &mut Transfer<'_>) -> Result {
        let (Some(written), Some((index, block))) = (transfer.run.wait(), transfer.target.take())
        else {
            return Ok(());
        };
        let slot = self.live.store.lock(index);
        if let Err(error) = written {
            self.settings.refund(transfer.charge);
            if let Some(mut slot) = slot {
                slot.set_candidate(false);
            }
            return Err(error);
        }
        count!(self.live.store.stats(), BdWrites);
        // The slot was unlocked meanwhile. If the page was accessed, changed or freed, the slot has
        // lost its mark, and the block is freed instead.
        match slot {
            Some(mut slot) if slot.attr().is_candidate() => slot.move_to_block(block),
            _ => {}
        }
        Ok(())
    }

    /// Decompresses the page in `slot` to `page`.
    fn copy_out(&self, slot: &SlotGuard<'_>, page: &mut PageBuf) -> Result {
        let priority = slot.attr().priority();
        slot.view(|view| match view {
            ContentRef::Object(object) => {
                self.live
                    .decompress(object, priority, RacyPageMut::from(page))
            }
            _ => Err(EINVAL),
        })
    }
}

/// Allocates `count` transfers to `device`, or as many as there is memory for.
///
/// # Errors
///
/// `ENOMEM` if there is not even one.
fn transfers<'t>(device: &Arc<BackingDevice>, count: usize) -> Result<KVVec<Transfer<'t>>> {
    let mut transfers = KVVec::new();
    for _ in 0..count {
        let transfer = Run::new(device, 1).map(|run| Transfer {
            run,
            target: None,
            charge: None,
        });
        let added = transfer.and_then(|transfer| Ok(transfers.push(transfer, GFP_KERNEL)?));
        if added.is_err() {
            break;
        }
    }
    if transfers.is_empty() {
        return Err(ENOMEM);
    }
    Ok(transfers)
}
