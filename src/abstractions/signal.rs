// SPDX-License-Identifier: GPL-2.0-only

//! Signals that end long work of a task, and freezing it.
//!
//! A task's flag for pending signals says more than that a signal is to end its work. Job control,
//! a tracer, a control group that is frozen, the system that is about to sleep, and work of
//! io_uring set it, too. These have the task stop, or do something, when it returns to user space,
//! which is no reason to leave work undone.
//!
//! A kernel thread gets no signals: it is asked to stop, and to freeze, without the flag. The
//! functions below serve both kinds of tasks, so that either can do the same work.
//!
//! C headers: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h),
//! [`include/linux/freezer.h`](srctree/include/linux/freezer.h)
//!
//! Upstream this would be a part of `rust/kernel/task.rs`.
//!
//! # Examples
//!
//! ```
//! # use crate::zram::abstractions::signal::{freeze_if_asked, is_interrupted};
//! fn work_on_all(pages: usize) -> Result {
//!     for _page in 0..pages {
//!         if is_interrupted() {
//!             return Err(EINTR);
//!         }
//!         freeze_if_asked();
//!     }
//!     Ok(())
//! }
//! ```

use super::ffi;
use kernel::current;

/// Signals that without a handler are ignored, or stop the task when it returns to user space.
const HARMLESS: u64 = mask(&[
    ffi::SIGCONT,
    ffi::SIGCHLD,
    ffi::SIGWINCH,
    ffi::SIGURG,
    ffi::SIGSTOP,
    ffi::SIGTSTP,
    ffi::SIGTTIN,
    ffi::SIGTTOU,
]);

const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

/// Returns a set of signals, in the form of the kernel's `sigset_t`.
const fn mask(mut signals: &[u32]) -> u64 {
    let mut mask = 0;
    while let [signal, rest @ ..] = signals {
        mask |= 1 << (*signal - 1);
        signals = rest;
    }
    mask
}

/// Freezes the current task here until the system goes on, if the system is about to sleep.
///
/// The system does not wait for a task that works for long, so such a task calls this from time to
/// time. It does not freeze when only its control group is frozen: the rest of the system goes on,
/// and would wait for what the task has locked.
///
/// Context: Process context. May sleep. The caller holds no lock that the system's devices may need
/// while the system goes to sleep.
pub(crate) fn freeze_if_asked() {
    // Whatever asks a task of user space to freeze sets this flag. A kernel that can't sleep has
    // none of this.
    #[cfg(CONFIG_FREEZER)]
    if current!().signal_pending() || is_kthread() {
        // SAFETY: The current task may sleep here. `child_reaper` is the first task of the system,
        // which never ends. It is in no control group that is frozen, so that it is asked to freeze
        // only if the system goes to sleep.
        unsafe {
            let first = (&raw const ffi::init_pid_ns.child_reaper).read_volatile();
            if ffi::freezing_slow_path(ffi::get_current()) && ffi::freezing_slow_path(first) {
                ffi::__refrigerator(is_kthread());
            }
        }
    }
}

/// Returns whether a signal is pending for the current task that ends the task or has a handler;
/// for a kernel thread, whether it is to stop.
///
/// Takes no lock.
///
/// Context: Process context.
pub(crate) fn is_interrupted() -> bool {
    if is_kthread() {
        // SAFETY: The current task is a kernel thread, so it has the data that the call looks at.
        return unsafe { ffi::kthread_should_stop() };
    }
    current!().signal_pending() && ends()
}

/// Returns whether the current task is a kernel thread.
fn is_kthread() -> bool {
    // SAFETY: `get_current()` is the task that runs this, whose flags only itself changes.
    unsafe { (*ffi::get_current()).flags & ffi::PF_KTHREAD != 0 }
}

/// Returns whether one of the pending signals ends the task or has a handler.
#[cold]
fn ends() -> bool {
    // SAFETY: `signal` and `sighand` stay as long as the current task runs, which is the only one
    // to replace them, or to change what it blocks. The rest is machine words that others change
    // under a lock: each is read once.
    let (own, shared, blocked, actions) = unsafe {
        let task = ffi::get_current();
        let (signal, sighand) = ((*task).signal, (*task).sighand);
        (
            (&raw const (*task).pending.signal.sig).read_volatile(),
            (&raw const (*signal).shared_pending.signal.sig).read_volatile(),
            (&raw const (*task).blocked.sig).read_volatile(),
            &raw const (*sighand).action,
        )
    };
    let waiting = own.into_iter().zip(shared).zip(blocked);
    let mut number = 0_u32;
    for ((own, shared), blocked) in waiting {
        let mut waiting = (own | shared) & !blocked;
        while waiting != 0 {
            let at = number.wrapping_add(waiting.trailing_zeros());
            waiting &= waiting.wrapping_sub(1);
            // SAFETY: `at` is below the number of signals in a set, and `action` has an element for
            // each. A handler is a machine word.
            let handler = unsafe {
                let action = actions.cast::<ffi::k_sigaction>().add(at as usize);
                (&raw const (*action).sa.sa_handler)
                    .cast::<usize>()
                    .read_volatile()
            };
            let harmless = HARMLESS.checked_shr(at).is_some_and(|mask| mask & 1 != 0);
            match handler {
                SIG_IGN => {}
                SIG_DFL if harmless => {}
                _ => return true,
            }
        }
        number = number.wrapping_add(usize::BITS);
    }
    false
}
