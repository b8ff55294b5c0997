// SPDX-License-Identifier: GPL-2.0-only

//! A disk, as far as `src/abstractions/disk` says how long its live state and the module stay.
//!
//! What is C's in it is written again here: the capacity, openers, and the module's memory.

use super::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    guarded::Guarded, //
};
use crate::{
    order::steps::{
        step,
        Step, //
    },
    sync::{
        Arc,
        SpinLock, //
    },
};
use exit::{
    Counted,
    ModuleExit, //
};
use live::LivePtr;
use std::{
    marker::PhantomData,
    mem, //
};

#[path = "../../../src/abstractions/disk/exit.rs"]
mod exit;
#[path = "../../../src/abstractions/disk/live.rs"]
mod live;

/// Witness that the caller carries out no bio.
pub struct OutsideIo<'a>(PhantomData<&'a ()>);

impl OutsideIo<'_> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// The live state, which is a word.
type Live = Guarded<usize>;

pub struct Disk {
    state: Arc<Live>,
    live: LivePtr<Live>,
    capacity: AtomicUsize,
    /// `open_mutex`.
    open: SpinLock<()>,
    claimed: Guarded<usize>,
    /// The module's text and data.
    module: Guarded<usize>,
}

impl Disk {
    pub fn new() -> Self {
        Self {
            state: Arc::new(Live::zero()),
            live: LivePtr::none(),
            capacity: AtomicUsize::new(0),
            open: SpinLock::new(()),
            claimed: Guarded::zero(),
            module: Guarded::zero(),
        }
    }

    /// Makes the state and publishes it, as the file `disksize` does.
    pub fn publish(&self) {
        // SAFETY: A race is found.
        unsafe { self.state.replace(1) };
        let set_capacity = || self.capacity.store(1, Ordering::Relaxed);
        if self.live.publish(self.state.clone(), set_capacity).is_err() {
            step(Step::Wrong);
        }
    }

    /// Uses the state, if there is one: a bio of an opener who does not look at the capacity.
    pub fn look(&self) {
        // SAFETY: The state stays for ever, and a race is found.
        let found = unsafe { self.live.get().map(|live| live.get()) };
        if found == Some(0) {
            step(Step::Wrong);
        }
    }

    /// Uses the state, which must be there if there is a capacity: a bio within it.
    pub fn submit(&self) {
        if self.capacity.load(Ordering::Relaxed) == 0 {
            return;
        }
        // SAFETY: The state stays for ever, and a race is found.
        let found = unsafe { self.live.get().map(|live| live.get()) };
        if found != Some(1) {
            step(Step::Wrong);
        }
    }

    /// Opens the disk, submits a bio, and closes the disk.
    pub fn open(&self) {
        let _open = self.open.lock();
        // SAFETY: `claimed` is guarded by the lock.
        if unsafe { self.claimed.get() } == 0 {
            self.look();
        }
    }

    /// Takes the state away and frees it, when nobody has the disk open.
    pub fn reset(&self) {
        let open = self.open.lock();
        // SAFETY: `claimed` is guarded by the lock.
        unsafe { self.claimed.replace(1) };
        drop(open);
        // SAFETY: The state stays for ever, and a race is found.
        if let Some(live) = unsafe { self.live.take() } {
            live.free();
            // References are counted in memory of the host, for all runs of this program.
            mem::forget(live);
        }
    }

    /// Counts a gendisk.
    pub fn add(&self) {
        Counted::new().into_raw();
    }

    /// Frees a gendisk, by code of the module.
    pub fn free(&self) {
        // SAFETY: It was counted by `add`.
        let counted = unsafe { Counted::from_raw() };
        // SAFETY: A race is found.
        unsafe { self.module.get() };
        drop(counted);
    }

    /// Frees the module, when it may go.
    pub fn unload(&self) {
        drop(ModuleExit::new());
        self.module.free();
    }
}
