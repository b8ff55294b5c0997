// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a bio that is filled after `submit` has returned: by a read from a backing device.

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
    /// Keeps the bio from ending until the result is dropped.
    fn chain(&self) -> Parent<T> {
        let raw = self.0.as_ptr();
        // SAFETY: By the type invariant; nobody else changes the flags, and the count is atomic.
        unsafe {
            (*raw).bi_flags |= 1 << ffi::BIO_CHAIN;
            let remaining = (&raw mut (*raw).__bi_remaining.counter).cast::<AtomicI32>();
            (*remaining).fetch_add(1, Ordering::SeqCst);
        }
        // INVARIANT: Counted above.
        Parent(Self(self.0, PhantomData))
    }
}

/// A share in a bio that waits for others.
///
/// # Invariants
///
/// The bio does not end before `bio_endio` is called for this share.
struct Parent<T>(Bio<T>);

impl<T> Drop for Parent<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::bio_endio((self.0).0.as_ptr()) };
    }
}

impl<T> BioPage<'_, T, Reading> {
    /// The same memory for as long as it takes to fill it, while the bio does not end. Pieces are filled by way
    /// of a page of their own. Does not wait for memory; may sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(in super::super) fn keep(&self) -> Result<Destination<T>> {
        Ok(match self {
            Self::Whole(page) => Destination {
                memory: Memory::Whole(page.raw),
                parent: page.bio.chain(),
            },
            Self::Pieces(Pieces(pages)) => Destination {
                memory: Memory::Pieces {
                    by_way_of: PageBox::new_noio()?,
                    vec: pages.vec,
                    done: pages.done,
                    left: pages.left,
                },
                parent: pages.bio.chain(),
            },
        })
    }
}

/// A block of memory of a bio, which does not end before this is dropped.
///
/// # Invariants
///
/// `memory` is that of a block of the parent, whose data goes to memory.
pub(in super::super) struct Destination<T> {
    memory: Memory,
    // Goes last: after it, the opener that keeps the disk may be gone, too.
    parent: Parent<T>,
}

enum Memory {
    Whole(*mut ffi::page),
    /// What [`BioPages`] say.
    Pieces {
        by_way_of: PageBox<PageBuf>,
        vec: *const ffi::bio_vec,
        done: usize,
        left: usize,
    },
}

impl<T> Destination<T> {
    /// The bio that the memory belongs to.
    pub(in super::super) fn bio(&self) -> &Bio<T> {
        &self.parent.0
    }

    /// Lets `bio`, which reads a page, read to the memory, or to the page by way of which that is filled.
    ///
    /// # Safety
    ///
    /// `bio` is initialised, has room for one vector, and ends before `self` is dropped.
    pub(in super::super) unsafe fn add_to(&mut self, bio: *mut ffi::bio) {
        let len = PAGE_SIZE as c_uint;
        // SAFETY: By the safety requirement; the page belongs to the parent, or to `self`.
        unsafe {
            match &mut self.memory {
                Memory::Whole(page) => ffi::__bio_add_page(bio, *page, len, 0),
                Memory::Pieces { by_way_of, .. } => {
                    ffi::bio_add_virt_nofail(bio, (&raw mut **by_way_of).cast(), len)
                }
            }
        }
    }

    /// Lets `f` change what was read to the memory by way of [`Destination::add_to`].
    pub(in super::super) fn finish(
        &mut self,
        f: impl FnOnce(&Bio<T>, RacyPageMut<'_>) -> Result,
    ) -> Result {
        match &mut self.memory {
            // SAFETY: By the type invariant the page is the parent's, which has not ended, and may be written to.
            Memory::Whole(page) => f(&self.parent.0, unsafe { KmapLocalMut::new(*page) }.target()),
            Memory::Pieces {
                by_way_of,
                vec,
                done,
                left,
            } => {
                f(&self.parent.0, RacyPageMut::from(&mut **by_way_of))?;
                // INVARIANT: By the type invariant.
                let pages = BioPages::<T, Reading> {
                    vec: *vec,
                    done: *done,
                    left: *left,
                    bio: &self.parent.0,
                    index: 0,
                    _direction: PhantomData,
                };
                Pieces(pages).scatter(&by_way_of.0);
                Ok(())
            }
        }
    }

    /// Marks the whole bio as failed, for the reason that `status` says, or else with `EIO`.
    pub(in super::super) fn fail(&mut self, status: ffi::blk_status_t) {
        let status = match status {
            0 => ffi::ZRAM_STS_IOERR,
            status => status,
        };
        self.parent.0.set_status(status);
    }
}
