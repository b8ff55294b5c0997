// SPDX-License-Identifier: GPL-2.0-only

//! Where tasks sleep that wait for a lock which is a bit in somebody's word.
//!
//! The kernel's own bit waits look at the word while they sleep; here the word may be freed
//! meanwhile, so that a waiter looks it up anew each time it wakes.

use kernel::{
    new_condvar,
    new_spinlock,
    prelude::*,
    sync::{
        CondVar,
        SpinLock, //
    }, //
};

/// A few queues that the waiters of many locks share.
#[pin_data]
pub(super) struct Waiters {
    #[pin]
    queues: [Queue; Self::QUEUES],
}

#[pin_data]
struct Queue {
    #[pin]
    lock: SpinLock<()>,
    #[pin]
    wake: CondVar,
}

impl Waiters {
    const QUEUES: usize = 16;

    /// No one waits.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            queues <- pin_init::pin_init_array_from_fn(|_| pin_init!(Queue {
                lock <- new_spinlock!((), "zram_waiters"),
                wake <- new_condvar!("zram_waiters"),
            })),
        })
    }

    /// Sleeps until `attempt` gives something; it is called again after each [`Waiters::wake`] of
    /// `key`, with a spinlock held.
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

    /// Wakes all who wait for `key`. Any context but an interrupt.
    pub(super) fn wake(&self, key: usize) {
        let queue = &self.queues[key % Self::QUEUES];
        // A waiter is either before its attempt, which will see what changed, or asleep.
        drop(queue.lock.lock());
        queue.wake.notify_all();
    }

    /// Wakes all. Any context but an interrupt.
    pub(super) fn wake_all(&self) {
        for key in 0..Self::QUEUES {
            self.wake(key);
        }
    }
}
