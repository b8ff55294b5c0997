// SPDX-License-Identifier: GPL-2.0-only

//! The text of a policy.

#![forbid(unsafe_code)]

use super::{
    kstrtouint,
    memparse,
    strip_newline,
    Tokens, //
};
use crate::zram::device::{
    Policy,
    Watermarks, //
};
use core::num::NonZero;
use kernel::prelude::*;

/// One of two watermarks.
#[derive(Clone, Copy)]
enum Watermark {
    Bytes(u64),
    Percent(u8),
}

/// Parses the rules of a policy, or `off`.
///
/// The rules are `recompress_idle=SECONDS`, `writeback_idle=SECONDS`,
/// `writeback_incompressible=SECONDS`, `high=AMOUNT low=AMOUNT` and `cpu=PERCENT`, each at most
/// once. An amount is a number of bytes, which `K`, `M`, `G` or `T` may follow, or a percentage of
/// `mem_limit` with a `%`; without `low`, that is seven eighths of `high`.
///
/// Unlike other files of zram, this one refuses what it does not know.
///
/// # Errors
///
/// `EINVAL` for anything else: a rule that is not there, without a value, or given twice; a number
/// that is malformed or does not fit; an age of 0; a percentage that is not from 1 to 100; `low`
/// without `high`, not below it, or in another unit; and `cpu` without a rule.
pub(crate) fn policy(arg: &[u8]) -> Result<Policy> {
    if strip_newline(arg) == b"off" {
        return Ok(Policy::default());
    }
    let mut policy = Policy::default();
    let (mut high, mut low) = (None, None);
    for token in Tokens(arg) {
        let (key, value) = token.pair()?;
        match key {
            b"recompress_idle" => set(&mut policy.recompress_idle, seconds(value)?)?,
            b"writeback_idle" => set(&mut policy.writeback_idle, seconds(value)?)?,
            b"writeback_incompressible" => {
                set(&mut policy.writeback_incompressible, seconds(value)?)?;
            }
            b"high" => set(&mut high, watermark(value)?)?,
            b"low" => set(&mut low, watermark(value)?)?,
            b"cpu" => set(&mut policy.cpu, percent(value)?)?,
            _ => return Err(EINVAL),
        }
    }
    policy.watermarks = match (high, low) {
        (None, None) => None,
        (Some(high), low) => Some(watermarks(high, low)?),
        (None, Some(_)) => return Err(EINVAL),
    };
    if policy.is_off() {
        return Err(EINVAL);
    }
    Ok(policy)
}

/// Sets `place`, which must not have been set before.
fn set<T>(place: &mut Option<T>, value: T) -> Result {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(EINVAL),
    }
}

/// Parses an age.
fn seconds(arg: &[u8]) -> Result<NonZero<u32>> {
    let seconds = kstrtouint(arg).map_err(|_| EINVAL)?;
    NonZero::new(seconds).ok_or(EINVAL)
}

/// Parses a percentage.
fn percent(arg: &[u8]) -> Result<NonZero<u8>> {
    match kstrtouint(arg) {
        Ok(percent @ 1..=100) => NonZero::new(percent).ok_or(EINVAL),
        _ => Err(EINVAL),
    }
}

/// Parses an amount of memory.
fn watermark(arg: &[u8]) -> Result<Watermark> {
    let arg = strip_newline(arg);
    if let Some(share) = arg.strip_suffix(b"%") {
        return Ok(Watermark::Percent(percent(share)?.get()));
    }
    // `memparse()` ignores what follows the number; here that is a mistake.
    let digits = arg.strip_suffix(b"K").or(arg.strip_suffix(b"M"));
    let digits = digits.or(arg.strip_suffix(b"G")).or(arg.strip_suffix(b"T"));
    let digits = digits.unwrap_or(arg);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(EINVAL);
    }
    Ok(Watermark::Bytes(memparse(arg).ok_or(EINVAL)?))
}

/// Returns the watermarks `high` and `low`, which defaults to seven eighths of `high`.
fn watermarks(high: Watermark, low: Option<Watermark>) -> Result<Watermarks> {
    match (high, low) {
        (Watermark::Bytes(high), None) => {
            let low = high.wrapping_sub(high / 8);
            bytes(high, low)
        }
        (Watermark::Bytes(high), Some(Watermark::Bytes(low))) => bytes(high, low),
        (Watermark::Percent(high), None) => percents(high, high.wrapping_sub(high.div_ceil(8))),
        (Watermark::Percent(high), Some(Watermark::Percent(low))) => percents(high, low),
        _ => Err(EINVAL),
    }
}

fn bytes(high: u64, low: u64) -> Result<Watermarks> {
    if low >= high {
        return Err(EINVAL);
    }
    Ok(Watermarks::Bytes { high, low })
}

fn percents(high: u8, low: u8) -> Result<Watermarks> {
    if low >= high {
        return Err(EINVAL);
    }
    Ok(Watermarks::Percent { high, low })
}
