// SPDX-License-Identifier: GPL-2.0-only

//! x86-64: string instructions for whole pages, and per-CPU accesses of one instruction.

use crate::zram::abstractions::atomic::AtomicI64;
#[cfg(CONFIG_SMP)]
use crate::zram::abstractions::ffi;
use core::ptr::NonNull;
use kernel::page::PAGE_SIZE;

const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// Returns whether each word of the page at `from` is `word`.
///
/// Written in assembly for two instructions a word: the compiler loads a volatile value into a
/// register before it compares.
///
/// # Safety
///
/// `from` is page-aligned and valid for reads of a page.
#[inline]
pub(in super::super) unsafe fn is_all(from: *const usize, word: usize) -> bool {
    let all: u8;
    // SAFETY: `from` is valid for reads of a page by the safety requirement of `is_all`; the loop
    // ends at `end`, a page after it.
    unsafe {
        core::arch::asm!(
            "2:",
            ".irp at, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120",
            ".irp of, 0, 128, 256, 384",
            r"cmp {word}, [{from} + \of + \at]",
            "jne 3f",
            ".endr",
            ".endr",
            "add {from}, 512",
            "cmp {from}, {end}",
            "jne 2b",
            "3:",
            "sete {all}",
            word = in(reg) word,
            from = inout(reg) from => _,
            end = in(reg) from.add(WORDS),
            all = lateout(reg_byte) all,
            options(nostack, readonly)
        )
    };
    all != 0
}

/// Fills the page at `to` with `word`.
///
/// # Safety
///
/// `to` is page-aligned and valid for writes of a page.
#[inline]
pub(in super::super) unsafe fn fill(to: *mut usize, word: usize) {
    // SAFETY: `to` is valid for writes of a page by the safety requirement of `fill`. The kernel
    // runs with the direction flag clear.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") WORDS => _,
            inout("rdi") to => _,
            in("rax") word,
            options(nostack, preserves_flags)
        )
    };
}

/// Names the segment that a CPU's own area is in; user-mode Linux has none.
#[cfg(not(CONFIG_UML))]
macro_rules! segment {
    () => {
        "gs:"
    };
}
#[cfg(CONFIG_UML)]
macro_rules! segment {
    () => {
        ""
    };
}

/// Returns the address of the current CPU's copy of the per-CPU object `base`.
///
/// The task may migrate at any moment, after which this is the copy of another CPU.
///
/// # Safety
///
/// `base` is a per-CPU object.
#[cfg(CONFIG_SMP)]
#[inline]
pub(in super::super) unsafe fn local<T>(base: NonNull<T>) -> *mut T {
    let offset: usize;
    // SAFETY: `this_cpu_off` is a per-CPU variable of the kernel, which every CPU may read in its
    // own segment.
    unsafe {
        core::arch::asm!(
            concat!("mov {}, ", segment!(), "[rip + {}]"),
            out(reg) offset,
            sym ffi::this_cpu_off,
            options(nostack, preserves_flags, readonly)
        )
    };
    base.as_ptr().wrapping_byte_add(offset)
}

/// Returns the address of the only CPU's copy of the per-CPU object `base`.
///
/// # Safety
///
/// `base` is a per-CPU object.
#[cfg(not(CONFIG_SMP))]
#[inline]
pub(in super::super) unsafe fn local<T>(base: NonNull<T>) -> *mut T {
    base.as_ptr()
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
    // SAFETY: `words` has word `INDEX` by the safety requirement of `local_add`. Preemption and
    // migration can't tear one instruction, and remote CPUs only read the word.
    unsafe {
        core::arch::asm!(
            concat!("add qword ptr ", segment!(), "[{} + {}], {}"),
            in(reg) words.as_ptr(),
            const INDEX * size_of::<AtomicI64>(),
            in(reg) delta,
            options(nostack)
        )
    };
}

/// Adds `DELTA`, which fits in 32 bits, to the word with number `INDEX` in the current CPU's copy
/// of `words`.
///
/// # Safety
///
/// `words` is a live per-CPU object of more than `INDEX` words.
#[inline]
pub(in super::super) unsafe fn local_add_const<const INDEX: usize, const DELTA: i64>(
    words: NonNull<AtomicI64>,
) {
    // SAFETY: `words` has word `INDEX` by the safety requirement of `local_add_const`. Preemption
    // and migration can't tear one instruction, and remote CPUs only read the word.
    unsafe {
        core::arch::asm!(
            concat!("add qword ptr ", segment!(), "[{} + {}], {}"),
            in(reg) words.as_ptr(),
            const INDEX * size_of::<AtomicI64>(),
            const DELTA,
            options(nostack)
        )
    };
}
