// SPDX-License-Identifier: GPL-2.0

//! Giving way, and the time.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::ffi;
use kernel::{
    task::might_sleep,
    types::NotThreadSafe, //
};

/// Lets other tasks run, where the kernel does not preempt by itself. May sleep.
pub(crate) fn cond_resched() {
    might_sleep();
    // A kernel that always preempts has no such function.
    #[cfg(any(not(CONFIG_PREEMPTION), CONFIG_PREEMPT_DYNAMIC))]
    // SAFETY: A no-op where not needed.
    unsafe {
        ffi::__cond_resched()
    };
}

/// Proof that the task holds a spinlock, which also makes it a reader of RCU.
///
/// # Invariants
///
/// It does.
pub(crate) struct Atomic(NotThreadSafe);

impl Atomic {
    /// # Safety
    ///
    /// A spinlock is held for as long as the result lives.
    #[inline]
    pub(super) unsafe fn new() -> Self {
        // INVARIANT: By the safety requirement.
        Self(NotThreadSafe)
    }
}

/// Seconds since boot, suspended time included, as of the last tick. Any context.
pub(crate) fn boot_seconds() -> u32 {
    // SAFETY: The call has no requirements.
    let time = unsafe { ffi::ktime_get_coarse_with_offset(ffi::tk_offsets_TK_OFFS_BOOT) };
    (time / 1_000_000_000) as u32
}
