// SPDX-License-Identifier: GPL-2.0-only

//! Functions that differ by architecture: a file for each that does better than the generic one.

#[cfg(not(target_arch = "x86_64"))]
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use generic::*;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::*;
