// SPDX-License-Identifier: GPL-2.0-only

//! Writes: compresses pages and stores them.
//!
//! A page takes the fast path if there is memory for it at once. Otherwise it goes to
//! [`write_scarce`], which may wait for memory with nothing locked.

#![forbid(unsafe_code)]

use super::{
    Bio,
    BioPage,
    Pieces, //
};
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        bio::Writing,
        racy::{
            RacyBytes,
            RacyPage, //
        },
        sched::boot_seconds, //
    },
    device::{
        reserve_of,
        Live,
        Policy,
        RoomWait, //
    },
    store::{
        BioSlots,
        Content, //
    },
    streams::{
        Zcomp,
        ZcompGuard, //
    }, //
};
use kernel::prelude::*;

/// The page of a bio that is being written.
#[derive(Clone, Copy)]
pub(super) enum Data<'a> {
    /// A whole page.
    Page(RacyPage<'a>),
    /// Pieces that make up a page.
    Pieces(&'a Pieces<'a, Writing>),
}

/// The data that all pages of a bio to write share.
pub(super) struct BioWriter<'a> {
    pub(super) live: &'a Live,
    pub(super) bio: &'a Bio,
    pub(super) slots: BioSlots<'a>,
    /// The time of the access, in seconds since boot.
    pub(super) now: u32,
    pub(super) limit: PoolLimit,
}

/// The number of pages that the pool may use, by `mem_limit`.
pub(super) struct PoolLimit {
    /// For a page whose slot is empty.
    pub(super) new_pages: usize,
    /// For a page that replaces another one.
    pub(super) replacements: usize,
    /// The number that the pool is compared with first: `new_pages`, or less if the policy's worker
    /// is to be told earlier.
    watched: usize,
}

/// A reason why a page could not be stored at once.
enum Refusal {
    /// The allocation of this number of bytes would have to wait for memory.
    Memory(usize),
    /// `mem_limit` leaves no room for this number of bytes.
    Limit(usize),
    /// The write fails with this error.
    Other(Error),
}

impl PoolLimit {
    /// Returns the limits of a bio, from a `mem_limit` of `pages`, which is 0 if there is none;
    /// more pages than `watched` are told to the policy's worker.
    ///
    /// A full file system has to write some metadata before it can free anything. If these writes
    /// failed it would go read-only, so a thirty-second of the limit is kept for them.
    #[inline]
    fn new(pages: usize, metadata: bool, watched: usize) -> Self {
        if pages == 0 {
            return Self {
                new_pages: usize::MAX,
                replacements: usize::MAX,
                watched,
            };
        }
        let reserve = if metadata { 0 } else { reserve_of(pages) };
        let new_pages = pages.saturating_sub(reserve);
        Self {
            new_pages,
            replacements: pages,
            watched: watched.min(new_pages),
        }
    }
}

/// Stores the pages of `bio`.
///
/// Context: Process context. May sleep; waits for memory, unless the bio is reclaim's own.
///
/// # Errors
///
/// `ENOMEM`, see [`BioWriter::write_scarce`]. The pages before are stored then, and the one that
/// failed still has its old content.
pub(super) fn write(live: &Live, bio: &Bio) -> Result {
    let writer = BioWriter::new(live, bio);
    for (index, page) in bio.pages::<Writing>()? {
        match page {
            BioPage::Whole(page) => {
                let mapped = page.map();
                writer.write_page(index, mapped.page(), page.nid())?;
            }
            BioPage::Pieces(part) if part.is_part() => writer.write_part(index, &part)?,
            BioPage::Pieces(pieces) => writer.write_pieces(index, &pieces)?,
        }
    }
    Ok(())
}

impl<'t> BioWriter<'t> {
    /// Prepares to store the pages of `bio`.
    ///
    /// Context: Process context. May sleep until the result is dropped.
    #[inline]
    pub(super) fn new(live: &'t Live, bio: &'t Bio) -> Self {
        let limit = live.limit_pages.load(Ordering::Relaxed);
        Self {
            live,
            bio,
            slots: live.store.for_bio(),
            now: boot_seconds(),
            limit: PoolLimit::new(limit, bio.is_metadata(), live.tiers.watched()),
        }
    }

    /// Stores `page`, which is on memory node `nid`, as page `index` of the disk.
    #[inline]
    fn write_page(&self, index: usize, page: RacyPage<'_>, nid: i32) -> Result {
        if let Some(element) = page.same() {
            return self.store(index, Content::Same(element));
        }
        let mut stream = self.primary()?.stream();
        let Some(bytes) = stream.compress(page, self.live.huge_class_size)? else {
            drop(stream);
            return self.write_huge(index, page, nid);
        };
        let content = self.try_allocate(bytes.into(), nid);
        // The stream goes first: no slot may be locked while one is held.
        drop(stream);
        self.store_or_wait(index, content, Data::Page(page), nid)
    }

    /// Stores an incompressible page: in place over another one, or in a new object.
    #[inline(never)]
    fn write_huge(&self, index: usize, page: RacyPage<'_>, nid: i32) -> Result {
        if let Some(mut slot) = self.slots.lock_huge(index) {
            if slot.overwrite(page.into()) {
                slot.touch(self.now);
                drop(slot);
                self.tell_of_write();
                return Ok(());
            }
        }
        let content = self.try_allocate(page.into(), nid);
        self.store_or_wait(index, content, Data::Page(page), nid)
    }

    /// Stores `pieces`, which make up a page, as page `index` of the disk.
    #[cold]
    fn write_pieces(&self, index: usize, pieces: &Pieces<'_, Writing>) -> Result {
        let mut stream = self.primary()?.stream();
        if let Some(element) = stream.gather(pieces)?.same() {
            drop(stream);
            return self.store(index, Content::Same(element));
        }
        let bytes = stream.compress_gathered(self.live.huge_class_size)?;
        let nid = pieces.nid();
        let content = self.try_allocate(bytes, nid);
        drop(stream);
        self.store_or_wait(index, content, Data::Pieces(pieces), nid)
    }

    /// Stores `content`, which was made of `data`, or goes on to [`BioWriter::write_scarce`] if it
    /// was refused.
    ///
    /// Context: Process context. May sleep; the caller holds no slot and no stream.
    #[inline(always)]
    fn store_or_wait(
        &self,
        index: usize,
        content: Result<Content<'t>, Refusal>,
        data: Data<'_>,
        nid: i32,
    ) -> Result {
        match content {
            Ok(content) => self.store(index, content),
            Err(refusal) => self.write_scarce(index, data, nid, refusal),
        }
    }

    /// Stores `data` after its allocation was refused: over the old object of the page, if that is
    /// large enough, or else in a new one, for which it waits.
    ///
    /// Reclaim's own writes, such as swap-out, do not wait for memory: they are to free some. At
    /// `mem_limit` all writes wait for the policy's worker to make room, if it can.
    ///
    /// Context: Process context. May sleep; the caller holds no slot and no stream.
    ///
    /// # Errors
    ///
    /// `ENOMEM` for a bio that does not wait for memory, or at `mem_limit`.
    #[cold]
    fn write_scarce(&self, index: usize, data: Data<'_>, nid: i32, refusal: Refusal) -> Result {
        let mut len = match refusal {
            Refusal::Memory(len) | Refusal::Limit(len) => len,
            Refusal::Other(error) => return Err(error),
        };
        let pool = self.live.store.pool();
        // The objects of freed swap slots may have all the memory that is missing.
        pool.free_waiting();
        let mut limit = self.limit.new_pages;
        if let Some(mut slot) = self.slots.lock(index) {
            if slot.room() > 0 {
                let mut stream = self.primary()?.stream();
                if slot.overwrite(data.compress(&mut stream, self.live.huge_class_size)?) {
                    drop(stream);
                    slot.touch(self.now);
                    drop(slot);
                    self.tell_of_write();
                    return Ok(());
                }
            }
            if !slot.attr().is_empty() {
                limit = self.limit.replacements;
            }
        }
        let mut wait = RoomWait::default();
        loop {
            let mut object = self.bio.patience().allocate(|| pool.alloc(len, nid))?;
            if self.check(limit).is_err() {
                drop(object);
                self.wait_for_room(&mut wait, limit)?;
                continue;
            }
            let mut stream = self.primary()?.stream();
            let bytes = data.compress(&mut stream, self.live.huge_class_size)?;
            // A user of the page may have changed it since it was last compressed.
            if bytes.len() <= object.size() {
                object.truncate(bytes.len());
                object.write(bytes);
                drop(stream);
                return self.store(index, Content::Object(object, 0));
            }
            len = bytes.len();
        }
    }

    /// Waits until the policy's worker has made room, so that the pool can grow up to `limit`
    /// pages.
    ///
    /// `wait` is that of the page, for all of its waits.
    ///
    /// Context: Process context. Sleeps. The caller holds no slot and no stream.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no policy, or if it makes no room in time.
    #[cold]
    pub(super) fn wait_for_room(&self, wait: &mut RoomWait, limit: usize) -> Result {
        let pool = self.live.store.pool();
        let has_room = || pool.total_pages().saturating_add(Policy::ROOM) <= limit;
        if self.live.tiers.wait_for_room(wait, has_room) {
            return Ok(());
        }
        Err(ENOMEM)
    }

    /// Returns the algorithm that pages are written with.
    #[inline]
    pub(super) fn primary(&self) -> Result<&'t Zcomp> {
        self.live.zcomp(0).ok_or(EINVAL)
    }

    /// Copies a page, compressed or huge, to a new object, if there is memory for one at once.
    ///
    /// Context: Process context. The caller may hold a stream, since this does not wait for memory.
    #[inline(always)]
    fn try_allocate(&self, bytes: RacyBytes<'_>, nid: i32) -> Result<Content<'t>, Refusal> {
        let pool = self.live.store.pool();
        let mut object = pool.try_alloc(bytes.len(), nid).map_err(|error| {
            if error == ENOMEM {
                Refusal::Memory(bytes.len())
            } else {
                Refusal::Other(error)
            }
        })?;
        let used = self.used_pages();
        if used > self.limit.watched && !self.allows(used) {
            return Err(Refusal::Limit(bytes.len()));
        }
        object.write(bytes);
        Ok(Content::Object(object, 0))
    }

    /// Checks that the pool uses no more than `limit` pages, after an object was allocated.
    ///
    /// The peak of memory use is updated before the check, as in mainline, so it includes an object
    /// that is freed again.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the pool uses more.
    #[inline(always)]
    pub(super) fn check(&self, limit: usize) -> Result {
        if self.used_pages() > limit {
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Returns the number of pages that the pool uses, and updates the peak of that.
    #[inline(always)]
    fn used_pages(&self) -> usize {
        let used = self.live.store.pool().total_pages();
        self.live.store.stats().note_used_pages(used);
        used
    }

    /// Tells the policy's worker that a page was stored without an allocation, if it waits for any.
    #[inline]
    fn tell_of_write(&self) {
        if self.limit.watched == 0 {
            self.live.tiers.wake();
        }
    }

    /// Tells the policy's worker that the pool uses `used` pages, if it watches for that, and
    /// returns whether `mem_limit` allows as many for a page whose slot is empty.
    #[cold]
    fn allows(&self, used: usize) -> bool {
        let tiers = &self.live.tiers;
        if used > tiers.watched() {
            tiers.wake();
        }
        used <= self.limit.new_pages
    }

    /// Stores `content` in slot `index`.
    ///
    /// Context: Process context. May sleep; the caller holds no slot and no stream.
    #[inline(always)]
    fn store(&self, index: usize, content: Content<'t>) -> Result {
        self.slots
            .store(index, content, self.now, || self.bio.patience())
    }
}

impl<'a> Data<'a> {
    /// Compresses the page, and returns the page itself if the result would not be smaller than
    /// `limit` bytes.
    pub(super) fn compress<'s>(
        self,
        stream: &'s mut ZcompGuard<'_>,
        limit: usize,
    ) -> Result<RacyBytes<'s>>
    where
        'a: 's,
    {
        match self {
            Self::Page(page) => Ok(match stream.compress(page, limit)? {
                Some(bytes) => bytes.into(),
                None => page.into(),
            }),
            Self::Pieces(pieces) => {
                stream.gather(pieces)?;
                stream.compress_gathered(limit)
            }
        }
    }
}
