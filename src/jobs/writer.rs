// SPDX-License-Identifier: GPL-2.0-only

//! Writing pages to the backing device: one to a block; [`super::pack`] does it where they stay
//! compressed, several to a block.

#![forbid(unsafe_code)]

use super::{
    Owner,
    Packer,
    Source, //
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

/// The memory that it takes to write pages to the backing device, any number of times.
///
/// A write is under way with the slot unlocked. When it is done, the slot moves to the block if the
/// page was neither accessed nor changed meanwhile.
pub(super) enum Writer<'t> {
    /// Each page gets a block of its own.
    Whole(WholePages<'t>),
    /// Pages stay compressed, and share blocks.
    Packed(Packer<'t>),
}

impl<'t> Writer<'t> {
    /// Allocates it, to write at most `len` pages at a time.
    ///
    /// How many writes are under way at a time is `writeback_batch_size`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(
        live: &'t Live,
        settings: &'t WritebackSettings,
        device: &'t Arc<BackingDevice>,
        len: usize,
    ) -> Result<Self> {
        /// The most writes under way at a time, whatever user space sets.
        const MOST: usize = 1024;
        let batch = settings.batch_size.load(Ordering::Relaxed) as usize;
        let batch = batch.min(len).min(MOST);
        Ok(if live.compressed_writeback {
            Self::Packed(Packer::new(live, settings, device, batch, len)?)
        } else {
            Self::Whole(WholePages {
                live,
                owner: Owner::User,
                settings,
                transfers: transfers(device, batch)?,
            })
        })
    }

    /// Writes `candidates` for `owner`, and frees their memory.
    ///
    /// A write that fails does not end this, but its error is returned in the end.
    ///
    /// Context: Process context. May sleep; waits for the backing device.
    ///
    /// # Errors
    ///
    /// The last one of: that of a write that failed; `EINTR` after a signal, or where a reset
    /// waits for the worker; `EIO` at the limit; `ENOSPC` if the backing device is full; `ENOMEM`.
    /// Pages that were written stay so.
    pub(super) fn run(&mut self, candidates: &mut dyn Source, owner: Owner<'t>) -> Result {
        match self {
            Self::Whole(pages) => pages.run(candidates, owner),
            Self::Packed(packer) => packer.run(candidates, owner),
        }
    }
}

/// Writes of whole pages.
pub(super) struct WholePages<'t> {
    live: &'t Live,
    owner: Owner<'t>,
    settings: &'t WritebackSettings,
    transfers: KVVec<Transfer<'t>>,
}

impl<'t> WholePages<'t> {
    /// Does what [`Writer::run`] does.
    #[inline(never)] // For the sake of the stack frame of its caller.
    fn run(&mut self, candidates: &mut dyn Source, owner: Owner<'t>) -> Result {
        self.owner = owner;
        let mut transfers = core::mem::take(&mut self.transfers);
        let mut result = Ok(());
        'all: loop {
            for transfer in &mut transfers {
                result = self.finish(transfer).and(result);
                loop {
                    let index = match candidates.pop() {
                        Ok(Some(index)) => index,
                        Ok(None) => break 'all,
                        Err(error) => {
                            result = Err(error);
                            break 'all;
                        }
                    };
                    match self.start(transfer, index) {
                        Ok(true) => break,
                        Ok(false) => owner.unmark(&self.live.store, index),
                        Err(error) => {
                            owner.unmark(&self.live.store, index);
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
        self.transfers = transfers;
        result
    }

    /// Starts to write the page of slot `index`, and returns false if it is no candidate any more.
    fn start(&self, transfer: &mut Transfer<'t>, index: usize) -> Result<bool> {
        signal::freeze_if_asked();
        if self.owner.is_interrupted() {
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
        if !self.is_candidate(&slot) || self.copy_out(&slot, page).is_err() {
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
                slot.set_candidate(self.owner.selector(), false);
            }
            return Err(error);
        }
        count!(self.live.store.stats(), BdWrites);
        // The slot was unlocked meanwhile. If the page was accessed, changed or freed, the slot has
        // lost its mark, and the block is freed instead.
        match slot {
            Some(mut slot) if self.is_candidate(&slot) => {
                self.owner.count_moved(index, slot.attr().size());
                slot.move_to_block(block);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns whether the page in `slot` was neither accessed nor changed since it was selected.
    fn is_candidate(&self, slot: &SlotGuard<'_>) -> bool {
        slot.attr().is_candidate_of(self.owner.selector())
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
