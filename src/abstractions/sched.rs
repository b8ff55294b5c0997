// SPDX-License-Identifier: GPL-2.0-only

//! Scheduling and time: letting others run, sleeping, and a clock in seconds.
//!
//! C headers: [`include/linux/sched.h`](srctree/include/linux/sched.h),
//! [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)
//!
//! Upstream this would be parts of `rust/kernel/task.rs`, `rust/kernel/time.rs` and
//! `rust/kernel/sync/rcu.rs`.

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

/// Lets other tasks run, in a kernel that does not preempt the current one by itself.
///
/// Context: Process context. May sleep.
pub(crate) fn cond_resched() {
    might_sleep();
    // A kernel that always preempts has no such function.
    #[cfg(any(not(CONFIG_PREEMPTION), CONFIG_PREEMPT_DYNAMIC))]
    // SAFETY: The call has no requirements but that the task may sleep, which `might_sleep` has
    // checked.
    unsafe {
        ffi::__cond_resched()
    };
}

/// Sleeps for about `time`, or until a fatal signal comes.
///
/// Context: Process context. Sleeps.
///
/// # Errors
///
/// `EINTR` after a fatal signal.
pub(super) fn sleep_killable(time: Delta) -> Result {
    let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: The call has no requirements.
    let left = unsafe { ffi::schedule_timeout_killable(msecs_to_jiffies(time) as c_long) };
    if left > 0 && current!().signal_pending() {
        return Err(EINTR);
    }
    Ok(())
}

/// Waits until every task has gone to sleep voluntarily, or has been in user space.
///
/// After that no task is in a call that was under way before and that does not sleep. This may take
/// some 100 ms.
///
/// Context: Process context. Sleeps.
pub(super) fn wait_for_tasks() {
    #[cfg(CONFIG_TASKS_RCU)]
    // SAFETY: The call has no requirements but that the task may sleep, which it checks with
    // `might_sleep()`.
    unsafe {
        ffi::synchronize_rcu_tasks()
    };
    // Without this kind of RCU, a kernel does not preempt tasks that are in it, so that a grace
    // period of RCU will do; or it has nothing that waits for preempted tasks.
    #[cfg(not(CONFIG_TASKS_RCU))]
    // SAFETY: The call has no requirements but that the task may sleep, which it checks with
    // `might_sleep()`.
    unsafe {
        ffi::synchronize_rcu()
    };
}

/// Witness that the current context holds a spinlock, and hence is a read-side critical section of
/// RCU.
///
/// # Invariants
///
/// A spinlock is held for the lifetime of this value.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::sched::{boot_seconds, AtomicContext};
/// # use crate::zram::abstractions::atomic::{AtomicU32, Ordering};
/// fn note_freed(freed: &AtomicU32, _atomic: &AtomicContext) {
///     // No lock that a task may sleep with is taken here.
///     freed.store(boot_seconds(), Ordering::Relaxed);
/// }
/// ```
pub(crate) struct AtomicContext(NotThreadSafe);

impl AtomicContext {
    /// Makes a witness.
    ///
    /// # Safety
    ///
    /// A spinlock is held during the life of the result.
    #[inline]
    pub(super) unsafe fn new() -> Self {
        // INVARIANT: A spinlock is held by the safety requirement of `new`.
        Self(NotThreadSafe)
    }
}

/// Returns the seconds since boot, including those that the system was suspended.
///
/// The clock is that of the last timer tick, which is cheap to read.
///
/// Context: Any context except NMI.
#[inline]
pub(crate) fn boot_seconds() -> u32 {
    // SAFETY: The call has no requirements.
    let time = unsafe { ffi::ktime_get_coarse_with_offset(ffi::tk_offsets_TK_OFFS_BOOT) };
    (time / 1_000_000_000) as u32
}

/// Returns the time that the current task has run so far.
///
/// It is brought up to date at each tick, and when the task sleeps.
///
/// Context: Process context.
pub(crate) fn run_time() -> Delta {
    // SAFETY: `get_current()` is the task that runs this. The number is one word, which the
    // scheduler may change on this CPU; it is read once.
    let nanos = unsafe { (&raw const (*ffi::get_current()).se.sum_exec_runtime).read_volatile() };
    Delta::from_nanos(nanos as i64)
}
