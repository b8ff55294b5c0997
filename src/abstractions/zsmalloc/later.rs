// SPDX-License-Identifier: GPL-2.0-only

//! Objects that are freed later, by a worker.
//!
//! Swap frees its slots with a lock held that other tasks wait for, and a process that ends frees
//! thousands. To free an object takes zsmalloc several hundred instructions; to put its handle
//! aside takes some tens.

use crate::zram::abstractions::{
    atomic::{
        AtomicBool,
        Ordering, //
    },
    ffi,
    percpu::{
        possible_cpus,
        PerCpu, //
    },
    sched::cond_resched,
    workqueue::Work, //
};
use core::{
    num::NonZero,
    ptr::NonNull, //
};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Mutex,
        SpinLock, //
    }, //
};

/// The most objects of a CPU that wait.
const MOST: usize = 256;
/// About the most bytes that these may hold: once some were freed, those that are left count as
/// the average.
const MOST_BYTES: usize = 256 << 10;

/// Handles of objects that wait to be freed, on one CPU.
#[derive(Zeroable)]
struct Batch {
    len: usize,
    bytes: usize,
    handles: [usize; MOST],
}

/// The objects of a pool that wait to be freed, and the pool itself.
///
/// # Invariants
///
/// `pool` is a live pool owned by `self`. The first `len` handles in each batch are live handles of
/// `pool`, which `self` owns.
pub(super) struct Later {
    pool: NonNull<ffi::zs_pool>,
    batches: PerCpu<SpinLock<Batch>>,
    /// Held by whoever frees what waits, so that others can wait until it is done.
    freeing: Pin<KBox<Mutex<()>>>,
    /// Set while the worker runs, so that there is no need to wake it.
    running: AtomicBool,
}

// SAFETY: A pool is bound to no thread, and the batches are `Send`.
unsafe impl Send for Later {}
// SAFETY: zsmalloc takes its own locks, and the batches are `Sync`.
unsafe impl Sync for Later {}

/// When the objects that wait have to be freed.
#[derive(PartialEq, Eq)]
pub(super) enum Urgency {
    /// As was said before.
    Known,
    /// They wait for the next tick of the clock: this is the first object.
    Soon,
    /// There are many of them, and the worker does not run.
    Now,
}

impl Later {
    /// Creates a pool whose objects may be freed later.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(name: &CStr) -> Result<Self> {
        let batch = || new_spinlock!(pin_init::init_zeroed::<Batch>(), "zram_freed");
        let batches = PerCpu::new(batch)?;
        let freeing = KBox::pin_init(new_mutex!((), "zram_freeing"), GFP_KERNEL)?;
        // SAFETY: `name` is a valid C string, which the call copies.
        let pool = unsafe { ffi::zs_create_pool(name.as_char_ptr()) };
        // INVARIANT: A pointer that is not null is a new pool, which nobody else owns. All batches
        // are empty.
        Ok(Self {
            pool: NonNull::new(pool).ok_or(ENOMEM)?,
            batches,
            freeing,
            running: AtomicBool::new(false),
        })
    }

    /// Returns the pool.
    pub(super) fn pool(&self) -> NonNull<ffi::zs_pool> {
        self.pool
    }

    /// Puts an object of `size` bytes aside, or frees it at once if enough of them wait already.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    ///
    /// # Safety
    ///
    /// `raw` is a live handle of the pool, which the caller gives up.
    #[inline]
    pub(super) unsafe fn add(&self, raw: NonZero<usize>, size: usize) -> Urgency {
        let mut guard = self.batches.this().lock();
        let batch = &mut *guard;
        let place = batch.handles.get_mut(batch.len);
        let Some(place) = place.filter(|_| batch.bytes < MOST_BYTES) else {
            drop(guard);
            // SAFETY: The caller gives up the live handle `raw`.
            unsafe { ffi::zs_free(self.pool.as_ptr(), raw.get()) };
            return Urgency::Known;
        };
        // INVARIANT: The caller gives up the live handle `raw`.
        *place = raw.get();
        let half_full = |batch: &Batch| batch.len >= MOST / 2 || batch.bytes >= MOST_BYTES / 2;
        let before = half_full(batch);
        batch.len = batch.len.wrapping_add(1);
        batch.bytes = batch.bytes.wrapping_add(size);
        match batch.len {
            1 => Urgency::Soon,
            _ if before || !half_full(batch) => Urgency::Known,
            // If the worker has just seen this batch empty and ends, the first object that came
            // since has it run again at the next tick.
            _ if self.running.load(Ordering::Relaxed) => Urgency::Known,
            _ => Urgency::Now,
        }
    }

    /// Frees the objects that wait, and returns whether there were any.
    ///
    /// If another task is at that, waits until it is done. Both free at most [`MOST`] objects of
    /// each CPU, so that they end even if others put objects aside all the time.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn free_all(&self) -> bool {
        let (_freeing, others) = match self.freeing.try_lock() {
            Some(freeing) => (freeing, false),
            None => (self.freeing.lock(), true),
        };
        self.free_batches() || others
    }

    /// Frees objects of all CPUs, for [`Later::free_all`] and the worker.
    fn free_batches(&self) -> bool {
        let cpus = possible_cpus().filter_map(|cpu| self.batches.get(cpu));
        cpus.fold(false, |any, batch| self.free_batch(batch) || any)
    }

    /// Frees the objects of one CPU, [`MOST`] of them at most, and returns whether there were any.
    fn free_batch(&self, batch: &SpinLock<Batch>) -> bool {
        /// The number of objects that are taken with the lock held, and freed without it.
        const SOME: usize = 32;
        let mut any = false;
        for _ in 0..MOST / SOME {
            let mut some = [0; SOME];
            let mut taken = 0;
            let mut guard = batch.lock();
            let first = guard.len.saturating_sub(SOME);
            let waiting = guard.handles.get(first..guard.len).unwrap_or(&[]);
            for (place, &raw) in some.iter_mut().zip(waiting) {
                *place = raw;
                taken += 1;
            }
            // The sizes of single objects are not known here.
            guard.bytes = guard.bytes / guard.len.max(1) * first;
            guard.len = first;
            drop(guard);
            for &raw in some.iter().take(taken) {
                // SAFETY: `raw` was one of the handles in the batch, and was taken from it: it is a
                // live handle of the pool, which nobody else has, by the type invariant.
                unsafe { ffi::zs_free(self.pool.as_ptr(), raw) };
            }
            if taken == 0 {
                break;
            }
            any = true;
            cond_resched();
        }
        any
    }
}

impl Work for Later {
    /// Frees objects until none waits, so that the next one that is put aside is the first of its
    /// CPU, which has the work done again.
    fn run(&self) {
        self.running.store(true, Ordering::Relaxed);
        loop {
            let _freeing = self.freeing.lock();
            if !self.free_batches() {
                break;
            }
        }
        self.running.store(false, Ordering::Relaxed);
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.run();
        // SAFETY: `self.pool` is live and owned by `self` by the type invariant. Every `Object`
        // borrows the `Pool` that `self` is a part of, so that no object is left but those given up
        // with `into_raw`, which nobody can take back any more.
        unsafe { ffi::zs_destroy_pool(self.pool.as_ptr()) }
    }
}
