// SPDX-License-Identifier: GPL-2.0-only

//! Sleepable RCU, for 7.2: what the `kernel` crate has from 7.3 on, as far as the driver uses it.
//!
//! lockdep does not learn of these readers.
//!
//! C header: [`include/linux/srcu.h`](srctree/include/linux/srcu.h)

use super::ffi;
use kernel::{
    error::to_result,
    prelude::*,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A domain of readers that may sleep, and that can be waited for.
///
/// # Invariants
///
/// `inner` was initialised by C and is pinned.
#[pin_data(PinnedDrop)]
pub(crate) struct Srcu {
    #[pin]
    inner: Opaque<ffi::srcu_struct>,
}

// SAFETY: An `srcu_struct` is bound to no thread.
unsafe impl Send for Srcu {}
// SAFETY: The functions of SRCU may be called by several tasks at a time.
unsafe impl Sync for Srcu {}

impl Srcu {
    /// Returns an initialiser.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self, Error> {
        // INVARIANT: `init` initialises the C struct, in its place.
        try_pin_init!(Self {
            // SAFETY: The pointer is valid for writes.
            inner <- Opaque::try_ffi_init(|raw| to_result(unsafe { init(raw, name, key) })),
        })
    }

    /// Makes the task a reader until the result is dropped; it may sleep.
    ///
    /// Context: Process context.
    #[inline]
    pub fn read_lock(&self) -> Guard<'_> {
        // SAFETY: `inner` is initialised by the type invariant. C's inline function without the
        // underscores calls this one, and has debug checks.
        let index = unsafe { ffi::__srcu_read_lock(self.inner.get()) };
        // INVARIANT: `index` is from the call above.
        Guard {
            srcu: self,
            index,
            _not_send: NotThreadSafe,
        }
    }

    /// Waits for all readers that there are.
    ///
    /// Context: Process context. Sleeps.
    pub fn synchronize(&self) {
        // SAFETY: `inner` is initialised by the type invariant.
        unsafe { ffi::synchronize_srcu(self.inner.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Srcu {
    fn drop(self: Pin<&mut Self>) {
        let raw = self.inner.get();
        // SAFETY: `inner` is initialised by the type invariant. If a guard was forgotten, the first
        // call waits without end, since the second one must not meet a reader. There are no
        // callbacks, as nothing here adds any.
        unsafe {
            ffi::synchronize_srcu_expedited(raw);
            ffi::cleanup_srcu_struct(raw);
        }
    }
}

/// Initialises an SRCU.
///
/// # Safety
///
/// `raw` is valid for writes.
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
unsafe fn init(
    raw: *mut ffi::srcu_struct,
    name: &'static CStr,
    key: Pin<&'static LockClassKey>,
) -> c_int {
    // SAFETY: `raw` is valid for writes by the safety requirement; name and key are static.
    unsafe { ffi::__init_srcu_struct(raw, name.as_char_ptr(), key.as_ptr()) }
}

/// Initialises an SRCU.
///
/// # Safety
///
/// `raw` is valid for writes.
#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
unsafe fn init(
    raw: *mut ffi::srcu_struct,
    _: &'static CStr,
    _: Pin<&'static LockClassKey>,
) -> c_int {
    // SAFETY: `raw` is valid for writes by the safety requirement.
    unsafe { ffi::init_srcu_struct(raw) }
}

/// Witness that the task is a reader.
///
/// # Invariants
///
/// `index` is what C returned when the task became a reader of `srcu`.
#[must_use = "the task is a reader until this is dropped"]
pub(crate) struct Guard<'a> {
    srcu: &'a Srcu,
    index: c_int,
    _not_send: NotThreadSafe,
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `index` belongs to a reader of `srcu` that has not ended, by the type invariant.
        unsafe { ffi::__srcu_read_unlock(self.srcu.inner.get(), self.index) };
    }
}
