// SPDX-License-Identifier: GPL-2.0-only

//! How far a match goes.

use super::{
    read,
    MATCH_END,
    MIN_MATCH,
    PAGE, //
};
use core::num::NonZeroU64;

/// Where the last match may start. The format's limit is four bytes later; here, 16 bytes can be
/// read wherever a match starts, or the literals before it.
pub(super) const LAST_START: usize = PAGE - 16;

/// By so many bytes a match may grow over the literals before it.
pub(super) const BACK: usize = 7;

/// Where what is at `at` stops repeating what is at `from`, given that it does for [`MIN_MATCH`].
///
/// # Safety
///
/// `page` is valid for reads of a page; `at` and `from` are at most [`LAST_START`].
#[inline(always)]
pub(super) unsafe fn match_end(page: *const u8, at: usize, from: usize) -> usize {
    let mut end = at.wrapping_add(MIN_MATCH);
    let mut from = from.wrapping_add(MIN_MATCH);
    // SAFETY: There are 16 bytes from `LAST_START` on.
    if let Some(same) = unsafe { same_from(page, end, from) } {
        // At most seven, which is `MATCH_END` from `LAST_START`.
        return end.wrapping_add(same);
    }
    loop {
        end = end.wrapping_add(8);
        from = from.wrapping_add(8);
        if end > PAGE - 8 {
            break;
        }
        // SAFETY: There are eight bytes from `end` on, and from what is before it.
        if let Some(same) = unsafe { same_from(page, end, from) } {
            end = end.wrapping_add(same);
            break;
        }
    }
    end.min(MATCH_END)
}

const _: () = assert!(LAST_START + MIN_MATCH + 7 == MATCH_END);

/// How many bytes from `a` and from `b` on are the same; `None` for eight.
///
/// # Safety
///
/// There are eight bytes of `page` from either on.
#[inline(always)]
unsafe fn same_from(page: *const u8, a: usize, b: usize) -> Option<usize> {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a)), read(page.add(b))) };
    let difference = NonZeroU64::new(u64::from_le(a ^ b))?;
    Some((difference.trailing_zeros() / 8) as usize)
}

/// How many bytes before `a` and before `b` are the same, up to [`BACK`].
///
/// # Safety
///
/// There are eight bytes of `page` before either.
#[inline(always)]
pub(super) unsafe fn same_before(page: *const u8, a: usize, b: usize) -> usize {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a).sub(8)), read(page.add(b).sub(8))) };
    // The nearest byte becomes the lowest; the farthest always counts as different.
    let difference = u64::from_be(a ^ b) | 1 << (8 * BACK);
    (difference.trailing_zeros() / 8) as usize
}
