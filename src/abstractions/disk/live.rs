// SPDX-License-Identifier: GPL-2.0-only

//! The pointer to the live state of a disk, which I/O follows without a lock.
//!
//! Upstream this would be a part of `rust/kernel/block/gen_disk.rs`.

use crate::zram::abstractions::{
    atomic::{
        AtomicPtr,
        Ordering, //
    },
    compat, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A pointer to the live state.
///
/// # Invariants
///
/// The pointer is null, or came from `Arc::into_raw` and owns that reference.
pub(super) struct LivePtr<T>(AtomicPtr<T>);

impl<T> LivePtr<T> {
    /// Returns the pointer of a disk without live state.
    pub fn none() -> Self {
        // INVARIANT: The pointer is null.
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Returns the live state, or `None` if there is none.
    ///
    /// # Safety
    ///
    /// `'a` is within the life of the state, which a bio or an opener keeps as the documentation of
    /// [`disk`](super) says.
    #[inline]
    pub unsafe fn get<'a>(&self) -> Option<&'a T> {
        let live = self.0.load(Ordering::Acquire);
        // SAFETY: `live` is null, or was published and stays during `'a` by the safety requirement
        // of `get`, which is also that of `get_again`.
        unsafe { live.as_ref().or_else(|| self.get_again()) }
    }

    /// Looks for the live state again, after a barrier.
    ///
    /// A task that sees the new capacity may not yet see the state, since the capacity is read
    /// without a barrier. [`LivePtr::publish`] has the barrier that this one pairs with.
    ///
    /// # Safety
    ///
    /// As for [`LivePtr::get`].
    #[cold]
    unsafe fn get_again<'a>(&self) -> Option<&'a T> {
        compat::smp_rmb();
        // SAFETY: The pointer is null, or was published and stays during `'a` by the safety
        // requirement of `get_again`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Makes `live` the live state, then calls `set_capacity`.
    ///
    /// Context: That of `set_capacity`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is a live state already.
    pub fn publish(&self, live: Arc<T>, set_capacity: impl FnOnce()) -> Result {
        let live = Arc::into_raw(live).cast_mut();
        let none = ptr::null_mut();
        if self
            .0
            .compare_exchange(none, live, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            // SAFETY: `live` came from `Arc::into_raw` above, and was not published.
            drop(unsafe { Arc::from_raw(live) });
            return Err(EBUSY);
        }
        // The capacity is stored and read without a barrier. With this one, a task that sees the
        // capacity sees the state: if not at once, then in `get_again`.
        compat::smp_wmb();
        set_capacity();
        Ok(())
    }

    /// Takes the live state away, if there is one.
    ///
    /// # Safety
    ///
    /// Nobody uses the live state any more, or will before another one is published.
    pub unsafe fn take(&self) -> Option<Arc<T>> {
        let live = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: `live` is null or came from `Arc::into_raw` by the type invariant, and nobody
        // uses it by the safety requirement of `take`. The pointer, which was its owner, is null
        // now.
        NonNull::new(live).map(|live| unsafe { Arc::from_raw(live.as_ptr()) })
    }
}

impl<T> Drop for LivePtr<T> {
    fn drop(&mut self) {
        // SAFETY: `&mut self` shows that nobody uses the pointer; those who use what it points to
        // keep the disk, which owns `self`.
        drop(unsafe { self.take() });
    }
}
