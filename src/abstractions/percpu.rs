// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU data.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use super::{
    arch,
    atomic::{
        AtomicI64,
        Ordering, //
    },
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
/// `base` was returned by `pcpu_alloc_noprof` for a `T`, and each possible CPU's copy is initialised.
pub(crate) struct PerCpu<T> {
    base: NonNull<T>,
    _owner: PhantomData<T>,
}

// SAFETY: Owns its `T`s, and they may be dropped from any thread.
unsafe impl<T: Send> Send for PerCpu<T> {}
// SAFETY: Gives out only `&T`, to any CPU.
unsafe impl<T: Sync> Sync for PerCpu<T> {}

impl<T: Sync> PerCpu<T> {
    /// Allocates the copies, which never move, and initialises that of each possible CPU. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the per-CPU allocator has no room.
    pub(crate) fn new<I: PinInit<T>>(mut init: impl FnMut() -> I) -> Result<Self> {
        let layout = Layout::new::<T>();
        // SAFETY: The call has no requirements; the size is that of a type, so not absurd.
        let base = unsafe {
            ffi::pcpu_alloc_noprof(layout.size(), layout.align(), false, ffi::GFP_KERNEL)
        };
        let base = NonNull::new(base.cast::<T>()).ok_or(ENOMEM)?;
        for cpu in possible_cpus() {
            // SAFETY: `base` is a per-CPU allocation for a `T`, and nobody else has it yet.
            unsafe { pin_init::raw_init(remote(base, cpu).as_ptr(), init()) };
        }
        // INVARIANT: All copies were initialised above.
        Ok(Self {
            base,
            _owner: PhantomData,
        })
    }

    /// The copy of the CPU that this task ran on a moment ago; it may have moved since.
    #[inline]
    pub(crate) fn this(&self) -> &T {
        // SAFETY: The CPU is possible, so by the type invariant its copy is there.
        unsafe { &*arch::local(self.base) }
    }

    /// The copy of `cpu`, or nothing if that CPU is impossible.
    pub(crate) fn get(&self, cpu: CpuId) -> Option<&T> {
        // SAFETY: By the type invariant, and only for a possible CPU.
        is_possible(cpu).then(|| unsafe { remote(self.base, cpu).as_ref() })
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            for cpu in possible_cpus() {
                // SAFETY: By the type invariant, and `self` is the last user.
                unsafe { remote(self.base, cpu).drop_in_place() };
            }
        }
        // SAFETY: By the type invariant.
        unsafe { ffi::free_percpu(self.base.as_ptr().cast()) };
    }
}

/// `N` event counters, each the sum of a word per CPU.
///
/// Adding is one instruction on x86-64, and needs no lock and no atomic: [`LocalCounters::add`] works in
/// any context. A sum read while others add is exact for some moment of each CPU.
pub(crate) struct Counters<const N: usize>(PerCpu<[AtomicI64; N]>);

impl<const N: usize> Counters<N> {
    /// Allocates counters that are all zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        let zero = || [const { AtomicI64::new(0) }; N];
        Ok(Self(PerCpu::new(zero)?))
    }

    /// The words to add to, for who adds to several.
    #[inline]
    pub(crate) fn this_cpu(&self) -> LocalCounters<'_, N> {
        // INVARIANT: There are `N` for each CPU.
        LocalCounters(self.0.base.cast(), PhantomData)
    }

    /// The sum of counter `which`; zero if there is no such counter. Any context.
    pub(crate) fn sum(&self, which: usize) -> i64 {
        possible_cpus()
            .filter_map(|cpu| self.0.get(cpu)?.get(which))
            .fold(0, |sum, word| {
                sum.wrapping_add(word.load(Ordering::Relaxed))
            })
    }
}

/// The words of [`Counters`].
///
/// # Invariants
///
/// `0` is the first of `N` words of each CPU, which live during `'c`.
#[derive(Clone, Copy)]
pub(crate) struct LocalCounters<'c, const N: usize>(
    NonNull<AtomicI64>,
    PhantomData<&'c Counters<N>>,
);

impl<const N: usize> LocalCounters<'_, N> {
    /// Adds `delta` to counter `WHICH`. Any context.
    #[inline]
    pub(crate) fn add<const WHICH: usize>(self, delta: i64) {
        const { assert!(WHICH < N) };
        // SAFETY: By the type invariant.
        unsafe { arch::local_add::<WHICH>(self.0, delta) };
    }

    /// Adds `DELTA` to counter `WHICH`. Any context.
    #[inline]
    pub(crate) fn add_const<const WHICH: usize, const DELTA: i64>(self) {
        const { assert!(WHICH < N && DELTA as i32 as i64 == DELTA) };
        // SAFETY: By the type invariant.
        unsafe { arch::local_add_const::<WHICH, DELTA>(self.0) };
    }
}

/// Sets each possible CPU's copy to zeroes.
///
/// # Safety
///
/// `base` is a live per-CPU object, whose users bear it.
pub(super) unsafe fn clear<T>(base: *mut T) {
    let Some(base) = NonNull::new(base) else {
        return;
    };
    for cpu in possible_cpus() {
        // SAFETY: By the safety requirement.
        unsafe { remote(base, cpu).write_bytes(0, 1) };
    }
}

/// The CPUs that this system may ever bring up.
pub(crate) fn possible_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|&cpu| is_possible(cpu))
}

fn is_possible(cpu: CpuId) -> bool {
    let (word, bit) = (cpu.as_u32() / usize::BITS, cpu.as_u32() % usize::BITS);
    let mask = &raw const ffi::__cpu_possible_mask;
    // SAFETY: The mask is only written during boot.
    let bits = unsafe { &(*mask).bits }.get(word as usize);
    bits.is_some_and(|bits| bits >> bit & 1 == 1)
}

/// The address of `cpu`'s copy of a per-CPU object.
///
/// # Safety
///
/// `base` came from the per-CPU allocator, and `cpu` is possible.
pub(super) unsafe fn remote<T>(base: NonNull<T>, cpu: CpuId) -> NonNull<T> {
    // SAFETY: The per-CPU areas do not contain address zero.
    unsafe { NonNull::new_unchecked(base.as_ptr().wrapping_byte_add(area(cpu))) }
}

/// Where `cpu`'s area lies.
#[cfg(CONFIG_SMP)]
#[inline]
fn area(cpu: CpuId) -> usize {
    // SAFETY: `CpuId` is below `nr_cpu_ids`, hence inside the array, which only boot writes.
    unsafe {
        (&raw const ffi::__per_cpu_offset)
            .cast::<usize>()
            .add(cpu.as_u32() as usize)
            .read()
    }
}

/// There is but one.
#[cfg(not(CONFIG_SMP))]
#[inline]
fn area(_cpu: CpuId) -> usize {
    0
}
