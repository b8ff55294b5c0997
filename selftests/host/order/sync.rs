// SPDX-License-Identifier: GPL-2.0-only

//! Locks, wait queues and RCU of the `kernel` crate, whose operations are steps.

use super::{
    addresses::lock,
    kernel::pin_init::UNUSED,
    steps::{
        step,
        Step, //
    }, //
};
pub use std::sync::Arc;
use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
};

/// A spinlock; whether it has no users.
pub struct SpinLock<T>(UnsafeCell<T>, bool);

// SAFETY: The actors of a model run on one thread.
unsafe impl<T> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub fn new(content: T) -> Self {
        Self(UnsafeCell::new(content), UNUSED.get())
    }

    pub fn lock(&self) -> Guard<'_, T> {
        if !self.1 {
            step(Step::Lock(lock(self)));
        }
        Guard(self)
    }
}

pub struct Guard<'a, T>(&'a SpinLock<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: No other program runs meanwhile.
        unsafe { &*self.0 .0.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: No other program runs meanwhile.
        unsafe { &mut *self.0 .0.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if !self.0 .1 {
            step(Step::Unlock(lock(self.0)));
        }
    }
}

/// A wait queue; whether it has no users.
pub struct CondVar(bool);

impl CondVar {
    pub fn new() -> Self {
        Self(UNUSED.get())
    }

    pub fn wait<T>(&self, guard: &mut Guard<'_, T>) {
        assert!(!self.0, "the queue has no users");
        let (lock, queue) = (lock(guard.0), lock(self));
        step(Step::Sleep(lock, queue));
        step(Step::Wake(lock, queue));
    }

    pub fn notify_all(&self) {
        if !self.0 {
            step(Step::NotifyAll(lock(self)));
        }
    }
}

pub mod srcu {
    use super::*;
    use std::ffi::CStr;

    pub struct Srcu;

    impl Srcu {
        pub fn new(_: &CStr, _: ()) -> Self {
            Self
        }

        pub fn read_lock(&self) -> Guard<'_> {
            step(Step::Enter(1));
            Guard(PhantomData)
        }

        pub fn synchronize(&self) {
            step(Step::BeginGrace(1));
            step(Step::EndGrace(1));
        }
    }

    pub struct Guard<'a>(PhantomData<&'a Srcu>);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            step(Step::Leave(1));
        }
    }
}

pub mod rcu {
    use super::*;

    pub struct Guard(());

    pub fn read_lock() -> Guard {
        step(Step::Enter(0));
        Guard(())
    }

    pub fn synchronize_rcu() {
        step(Step::BeginGrace(0));
        step(Step::EndGrace(0));
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            step(Step::Leave(0));
        }
    }
}
