// SPDX-License-Identifier: GPL-2.0-only

//! A word that a lock guards of which the compiler knows nothing, such as a bit in another word.
//!
//! A host test may replace this module: `selftests/host/order.rs` checks that no two accesses to
//! such a word race.

use core::cell::UnsafeCell;

/// A word for the holder of some lock.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::guarded::Guarded;
/// # fn add(number: &Guarded<usize>) {
/// // SAFETY: `number` is guarded by the lock that the caller holds.
/// unsafe { number.replace(number.get() + 1) };
/// # }
/// ```
#[repr(transparent)]
pub(crate) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: The only accesses from several threads are those of `get` and `replace`, whose callers
// see to it that no two of them happen at a time.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T: Copy> Guarded<T> {
    /// Returns the word.
    ///
    /// # Safety
    ///
    /// The caller holds the lock: nobody else accesses the word meanwhile.
    #[inline(always)]
    pub unsafe fn get(&self) -> T {
        // SAFETY: Nobody else accesses `self.0` meanwhile, by the safety requirement of `get`.
        unsafe { *self.0.get() }
    }

    /// Replaces the word by `new` and returns what it was.
    ///
    /// # Safety
    ///
    /// As for [`Guarded::get`].
    #[inline(always)]
    pub unsafe fn replace(&self, new: T) -> T {
        // SAFETY: Nobody else accesses `self.0` meanwhile, by the safety requirement of `replace`.
        unsafe { self.0.get().replace(new) }
    }
}
