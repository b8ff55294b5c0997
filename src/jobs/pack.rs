// SPDX-License-Identifier: GPL-2.0-only

//! Writeback of pages as they are stored, several of them to a block.
//!
//! A block is filled with the largest object that fits, then with the largest that fits into the
//! rest, and so on. What is written to neighbouring blocks goes out in one request.
//!
//! When the device is full, blocks of which a part was freed are read, and what is left of them is
//! written to other blocks, filled up with candidates and with each other's objects. A few blocks
//! are kept free for that, so that it can always begin; no block is written to that has objects.

#![forbid(unsafe_code)]

mod requests;

use super::{
    BySize,
    Object,
    Owner,
    Source,
    Victims, //
};
use crate::zram::{
    abstractions::{
        backing_device::{
            BackingDevice,
            Run, //
        },
        page::{
            PageBox,
            PageBuf, //
        },
        sched::cond_resched, //
    },
    device::{
        Live,
        WritebackSettings, //
    },
    store::ContentRef, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use requests::{
    Open,
    Requests, //
};

/// A writeback that packs.
pub(super) struct Packer<'t> {
    live: &'t Live,
    owner: Owner<'t>,
    requests: Requests<'t>,
    /// Candidates, by their size.
    sizes: BySize,
    /// The blocks that are in use in part, once the device is full.
    victims: Option<Victims<'t>>,
    device: &'t Arc<BackingDevice>,
    /// The number of candidates that were added to blocks.
    added: usize,
    /// Room for an object that lies across two pages, to put it together.
    copy: PageBox<PageBuf>,
}

impl<'t> Packer<'t> {
    /// Creates a writeback of at most `len` pages that has at most `batch` blocks under way.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[inline(never)] // For the sake of the stack frame of its caller.
    pub(super) fn new(
        live: &'t Live,
        settings: &'t WritebackSettings,
        device: &'t Arc<BackingDevice>,
        batch: usize,
        len: usize,
    ) -> Result<Self> {
        Ok(Self {
            live,
            owner: Owner::User,
            requests: Requests::new(live, settings, device, batch, len)?,
            sizes: BySize::new(len)?,
            victims: None,
            device,
            added: 0,
            copy: PageBox::new_noio()?,
        })
    }

    /// Writes `candidates` for `owner`, and frees their memory.
    ///
    /// Context: Process context. May sleep; waits for the backing device.
    ///
    /// # Errors
    ///
    /// Those of [`super::Writer::run`].
    #[inline(never)] // For the same reason.
    pub(super) fn run(&mut self, candidates: &mut dyn Source, owner: Owner<'t>) -> Result {
        self.owner = owner;
        self.requests.begin(owner);
        let mut filled = Ok(());
        while filled.is_ok() && candidates.collect(&mut self.sizes) {
            while filled.is_ok() && !self.sizes.is_empty() {
                filled = match self.fill_block() {
                    Err(error) if error == ENOSPC => self.rewrite(),
                    filled => filled,
                };
                cond_resched();
            }
        }
        self.requests.flush();
        while let Some((_, index)) = self.sizes.pop_at_most(PAGE_SIZE) {
            owner.unmark(&self.live.store, index);
        }
        if filled.is_ok() {
            candidates.forget();
        }
        filled.and(self.requests.result)
    }

    /// Fills a free block with candidates.
    ///
    /// # Errors
    ///
    /// Those of [`Packer::open`].
    fn fill_block(&mut self) -> Result {
        let mut open = self.requests.open(self.reserve(), 1)?;
        self.add_candidates(&mut open);
        self.requests.close(open);
        Ok(())
    }

    /// Returns how many blocks are kept free for [`Packer::rewrite`].
    fn reserve(&self) -> usize {
        let len = self.live.store.blocks().len();
        (len / 64).clamp(1, Run::MOST).min(len / 8)
    }

    /// Adds the largest candidates that fit to `open`, until none does.
    fn add_candidates(&mut self, open: &mut Open<'t>) {
        while self.requests.has_room() {
            let room = PAGE_SIZE.saturating_sub(open.used);
            let Some((_, index)) = self.sizes.pop_fitting(room) else {
                return;
            };
            if self.add_candidate(open, index).is_none() {
                self.owner.unmark(&self.live.store, index);
            }
        }
    }

    /// Adds the page of slot `index` to `open`, or returns `None` if it is no candidate any more.
    ///
    /// So it is if it was accessed or changed since it was selected.
    fn add_candidate(&mut self, open: &mut Open<'t>, index: usize) -> Option<()> {
        let slot = self.live.store.lock(index)?;
        let attr = slot.attr();
        if !attr.is_candidate_of(self.owner.selector()) {
            return None;
        }
        let copy = &mut self.copy.0;
        self.requests.add(open, index, attr.size(), None, |to| {
            slot.view(|view| match view {
                ContentRef::Object(object) if object.size() == to.len() => {
                    to.copy_from_slice(&object.read(copy));
                    Ok(())
                }
                _ => Err(EINVAL),
            })
        })?;
        self.added = self.added.wrapping_add(1);
        Some(())
    }

    /// Makes room on a device that is full, or stores candidates where objects were freed.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if neither can be done; those of [`Packer::open`]; `ENOMEM`.
    #[inline(never)] // Its stack frame is needed on full devices only.
    fn rewrite(&mut self) -> Result {
        self.requests.flush();
        let mut victims = match self.victims.take() {
            Some(victims) => victims,
            None => Victims::new(self.live, self.device)?,
        };
        let added = self.added;
        loop {
            let blocks = self.live.store.blocks();
            if blocks.free_blocks() > self.reserve() || self.added != added {
                self.victims = Some(victims);
                return Ok(());
            }
            if !victims.next()? {
                return Err(ENOSPC);
            }
            let moved = self.move_objects(&mut victims);
            self.requests.flush();
            victims.release();
            moved?;
        }
    }

    /// Writes the objects of `victims` to other blocks, as far as there is something gained by it.
    fn move_objects(&mut self, victims: &mut Victims<'t>) -> Result {
        let merges = victims.may_free();
        while let Some((first, objects)) = victims.first() {
            let mut open = match self.requests.open(0, objects) {
                Err(error) if error == ENOSPC => {
                    // Those that were written elsewhere become free.
                    self.requests.flush();
                    victims.release();
                    match self.requests.open(0, objects) {
                        Err(error) if error == ENOSPC => return Ok(()),
                        open => open?,
                    }
                }
                open => open?,
            };
            let mut number = first;
            while let Some((object, next)) = victims.take(number) {
                if let Some(object) = object {
                    self.add_object(&mut open, victims, &object);
                }
                number = next;
            }
            let left = open.used;
            self.add_candidates(&mut open);
            while merges && self.requests.has_room() {
                let room = PAGE_SIZE.saturating_sub(open.used);
                let Some(object) = victims.take_at_most(room) else {
                    break;
                };
                self.add_object(&mut open, victims, &object);
            }
            if open.used == left {
                self.requests.cancel(open);
            } else {
                self.requests.close(open);
            }
            cond_resched();
        }
        Ok(())
    }

    /// Adds `object` of `victims` to `open`.
    fn add_object(&mut self, open: &mut Open<'t>, victims: &mut Victims<'t>, object: &Object) {
        let &Object {
            index, place, size, ..
        } = object;
        // If that can't be done, it stays where it is.
        let _ = self.requests.add(open, index, size, Some(place), |to| {
            let bytes = victims.bytes(object).ok_or(EINVAL)?;
            if to.len() != bytes.len() {
                return Err(EINVAL);
            }
            to.copy_from_slice(bytes);
            Ok(())
        });
    }
}
