// SPDX-License-Identifier: GPL-2.0-only

//! Runs of zeroes that are worth an instruction of their own.

use super::{
    output::Output,
    room::Copy,
    RUN_MAX,
    RUN_MIN, //
};
use crate::zram::codecs::lz77::{
    cold,
    read,
    PAGE, //
};
use core::num::NonZeroU64;

/// The number of zeroes from which on they become a run.
///
/// A match of up to eight takes two bytes less than a run, and one of up to 33 a byte less. But
/// often it repeats a row of zeroes that is shorter, and another has to follow.
const WORTH: usize = 12;

/// Returns the position after the zeroes at `at`, if they are worth a run.
///
/// They are not if they are fewer than [`WORTH`], or end before `end`. None is returned that is
/// before `end`.
///
/// # Safety
///
/// `page` is valid for reads of a page, and `at` is followed by eight bytes of it.
#[inline(always)]
pub(super) unsafe fn run_end(page: *const u8, at: usize, end: usize) -> Option<usize> {
    // SAFETY: `at` is followed by eight bytes of the page by the safety requirement.
    if unsafe { read::<u64>(page.add(at)) } != 0 {
        return None;
    }
    cold();
    // SAFETY: `page` is valid for reads of a page, and `at` is followed by eight bytes of it, by
    // the safety requirement.
    let zeroes_end = unsafe { zeroes_end(page, at.wrapping_add(8)) };
    (zeroes_end >= end && zeroes_end.wrapping_sub(at) >= WORTH).then_some(zeroes_end)
}

/// Returns the position of the first byte from `at` on that is not 0, or the end of the page.
///
/// # Safety
///
/// `page` is valid for reads of a page, and `at` is at most a page.
unsafe fn zeroes_end(page: *const u8, mut at: usize) -> usize {
    while at <= PAGE - 32 {
        // SAFETY: `at` is followed by 32 bytes of the page.
        let words: [u64; 4] = unsafe {
            let from = page.add(at);
            [
                read(from),
                read(from.add(8)),
                read(from.add(16)),
                read(from.add(24)),
            ]
        };
        if words[0] | words[1] | words[2] | words[3] != 0 {
            break;
        }
        at = at.wrapping_add(32);
    }
    while at <= PAGE - 8 {
        // SAFETY: `at` is followed by eight bytes of the page.
        let word: u64 = unsafe { read(page.add(at)) };
        if let Some(word) = NonZeroU64::new(u64::from_le(word)) {
            return at.wrapping_add((word.trailing_zeros() / 8) as usize);
        }
        at = at.wrapping_add(8);
    }
    // SAFETY: `at` is a position in the page.
    while at < PAGE && unsafe { read::<u8>(page.add(at)) } == 0 {
        at = at.wrapping_add(1);
    }
    at
}

/// Writes the literals from `anchor` on and the zeroes from `at` to `end`, and returns the position
/// after these.
///
/// The run begins with the zeroes before `at`, if there are any. Up to three zeroes may be left at
/// its end. Returns `None` without room for it.
///
/// # Safety
///
/// `page` is valid for reads of a page, `at` is followed by 16 bytes of it and not before `anchor`,
/// and `end` is at most a page and at least [`WORTH`] bytes after `at`.
#[inline(always)]
pub(super) unsafe fn write_run(
    out: &mut Output<'_>,
    page: *const u8,
    anchor: usize,
    mut at: usize,
    end: usize,
) -> Option<usize> {
    // A block starts with a literal.
    while at > anchor.max(1) {
        let before = at.wrapping_sub(1);
        // SAFETY: `before` is a position in the page.
        if unsafe { read::<u8>(page.add(before)) } != 0 {
            break;
        }
        at = before;
    }
    let len = end.wrapping_sub(at).min(RUN_MAX);
    // SAFETY: The literals are the page from `anchor` to `at`, which 16 bytes of it follow.
    if !unsafe { out.run(page.add(anchor), at.wrapping_sub(anchor), len) } {
        return None;
    }
    at = at.wrapping_add(len);
    while end.wrapping_sub(at) >= RUN_MIN {
        let len = end.wrapping_sub(at).min(RUN_MAX);
        let zeroes = Copy { distance: 0, len };
        // SAFETY: Without literals, nothing is read.
        if !unsafe { out.exactly(page, 0, zeroes) } {
            return None;
        }
        at = at.wrapping_add(len);
    }
    Some(at)
}
