// SPDX-License-Identifier: GPL-2.0-only

//! Annotations for locks that lockdep does not know, such as a bit of a word.
//!
//! In a kernel without lockdep they do nothing.
//!
//! C header: [`include/linux/lockdep.h`](srctree/include/linux/lockdep.h)
//!
//! Upstream this would be `rust/kernel/sync/lockdep.rs`.

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use super::ffi;
#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
use kernel::types::Opaque;
use kernel::{
    prelude::*,
    sync::LockClassKey, //
};

/// A lock in the eyes of lockdep, or many of a kind, of which a task holds one at a time.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::lockdep::Map;
/// let map = Map::new(c"slot", kernel::static_lock_class!())?;
/// map.acquire(true);
/// // The slot is locked here.
/// map.release();
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Map {
    /// Has an allocation of its own, since lockdep knows it by its address.
    #[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
    raw: Pin<KBox<Opaque<ffi::lockdep_map>>>,
}

// SAFETY: A lockdep map is bound to no thread.
unsafe impl Send for Map {}
// SAFETY: lockdep takes its own locks.
unsafe impl Sync for Map {}

#[cfg(CONFIG_DEBUG_LOCK_ALLOC)]
impl Map {
    /// Registers a kind of lock that a task may sleep with.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> Result<Self> {
        let raw = KBox::pin_init(Opaque::zeroed(), GFP_KERNEL)?;
        // SAFETY: `raw` is valid for writes, and is initialised here; `name` and `key` are static.
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

    /// Tells lockdep that the current task has got the lock at once, or else is about to wait for
    /// it.
    ///
    /// Context: Any context.
    pub fn acquire(&self, at_once: bool) {
        let here = Self::acquire as *const () as usize;
        // SAFETY: `self.raw` was initialised by `new`.
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

    /// Tells lockdep that the current task releases the lock.
    ///
    /// Context: Any context.
    pub fn release(&self) {
        let here = Self::release as *const () as usize;
        // SAFETY: `self.raw` was initialised by `new`.
        unsafe { ffi::lock_release(self.raw.get(), here) };
    }
}

#[cfg(not(CONFIG_DEBUG_LOCK_ALLOC))]
impl Map {
    /// Does nothing.
    pub fn new(_: &'static CStr, _: Pin<&'static LockClassKey>) -> Result<Self> {
        Ok(Self {})
    }

    /// Does nothing.
    #[inline(always)]
    pub fn acquire(&self, _: bool) {}

    /// Does nothing.
    #[inline(always)]
    pub fn release(&self) {}
}
