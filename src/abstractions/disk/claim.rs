// SPDX-License-Identifier: GPL-2.0-only

//! Having a disk to oneself: who waits for openers, and what keeps new ones out.

use super::{
    drain,
    Disk,
    DiskRef,
    Operations, //
};
use crate::zram::abstractions::{
    atomic::Ordering,
    ffi,
    percpu,
    sched, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How long a disk that somebody has open is waited for. Who only wants a look, as udev and blkid do,
/// is gone by then.
const PATIENCE: Delta = Delta::from_millis(200);

/// After how long new openers are kept out, so that many short ones don't keep a disk open for ever.
const COURTESY: Delta = Delta::from_millis(100);

/// How often to look.
const STEP: Delta = Delta::from_millis(2);

impl<'a, T: Operations> DiskRef<'a, T> {
    /// Claims the disk: nobody has it open, and opening it fails with `EBUSY` until the claim is
    /// dropped. Who has it open for a moment is waited for, and so is another claim. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk is held exclusively, as by a file system or swap; if it is open for longer;
    /// if it is removed. `EINTR` after a fatal signal.
    pub(crate) fn claim(self) -> Result<Claim<'a, T>> {
        self.seize(Claimed::ByReset)?;
        Ok(Claim(self))
    }

    /// Sets the claim, once the disk is closed.
    fn seize(self, by: Claimed) -> Result {
        let mut start = Instant::<Monotonic>::now();
        let mut waiting = None;
        loop {
            let waited = start.elapsed();
            let seized = self.with_gate(|openers, held, gate| {
                if openers == 0 && gate.claim.gives_way_to(by) {
                    gate.claim = by;
                    return Ok(true);
                }
                match gate.claim {
                    Claimed::ByRemoval => return Err(EBUSY),
                    // It ends, and nobody can have opened the disk before.
                    Claimed::ByReset => start = Instant::now(),
                    Claimed::No if held || waited >= PATIENCE => return Err(EBUSY),
                    Claimed::No if waited >= COURTESY && waiting.is_none() => {
                        gate.waiting = gate.waiting.saturating_add(1);
                        waiting = Some(Waiting(self));
                    }
                    Claimed::No => {}
                }
                Ok(false)
            })?;
            if seized {
                return Ok(());
            }
            sched::sleep_killable(STEP)?;
        }
    }

    /// Calls `f` with the number of openers, whether one of them holds the disk exclusively, and what
    /// keeps others out, all of which stays as it is meanwhile.
    fn with_gate<R>(self, f: impl FnOnce(u32, bool, &mut Gate) -> R) -> R {
        let disk = self.raw.as_ptr();
        // SAFETY: By the type invariant; `open_mutex` guards the gate. A holder comes, and goes, under
        // it as well.
        unsafe {
            ffi::mutex_lock(&raw mut (*disk).open_mutex);
            let part0 = (*disk).part0;
            let openers = (&raw const (*part0).bd_openers.counter).read_volatile();
            let held = !(&raw const (*part0).bd_holder).read_volatile().is_null();
            let result = f(openers as u32, held, &mut *self.private().gate.get());
            ffi::mutex_unlock(&raw mut (*disk).open_mutex);
            result
        }
    }
}

impl<T: Operations> Disk<T> {
    /// Keeps openers out from now on, so that dropping the disk pulls it from under nobody. Who has it
    /// open for a moment is waited for. A reset that is under way goes on. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`DiskRef::claim`].
    pub(crate) fn claim_for_removal(&self) -> Result {
        self.handle().seize(Claimed::ByRemoval)
    }
}

/// What keeps openers out.
pub(super) struct Gate {
    pub(super) claim: Claimed,
    /// How many [`Waiting`] there are.
    pub(super) waiting: usize,
}

/// Who has the disk to himself.
#[derive(Clone, Copy)]
pub(super) enum Claimed {
    No,
    ByReset,
    /// For good.
    ByRemoval,
}

impl Claimed {
    /// A removal does not wait for a reset, which goes on: removing the files does.
    fn gives_way_to(self, by: Self) -> bool {
        match self {
            Self::No => true,
            Self::ByReset => matches!(by, Self::ByRemoval),
            Self::ByRemoval => false,
        }
    }
}

/// Somebody waits for the disk to be closed, and new openers are kept out.
struct Waiting<'a, T: Operations>(DiskRef<'a, T>);

impl<T: Operations> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0
            .with_gate(|_, _, gate| gate.waiting = gate.waiting.saturating_sub(1));
    }
}

/// Nobody has the disk open, and nobody may, until this is dropped.
pub(crate) struct Claim<'a, T: Operations>(DiskRef<'a, T>);

impl<T: Operations> Claim<'_, T> {
    /// Takes the capacity away, clears the I/O statistics, and gives back the live state once no
    /// I/O uses it any more. May sleep.
    pub(crate) fn take_live(&self) -> Option<Arc<T::Live>> {
        let disk = self.0.raw.as_ptr();
        // SAFETY: The disk is alive.
        let live = unsafe {
            ffi::sync_blockdev((*disk).part0);
            self.0.set_capacity(0);
            // The type is only declared in the `kernel` crate's bindings.
            percpu::clear::<ffi::disk_stats>((*(*disk).part0).bd_stats.cast());
            let live = self
                .0
                .private()
                .live
                .swap(ptr::null_mut(), Ordering::AcqRel);
            // Without a state there is nobody to wait for, which would take a grace period of RCU.
            if !live.is_null() {
                drain((*disk).queue);
            }
            live
        };
        // SAFETY: The pointer came from `publish`, and nobody uses it any more: all calls of `submit`
        // were waited for, and those of `swap_slot_free` were over when swap closed the disk.
        NonNull::new(live).map(|live| unsafe { Arc::from_raw(live.as_ptr()) })
    }
}

impl<T: Operations> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.0.with_gate(|_, _, gate| {
            if matches!(gate.claim, Claimed::ByReset) {
                gate.claim = Claimed::No;
            }
        });
    }
}
