// SPDX-License-Identifier: GPL-2.0-only

//! Block major numbers.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
//!
//! Upstream this would be `rust/kernel/block/major.rs`.

use super::ffi;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A block major number; unregistered when dropped.
///
/// # Invariants
///
/// `number` is registered under `name`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::major::Major;
/// let major = Major::new(c"ramdisk")?;
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Major {
    pub(super) number: c_int,
    name: &'static CStr,
}

impl Major {
    /// Registers any free number, which /proc/devices shows under `name`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if no number is free; `ENOMEM`.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a C string, which the call copies.
        let number = unsafe { ffi::__register_blkdev(0, name.as_char_ptr(), None) };
        to_result(number)?;
        // INVARIANT: `number` was registered under `name` above.
        Ok(Self { number, name })
    }
}

impl Drop for Major {
    fn drop(&mut self) {
        // SAFETY: `self.number` is registered under `self.name` by the type invariant.
        unsafe { ffi::unregister_blkdev(self.number as c_uint, self.name.as_char_ptr()) };
    }
}
