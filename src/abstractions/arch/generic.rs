// SPDX-License-Identifier: GPL-2.0-only

//! Fallback for any architecture.

use crate::zram::abstractions::{
    atomic::{
        AtomicI64,
        Ordering, //
    },
    ffi,
    percpu, //
};
use core::ptr::NonNull;
use kernel::{
    cpu::CpuId,
    page::PAGE_SIZE, //
};

const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// Returns whether each word of the page at `from` is `word`.
///
/// # Safety
///
/// `from` is page-aligned and valid for reads of a page.
#[inline]
pub(in super::super) unsafe fn is_all(from: *const usize, word: usize) -> bool {
    // SAFETY: `from` is valid for reads of a page, which is `WORDS` words, by the safety
    // requirement of `is_all`.
    (0..WORDS).all(|at| unsafe { from.add(at).read_volatile() } == word)
}

/// Fills the page at `to` with `word`.
///
/// # Safety
///
/// `to` is page-aligned and valid for writes of a page.
#[inline]
pub(in super::super) unsafe fn fill(to: *mut usize, word: usize) {
    for at in 0..WORDS {
        // SAFETY: `to` is valid for writes of a page, which is `WORDS` words, by the safety
        // requirement of `fill`.
        unsafe { to.add(at).write_volatile(word) };
    }
}

/// Returns the address of the current CPU's copy of the per-CPU object `base`.
///
/// The task may migrate at any moment, after which this is the copy of another CPU.
///
/// # Safety
///
/// `base` is a per-CPU object.
#[inline]
pub(in super::super) unsafe fn local<T>(base: NonNull<T>) -> *mut T {
    // SAFETY: `raw_smp_processor_id()` returns the number of a CPU that is up, hence possible. It
    // does not matter that the task may migrate.
    unsafe {
        let cpu = CpuId::from_u32_unchecked(ffi::raw_smp_processor_id());
        percpu::remote(base, cpu).as_ptr()
    }
}

/// Adds `DELTA` to the word with number `INDEX` in the current CPU's copy of `words`.
///
/// # Safety
///
/// `words` is a live per-CPU object of more than `INDEX` words.
#[inline]
pub(in super::super) unsafe fn local_add_const<const INDEX: usize, const DELTA: i64>(
    words: NonNull<AtomicI64>,
) {
    // SAFETY: `words` is a live per-CPU object that has word `INDEX`, by the safety requirement of
    // `local_add_const`.
    unsafe { local_add::<INDEX>(words, DELTA) };
}

/// Adds `delta` to the word with number `INDEX` in the current CPU's copy of `words`.
///
/// # Safety
///
/// `words` is a live per-CPU object of more than `INDEX` words.
#[inline]
pub(in super::super) unsafe fn local_add<const INDEX: usize>(
    words: NonNull<AtomicI64>,
    delta: i64,
) {
    // SAFETY: `words` is a live per-CPU object that has word `INDEX`, by the safety requirement of
    // `local_add`; `local` returns one of its copies.
    unsafe { &*local(words.add(INDEX)) }.fetch_add(delta, Ordering::Relaxed);
}
