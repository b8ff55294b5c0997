// SPDX-License-Identifier: GPL-2.0-only

//! Requests that write objects to the backing device, several to a block.
//!
//! One request is being filled, block by block; others are under way. When one is done, the slots
//! of its objects move to the blocks.

#![forbid(unsafe_code)]

use super::super::Owner;
use crate::zram::{
    abstractions::{
        backing_device::{
            BackingDevice,
            Run, //
        },
        memory::NoIo,
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
        Place, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// An object on its way to a block.
struct Entry<'t> {
    /// The index of its slot.
    index: usize,
    /// The share of the block that it gets.
    share: Block<'t>,
    /// The place where it is on the device, if it is there already.
    from: Option<Place>,
}

/// A request for neighbouring blocks: being filled, or under way.
struct Request<'t> {
    run: Run,
    /// The index of the first block.
    first: usize,
    /// The charge to the limit for each block.
    charges: KVec<Charge>,
    /// The objects in the blocks.
    entries: KVVec<Entry<'t>>,
}

impl<'t> Request<'t> {
    /// The most objects in a request.
    const ENTRIES: usize = 1024;

    /// Allocates a request for `blocks` blocks, or as many as there is memory for.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn new(device: &Arc<BackingDevice>, blocks: usize) -> Result<Self> {
        let run = Run::new(device, blocks)?;
        let _no_io = NoIo::new();
        Ok(Self {
            first: 0,
            charges: KVec::with_capacity(run.len(), GFP_KERNEL | __GFP_NOWARN)?,
            entries: KVVec::with_capacity(Self::ENTRIES, GFP_KERNEL | __GFP_NOWARN)?,
            run,
        })
    }

    /// Returns whether the request can be gone on with in block `index`, with so many `objects`.
    fn takes(&self, index: usize, objects: usize) -> bool {
        let count = self.charges.len();
        count == 0
            || index == self.first.wrapping_add(count)
                && count < self.run.len()
                && self.room() >= objects
    }

    /// Returns how many objects there is room for.
    fn room(&self) -> usize {
        Self::ENTRIES.saturating_sub(self.entries.len())
    }
}

/// A block that is being filled; the last one of a request.
pub(super) struct Open<'t> {
    /// The block as a whole, besides the shares that were given out.
    block: Block<'t>,
    /// The number of its bytes that have been given out.
    pub used: usize,
    /// The number of objects in the request that are in other blocks.
    before: usize,
    charge: Charge,
}

/// The requests of a writeback.
pub(super) struct Requests<'t> {
    live: &'t Live,
    owner: Owner<'t>,
    settings: &'t WritebackSettings,
    /// The requests, of which all but one may be under way.
    list: KVec<Request<'t>>,
    /// The index of the one that is being filled.
    current: usize,
    /// The outcome of the writes since [`Requests::begin`].
    pub result: Result,
}

impl<'t> Requests<'t> {
    /// Creates requests to write at most `len` pages, with at most `batch` blocks under way.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(
        live: &'t Live,
        settings: &'t WritebackSettings,
        device: &Arc<BackingDevice>,
        batch: usize,
        len: usize,
    ) -> Result<Self> {
        let blocks = batch.clamp(1, Run::MOST);
        // One more than may be under way is being filled, if it takes more than one.
        let under_way = batch.checked_div(blocks).unwrap_or(1);
        let needed = len.saturating_sub(1).checked_div(blocks).unwrap_or(0);
        let count = under_way.min(needed).wrapping_add(1);
        let mut list = KVec::new();
        for _ in 0..count {
            let added = Request::new(device, blocks)
                .and_then(|request| Ok(list.push(request, GFP_KERNEL | __GFP_NOWARN)?));
            match added {
                Err(error) if list.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        Ok(Self {
            live,
            owner: Owner::User,
            settings,
            list,
            current: 0,
            result: Ok(()),
        })
    }

    /// Begins to write for `owner`.
    pub(super) fn begin(&mut self, owner: Owner<'t>) {
        self.owner = owner;
        self.result = Ok(());
    }

    /// Takes a free block to fill with `objects` at least, unless no more than `kept` are free.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal, or where a reset waits for the worker; `EIO` at the limit; `ENOSPC`.
    pub(super) fn open(&mut self, kept: usize, objects: usize) -> Result<Open<'t>> {
        signal::freeze_if_asked();
        if self.owner.is_interrupted() {
            return Err(EINTR);
        }
        self.settings.check_limit()?;
        let blocks = self.live.store.blocks();
        if blocks.free_blocks() <= kept {
            return Err(ENOSPC);
        }
        let block = blocks.reserve().ok_or(ENOSPC)?;
        let request = self.list.get(self.current);
        if !request.is_some_and(|request| request.takes(block.index(), objects)) {
            self.submit();
        }
        let request = self.list.get(self.current);
        Ok(Open {
            block,
            used: 0,
            before: request.map_or(0, |request| request.entries.len()),
            charge: self.settings.charge(),
        })
    }

    /// Ends a block: zeroes the rest, and adds it to the request; or frees it if it is empty.
    pub(super) fn close(&mut self, open: Open<'t>) {
        let Open {
            block,
            used,
            charge,
            ..
        } = open;
        let Some(request) = self.list.get_mut(self.current) else {
            return;
        };
        let at = request.charges.len();
        let page = request.run.page(at);
        if used == 0 || request.charges.push(charge, GFP_NOWAIT).is_err() {
            return self.settings.refund(charge);
        }
        if at == 0 {
            request.first = block.index();
        }
        if let Some(rest) = page.and_then(|page| page.0.get_mut(used..)) {
            rest.fill(0);
        }
    }

    /// Frees a block that is not worth to be written.
    pub(super) fn cancel(&mut self, open: Open<'t>) {
        self.settings.refund(open.charge);
        if let Some(request) = self.list.get_mut(self.current) {
            while request.entries.len() > open.before && request.entries.pop().is_some() {}
        }
    }

    /// Returns whether another object fits into the request, however small.
    pub(super) fn has_room(&self) -> bool {
        let request = self.list.get(self.current);
        request.is_some_and(|request| request.room() > 0)
    }

    /// Adds an object of `size` bytes, which is that of slot `index`, to `open`; `copy` copies it.
    pub(super) fn add(
        &mut self,
        open: &mut Open<'t>,
        index: usize,
        size: usize,
        from: Option<Place>,
        copy: impl FnOnce(&mut [u8]) -> Result,
    ) -> Option<()> {
        let request = self.list.get_mut(self.current)?;
        if request.room() == 0 {
            return None;
        }
        let page = request.run.page(request.charges.len())?;
        let start = open.used;
        let end = start.checked_add(size)?;
        copy(page.0.get_mut(start..end)?).ok()?;
        let share = open.block.share(start, size)?;
        open.used = end;
        let entry = Entry { index, share, from };
        request.entries.push(entry, GFP_NOWAIT).ok()
    }

    /// Starts to write the request that is being filled, if there is anything in it, and goes on
    /// with the one that was started first.
    fn submit(&mut self) {
        if let Some(request) = self.list.get_mut(self.current) {
            let count = request.charges.len();
            if count > 0 {
                request.run.write(request.first, count);
                let next = self.current.wrapping_add(1);
                self.current = if next < self.list.len() { next } else { 0 };
            }
        }
        self.finish(self.current);
    }

    /// Writes what is being filled, and waits for all that is under way.
    pub(super) fn flush(&mut self) {
        self.submit();
        for at in 0..self.list.len() {
            self.finish(at);
        }
    }

    /// Waits for request `at`, if it is under way, and moves its slots to the blocks.
    fn finish(&mut self, at: usize) {
        let store = &self.live.store;
        let selector = self.owner.selector();
        let Some(request) = self.list.get_mut(at) else {
            return;
        };
        let Some(written) = request.run.wait() else {
            return;
        };
        for charge in request.charges.drain_all() {
            match written {
                Ok(()) => count!(store.stats(), BdWrites),
                Err(_) => self.settings.refund(charge),
            }
        }
        for entry in request.entries.drain_all() {
            let Entry { index, share, from } = entry;
            if from.is_some() && written.is_ok() {
                count!(store.stats(), BdRewritten, share.len() as i64);
            }
            // The slot was unlocked meanwhile. If the page was accessed, changed or freed, the slot
            // has lost its mark, and the share is dropped.
            match (store.lock(index), from) {
                (None, _) => {}
                (Some(mut slot), Some(from)) if written.is_ok() => slot.relocate(from, share),
                (Some(mut slot), None) if slot.attr().is_candidate_of(selector) => match written {
                    Ok(()) => {
                        self.owner.count_moved(index, slot.attr().size());
                        slot.move_to_block(share);
                    }
                    Err(_) => slot.set_candidate(selector, false),
                },
                _ => {}
            }
        }
        self.result = written.and(self.result);
    }
}
