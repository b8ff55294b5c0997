// SPDX-License-Identifier: GPL-2.0-only

//! When the module's text may go.

use crate::zram::abstractions::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    sched, //
};
use core::mem::ManuallyDrop;
use kernel::time::{
    delay::fsleep,
    Delta, //
};

/// How many gendisks there are: they refer to the module's text and data, without a reference to it.
static GENDISKS: AtomicUsize = AtomicUsize::new(0);

/// One of [`GENDISKS`].
pub(super) struct Counted(());

impl Counted {
    pub(super) fn new() -> Self {
        GENDISKS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Gives it up, to be taken back with [`Counted::from_raw`].
    pub(super) fn into_raw(self) {
        let _ = ManuallyDrop::new(self);
    }

    /// Takes back what was given up.
    pub(super) fn from_raw() -> Self {
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        GENDISKS.fetch_sub(1, Ordering::Release);
    }
}

/// Dropped last of all that the module has, after which its text may go.
///
/// The last reference to the module, or the last gendisk, goes in a call that a task has yet to return
/// from: the end of a bio, after which its opener closes the disk, or `free_disk`. Such calls don't sleep
/// after that, and RCU's grace period for tasks lasts until each task that is in one, preempted or not,
/// has gone on to where it does.
pub(crate) struct ModuleExit(());

impl ModuleExit {
    /// To be made before all else.
    pub(crate) fn new() -> Self {
        Self(())
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
