// SPDX-License-Identifier: GPL-2.0-only

//! Raw C items: those of the kernel's `bindings` crate, and what Kbuild binds from `bindings.h`.
//!
//! Nothing here is safe, and nothing outside `abstractions` may see it.

#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

pub(in super::super) use kernel::bindings::*;
use kernel::ffi;

include!("bindings_generated.rs");

/// User-mode Linux, which runs on x86 only, has it as a macro, of which a C compiler makes this; its `memcpy` takes longer.
///
/// # Safety
///
/// Both are pages, and not the same.
#[cfg(CONFIG_UML)]
pub(super) unsafe fn copy_page(to: *mut ffi::c_void, from: *mut ffi::c_void) {
    // SAFETY: By the safety requirement; the kernel runs with the direction flag clear.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            inout("rcx") kernel::page::PAGE_SIZE / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        )
    };
}

/// Where one cache line serves all mappings of a page there is nothing to flush, and no such function.
///
/// # Safety
///
/// None.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn flush_dcache_page(_: *mut page) {}
