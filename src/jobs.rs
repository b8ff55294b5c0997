// SPDX-License-Identifier: GPL-2.0-only

//! Jobs: work over many pages of a device.
//!
//! Writeback and recompression run one at a time for each device, under
//! [`Device::run_job`](super::device::Device::run_job). Between two pages they hold neither a slot
//! nor a stream; there they give up the CPU, let the system freeze them, and look for signals.
//! Marking pages as idle takes no such lock and runs beside them.

#![forbid(unsafe_code)]

mod candidates;
mod idle;
mod recompress;
mod selection;
mod writeback;

use candidates::Candidates;
pub(crate) use idle::mark_idle;
pub(crate) use recompress::Recompression;
pub(crate) use selection::{
    PageFilter,
    Selection, //
};
pub(crate) use writeback::Writeback;
