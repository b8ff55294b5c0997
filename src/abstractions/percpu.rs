// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU data.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)
//!
//! Upstream this would be `rust/kernel/percpu.rs`, which 7.3 does not have, with the counters in
//! `rust/kernel/percpu/counters.rs`.

use super::{
    arch,
    atomic::{
        AtomicI64,
        Ordering, //
    },
    compat,
    ffi, //
};
use core::{
    alloc::Layout,
    marker::PhantomData,
    mem::needs_drop,
    ptr::NonNull, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*, //
};

/// One `T` for each possible CPU.
///
/// # Invariants
///
/// `base` was returned by `pcpu_alloc_noprof` for a `T` and belongs to `self`. The copy of each
/// possible CPU is initialised.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::percpu::{possible_cpus, PerCpu};
/// # use crate::zram::abstractions::atomic::{AtomicUsize, Ordering};
/// let calls = PerCpu::<AtomicUsize>::new(|| AtomicUsize::new(0))?;
/// calls.this().fetch_add(1, Ordering::Relaxed);
/// for cpu in possible_cpus() {
///     if let Some(calls) = calls.get(cpu) {
///         pr_info!("{} on CPU {}\n", calls.load(Ordering::Relaxed), cpu.as_u32());
///     }
/// }
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct PerCpu<T> {
    base: NonNull<T>,
    _owner: PhantomData<T>,
}

// SAFETY: `PerCpu` owns its `T`s, which may be dropped on any CPU as they are `Send`.
unsafe impl<T: Send> Send for PerCpu<T> {}
// SAFETY: A `&PerCpu<T>` gives out `&T` only, to any CPU.
unsafe impl<T: Sync> Sync for PerCpu<T> {}

impl<T: Sync> PerCpu<T> {
    /// Allocates a copy for each possible CPU, which never moves, and initialises each with a call
    /// of `init`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the per-CPU allocator has no room.
    pub fn new<I: PinInit<T>>(mut init: impl FnMut() -> I) -> Result<Self> {
        let layout = Layout::new::<T>();
        // SAFETY: The call has no requirements: size and alignment are those of a type.
        let base = unsafe {
            ffi::pcpu_alloc_noprof(layout.size(), layout.align(), false, ffi::GFP_KERNEL)
        };
        let base = NonNull::new(base.cast::<T>()).ok_or(ENOMEM)?;
        for cpu in possible_cpus() {
            // SAFETY: `base` was allocated for a `T` above, nobody else has it yet, and `cpu` is
            // possible.
            unsafe { compat::raw_init(remote(base, cpu).as_ptr(), init()) };
        }
        // INVARIANT: All copies were initialised above.
        Ok(Self {
            base,
            _owner: PhantomData,
        })
    }

    /// Returns the copy of the CPU that the task runs on.
    ///
    /// The task may migrate at any moment, after which this is the copy of another CPU.
    ///
    /// Context: Any context.
    #[inline]
    pub fn this(&self) -> &T {
        // SAFETY: A CPU that runs this is possible, so that its copy is initialised by the type
        // invariant.
        unsafe { &*arch::local(self.base) }
    }

    /// Returns the copy of `cpu`, or `None` if that CPU is not possible.
    ///
    /// Context: Any context.
    pub fn get(&self, cpu: CpuId) -> Option<&T> {
        // SAFETY: `cpu` is possible, so that its copy is initialised by the type invariant.
        is_possible(cpu).then(|| unsafe { remote(self.base, cpu).as_ref() })
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            for cpu in possible_cpus() {
                // SAFETY: `cpu` is possible, so that its copy is initialised by the type invariant;
                // it is not used after this.
                unsafe { remote(self.base, cpu).drop_in_place() };
            }
        }
        // SAFETY: `self.base` was returned by the per-CPU allocator and belongs to `self`, by the
        // type invariant.
        unsafe { ffi::free_percpu(self.base.as_ptr().cast()) };
    }
}

/// `N` counters of events, each the sum of a word per CPU.
///
/// Adding is one instruction on x86-64, without a lock or an atomic operation, and works in any
/// context: see [`LocalCounters::add`]. A sum that is taken while others add has for each CPU the
/// value of some moment, but not of the same one for all.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::percpu::Counters;
/// let counters = Counters::<2>::new()?;
/// counters.this_cpu().add::<0>(4096);
/// counters.this_cpu().add_const::<1, 1>();
/// pr_info!("{} bytes in {} pages\n", counters.sum(0), counters.sum(1));
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Counters<const N: usize>(PerCpu<[AtomicI64; N]>);

impl<const N: usize> Counters<N> {
    /// Allocates counters that are all zero.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the per-CPU allocator has no room.
    pub fn new() -> Result<Self> {
        let zero = || [const { AtomicI64::new(0) }; N];
        Ok(Self(PerCpu::new(zero)?))
    }

    /// Returns the words to add to, for callers that add to several.
    #[inline]
    pub fn this_cpu(&self) -> LocalCounters<'_, N> {
        // INVARIANT: `self.0` has `N` words for each CPU, and is borrowed for the life of the
        // result.
        LocalCounters(self.0.base.cast(), PhantomData)
    }

    /// Returns the sum of counter `which`, or zero if there is no such counter.
    ///
    /// Context: Any context.
    pub fn sum(&self, which: usize) -> i64 {
        possible_cpus()
            .filter_map(|cpu| self.0.get(cpu)?.get(which))
            .fold(0, |sum, word| {
                sum.wrapping_add(word.load(Ordering::Relaxed))
            })
    }
}

/// The words of [`Counters`], for adding to those of the current CPU.
///
/// # Invariants
///
/// `0` is the first of `N` words in a live per-CPU object, which lives during `'c`.
#[derive(Clone, Copy)]
pub(crate) struct LocalCounters<'c, const N: usize>(
    NonNull<AtomicI64>,
    PhantomData<&'c Counters<N>>,
);

impl<const N: usize> LocalCounters<'_, N> {
    /// Adds `delta` to counter `WHICH`.
    ///
    /// Context: Any context.
    #[inline]
    pub fn add<const WHICH: usize>(self, delta: i64) {
        const { assert!(WHICH < N) };
        // SAFETY: `self.0` has `N` words by the type invariant, and `WHICH` is less.
        unsafe { arch::local_add::<WHICH>(self.0, delta) };
    }

    /// Adds `DELTA`, which must fit in 32 bits, to counter `WHICH`.
    ///
    /// Context: Any context.
    #[inline]
    pub fn add_const<const WHICH: usize, const DELTA: i64>(self) {
        const { assert!(WHICH < N && DELTA as i32 as i64 == DELTA) };
        // SAFETY: `self.0` has `N` words by the type invariant, and `WHICH` is less.
        unsafe { arch::local_add_const::<WHICH, DELTA>(self.0) };
    }
}

/// Sets the copy of each possible CPU to zeroes.
///
/// # Safety
///
/// `base` is null or a live per-CPU object, for which all zeroes is valid and whose users tolerate
/// losing concurrent updates.
pub(super) unsafe fn clear<T>(base: *mut T) {
    let Some(base) = NonNull::new(base) else {
        return;
    };
    for cpu in possible_cpus() {
        // SAFETY: `base` is a live per-CPU object for which all zeroes is valid, by the safety
        // requirement of `clear`, and `cpu` is possible.
        unsafe { remote(base, cpu).write_bytes(0, 1) };
    }
}

/// Returns an iterator over the CPUs that the system may ever bring up.
pub(crate) fn possible_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|&cpu| is_possible(cpu))
}

/// Returns whether the system may ever bring up `cpu`.
fn is_possible(cpu: CpuId) -> bool {
    let (word, bit) = (cpu.as_u32() / usize::BITS, cpu.as_u32() % usize::BITS);
    let mask = &raw const ffi::__cpu_possible_mask;
    // SAFETY: `__cpu_possible_mask` is written to during boot only.
    let bits = unsafe { &(*mask).bits }.get(word as usize);
    bits.is_some_and(|bits| bits >> bit & 1 == 1)
}

/// Returns the address of `cpu`'s copy of a per-CPU object.
///
/// # Safety
///
/// `base` came from the per-CPU allocator, and `cpu` is possible.
pub(super) unsafe fn remote<T>(base: NonNull<T>, cpu: CpuId) -> NonNull<T> {
    // SAFETY: `base` is a per-CPU object by the safety requirement of `remote`. No CPU's area
    // contains address zero.
    unsafe { NonNull::new_unchecked(base.as_ptr().wrapping_byte_add(area(cpu))) }
}

/// Returns the offset of `cpu`'s area.
#[cfg(CONFIG_SMP)]
#[inline]
fn area(cpu: CpuId) -> usize {
    // SAFETY: `__per_cpu_offset` has an element for each CPU below `nr_cpu_ids`, as a `CpuId` is,
    // and is written to during boot only.
    unsafe {
        (&raw const ffi::__per_cpu_offset)
            .cast::<usize>()
            .add(cpu.as_u32() as usize)
            .read()
    }
}

/// Returns the offset of the only CPU's area.
#[cfg(not(CONFIG_SMP))]
#[inline]
fn area(_cpu: CpuId) -> usize {
    0
}
