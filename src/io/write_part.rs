// SPDX-License-Identifier: GPL-2.0-only

//! Writes of a part of a page, where pages are larger than the disk's blocks: the page is read,
//! changed, and stored again.
//!
//! The slot is locked from the read to the store, so that of two writes to one page none is lost.
//!
//! A page on the backing device is read with the slot unlocked, since a slot is never locked while
//! a task waits for a device. Its block is pinned meanwhile. If the slot owns that block still when
//! the device has answered, nobody has written the page since, and what was read is what the page
//! holds; else the write begins again.

#![forbid(unsafe_code)]

use super::{
    read::log_failure,
    read_back::unpack,
    write::{
        BioWriter,
        Data, //
    },
    Pieces, //
};
use crate::zram::{
    abstractions::{
        backing_device::{
            PartEnd,
            PartRequest, //
        },
        bio::{
            KeptPart,
            Writing, //
        },
        memory::Patience,
        page::{
            PageBox,
            PageBuf, //
        },
        racy::{
            RacyPage,
            RacyPageMut, //
        },
        zsmalloc::Object, //
    },
    device::{
        Device,
        Live,
        RoomWait, //
    },
    store::{
        count,
        BlockRead,
        Content,
        ContentRef,
        Reservation,
        SlotAttr,
        SlotGuard, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The write of a part of a page whose rest is being read from the backing device.
struct PartWrite {
    /// The index of the page.
    index: usize,
    /// Keeps the block from being used for another page until the write has ended.
    block: BlockRead,
    /// The attributes of the page when the read started.
    attr: SlotAttr,
    /// That of the bio, as it was in the task that sent it.
    patience: Patience,
}

impl<'t> BioWriter<'t> {
    /// Stores `part`, a part of page `index` of the disk.
    ///
    /// If the page is on the backing device, this returns before that is done, and the bio ends
    /// later.
    ///
    /// Context: Process context. May sleep; waits for memory, unless the bio is reclaim's own. Does
    /// not wait for a device.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the page can't be decompressed; `EIO` if it is on a backing device that is not
    /// there; `ENOMEM` for a bio that does not wait, or at `mem_limit`. The page has its old
    /// content then.
    #[cold]
    pub(super) fn write_part(&self, index: usize, part: &Pieces<'_, Writing>) -> Result {
        let patience = self.bio.patience();
        let page = patience.allocate(PageBox::new_noio)?;
        self.merge(index, part, page, None, patience, || part.keep())
    }

    /// Reads page `index` to `page`, copies `part` there, and stores it.
    ///
    /// With `read`, `page` has been read from that block already. `keep` keeps `part` for the case
    /// that the page is on the backing device.
    #[inline]
    fn merge(
        &self,
        index: usize,
        part: &Pieces<'_, Writing>,
        mut page: PageBox<PageBuf>,
        mut read: Option<BlockRead>,
        patience: Patience,
        keep: impl FnOnce() -> KeptPart<Device>,
    ) -> Result {
        let store = &self.live.store;
        let (mut object, mut request, mut wait) = (None, None, RoomWait::default());
        // Where the read from the backing device ends, others wait for the task.
        let may_wait = read.is_none();
        loop {
            let mut slot = match self.slots.lock(index) {
                Some(slot) => slot,
                None => self.slots.lock_new(index, patience)?,
            };
            match (slot.written(), &read) {
                (None, _) => {
                    read = None;
                    self.load(&slot, &mut page)
                        .inspect_err(|&error| log_failure(index, error))?;
                }
                // A block that is pinned is not used again, so the slot has had it all the time.
                (Some(place), Some(read)) if read.place() == place => {}
                (Some(place), _) => {
                    let backing = self.live.backing.as_ref().ok_or(EIO)?;
                    let Some((request, reservation)) = request.take() else {
                        drop(slot);
                        let new = || Ok((PartRequest::new()?, Reservation::new()?));
                        request = Some(patience.allocate(new)?);
                        continue;
                    };
                    let write = PartWrite {
                        index,
                        block: store.blocks().read(place, reservation),
                        attr: slot.attr(),
                        patience,
                    };
                    slot.touch(self.now);
                    drop(slot);
                    count!(store.stats(), BdReads);
                    let block = store.blocks().locate(place).block;
                    backing.read_for_part(block, request, page, keep(), write);
                    return Ok(());
                }
            }
            part.gather(&mut page);
            let nid = part.nid();
            let len = match self.try_store(&mut slot, &page, nid, &mut object) {
                Ok(None) => {
                    slot.touch(self.now);
                    return Ok(());
                }
                Ok(Some(len)) => len,
                Err(error) if error == ENOMEM && may_wait => {
                    let limit = self.limit_for(&slot);
                    drop(slot);
                    if !store.pool().free_waiting() {
                        self.wait_for_room(&mut wait, limit)?;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            drop(slot);
            object = Some(patience.allocate(|| store.pool().alloc(len, nid))?);
        }
    }

    /// Reads the page in `slot`, which is not on the backing device, to `page`.
    #[inline]
    fn load(&self, slot: &SlotGuard<'_>, page: &mut PageBuf) -> Result {
        let priority = slot.attr().priority();
        let mut page = RacyPageMut::from(page);
        slot.view(|content| {
            match content {
                ContentRef::Object(object) => self.live.decompress(object, priority, page)?,
                ContentRef::Same(element) => page.fill(element),
                ContentRef::Empty => page.fill(0),
                ContentRef::Written => return Err(EIO),
            }
            Ok(())
        })
    }

    /// Returns the most pages that the pool may use for a page to be stored in `slot`.
    fn limit_for(&self, slot: &SlotGuard<'_>) -> usize {
        if slot.attr().is_empty() {
            self.limit.new_pages
        } else {
            self.limit.replacements
        }
    }

    /// Stores `page`, which is near memory node `nid`, in `slot`, or returns the size of the object
    /// that it takes if there is no memory for it at once.
    ///
    /// The object is `spare`, if that is large enough.
    ///
    /// # Errors
    ///
    /// `ENOMEM` at `mem_limit`.
    #[inline]
    fn try_store(
        &self,
        slot: &mut SlotGuard<'t>,
        page: &PageBuf,
        nid: i32,
        spare: &mut Option<Object<'t>>,
    ) -> Result<Option<usize>> {
        let page = RacyPage::from(page);
        if let Some(element) = page.same() {
            slot.store(Content::Same(element));
            return Ok(None);
        }
        let mut stream = self.primary()?.stream();
        let bytes = Data::Page(page).compress(&mut stream, self.live.huge_class_size)?;
        let len = bytes.len();
        // A huge page is stored over another one.
        if len == PAGE_SIZE && slot.overwrite(bytes) {
            return Ok(None);
        }
        let limit = self.limit_for(slot);
        let pool = self.live.store.pool();
        let large_enough = spare.take().filter(|object| object.size() >= len);
        let refusal = match large_enough.map_or_else(|| pool.try_alloc(len, nid), Ok) {
            Ok(mut object) if self.check(limit).is_ok() => {
                object.truncate(len);
                object.write(bytes);
                drop(stream);
                slot.store(Content::Object(object, 0));
                return Ok(None);
            }
            Ok(_) => Err(ENOMEM),
            Err(error) if error == ENOMEM => Ok(Some(len)),
            Err(error) => Err(error),
        };
        if slot.overwrite(bytes) {
            return Ok(None);
        }
        refusal
    }
}

impl PartEnd<Device> for PartWrite {
    #[inline]
    fn patience(&self) -> Patience {
        self.patience
    }

    #[inline]
    fn end(self, live: &Live, part: &KeptPart<Device>, page: Result<PageBox<PageBuf>>) -> Result {
        let Self {
            index,
            block,
            attr,
            patience,
        } = self;
        page.and_then(|mut page| {
            unpack(live, attr, block.place(), &mut page)?;
            let writer = BioWriter::new(live, part.bio());
            let keep = || part.share();
            writer.merge(index, &part.pieces(), page, Some(block), patience, keep)
        })
        .inspect_err(|_| count!(live.store.stats(), FailedWrites))
    }
}
