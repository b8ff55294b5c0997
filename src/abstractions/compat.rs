// SPDX-License-Identifier: GPL-2.0-only

//! What differs by kernel.
//!
//! For each feature that some kernel lacks there are two branches here, with the same interface.
//! Kbuild looks for the feature in the kernel's source, and sets a `cfg` if it is there. No other
//! file knows of these, and none asks for the kernel's version. doc/kernels.md has a table of them,
//! and says when a branch can be deleted: then the callers use the kernel's feature itself.

use super::ffi;
use kernel::{
    prelude::*,
    sync::barrier, //
};

// --- `bio_complete_in_task`: 7.3 and later have `BIO_COMPLETE_IN_TASK` ---

#[cfg(kernel_has = "bio_complete_in_task")]
#[path = "compat/task_bio_by_flag.rs"]
mod task_bio;
#[cfg(not(kernel_has = "bio_complete_in_task"))]
#[path = "compat/task_bio_by_work.rs"]
mod task_bio;

pub(super) use task_bio::{
    TaskBio,
    TaskBioQueue, //
};

// --- `const_this_module`: in 7.3 and later `THIS_MODULE` is a const of a trait ---

/// Returns the module, as C knows it.
///
/// Context: Any context.
#[cfg(kernel_has = "const_this_module")]
pub(super) const fn this_module() -> *mut ffi::module {
    kernel::module::this_module::<crate::LocalModule>().as_ptr()
}

/// Returns the module, as C knows it.
///
/// Context: Any context.
// For 7.2.
#[cfg(not(kernel_has = "const_this_module"))]
pub(super) const fn this_module() -> *mut ffi::module {
    crate::THIS_MODULE.as_ptr()
}

// --- `raw_init`: 7.3 and later have `pin_init::raw_init()` ---

#[cfg(kernel_has = "raw_init")]
pub(super) use pin_init::raw_init;

/// Initialises the memory at `slot`.
///
/// # Safety
///
/// As for [`PinInit::__pinned_init`]: `slot` is valid for writes, and what it points to is neither
/// moved nor freed before it is dropped.
// For 7.2.
#[cfg(not(kernel_has = "raw_init"))]
pub(super) unsafe fn raw_init<T>(slot: *mut T, init: impl PinInit<T>) {
    // SAFETY: `slot` is valid for writes and stays in its place, by the safety requirement.
    let Ok(()) = unsafe { init.__pinned_init(slot) };
}

// --- `synchronize_rcu`: 7.3 and later have `kernel::sync::rcu::synchronize_rcu()` ---

#[cfg(kernel_has = "synchronize_rcu")]
pub(crate) use kernel::sync::rcu::synchronize_rcu;

/// Waits for an RCU grace period.
///
/// Context: Process context. Sleeps.
// For 7.2.
#[cfg(not(kernel_has = "synchronize_rcu"))]
pub(crate) fn synchronize_rcu() {
    // SAFETY: The call has no requirements but that the task may sleep, which it checks with
    // `might_sleep()`.
    unsafe { ffi::synchronize_rcu() };
}

// --- `eopnotsupp`: 7.3 and later declare all errors of `include/uapi/asm-generic/errno.h` ---

/// Returns the error for what is not supported.
#[cfg(kernel_has = "eopnotsupp")]
pub(crate) fn eopnotsupp() -> Error {
    EOPNOTSUPP
}

/// Returns the error for what is not supported.
// For 7.2.
#[cfg(not(kernel_has = "eopnotsupp"))]
pub(crate) fn eopnotsupp() -> Error {
    Error::from_errno(-(ffi::EOPNOTSUPP as c_int))
}

// --- `bi_offset`: the field of `bvec_iter` was `bi_bvec_done` up to 7.2 ---

/// Returns how many bytes of its current vector `iter` has passed.
///
/// Context: Any context.
#[cfg(kernel_has = "bi_offset")]
#[inline]
pub(super) fn offset(iter: &ffi::bvec_iter) -> c_uint {
    iter.bi_offset
}

/// Returns how many bytes of its current vector `iter` has passed.
///
/// Context: Any context.
// For 7.2.
#[cfg(not(kernel_has = "bi_offset"))]
#[inline]
pub(super) fn offset(iter: &ffi::bvec_iter) -> c_uint {
    iter.bi_bvec_done
}

// --- `barrier_types`: in 7.3 and later the kind of a barrier is an argument of `smp_mb()` ---

/// Orders what was loaded before it, and what is loaded after it.
///
/// Context: Any context.
#[cfg(kernel_has = "barrier_types")]
#[inline]
pub(crate) fn smp_rmb() {
    barrier::smp_mb(barrier::Read);
}

/// Orders what was stored before it, and what is stored after it.
///
/// Context: Any context.
#[cfg(kernel_has = "barrier_types")]
#[inline]
pub(crate) fn smp_wmb() {
    barrier::smp_mb(barrier::Write);
}

// For 7.2.
#[cfg(not(kernel_has = "barrier_types"))]
pub(crate) use barrier::{
    smp_rmb,
    smp_wmb, //
};

// --- `srcu`: 7.3 and later have `kernel::sync::Srcu` ---

#[cfg(kernel_has = "srcu")]
pub(crate) use kernel::sync::srcu;

#[cfg(not(kernel_has = "srcu"))]
pub(crate) mod srcu;
