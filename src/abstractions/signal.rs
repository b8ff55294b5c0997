// SPDX-License-Identifier: GPL-2.0-only

//! Signals that end what a task does.
//!
//! The kernel's own flag for a pending signal says more than that a signal ends what the task does: job
//! control, a tracer, a control group that is frozen, the system that goes to sleep, and work of io_uring
//! set it, too. These have the task stop where it returns to user space, or do something there, which
//! is no reason to leave work undone.
//!
//! C headers: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h),
//! [`include/linux/freezer.h`](srctree/include/linux/freezer.h)

use super::ffi;
use kernel::current;

/// What a signal without a handler does nothing of, or what stops the task in user space.
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

const fn mask(mut signals: &[u32]) -> u64 {
    let mut mask = 0;
    while let [signal, rest @ ..] = signals {
        mask |= 1 << (*signal - 1);
        signals = rest;
    }
    mask
}

/// Freezes the current task here, until the system goes on, if that is about to go to sleep: it does not wait for a
/// task that works for long. A control group alone that is frozen does wait, and others go on meanwhile, which want
/// what the task has locked. May sleep; to be called with nothing locked that the system's devices may need.
pub(crate) fn freeze_if_asked() {
    // What asks for it sets this flag. A kernel that can't sleep has none of this.
    #[cfg(CONFIG_FREEZER)]
    if current!().signal_pending() {
        // SAFETY: The current task may sleep here, and is one of user space. The first one of the system never ends;
        // it is asked about because it is in no group that is frozen.
        unsafe {
            let first = (&raw const ffi::init_pid_ns.child_reaper).read_volatile();
            if ffi::freezing_slow_path(ffi::get_current()) && ffi::freezing_slow_path(first) {
                ffi::__refrigerator(false);
            }
        }
    }
}

/// Whether a signal waits for the current task that ends it or that it has a handler for. Takes no lock; any
/// context of a task of user space.
pub(crate) fn is_interrupted() -> bool {
    current!().signal_pending() && ends()
}

/// Looks at the signals themselves.
#[cold]
fn ends() -> bool {
    // SAFETY: The current task has these for as long as it runs, and is the only one to replace them or
    // to change what it blocks. The rest is words, which others change under a lock: each is read once.
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
            // SAFETY: There is an action for each signal of a set; a handler is a word.
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
