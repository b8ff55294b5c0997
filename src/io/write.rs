// SPDX-License-Identifier: GPL-2.0

//! Writes: what is stored where, and what becomes of a page for which there is no memory.

#![forbid(unsafe_code)]

use super::{
    Bio,
    Block,
    Pieces, //
};
use crate::zram::{
    abstractions::{
        bio::Writing,
        page::{
            Bytes,
            Source, //
        },
        sched::boot_seconds, //
    },
    comp::{
        Comp,
        StreamGuard, //
    },
    device::Live,
    table::{
        Content,
        Visit, //
    }, //
};
use core::sync::atomic::Ordering;
use kernel::prelude::*;

/// What is to be stored, in the memory of a bio.
#[derive(Clone, Copy)]
enum Data<'a> {
    Page(Source<'a>),
    Pieces(&'a Pieces<'a, Writing>),
}

/// A bio to write, as its pages see it.
struct Writer<'a> {
    bio: &'a Bio,
    table: Visit<'a>,
    now: u32,
    limit: Limit,
}

/// How many pages the pool may have.
struct Limit {
    /// To store something where nothing was.
    fresh: usize,
    /// In any case.
    all: usize,
}

/// Why there is no memory for a page.
enum Refusal {
    /// It would wait for memory; it takes so many bytes.
    Memory(usize),
    /// The limit that user space set is reached; it takes so many bytes.
    Limit(usize),
    Other(Error),
}

impl Limit {
    /// The most pages that are kept for what replaces something and for metadata.
    const RESERVE: usize = 512;

    /// With a limit of `pages`, zero for none. A file system that is full has to write some metadata to
    /// give anything back: to fail that would make it give up. The last thirty-second is kept for it.
    #[inline]
    fn new(pages: usize, metadata: bool) -> Self {
        if pages == 0 {
            return Self {
                fresh: usize::MAX,
                all: usize::MAX,
            };
        }
        let reserve = if metadata {
            0
        } else {
            (pages / 32).min(Self::RESERVE)
        };
        Self {
            fresh: pages.saturating_sub(reserve),
            all: pages,
        }
    }
}

impl Live {
    /// Stores the pages of `bio`, from page `first` of the disk on. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: see [`Live::write_scarce`]; then the pages before are stored.
    pub(super) fn write(&self, bio: &Bio, first: usize) -> Result {
        let limit = self.limit_pages.load(Ordering::Relaxed);
        let writer = Writer {
            bio,
            table: self.table.visit(),
            now: boot_seconds(),
            limit: Limit::new(limit, bio.is_metadata()),
        };
        let mut index = first;
        for block in bio.blocks::<Writing>()? {
            match block {
                Block::Page(page) => {
                    let mapped = page.map();
                    self.write_page(&writer, index, mapped.source(), page.nid())?;
                }
                Block::Pieces(pieces) => self.write_pieces(&writer, index, &pieces)?,
            }
            index = index.wrapping_add(1);
        }
        Ok(())
    }

    #[inline]
    fn write_page<'t>(
        &'t self,
        writer: &Writer<'t>,
        index: usize,
        page: Source<'_>,
        nid: i32,
    ) -> Result {
        if let Some(word) = page.same() {
            return writer.store(index, Content::Same(word));
        }
        let mut stream = self.primary()?.stream();
        let Some(bytes) = stream.pack(page, self.huge_class_size)? else {
            drop(stream);
            return self.write_huge(writer, index, page, nid);
        };
        let content = self.try_allocate(bytes.into(), nid, &writer.limit);
        // No slot is locked with a stream held.
        drop(stream);
        self.store_or_wait(writer, index, content, Data::Page(page), nid)
    }

    /// Stores `page` as it is: in the place of one of its kind, or anew.
    #[inline(never)]
    fn write_huge<'t>(
        &'t self,
        writer: &Writer<'t>,
        index: usize,
        page: Source<'_>,
        nid: i32,
    ) -> Result {
        if let Some(mut slot) = writer.table.lock_huge(index) {
            if slot.overwrite(page.into()) {
                slot.touch(writer.now);
                return Ok(());
            }
        }
        let content = self.try_allocate(page.into(), nid, &writer.limit);
        self.store_or_wait(writer, index, content, Data::Page(page), nid)
    }

    #[cold]
    fn write_pieces<'t>(
        &'t self,
        writer: &Writer<'t>,
        index: usize,
        pieces: &Pieces<'_, Writing>,
    ) -> Result {
        let mut stream = self.primary()?.stream();
        if let Some(word) = stream.gather(pieces)?.same() {
            drop(stream);
            return writer.store(index, Content::Same(word));
        }
        let bytes = stream.pack_gathered(self.huge_class_size)?;
        let nid = pieces.nid();
        let content = self.try_allocate(bytes, nid, &writer.limit);
        drop(stream);
        self.store_or_wait(writer, index, content, Data::Pieces(pieces), nid)
    }

    /// Stores `content`, which `data` was packed to, if there was memory for it at once. Nothing is locked.
    #[inline(always)]
    fn store_or_wait<'t>(
        &'t self,
        writer: &Writer<'t>,
        index: usize,
        content: Result<Content<'t>, Refusal>,
        data: Data<'_>,
        nid: i32,
    ) -> Result {
        match content {
            Ok(content) => writer.store(index, content),
            Err(refusal) => self.write_scarce(writer, index, data, nid, refusal),
        }
    }

    /// Stores `data` where there is no memory for it at once: in the place of what is stored for the page, if
    /// that takes as much, or when there is memory again. Swap-out, and whatever else memory is freed by, does
    /// not wait for that.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, if it does not wait, or at the limit that user space set.
    #[cold]
    fn write_scarce<'t>(
        &'t self,
        writer: &Writer<'t>,
        index: usize,
        data: Data<'_>,
        nid: i32,
        refusal: Refusal,
    ) -> Result {
        let (mut len, limited) = match refusal {
            Refusal::Memory(len) => (len, false),
            Refusal::Limit(len) => (len, true),
            Refusal::Other(error) => return Err(error),
        };
        let mut limit = writer.limit.fresh;
        if let Some(mut slot) = writer.table.lock(index) {
            if slot.room() > 0 {
                let mut stream = self.primary()?.stream();
                if slot.overwrite(data.pack(&mut stream, self.huge_class_size)?) {
                    drop(stream);
                    slot.touch(writer.now);
                    return Ok(());
                }
            }
            if !slot.attr().is_empty() {
                limit = writer.limit.all;
            }
        }
        if limited && limit == writer.limit.fresh {
            return Err(ENOMEM);
        }
        let pool = self.table.pool();
        loop {
            let mut object = writer.bio.patience().allocate(|| pool.alloc(len, nid))?;
            self.check(limit)?;
            let mut stream = self.primary()?.stream();
            let bytes = data.pack(&mut stream, self.huge_class_size)?;
            // Somebody may have changed the page meanwhile.
            if bytes.len() <= object.size() {
                object.truncate(bytes.len());
                object.write(bytes);
                drop(stream);
                return writer.store(index, Content::Object(object, 0));
            }
            len = bytes.len();
        }
    }

    /// The algorithm that pages are written with.
    #[inline]
    fn primary(&self) -> Result<&Comp> {
        self.comp(0).ok_or(EINVAL)
    }

    /// Copies a packed page to the pool, if there is memory for it; a stream may be held.
    #[inline(always)]
    fn try_allocate(
        &self,
        bytes: Bytes<'_>,
        nid: i32,
        limit: &Limit,
    ) -> Result<Content<'_>, Refusal> {
        let pool = self.table.pool();
        let mut object = pool.try_alloc(bytes.len(), nid).map_err(|error| {
            if error == ENOMEM {
                Refusal::Memory(bytes.len())
            } else {
                Refusal::Other(error)
            }
        })?;
        if self.check(limit.fresh).is_err() {
            return Err(Refusal::Limit(bytes.len()));
        }
        object.write(bytes);
        Ok(Content::Object(object, 0))
    }

    /// Whether the pool has no more than `limit` pages, now that something was allocated. That counts as used even
    /// if it goes back at once.
    #[inline(always)]
    fn check(&self, limit: usize) -> Result {
        let used = self.table.pool().total_pages();
        self.table.stats().note_used_pages(used);
        if used > limit {
            return Err(ENOMEM);
        }
        Ok(())
    }
}

impl<'t> Writer<'t> {
    #[inline(always)]
    fn store(&self, index: usize, content: Content<'t>) -> Result {
        self.table
            .store(index, content, self.now, || self.bio.patience())
    }
}

impl<'a> Data<'a> {
    /// Compresses it, or leaves it as it is if it does not get smaller than `limit`.
    fn pack<'s>(self, stream: &'s mut StreamGuard<'_>, limit: usize) -> Result<Bytes<'s>>
    where
        'a: 's,
    {
        match self {
            Self::Page(page) => Ok(match stream.pack(page, limit)? {
                Some(bytes) => bytes.into(),
                None => page.into(),
            }),
            Self::Pieces(pieces) => {
                stream.gather(pieces)?;
                stream.pack_gathered(limit)
            }
        }
    }
}
