// SPDX-License-Identifier: GPL-2.0-only

//! Atomic integers and pointers: those of `core`, imported by the whole driver from here.
//!
//! `rust/kernel/sync/atomic.rs` asks for the `Atomic<T>` of the `kernel` crate instead. Each of its
//! operations calls a C function, which is inlined only in kernels that are built with
//! `CONFIG_RUST_INLINE_HELPERS`. Distributions build theirs without it, so that locking a slot
//! would be a call in place of one instruction. It also lacks `fetch_or()`, `fetch_and()` and
//! `fetch_max()`. `core`'s follow the memory model of Rust and not the kernel's. This does no harm,
//! because C code does not touch these words; `doc/design.md`, "Atomics", names two exceptions.
//!
//! A host test may replace this module: `selftests/host/word.rs` and `order.rs` make each operation
//! a step. Each ordering has a line in `doc/atomics.md`.

pub(crate) use core::sync::atomic::{
    AtomicBool,
    AtomicI32,
    AtomicI64,
    AtomicPtr,
    AtomicU32,
    AtomicU64,
    AtomicU8,
    AtomicUsize,
    Ordering, //
};
