// SPDX-License-Identifier: GPL-2.0-only

//! Safe faces for the C APIs that the `kernel` crate lacks.
//!
//! With [`crate::zram::store::table`], the only place where `unsafe` may be written.

mod arch;
pub(crate) mod atomic;
pub(crate) mod backing_device;
pub(crate) mod bio;
pub(crate) mod cpuhp;
pub(crate) mod debugfs;
pub(crate) mod disk;
pub(super) mod ffi;
pub(crate) mod files;
pub(crate) mod kmap;
pub(crate) mod lockdep;
pub(crate) mod major;
pub(crate) mod memory;
pub(crate) mod page;
pub(crate) mod percpu;
pub(crate) mod racy;
pub(crate) mod rwsem;
pub(crate) mod sched;
pub(crate) mod signal;
pub(crate) mod sysfs;
pub(crate) mod zsmalloc;
