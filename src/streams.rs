// SPDX-License-Identifier: GPL-2.0-only

//! Compression streams: one for each algorithm of a device and each CPU that is up.

#![forbid(unsafe_code)]

mod per_cpu;
mod zcomp;

pub(crate) use per_cpu::Counts;
pub(crate) use zcomp::{
    OwnStream,
    Zcomp,
    ZcompGuard, //
};
