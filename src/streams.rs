// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU compression streams.

#![forbid(unsafe_code)]

mod per_cpu;
mod zcomp;

pub(crate) use per_cpu::Counts;
pub(crate) use zcomp::{
    Zcomp,
    ZcompGuard, //
};
