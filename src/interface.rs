// SPDX-License-Identifier: GPL-2.0-only

//! The interface to user space and the block layer: devices, their operations, and their files.

pub(super) mod args;
mod attributes;
mod blockdev;
#[cfg(CONFIG_FAULT_INJECTION)]
mod corrupt;
mod debugfs;
pub(crate) mod devices;
