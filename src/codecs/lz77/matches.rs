// SPDX-License-Identifier: GPL-2.0-only

//! The extent of a match.

use super::{
    read,
    MIN_MATCH, //
};
use core::num::NonZeroU64;

/// Returns the last position where a match may start in a page of so many bytes.
///
/// The limit of LZ4's format is four bytes later. With this one, 16 bytes can be read from wherever
/// a match starts, or the literals before it.
pub(crate) const fn last_start(page: usize) -> usize {
    page.wrapping_sub(16)
}

/// The number of bytes by which a match may grow over the literals before it.
pub(crate) const BACK: usize = 7;

/// Returns the position where the match at `at` stops repeating what is at `from`.
///
/// The first [`MIN_MATCH`] bytes are known to be the same. The result is at most `END`, which is
/// the end of the page or up to five bytes before that.
///
/// # Safety
///
/// `page` is valid for reads of `PAGE` bytes, `at` is at most their [`last_start`], and `from` is
/// before `at`.
#[inline(always)]
pub(crate) unsafe fn match_end<const PAGE: usize, const END: usize>(
    page: *const u8,
    at: usize,
    from: usize,
) -> usize {
    // A match that starts at `last_start`, and goes on for MIN_MATCH bytes and seven, ends there.
    const { assert!(END <= PAGE && END >= last_start(PAGE) + MIN_MATCH + 7) };
    let mut end = at.wrapping_add(MIN_MATCH);
    let mut from = from.wrapping_add(MIN_MATCH);
    // SAFETY: `last_start` is followed by 16 bytes of the page, and neither `at` nor `from` is
    // after it.
    if let Some(same) = unsafe { same_from(page, end, from) } {
        // `same` is at most seven, so the end is at most `END`.
        return end.wrapping_add(same);
    }
    loop {
        end = end.wrapping_add(8);
        from = from.wrapping_add(8);
        if end > PAGE - 8 {
            break;
        }
        // SAFETY: `end` is followed by eight bytes of the page, and `from` is before `end`.
        if let Some(same) = unsafe { same_from(page, end, from) } {
            end = end.wrapping_add(same);
            break;
        }
    }
    // `end` is at most a page in any case.
    if END < PAGE {
        end = end.min(END);
    }
    end
}

/// Returns how many bytes from `a` and `b` on are the same, or `None` if eight are.
///
/// # Safety
///
/// `page` is valid for reads of eight bytes from `a` on, and from `b` on.
#[inline(always)]
unsafe fn same_from(page: *const u8, a: usize, b: usize) -> Option<usize> {
    // SAFETY: `page` is valid for reads of eight bytes from `a` and `b` on by the safety
    // requirement.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a)), read(page.add(b))) };
    let difference = NonZeroU64::new(u64::from_le(a ^ b))?;
    Some((difference.trailing_zeros() / 8) as usize)
}

/// Returns whether the bytes at `a` and `b` are the same.
///
/// # Safety
///
/// `a` and `b` are positions in `page`, which is valid for reads.
#[inline(always)]
pub(crate) unsafe fn same_byte(page: *const u8, a: usize, b: usize) -> bool {
    // SAFETY: `a` and `b` are positions in `page` by the safety requirement.
    let (a, b): (u8, u8) = unsafe { (read(page.add(a)), read(page.add(b))) };
    a == b
}

/// Returns how many bytes before `a` and `b` are the same, up to [`BACK`].
///
/// # Safety
///
/// `page` is valid for reads of the eight bytes before `a`, and of those before `b`.
#[inline(always)]
pub(crate) unsafe fn same_before(page: *const u8, a: usize, b: usize) -> usize {
    // SAFETY: `page` is valid for reads of the eight bytes before `a` and `b` by the safety
    // requirement.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a).sub(8)), read(page.add(b).sub(8))) };
    // The nearest byte becomes the lowest; the farthest always counts as different.
    let difference = u64::from_be(a ^ b) | 1 << (8 * BACK);
    (difference.trailing_zeros() / 8) as usize
}
