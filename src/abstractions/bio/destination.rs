// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a bio that is filled after `submit` has returned, by a read from a backing device.
//!
//! Upstream this would be `rust/kernel/block/bio/destination.rs`.

use super::{
    pages::Place,
    share::Parent,
    Bio,
    BioPage,
    Pieces,
    Reading, //
};
use crate::zram::abstractions::{
    ffi,
    kmap::KmapLocalMut,
    page::{
        PageBox,
        PageBuf, //
    },
    racy::RacyPageMut, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

impl<T> BioPage<'_, T, Reading> {
    /// Keeps the memory, and the bio, for a read that fills it later.
    ///
    /// Pieces are filled through a page that this allocates.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O and does not wait
    /// until there is memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; never for a whole page.
    pub(in super::super) fn keep(&self) -> Result<Destination<T>> {
        Ok(match self {
            Self::Whole(page) => Destination {
                memory: Memory::Whole(page.raw),
                parent: page.bio.chain(),
            },
            Self::Pieces(pieces) => Destination {
                memory: Memory::Pieces {
                    bounce: PageBox::new_noio()?,
                    place: pieces.place(),
                },
                parent: pieces.bio().chain(),
            },
        })
    }
}

/// Memory of a bio for one page of the disk; the bio does not end before this is dropped.
///
/// # Invariants
///
/// `memory` is that of one page of the disk in the bio of `parent`, whose data goes to memory.
pub(crate) struct Destination<T> {
    memory: Memory,
    // Dropped last: after it, the opener that keeps the disk may be gone, too.
    parent: Parent<T>,
}

/// The memory itself.
enum Memory {
    /// A page of the bio.
    Whole(*mut ffi::page),
    /// Pieces of pages of the bio, which begin at `place` and are filled from the page `bounce`.
    Pieces {
        bounce: PageBox<PageBuf>,
        place: Place,
    },
}

impl<T> Destination<T> {
    /// Returns the bio that the memory belongs to.
    pub(in super::super) fn bio(&self) -> &Bio<T> {
        self.parent.bio()
    }

    /// Adds a page to `bio`, which is to read it: the whole page, or the one that pieces are filled
    /// from.
    ///
    /// # Safety
    ///
    /// `bio` is initialised, has room for one vector, and ends before `self` is dropped or borrowed
    /// again.
    pub(in super::super) unsafe fn add_to(&mut self, bio: *mut ffi::bio) {
        let len = PAGE_SIZE as c_uint;
        // SAFETY: `bio` has room for one vector and ends before `self` is dropped, by the safety
        // requirement. The page belongs to the parent, which has not ended, or to `self`.
        unsafe {
            match &mut self.memory {
                Memory::Whole(page) => ffi::__bio_add_page(bio, *page, len, 0),
                Memory::Pieces { bounce, .. } => {
                    ffi::bio_add_virt_nofail(bio, (&raw mut **bounce).cast(), len)
                }
            }
        }
    }

    /// Calls `f` with the page that was read by way of [`Destination::add_to`], and copies what it
    /// leaves there to the pieces, if there are pieces.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub(in super::super) fn finish(
        &mut self,
        f: impl FnOnce(&Bio<T>, RacyPageMut<'_>) -> Result,
    ) -> Result {
        match &mut self.memory {
            Memory::Whole(page) => {
                // SAFETY: `page` belongs to the parent, which has not ended, and its data goes to
                // memory, by the type invariant: so it stays, and may be written to.
                let mut mapped = unsafe { KmapLocalMut::new(*page) };
                f(self.parent.bio(), mapped.page_mut())
            }
            Memory::Pieces { bounce, place } => {
                let bio = self.parent.bio();
                f(bio, RacyPageMut::from(&mut **bounce))?;
                // SAFETY: `place` was returned by pieces of the same bio, whose data goes to
                // memory, by the type invariant.
                let pieces: Pieces<'_, T, Reading> = unsafe { Pieces::at(*place, bio) };
                pieces.scatter(&bounce.0);
                Ok(())
            }
        }
    }

    /// Marks the whole bio as failed: with `status`, or as `EIO` if that is no error.
    pub(in super::super) fn fail(&mut self, status: ffi::blk_status_t) {
        let status = match status {
            0 => ffi::ZRAM_STS_IOERR,
            status => status,
        };
        self.parent.bio().set_status(status);
    }
}
