// SPDX-License-Identifier: GPL-2.0-only

//! What lockdep is told of locks that it does not know.
//!
//! In a kernel without lockdep this is nothing.
//!
//! C header: [`include/linux/lockdep.h`](srctree/include/linux/lockdep.h)

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use super::ffi;
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use kernel::types::Opaque;
use kernel::{
    prelude::*,
    sync::LockClassKey, //
};

/// One lock, or many of a kind, of which a task has one at a time.
pub(crate) struct Map {
    /// Stays where it is: lockdep knows it by its address.
    #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
    raw: Pin<KBox<Opaque<ffi::lockdep_map>>>,
}

// SAFETY: lockdep takes its own locks.
unsafe impl Send for Map {}
// SAFETY: As above.
unsafe impl Sync for Map {}

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
impl Map {
    /// Registers locks that a task may sleep with. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> Result<Self> {
        let raw = KBox::pin_init(Opaque::zeroed(), GFP_KERNEL)?;
        // SAFETY: `raw` is there to be initialised; name and key are static.
        unsafe {
            ffi::lockdep_init_map_type(
                raw.get(),
                name.as_char_ptr(),
                key.as_ptr(),
                0,
                ffi::lockdep_wait_type_LD_WAIT_SLEEP as u8,
                ffi::lockdep_wait_type_LD_WAIT_INV as u8,
                ffi::lockdep_lock_type_LD_LOCK_NORMAL as u8,
            )
        };
        Ok(Self { raw })
    }

    /// The current task has got a lock at once, or is about to wait for it. Any context.
    pub(crate) fn acquire(&self, at_once: bool) {
        let here = Self::acquire as *const () as usize;
        // SAFETY: `raw` was initialised by `new`.
        unsafe {
            ffi::lock_acquire(
                self.raw.get(),
                0,
                at_once.into(),
                0,
                1,
                core::ptr::null_mut(),
                here,
            )
        };
    }

    /// The current task lets the lock go. Any context.
    pub(crate) fn release(&self) {
        let here = Self::release as *const () as usize;
        // SAFETY: `raw` was initialised by `new`.
        unsafe { ffi::lock_release(self.raw.get(), here) };
    }
}

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
impl Map {
    /// Nothing.
    pub(crate) fn new(_: &'static CStr, _: Pin<&'static LockClassKey>) -> Result<Self> {
        Ok(Self {})
    }

    /// Nothing.
    #[inline(always)]
    pub(crate) fn acquire(&self, _: bool) {}

    /// Nothing.
    #[inline(always)]
    pub(crate) fn release(&self) {}
}
