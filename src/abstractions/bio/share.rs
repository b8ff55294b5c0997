// SPDX-License-Identifier: GPL-2.0-only

//! Shares in a bio, which keep it from ending when `submit` has returned.
//!
//! Upstream this would be `rust/kernel/block/bio/share.rs`.

use super::Bio;
use crate::zram::abstractions::{
    atomic::{
        AtomicI32,
        Ordering, //
    },
    ffi, //
};
use core::marker::PhantomData;

impl<T> Bio<T> {
    /// Takes a share in the bio, which does not end before the result is dropped.
    ///
    /// This is `bio_inc_remaining()`, which is inline in C.
    pub(super) fn chain(&self) -> Parent<T> {
        // SAFETY: `self.0` is a live bio by the type invariant, by which nobody else changes its
        // flags.
        unsafe { (*self.0.as_ptr()).bi_flags |= 1 << ffi::BIO_CHAIN };
        self.add_share()
    }

    /// Counts one more share in a bio whose flags say that there are shares.
    fn add_share(&self) -> Parent<T> {
        // SAFETY: `self.0` is a live bio by the type invariant. The count is an `atomic_t`, which
        // is as large and as aligned as `AtomicI32`.
        unsafe {
            let remaining = &raw mut (*self.0.as_ptr()).__bi_remaining.counter;
            (*remaining.cast::<AtomicI32>()).fetch_add(1, Ordering::SeqCst);
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
pub(super) struct Parent<T>(Bio<T>);

impl<T> Parent<T> {
    /// Returns the bio.
    pub(super) fn bio(&self) -> &Bio<T> {
        &self.0
    }

    /// Takes another share in the bio.
    ///
    /// Unlike [`Bio::chain`] this leaves the flags alone, which `submit` may be changing meanwhile:
    /// they say already that there are shares.
    pub(super) fn share(&self) -> Self {
        self.0.add_share()
    }
}

impl<T> Drop for Parent<T> {
    fn drop(&mut self) {
        // SAFETY: The bio is live by the type invariant, and `bio_endio` is called once for this
        // share.
        unsafe { ffi::bio_endio((self.0).0.as_ptr()) };
    }
}
