// SPDX-License-Identifier: GPL-2.0

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

pub(super) use kernel::bindings::*;
use kernel::ffi;

include!("bindings_generated.rs");
