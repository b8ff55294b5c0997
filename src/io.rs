// SPDX-License-Identifier: GPL-2.0

//! I/O: bios to slots, and swap's freed slots. Writes are in `src/io/write.rs`.

#![forbid(unsafe_code)]

mod write;

use crate::zram::{
    abstractions::{
        bdev::{
            BackingDevice,
            ReadRequest, //
        },
        bio::{
            self,
            Operation,
            Reading, //
        },
        memory::Patience,
        page::Target,
        sched::{
            boot_seconds,
            Atomic, //
        },
        zsmalloc::Object, //
    },
    attr::Attr,
    backing::{
        BlockRead,
        Reservation, //
    },
    device::{
        Device,
        Live, //
    },
    stats::count,
    table::{
        Guard,
        View,
        Visit, //
    }, //
};
use kernel::prelude::*;

type Bio = bio::Bio<Device>;
type Block<'b, D> = bio::Block<'b, Device, D>;
type Pieces<'b, D> = bio::Pieces<'b, Device, D>;

/// What a read from the backing device was started for.
pub(crate) struct Ticket {
    /// Keeps the block, whatever becomes of the page meanwhile.
    _block: BlockRead,
    attr: Attr,
}

impl Live {
    /// Carries out `bio`. May sleep.
    pub(crate) fn submit(&self, bio: &mut Bio) {
        let Ok((first, pages)) = bio.pages() else {
            return bio.fail();
        };
        match bio.operation() {
            Operation::Read => bio.accounted(|bio| {
                if self.read(bio, first).is_err() {
                    count!(self.table.stats(), FailedReads);
                    bio.fail();
                }
            }),
            Operation::Write => bio.accounted(|bio| {
                if self.write(bio, first).is_err() {
                    count!(self.table.stats(), FailedWrites);
                    bio.fail();
                }
            }),
            Operation::Free => {
                self.table.visit().free(first..first.saturating_add(pages));
                count!(self.table.stats(), NotifyFree, pages as i64);
            }
            Operation::Other => bio.fail(),
        }
    }

    /// Frees what swap does not need any more.
    #[inline]
    pub(crate) fn swap_slot_free(&self, index: usize, atomic: &Atomic) {
        count!(self.table.stats(), NotifyFree);
        self.table.free(index, atomic);
    }

    fn read(&self, bio: &Bio, first: usize) -> Result {
        let table = self.table.visit();
        let now = boot_seconds();
        let mut index = first;
        for block in bio.blocks::<Reading>()? {
            loop {
                match table.lock(index) {
                    Some(slot) if slot.attr().is_written() => {
                        drop(slot);
                        if self.read_back(&table, index, &block, now)? {
                            break;
                        }
                    }
                    Some(mut slot) => {
                        self.read_slot(&slot, &block)
                            .inspect_err(|&error| corrupt(index, error))?;
                        slot.touch(now);
                        break;
                    }
                    None => break block.fill(0),
                }
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    /// Reads what `slot` holds in memory.
    #[inline(always)]
    fn read_slot(&self, slot: &Guard<'_>, block: &Block<'_, Reading>) -> Result {
        let priority = slot.attr().priority();
        slot.view(|view| {
            match (view, block) {
                (View::Object(object), Block::Page(page)) => {
                    self.unpack(object, priority, page.map().target())?;
                }
                (View::Object(object), Block::Pieces(pieces)) => {
                    self.unpack_to_pieces(object, priority, pieces)?;
                }
                (View::Same(word), block) => block.fill(word),
                (View::Empty | View::Written, block) => block.fill(0),
            }
            Ok(())
        })
    }

    /// Reads `object`, compressed by the algorithm of `priority`, to `page`.
    #[inline(always)]
    pub(crate) fn unpack(&self, object: &Object<'_>, priority: u8, mut page: Target<'_>) -> Result {
        if let Some(bytes) = object.read_huge() {
            page.copy_from(&bytes);
            return Ok(());
        }
        self.comp(priority)
            .ok_or(EINVAL)?
            .stream()
            .unpack(object, page)
    }

    /// The same, to `pieces`.
    #[cold]
    fn unpack_to_pieces(
        &self,
        object: &Object<'_>,
        priority: u8,
        pieces: &Pieces<'_, Reading>,
    ) -> Result {
        if let Some(bytes) = object.read_huge() {
            pieces.scatter(bytes.first_chunk().ok_or(EINVAL)?);
            return Ok(());
        }
        self.comp(priority)
            .ok_or(EINVAL)?
            .stream()
            .unpack_to_pieces(object, pieces)
    }

    /// Starts to read a page that was on the backing device a moment ago; false if it is not any more. Waits for
    /// memory with nothing locked, and not for the device: from here on it is the block that is kept, not the
    /// slot, so that nobody who wants the page waits for that device.
    #[cold]
    fn read_back(
        &self,
        table: &Visit<'_>,
        index: usize,
        block: &Block<'_, Reading>,
        now: u32,
    ) -> Result<bool> {
        let backing: &BackingDevice = self.backing.as_ref().ok_or(EIO)?;
        let (request, reservation) =
            Patience::Waits.allocate(|| Ok((ReadRequest::new(block)?, Reservation::new()?)))?;
        let Some(mut slot) = table.lock(index) else {
            return Ok(false);
        };
        let Some(number) = slot.written() else {
            return Ok(false);
        };
        let ticket = Ticket {
            _block: self.table.blocks().read(number, reservation),
            attr: slot.attr(),
        };
        slot.touch(now);
        drop(slot);
        count!(self.table.stats(), BdReads);
        backing.read::<Device>(number, request, ticket);
        Ok(true)
    }

    /// Goes on where [`Live::read_back`] ended: `page` is what the backing device had.
    pub(crate) fn read_done(&self, ticket: Ticket, page: Target<'_>) -> Result {
        let attr = ticket.attr;
        if !self.compressed_writeback || attr.is_huge() {
            return Ok(());
        }
        let mut stream = self.comp(attr.priority()).ok_or(EINVAL)?.stream();
        stream.unpack_in_place(page, attr.size())
    }
}

#[cold]
fn corrupt(index: usize, error: Error) {
    pr_err!(
        "Decompression failed! err={}, page={}\n",
        error.to_errno(),
        index
    );
}
