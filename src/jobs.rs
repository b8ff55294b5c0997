// SPDX-License-Identifier: GPL-2.0-only

//! Jobs: work over many pages of a device.
//!
//! Writeback and recompression run one at a time for each device, under
//! [`Device::run_job`](super::device::Device::run_job). Between two pages they hold neither a slot
//! nor a stream; there they give up the CPU, let the system freeze them, and look for signals.
//! Marking pages as idle takes no such lock and runs beside them. So does the worker of the
//! device's policy, in [`tiers`], which has candidates of its own.

#![forbid(unsafe_code)]

mod by_size;
mod candidates;
mod idle;
mod index_array;
mod pack;
mod recompress;
mod recompressor;
mod rewrite;
mod selection;
mod source;
mod tiers;
mod writeback;
mod writer;

use by_size::BySize;
use candidates::Candidates;
pub(crate) use idle::mark_idle;
use index_array::IndexArray;
use pack::Packer;
pub(crate) use recompress::Recompression;
use recompressor::Recompressor;
use rewrite::{
    Object,
    Victims, //
};
pub(crate) use selection::{
    PageFilter,
    Selection, //
};
use source::{
    Owner,
    Source, //
};
pub(crate) use tiers::work_on_tiers;
pub(crate) use writeback::Writeback;
use writer::Writer;
