// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a bio that is filled after `submit` has returned, by a read from a backing device.
//!
//! Upstream this would be `rust/kernel/block/bio/destination.rs`.

use super::{
    Bio,
    BioPage,
    BioPages,
    Pieces,
    Reading, //
};
use crate::zram::abstractions::{
    atomic::{
        AtomicI32,
        Ordering, //
    },
    ffi,
    kmap::KmapLocalMut,
    page::{
        PageBox,
        PageBuf, //
    },
    racy::RacyPageMut, //
};
use core::marker::PhantomData;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

impl<T> Bio<T> {
    /// Takes a share in the bio, which does not end before the result is dropped.
    ///
    /// This is `bio_inc_remaining()`, which is inline in C.
    fn chain(&self) -> Parent<T> {
        let raw = self.0.as_ptr();
        // SAFETY: `self.0` is a live bio by the type invariant, by which nobody else changes its
        // flags. The count is an `atomic_t`, which is as large and as aligned as `AtomicI32`.
        unsafe {
            (*raw).bi_flags |= 1 << ffi::BIO_CHAIN;
            let remaining = (&raw mut (*raw).__bi_remaining.counter).cast::<AtomicI32>();
            (*remaining).fetch_add(1, Ordering::SeqCst);
        }
        // INVARIANT: `__bi_remaining` was incremented for this share above.
        Parent(Self(self.0, PhantomData))
    }
}

/// A share in a bio, which ends when `submit` and all shares are done with it.
///
/// # Invariants
///
/// The bio in `0` does not end before `bio_endio` is called for this share.
struct Parent<T>(Bio<T>);

impl<T> Drop for Parent<T> {
    fn drop(&mut self) {
        // SAFETY: The bio is live by the type invariant, and `bio_endio` is called once for this
        // share.
        unsafe { ffi::bio_endio((self.0).0.as_ptr()) };
    }
}

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
            Self::Pieces(Pieces(pages)) => Destination {
                memory: Memory::Pieces {
                    bounce: PageBox::new_noio()?,
                    vec: pages.vec,
                    done: pages.done,
                    left: pages.left,
                },
                parent: pages.bio.chain(),
            },
        })
    }
}

/// Memory of a bio for one page of the disk; the bio does not end before this is dropped.
///
/// # Invariants
///
/// `memory` is that of one page of the disk in the bio of `parent`, whose data goes to memory.
pub(in super::super) struct Destination<T> {
    memory: Memory,
    // Dropped last: after it, the opener that keeps the disk may be gone, too.
    parent: Parent<T>,
}

/// The memory itself.
enum Memory {
    /// A page of the bio.
    Whole(*mut ffi::page),
    /// Pieces of pages of the bio, which are filled from the page `bounce`; the other fields are
    /// those of [`BioPages`].
    Pieces {
        bounce: PageBox<PageBuf>,
        vec: *const ffi::bio_vec,
        done: usize,
        left: usize,
    },
}

impl<T> Destination<T> {
    /// Returns the bio that the memory belongs to.
    pub(in super::super) fn bio(&self) -> &Bio<T> {
        &self.parent.0
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
                f(&self.parent.0, mapped.page_mut())
            }
            Memory::Pieces {
                bounce,
                vec,
                done,
                left,
            } => {
                f(&self.parent.0, RacyPageMut::from(&mut **bounce))?;
                // INVARIANT: `vec`, `done` and `left` are those of a `BioPages` of the same bio,
                // whose data goes to memory.
                let pages = BioPages::<T, Reading> {
                    vec: *vec,
                    done: *done,
                    left: *left,
                    bio: &self.parent.0,
                    index: 0,
                    _direction: PhantomData,
                };
                Pieces(pages).scatter(&bounce.0);
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
        self.parent.0.set_status(status);
    }
}
