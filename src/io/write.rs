// SPDX-License-Identifier: GPL-2.0-only

//! Writes: what is stored where, and what becomes of a page for which there is no memory.

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
    device::Live,
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

/// What is to be stored, in the memory of a bio.
#[derive(Clone, Copy)]
enum Data<'a> {
    Page(RacyPage<'a>),
    Pieces(&'a Pieces<'a, Writing>),
}

/// A bio to write, as its pages see it.
struct Writer<'a> {
    bio: &'a Bio,
    slots: BioSlots<'a>,
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

/// Stores the pages of `bio`. May sleep.
///
/// # Errors
///
/// `ENOMEM`: see [`write_scarce`]; then the pages before are stored.
pub(super) fn write(live: &Live, bio: &Bio) -> Result {
    let limit = live.limit_pages.load(Ordering::Relaxed);
    let writer = Writer {
        bio,
        slots: live.store.for_bio(),
        now: boot_seconds(),
        limit: Limit::new(limit, bio.is_metadata()),
    };
    for (index, page) in bio.pages::<Writing>()? {
        match page {
            BioPage::Whole(page) => {
                let mapped = page.map();
                write_page(live, &writer, index, mapped.source(), page.nid())?;
            }
            BioPage::Pieces(pieces) => write_pieces(live, &writer, index, &pieces)?,
        }
    }
    Ok(())
}

#[inline]
fn write_page<'t>(
    live: &'t Live,
    writer: &Writer<'t>,
    index: usize,
    page: RacyPage<'_>,
    nid: i32,
) -> Result {
    if let Some(element) = page.same() {
        return writer.store(index, Content::Same(element));
    }
    let mut stream = primary(live)?.stream();
    let Some(bytes) = stream.compress(page, live.huge_class_size)? else {
        drop(stream);
        return write_huge(live, writer, index, page, nid);
    };
    let content = try_allocate(live, bytes.into(), nid, &writer.limit);
    // No slot is locked with a stream held.
    drop(stream);
    store_or_wait(live, writer, index, content, Data::Page(page), nid)
}

/// Stores `page` as it is: in the place of one of its kind, or anew.
#[inline(never)]
fn write_huge<'t>(
    live: &'t Live,
    writer: &Writer<'t>,
    index: usize,
    page: RacyPage<'_>,
    nid: i32,
) -> Result {
    if let Some(mut slot) = writer.slots.lock_huge(index) {
        if slot.overwrite(page.into()) {
            slot.touch(writer.now);
            return Ok(());
        }
    }
    let content = try_allocate(live, page.into(), nid, &writer.limit);
    store_or_wait(live, writer, index, content, Data::Page(page), nid)
}

#[cold]
fn write_pieces<'t>(
    live: &'t Live,
    writer: &Writer<'t>,
    index: usize,
    pieces: &Pieces<'_, Writing>,
) -> Result {
    let mut stream = primary(live)?.stream();
    if let Some(element) = stream.gather(pieces)?.same() {
        drop(stream);
        return writer.store(index, Content::Same(element));
    }
    let bytes = stream.compress_gathered(live.huge_class_size)?;
    let nid = pieces.nid();
    let content = try_allocate(live, bytes, nid, &writer.limit);
    drop(stream);
    store_or_wait(live, writer, index, content, Data::Pieces(pieces), nid)
}

/// Stores `content`, which `data` was packed to, if there was memory for it at once. Nothing is locked.
#[inline(always)]
fn store_or_wait<'t>(
    live: &'t Live,
    writer: &Writer<'t>,
    index: usize,
    content: Result<Content<'t>, Refusal>,
    data: Data<'_>,
    nid: i32,
) -> Result {
    match content {
        Ok(content) => writer.store(index, content),
        Err(refusal) => write_scarce(live, writer, index, data, nid, refusal),
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
    live: &'t Live,
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
    if let Some(mut slot) = writer.slots.lock(index) {
        if slot.room() > 0 {
            let mut stream = primary(live)?.stream();
            if slot.overwrite(data.compress(&mut stream, live.huge_class_size)?) {
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
    let pool = live.store.pool();
    loop {
        let mut object = writer.bio.patience().allocate(|| pool.alloc(len, nid))?;
        check(live, limit)?;
        let mut stream = primary(live)?.stream();
        let bytes = data.compress(&mut stream, live.huge_class_size)?;
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
fn primary(live: &Live) -> Result<&Zcomp> {
    live.zcomp(0).ok_or(EINVAL)
}

/// Copies a packed page to the pool, if there is memory for it; a stream may be held.
#[inline(always)]
fn try_allocate<'t>(
    live: &'t Live,
    bytes: RacyBytes<'_>,
    nid: i32,
    limit: &Limit,
) -> Result<Content<'t>, Refusal> {
    let pool = live.store.pool();
    let mut object = pool.try_alloc(bytes.len(), nid).map_err(|error| {
        if error == ENOMEM {
            Refusal::Memory(bytes.len())
        } else {
            Refusal::Other(error)
        }
    })?;
    if check(live, limit.fresh).is_err() {
        return Err(Refusal::Limit(bytes.len()));
    }
    object.write(bytes);
    Ok(Content::Object(object, 0))
}

/// Whether the pool has no more than `limit` pages, now that something was allocated. That counts as used even
/// if it goes back at once.
#[inline(always)]
fn check(live: &Live, limit: usize) -> Result {
    let used = live.store.pool().total_pages();
    live.store.stats().note_used_pages(used);
    if used > limit {
        return Err(ENOMEM);
    }
    Ok(())
}

impl<'t> Writer<'t> {
    #[inline(always)]
    fn store(&self, index: usize, content: Content<'t>) -> Result {
        self.slots
            .store(index, content, self.now, || self.bio.patience())
    }
}

impl<'a> Data<'a> {
    /// Compresses it, or leaves it as it is if it does not get smaller than `limit`.
    fn compress<'s>(self, stream: &'s mut ZcompGuard<'_>, limit: usize) -> Result<RacyBytes<'s>>
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
