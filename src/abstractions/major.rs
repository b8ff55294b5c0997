// SPDX-License-Identifier: GPL-2.0-only

//! Block major numbers.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::ffi;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A block major number; given back when dropped.
///
/// # Invariants
///
/// `number` is registered under `name`.
pub(crate) struct Major {
    pub(super) number: c_int,
    name: &'static CStr,
}

impl Major {
    /// Registers any free number. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is none; `ENOMEM`.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let number = unsafe { ffi::__register_blkdev(0, name.as_char_ptr(), None) };
        to_result(number)?;
        // INVARIANT: Registered above.
        Ok(Self { number, name })
    }
}

impl Drop for Major {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::unregister_blkdev(self.number as c_uint, self.name.as_char_ptr()) };
    }
}
