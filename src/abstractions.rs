// SPDX-License-Identifier: GPL-2.0-only

//! Safe Rust interfaces to C APIs that the `kernel` crate lacks.
//!
//! The rule for this room is that a safe function is sound for every argument and in every order of
//! calls. The C items themselves are in [`ffi`], which only this room and `codecs` use; what
//! differs by architecture is in [`arch`], and what differs by kernel in [`compat`].
//!
//! Each of the other files is about one C API, and names the file of the kernel tree that it would
//! become upstream. They are written for one driver, which shows in three ways: what no driver but
//! this one needs is left out, allocation flags are fixed where the driver knows only one right
//! choice, and atomics are `core`'s. The last has its reasons in doc/design.md.

mod arch;
pub(crate) mod atomic;
pub(crate) mod backing_device;
pub(crate) mod bio;
pub(crate) mod class;
pub(crate) mod compat;
pub(crate) mod cpuhp;
pub(crate) mod debugfs;
pub(crate) mod disk;
pub(super) mod ffi;
pub(crate) mod files;
pub(crate) mod guarded;
mod kmap;
pub(crate) mod kthread;
pub(crate) mod lockdep;
pub(crate) mod major;
pub(crate) mod memory;
mod modinfo;
pub(crate) mod module_param;
pub(crate) mod page;
pub(crate) mod percpu;
pub(crate) mod racy;
pub(crate) mod rwsem;
pub(crate) mod sched;
pub(crate) mod signal;
pub(crate) mod sysfs;
pub(crate) mod workqueue;
pub(crate) mod zsmalloc;
