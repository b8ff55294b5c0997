// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a bio for a part of a page that is written after `submit` has returned.
//!
//! Upstream this would be `rust/kernel/block/bio/kept_part.rs`.

use super::{
    pages::Place,
    share::Parent,
    Bio,
    Pieces,
    Writing, //
};
use crate::zram::abstractions::ffi;

impl<T> Pieces<'_, T, Writing> {
    /// Keeps the memory, and the bio, for a write that comes later.
    ///
    /// Allocates nothing.
    ///
    /// Context: Process context. Does not sleep.
    pub fn keep(&self) -> KeptPart<T> {
        // INVARIANT: The place is that of pieces of the bio that the share was taken in.
        KeptPart {
            place: self.place(),
            parent: self.bio().chain(),
        }
    }
}

/// Memory of a bio for a page of the disk or a part of it; the bio does not end before this is
/// dropped.
///
/// # Invariants
///
/// `place` was returned by a `Pieces<'_, T, Writing>` of the bio of `parent`.
pub(crate) struct KeptPart<T> {
    place: Place,
    parent: Parent<T>,
}

// SAFETY: The memory of a bio is bound to no thread, and stays until the bio ends.
unsafe impl<T> Send for KeptPart<T> {}

impl<T> KeptPart<T> {
    /// Returns the bio that the memory belongs to.
    pub fn bio(&self) -> &Bio<T> {
        self.parent.bio()
    }

    /// Returns the memory.
    pub fn pieces(&self) -> Pieces<'_, T, Writing> {
        // SAFETY: `self.place` was returned by such pieces of the same bio, by the type invariant.
        unsafe { Pieces::at(self.place, self.parent.bio()) }
    }

    /// Keeps the memory, and the bio, once more.
    pub fn share(&self) -> Self {
        // INVARIANT: The place is that of `self`, and the share is in the same bio.
        Self {
            place: self.place,
            parent: self.parent.share(),
        }
    }

    /// Marks the whole bio as failed; user space sees `EIO`.
    pub(in super::super) fn fail(&self) {
        self.parent.bio().set_status(ffi::ZRAM_STS_IOERR);
    }
}
