// SPDX-License-Identifier: GPL-2.0

//! I/O: bios to slots, and swap's freed slots.

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        bio::{
            Bio,
            Block,
            Operation,
            Page,
            Pieces, //
        },
        page::{
            Bytes,
            Source,
            Target, //
        },
        sched::{
            boot_seconds,
            Atomic, //
        },
        zsmalloc::Object, //
    },
    comp::Comp,
    device::{
        Device,
        Live, //
    },
    stats::count,
    table::{
        Content,
        Guard,
        Ticket,
        View,
        Visit, //
    }, //
};
use core::sync::atomic::Ordering;
use kernel::prelude::*;

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
                let Ok(table) = self.table.visit(bio) else {
                    return bio.fail();
                };
                table.free(first..first.saturating_add(pages));
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
        let table = self.table.visit(bio)?;
        let now = boot_seconds();
        let mut index = first;
        for block in bio.blocks() {
            match table.lock(index) {
                Some(slot) if slot.attr().is_written() => self.read_back(slot, bio, block, now)?,
                Some(mut slot) => {
                    self.read_slot(&slot, block)
                        .inspect_err(|&error| corrupt(index, error))?;
                    slot.touch(now);
                }
                None => block.fill(0),
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    #[inline]
    fn read_slot(&self, slot: &Guard<'_>, block: Block<'_>) -> Result {
        let priority = slot.attr().priority();
        slot.view(|view| {
            match (view, block) {
                (View::Object(object), Block::Page(page)) => {
                    self.unpack(object, priority, page.map().target())?;
                }
                (View::Object(object), Block::Pieces(pieces)) => {
                    self.unpack_to_pieces(object, priority, &pieces)?;
                }
                (View::Same(word), block) => block.fill(word),
                (View::Empty | View::Written(_), block) => block.fill(0),
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
    fn unpack_to_pieces(&self, object: &Object<'_>, priority: u8, pieces: &Pieces<'_>) -> Result {
        if let Some(bytes) = object.read_huge() {
            pieces.scatter(bytes.first_chunk().ok_or(EINVAL)?);
            return Ok(());
        }
        self.comp(priority)
            .ok_or(EINVAL)?
            .stream()
            .unpack_to_pieces(object, pieces)
    }

    /// Reads a page from the backing device. The slot stays locked until that is done, so that its
    /// block is not given to another; and swap may free it meanwhile all the same.
    fn read_back(&self, mut slot: Guard<'_>, bio: &Bio, block: Block<'_>, now: u32) -> Result {
        let index = slot.view(|view| match view {
            View::Written(index) => Ok(index),
            _ => Err(EIO),
        })?;
        let backing = self.backing.as_ref().ok_or(EIO)?;
        count!(self.table.stats(), BdReads);
        slot.touch(now);
        let ticket = slot.into_ticket();
        backing
            .read::<Device>(index, bio, block, ticket)
            .map_err(|ticket| {
                drop(self.table.redeem(ticket));
                ENOMEM
            })
    }

    /// Goes on where [`Live::read_back`] ended: `page` is what the backing device had.
    pub(crate) fn read_done(&self, ticket: Ticket, page: Result<Target<'_>>) -> Result {
        let slot = self.table.redeem(ticket).ok_or(EIO)?;
        let (page, attr) = (page?, slot.attr());
        if !self.compressed_writeback || attr.is_huge() {
            return Ok(());
        }
        let mut stream = self.comp(attr.priority()).ok_or(EINVAL)?.stream();
        stream.unpack_in_place(page, attr.size())
    }

    fn write(&self, bio: &Bio, first: usize) -> Result {
        let table = self.table.visit(bio)?;
        let now = boot_seconds();
        let mut index = first;
        for block in bio.blocks() {
            match block {
                Block::Page(page) => self.write_page(&table, index, &page, now)?,
                Block::Pieces(pieces) => table.store(index, self.pack_pieces(&pieces)?, now)?,
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    #[inline]
    fn write_page(&self, table: &Visit<'_>, index: usize, page: &Page<'_>, now: u32) -> Result {
        let mapped = page.map();
        if let Some(word) = mapped.source().same() {
            return table.store(index, Content::Same(word), now);
        }
        let mut stream = self.primary()?.stream();
        if let Some(bytes) = stream.pack(mapped.source(), self.huge_class_size)? {
            let content = self.allocate(bytes.into(), page.nid())?;
            // No slot is locked with a stream held.
            drop(stream);
            return table.store(index, content, now);
        }
        drop(stream);
        self.write_huge(table, index, mapped.source(), page.nid(), now)
    }

    /// Stores `page` as it is: in the place of one of its kind, or anew.
    #[inline(never)]
    fn write_huge(
        &self,
        table: &Visit<'_>,
        index: usize,
        page: Source<'_>,
        nid: i32,
        now: u32,
    ) -> Result {
        // With a limit, a page that is written anew needs memory as any other does.
        let limited = self.limit_pages.load(Ordering::Relaxed) != 0;
        if !limited && table.overwrite(index, page, now) {
            return Ok(());
        }
        table.store(index, self.allocate(page.into(), nid)?, now)
    }

    /// The algorithm that pages are written with.
    #[inline]
    fn primary(&self) -> Result<&Comp> {
        self.comp(0).ok_or(EINVAL)
    }

    #[cold]
    fn pack_pieces(&self, pieces: &Pieces<'_>) -> Result<Content<'_>> {
        let mut stream = self.primary()?.stream();
        if let Some(word) = stream.gather(pieces)?.same() {
            return Ok(Content::Same(word));
        }
        let bytes = stream.pack_gathered(self.huge_class_size)?;
        self.allocate(bytes, pieces.nid())
    }

    /// Copies a packed page to the pool.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no memory, or no more by the limit that user space set.
    #[inline(always)]
    fn allocate(&self, bytes: Bytes<'_>, nid: i32) -> Result<Content<'_>> {
        let pool = self.table.pool();
        let mut object = pool.alloc(bytes.len(), nid)?;
        let used = pool.total_pages();
        let limit = self.limit_pages.load(Ordering::Relaxed);
        // What was allocated counts, even if it goes back at once.
        self.table.stats().note_used_pages(used);
        if limit != 0 && used > limit {
            return Err(ENOMEM);
        }
        object.write(bytes);
        Ok(Content::Object(object, 0))
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
