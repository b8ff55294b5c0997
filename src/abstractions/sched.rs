// SPDX-License-Identifier: GPL-2.0-only

//! Giving way, waiting, and the time.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::ffi;
use kernel::{
    current,
    prelude::*,
    task::might_sleep,
    time::{
        msecs_to_jiffies,
        Delta, //
    },
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

/// Sleeps for about that long. A fatal signal ends it.
///
/// # Errors
///
/// `EINTR` after one.
pub(super) fn sleep_killable(time: Delta) -> Result {
    let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: The call has no requirements.
    let left = unsafe { ffi::schedule_timeout_killable(msecs_to_jiffies(time) as c_long) };
    if left > 0 && current!().signal_pending() {
        return Err(EINTR);
    }
    Ok(())
}

/// Waits until every task has gone through a place where it sleeps by itself, or is in user space: then
/// none is in a call that was under way before and does not sleep. May take some 100 ms.
pub(super) fn wait_for_tasks() {
    #[cfg(CONFIG_TASKS_RCU)]
    // SAFETY: Process context, as `might_sleep` checks.
    unsafe {
        ffi::synchronize_rcu_tasks()
    };
    // A kernel without it does not preempt a task that is in the kernel, or has nothing that says more.
    #[cfg(not(CONFIG_TASKS_RCU))]
    // SAFETY: As above.
    unsafe {
        ffi::synchronize_rcu()
    };
}

/// Proof that the task holds a spinlock, which also makes it a reader of RCU.
///
/// # Invariants
///
/// It does.
pub(crate) struct AtomicContext(NotThreadSafe);

impl AtomicContext {
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
