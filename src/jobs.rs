// SPDX-License-Identifier: GPL-2.0-only

//! Work over many pages of a device. Of writeback and recompression one runs at a time: see
//! [`Device::run_job`](super::device::Device::run_job).

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
