// SPDX-License-Identifier: GPL-2.0-only

//! What user space and the block layer call: devices, their operations, their files.

pub(super) mod args;
mod attributes;
mod blockdev;
#[cfg(CONFIG_FAULT_INJECTION)]
mod corrupt;
mod debugfs;
pub(crate) mod devices;
