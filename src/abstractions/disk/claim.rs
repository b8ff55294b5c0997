// SPDX-License-Identifier: GPL-2.0-only

//! Claims of a disk: waiting for openers to go, and keeping new ones out.
//!
//! Upstream this would be `rust/kernel/block/gen_disk/claim.rs`.

use super::{
    Disk,
    DiskRef,
    Operations, //
};
use crate::zram::abstractions::{
    ffi,
    percpu,
    sched, //
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

/// Time after which claiming a disk that somebody has open fails.
///
/// Tasks that open it for a short look, such as udev and blkid, are gone by then.
const PATIENCE: Delta = Delta::from_millis(200);

/// Time after which new openers are kept out, so that many short ones can't keep a disk open for
/// ever.
const COURTESY: Delta = Delta::from_millis(100);

/// Pause between two looks at whether the disk is still open.
const STEP: Delta = Delta::from_millis(2);

impl<'a, T: Operations> DiskRef<'a, T> {
    /// Claims the disk: nobody has it open, and opening it fails with `EBUSY` until the claim is
    /// dropped.
    ///
    /// Waits a moment for tasks that have the disk open, and for another claim to end.
    ///
    /// Context: Process context. May sleep; a fatal signal ends the wait.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk is held exclusively, as by a file system or swap, if it stays open, or
    /// if it is being removed; `EINTR` after a fatal signal.
    pub fn claim(self) -> Result<Claim<'a, T>> {
        self.seize(Claimed::ByReset)?;
        Ok(Claim(self))
    }

    /// Sets the claim as soon as nobody has the disk open.
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
                    // The reset will end, and nobody can open the disk before: the time starts
                    // anew.
                    Claimed::ByReset => start = Instant::now(),
                    Claimed::Unclaimed if held || waited >= PATIENCE => return Err(EBUSY),
                    Claimed::Unclaimed if waited >= COURTESY && waiting.is_none() => {
                        gate.waiting = gate.waiting.saturating_add(1);
                        waiting = Some(Waiting(self));
                    }
                    Claimed::Unclaimed => {}
                }
                Ok(false)
            })?;
            if seized {
                return Ok(());
            }
            sched::sleep_killable(STEP)?;
        }
    }

    /// Calls `f` with the number of openers, whether one of them holds the disk exclusively, and
    /// the gate, none of which changes meanwhile.
    ///
    /// Context: Process context. May sleep.
    fn with_gate<R>(self, f: impl FnOnce(u32, bool, &mut Gate) -> R) -> R {
        let disk = self.raw.as_ptr();
        // SAFETY: `disk` is a live gendisk by the type invariant of `DiskRef`. `open_mutex` is held
        // meanwhile: it guards the gate, and openers come and go under it. A holder is set and
        // cleared under it, too.
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
    /// Claims the disk for good, so that dropping it does not remove it from under a user.
    ///
    /// Waits a moment for tasks that have the disk open, but not for a reset, which goes on.
    ///
    /// Context: Process context. May sleep; a fatal signal ends the wait.
    ///
    /// # Errors
    ///
    /// Those of [`DiskRef::claim`].
    pub fn claim_for_removal(&self) -> Result {
        self.disk_ref().seize(Claimed::ByRemoval)
    }
}

/// The reasons for which opening a disk is refused.
pub(super) struct Gate {
    /// The claim on the disk, if there is one.
    pub(super) claim: Claimed,
    /// Number of [`Waiting`]s.
    pub(super) waiting: usize,
}

/// The claim on a disk.
#[derive(Clone, Copy)]
pub(super) enum Claimed {
    /// Nobody has claimed the disk.
    Unclaimed,
    /// A [`Claim`] lives.
    ByReset,
    /// The disk is about to be removed, which nothing undoes.
    ByRemoval,
}

impl Claimed {
    /// Returns whether the claim may be replaced by `by`.
    ///
    /// A removal does not wait for a reset: removing the disk's files does that later.
    fn gives_way_to(self, by: Self) -> bool {
        match self {
            Self::Unclaimed => true,
            Self::ByReset => matches!(by, Self::ByRemoval),
            Self::ByRemoval => false,
        }
    }
}

/// A task that waits for the disk to be closed, while new openers are kept out.
struct Waiting<'a, T: Operations>(DiskRef<'a, T>);

impl<T: Operations> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.0
            .with_gate(|_, _, gate| gate.waiting = gate.waiting.saturating_sub(1));
    }
}

/// A claim: nobody has the disk open, and nobody can open it until this is dropped.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::disk::{DiskRef, Operations};
/// fn reset<T: Operations>(disk: DiskRef<'_, T>) -> Result {
///     let claim = disk.claim()?;
///     // The live state is freed here if the driver has no reference of its own.
///     drop(claim.take_live());
///     Ok(())
/// }
/// ```
pub(crate) struct Claim<'a, T: Operations>(DiskRef<'a, T>);

impl<T: Operations> Claim<'_, T> {
    /// Takes the capacity and the live state away from the disk, and clears its I/O statistics.
    ///
    /// Returns the live state, which no I/O uses any more, or `None` if the disk had none.
    ///
    /// Context: Process context. May sleep.
    pub fn take_live(&self) -> Option<Arc<T::Live>> {
        let disk = self.0.raw.as_ptr();
        // SAFETY: `self.0` refers to a live gendisk, which has a `part0` with per-CPU statistics,
        // for which all zeroes is valid. Nobody has the disk open, so that clearing them loses no
        // update, and nobody uses the live state: all bios have ended, and swap has freed its last
        // slot.
        unsafe {
            ffi::sync_blockdev((*disk).part0);
            self.0.set_capacity(0);
            // The `kernel` crate's bindings only declare the type.
            percpu::clear::<ffi::disk_stats>((*(*disk).part0).bd_stats.cast());
            self.0.private().live.take()
        }
    }
}

impl<T: Operations> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.0.with_gate(|_, _, gate| {
            if matches!(gate.claim, Claimed::ByReset) {
                gate.claim = Claimed::Unclaimed;
            }
        });
    }
}
