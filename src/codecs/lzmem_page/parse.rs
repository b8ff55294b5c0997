// SPDX-License-Identifier: GPL-2.0-only

//! The fast parses: they take the first match that they find, or look one position further.

use super::{
    sequences::{
        Pen,
        Sequences, //
    },
    FIRST_DISTANCE,
    LAST_START,
    PAGE, //
};
use crate::zram::codecs::lz77::{
    cold,
    matches::{
        match_end,
        same_before,
        same_byte,
        BACK, //
    },
    read,
    table::{
        Far,
        Table, //
    }, //
};

/// The number of bytes by whose hash a match is found.
const HASHED: u32 = 5;

/// The number of positions after a match that are tried one by one.
const WINDOW: usize = 128;

/// The number of positions that are tried with each stride after that.
const TRIES: usize = 64;

/// Finds sequences, and returns them with the position after the last match.
///
/// With `LAZY` a longer match at the next position is preferred.
///
/// # Safety
///
/// `page` is valid for reads of a page. Others may write to it meanwhile.
#[inline(always)]
pub(super) unsafe fn parse<'s, const LAZY: bool>(
    table: &mut Table<PAGE>,
    page: *const u8,
    sequences: &'s mut Sequences,
) -> (Pen<'s>, usize) {
    // From here on the table has only positions up to `LAST_START`, all before the position that is
    // tried next.
    table.clear();
    let mut pen = sequences.start();
    let mut anchor = 0_usize;
    let mut at = 1_usize;
    let mut stop = WINDOW;
    let mut distance = FIRST_DISTANCE;
    'page: while !pen.is_full() {
        let (start, from, end) = 'found: {
            let from = 'near: {
                while at < stop {
                    // The same distance as before takes the fewest bits, so it is preferred to a
                    // match that begins a position or two before.
                    //
                    // SAFETY: `page` is valid for reads of a page by the safety requirement.
                    // `at + 2` is at most `LAST_START`, as are the positions in the table, and
                    // `distance` is at most `at`.
                    unsafe {
                        let next = at.wrapping_add(1);
                        if repeats(page, next, distance) {
                            at = next;
                            break 'near at.wrapping_sub(distance);
                        }
                        let third = at.wrapping_add(2);
                        if repeats(page, third, distance) {
                            at = third;
                            break 'near at.wrapping_sub(distance);
                        }
                        if let Some(from) = table.probe::<HASHED>(page, at) {
                            break 'near from;
                        }
                        if let Some(from) = table.probe::<HASHED>(page, next) {
                            at = next;
                            break 'near from;
                        }
                    }
                    at = at.wrapping_add(2);
                }
                cold();
                // SAFETY: `page` is valid for reads of a page by the safety requirement, the
                // positions in the table are at most `LAST_START`, and `anchor` is at most `at`.
                let far =
                    unsafe { table.find_far::<HASHED, PAGE, TRIES>(page, anchor, at, 2, PAGE) };
                let Some(Far { at, from, end }) = far else {
                    break 'page;
                };
                break 'found (usize::from(at), usize::from(from), usize::from(end));
            };
            let mut from = from;
            // SAFETY: `at` is at most `LAST_START`, and `from` is before `at`.
            let mut end = unsafe { match_end::<PAGE, PAGE>(page, at, from) };
            if LAZY && at < LAST_START && at.wrapping_sub(from) != distance {
                let later = at.wrapping_add(1);
                // SAFETY: `later` is at most `LAST_START`, and so are the positions in the table.
                if let Some(other) = unsafe { table.probe::<HASHED>(page, later) } {
                    // SAFETY: `later` is at most `LAST_START`, and `other` is before `later`.
                    let farther = unsafe { match_end::<PAGE, PAGE>(page, later, other) };
                    if farther > end {
                        (at, from, end) = (later, other, farther);
                    }
                }
            }
            let mut same = 0;
            // Most often a match can't grow, as one byte says.
            //
            // SAFETY: `from`, and hence `at`, has more than `BACK` bytes of the page before it.
            if from > BACK && unsafe { same_byte(page, at.wrapping_sub(1), from.wrapping_sub(1)) } {
                // SAFETY: `from` and `at` have more than `BACK` bytes of the page before them.
                same = unsafe { same_before(page, at, from) }.min(at.wrapping_sub(anchor));
            }
            (at.wrapping_sub(same), from.wrapping_sub(same), end)
        };
        distance = start.wrapping_sub(from);
        // SAFETY: `pen` is not full. The match is one of `page`, after `anchor`, and begins at
        // `LAST_START` at the latest.
        unsafe { pen.push(page, anchor, start, end, distance) };
        anchor = end;
        if anchor > LAST_START {
            break;
        }
        if LAZY {
            // SAFETY: `anchor` is at most `LAST_START`, and a match is longer than two bytes.
            unsafe { table.insert::<HASHED>(page, anchor.wrapping_sub(2)) };
        }
        // SAFETY: `anchor` is at most `LAST_START`, and a match is longer than a byte.
        unsafe { table.insert::<HASHED>(page, anchor.wrapping_sub(1)) };
        at = anchor;
        stop = at.wrapping_add(WINDOW);
        if stop > LAST_START - 1 {
            cold();
            stop = LAST_START - 1;
        }
    }
    (pen, anchor)
}

/// Returns whether the four bytes at `at` are those that are `distance` before.
///
/// # Safety
///
/// `page` is valid for reads of four bytes from `at` on, and `distance` is at most `at`.
#[inline(always)]
unsafe fn repeats(page: *const u8, at: usize, distance: usize) -> bool {
    // SAFETY: `page` is valid for reads of four bytes from `at` on by the safety requirement, and
    // hence from `at - distance` on.
    let (a, b): (u32, u32) = unsafe {
        let at = page.add(at);
        (read(at), read(at.sub(distance)))
    };
    a == b
}
