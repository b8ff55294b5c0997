// SPDX-License-Identifier: GPL-2.0-only

//! Wait queues for a lock that is a bit in a word.
//!
//! `wait_on_bit_lock()` needs the word to stay. Here the word may be freed while a task sleeps, so
//! the task looks it up again each time it wakes.

use kernel::{
    new_condvar,
    new_spinlock,
    prelude::*,
    sync::{
        CondVar,
        SpinLock, //
    }, //
};

/// Wait queues, each shared by the waiters of many locks.
///
/// A key selects the queue. Waiters with different keys may share one, and wake in vain.
#[pin_data]
pub(super) struct Waiters {
    #[pin]
    queues: [Queue; Self::QUEUES],
}

/// A wait queue, and the spinlock under which its waiters make their attempts.
#[pin_data]
struct Queue {
    #[pin]
    lock: SpinLock<()>,
    #[pin]
    wake: CondVar,
}

impl Waiters {
    /// The number of queues.
    const QUEUES: usize = 16;

    /// Creates empty queues.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            queues <- pin_init::pin_init_array_from_fn(|_| pin_init!(Queue {
                lock <- new_spinlock!((), "zram_waiters"),
                wake <- new_condvar!("zram_waiters"),
            })),
        })
    }

    /// Sleeps until `attempt` returns a value.
    ///
    /// Calls `attempt` once at first, and again after each [`Waiters::wake`] of `key`. A spinlock
    /// is held meanwhile, so `attempt` must not sleep.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn wait<R>(&self, key: usize, mut attempt: impl FnMut() -> Option<R>) -> R {
        // The remainder is in range, or there is no queue at all.
        let queue = &self.queues[key % Self::QUEUES];
        let mut lock = queue.lock.lock();
        loop {
            if let Some(result) = attempt() {
                return result;
            }
            queue.wake.wait(&mut lock);
        }
    }

    /// Wakes the tasks that wait for `key`.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub(super) fn wake(&self, key: usize) {
        let queue = &self.queues[key % Self::QUEUES];
        // A waiter is either before its attempt, which will see what changed, or asleep.
        drop(queue.lock.lock());
        queue.wake.notify_all();
    }

    /// Wakes all tasks.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    pub(super) fn wake_all(&self) {
        for key in 0..Self::QUEUES {
            self.wake(key);
        }
    }
}
