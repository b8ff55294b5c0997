// SPDX-License-Identifier: GPL-2.0-only

//! The end of the module: when its text may go.
//!
//! Upstream this would be no file: the block layer would hold a reference to the module for each
//! gendisk.

use crate::zram::abstractions::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    compat::TaskBioQueue,
    sched, //
};
use core::mem::ManuallyDrop;
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

/// Number of gendisks.
///
/// A gendisk refers to the module's text and data, but holds no reference to the module.
static GENDISKS: AtomicUsize = AtomicUsize::new(0);

/// A gendisk that is counted in [`GENDISKS`].
pub(super) struct Counted(());

impl Counted {
    /// Counts one more gendisk.
    pub(super) fn new() -> Self {
        GENDISKS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Gives up ownership of the count, to be taken back with [`Counted::from_raw`].
    pub(super) fn into_raw(self) {
        let _ = ManuallyDrop::new(self);
    }

    /// Takes back a count that [`Counted::into_raw`] gave up.
    ///
    /// # Safety
    ///
    /// There is one that was not taken back: the module's text goes when the counter says so.
    pub(super) unsafe fn from_raw() -> Self {
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        GENDISKS.fetch_sub(1, Ordering::Release);
    }
}

/// The module's last field: after it is dropped, the module's text may go.
///
/// The last reference to the module, or the last gendisk, is dropped in a call that a task has yet
/// to return from: the end of a bio, after which its opener closes the disk, or `free_disk`. Such a
/// call does not sleep after that. RCU's grace period for tasks ends when each task that is in one,
/// preempted or not, has gone on to a place where it sleeps.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::disk::{Disk, ModuleExit, Operations};
/// struct Driver<T: Operations> {
///     _disk: Disk<T>,
///     // Dropped after the disk.
///     _exit: ModuleExit,
/// }
/// ```
pub(crate) struct ModuleExit {
    // Dropped after the last disk is gone, which may have been the last one to read.
    _queue: TaskBioQueue,
}

impl ModuleExit {
    /// Makes the value, before the module has any disk.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EBUSY` if there is one already; only from kernels where it needs memory.
    pub fn new() -> Result<Self> {
        Ok(Self {
            _queue: TaskBioQueue::new()?,
        })
    }
}

impl Drop for ModuleExit {
    fn drop(&mut self) {
        while GENDISKS.load(Ordering::Acquire) > 0 {
            fsleep(Delta::from_millis(1));
        }
        sched::wait_for_tasks();
    }
}
