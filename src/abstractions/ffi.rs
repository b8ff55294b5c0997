// SPDX-License-Identifier: GPL-2.0-only

//! Raw C items: those of the kernel's `bindings` crate, and what Kbuild binds from `bindings.h`.
//!
//! Nothing here is safe to call, and nothing outside `abstractions` and `codecs` uses it.

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

/// Copies the page at `from` to the page at `to`.
///
/// User-mode Linux, which runs on x86 only, defines `copy_page()` as a macro, which bindgen can't
/// bind. A C compiler makes this of it; user-mode Linux's `memcpy()` is slower.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of a page, and they don't overlap.
#[cfg(CONFIG_UML)]
pub(super) unsafe fn copy_page(to: *mut ffi::c_void, from: *mut ffi::c_void) {
    // SAFETY: `from` and `to` are two pages by the safety requirement of `copy_page`. The kernel
    // runs with the direction flag clear.
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

/// Does nothing.
///
/// On x86 all mappings of a page share its cache lines, so there is nothing to flush, and the
/// kernel has no such function.
///
/// # Safety
///
/// None.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn flush_dcache_page(_: *mut page) {}
