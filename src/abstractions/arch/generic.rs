// SPDX-License-Identifier: GPL-2.0-only

//! Any architecture.

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

/// Whether each word of the page at `from` is `word`.
///
/// # Safety
///
/// `from` is page-aligned and valid for reads of a page.
#[inline]
pub(in super::super) unsafe fn is_all(from: *const usize, word: usize) -> bool {
    // SAFETY: By the safety requirement.
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
        // SAFETY: By the safety requirement.
        unsafe { to.add(at).write(word) };
    }
}

/// The address of this CPU's copy of a per-CPU object.
#[inline]
pub(in super::super) fn local<T>(base: NonNull<T>) -> *mut T {
    // SAFETY: The current CPU is possible; that it may change does not matter.
    unsafe {
        let cpu = CpuId::from_u32_unchecked(ffi::raw_smp_processor_id());
        percpu::remote(base, cpu).as_ptr()
    }
}

/// Adds `DELTA` to the word with this index in this CPU's copy of `words`.
///
/// # Safety
///
/// `words` is a live per-CPU object with such a word.
#[inline]
pub(in super::super) unsafe fn local_add_const<const INDEX: usize, const DELTA: i64>(
    words: NonNull<AtomicI64>,
) {
    // SAFETY: By the safety requirement.
    unsafe { local_add::<INDEX>(words, DELTA) };
}

/// Adds `delta` to the word with this index in this CPU's copy of `words`.
///
/// # Safety
///
/// `words` is a live per-CPU object with such a word.
#[inline]
pub(in super::super) unsafe fn local_add<const INDEX: usize>(
    words: NonNull<AtomicI64>,
    delta: i64,
) {
    // SAFETY: By the safety requirement.
    unsafe { &*local(words.add(INDEX)) }.fetch_add(delta, Ordering::Relaxed);
}
