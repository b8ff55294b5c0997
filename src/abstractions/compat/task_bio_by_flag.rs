// SPDX-License-Identifier: GPL-2.0-only

//! A bio whose end may sleep: it has the flag `BIO_COMPLETE_IN_TASK`, of 7.3 and later.
//!
//! C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use crate::zram::abstractions::ffi;
use kernel::{
    container_of,
    prelude::*,
    types::Opaque, //
};

/// A bio of the driver's own, whose end is called in task context.
pub(in super::super) struct TaskBio(Opaque<ffi::bio>);

impl TaskBio {
    /// Makes a bio that is yet to be initialised with `bio_init()`.
    pub fn uninit() -> Self {
        Self(Opaque::uninit())
    }

    /// Returns the C bio.
    pub fn get(&self) -> *mut ffi::bio {
        self.0.get()
    }

    /// Has `end` called when the bio has ended, in a context that may sleep.
    ///
    /// # Safety
    ///
    /// `this` is valid, its bio is initialised and not submitted yet, and `end` may be called with
    /// that bio.
    pub unsafe fn set_end(this: *mut Self, end: unsafe extern "C" fn(*mut ffi::bio)) {
        // SAFETY: `this` is valid and nobody else uses its bio yet, by the safety requirement.
        unsafe {
            let raw = (*this).get();
            (*raw).bi_end_io = Some(end);
            (*raw).bi_flags |= 1 << ffi::BIO_COMPLETE_IN_TASK;
        }
    }

    /// Returns the `TaskBio` that a C bio is in.
    ///
    /// # Safety
    ///
    /// `raw` is what [`TaskBio::get`] has returned.
    pub unsafe fn from_raw(raw: *mut ffi::bio) -> *mut Self {
        // SAFETY: `raw` is the field of a `TaskBio` by the safety requirement.
        unsafe { container_of!(Opaque::cast_from(raw), Self, 0).cast_mut() }
    }
}

/// Something that must exist while there are [`TaskBio`]s: nothing, the kernel has it.
pub(in super::super) struct TaskBioQueue(());

impl TaskBioQueue {
    /// Does nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn new() -> Result<Self> {
        Ok(Self(()))
    }
}
