// SPDX-License-Identifier: GPL-2.0-only

//! Compression: takes the first match that the hash table finds at each position.

use super::{
    output::{
        Mark,
        Miss,
        Output, //
    },
    LAST_START,
    MATCH_END, //
};
use crate::zram::codecs::lz77::{
    cold,
    matches::{
        match_end,
        same_before,
        same_byte,
        BACK, //
    },
    table::{
        Far,
        Table, //
    },
    MIN_MATCH,
    PAGE, //
};

/// The number of positions after a match that are tried one by one.
///
/// After these the steps grow, from two on: the less there is to find, the less time is spent on
/// it.
const WINDOW: usize = 128;

/// The number of positions that are tried with each stride after that.
const TRIES: usize = 64;

/// The number of missing bytes below which the last part of the page gets a finer pass.
const NEAR: usize = 112;

/// The window of the finer pass, in place of [`WINDOW`].
const FINE_WINDOW: usize = 512;

/// The distance beyond the room for literals from which on no match is looked for.
///
/// Such a match would have to grow back over as many bytes: two strides, the longest of which is
/// about `sqrt(2 * PAGE / TRIES)`.
const AFTER_ROOM: usize = PAGE.isqrt() * 3 / 8;

/// Compresses the page at `src`, and returns the length of the block at the start of `dst`.
///
/// Returns `None` if `dst` is too short. With an `acceleration` above one, fewer positions of the
/// page are tried. The block depends on nothing but the page, `acceleration`, and the length of
/// `dst` where that is short.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// block still decompresses to some page.
pub(crate) unsafe fn compress(
    table: &mut Table<PAGE>,
    src: *const u8,
    dst: &mut [u8],
    acceleration: u32,
) -> Option<usize> {
    let stride = (acceleration as usize).clamp(1, PAGE);
    // From here on the table has only positions up to `LAST_START`, all before the position that is
    // tried next. A slot that is not used yet has the start of the page, which is compared like any
    // other position.
    table.clear();

    // A hash of five bytes finds fewer, longer matches than one of four. They take less time, here
    // and in the decompressor, and hardly more room.
    //
    // SAFETY: `src` is valid for reads of a page by the safety requirement, `Mark::START` goes with
    // any page, the table is empty, and `stride` is at least one.
    match unsafe { pass::<5>(table, src, dst, Mark::START, stride) } {
        Ok(len) => Some(len),
        // In the part of the page for which there was little room, short matches are worth the
        // time.
        Err(Miss { by: 0..NEAR, mark }) => {
            table.clear();
            // SAFETY: `src` is valid for reads of a page by the safety requirement, the first pass
            // made `mark` for it, the table has positions before that only, and `stride` is at
            // least one.
            unsafe {
                table.insert_some::<4>(src, usize::from(mark.done));
                pass::<4>(table, src, dst, mark, stride).ok()
            }
        }
        Err(_) => None,
    }
}

/// Compresses the page from `start` on with a hash of `BYTES` bytes, and returns the block's
/// length.
///
/// The pass is the finer one if `BYTES` is four.
///
/// # Errors
///
/// [`Miss`] if `dst` is too short.
///
/// # Safety
///
/// `page` is valid for reads of a page. `start` is [`Mark::START`], or came from an earlier pass
/// with the same `page` and `dst`. The table is clear, or has only positions before `start.done`.
/// `stride` is at least one.
unsafe fn pass<const BYTES: u32>(
    table: &mut Table<PAGE>,
    page: *const u8,
    dst: &mut [u8],
    start: Mark,
    stride: usize,
) -> Result<usize, Miss> {
    let fine = BYTES == MIN_MATCH as u32;
    let window = match stride {
        1 if fine => FINE_WINDOW,
        1 => WINDOW,
        _ => 0,
    };
    let mut out = Output::new(dst, start);

    // What is before `anchor` is in the block; the next match may start at `at`.
    let mut anchor = usize::from(start.done);
    let mut at = anchor.max(1);
    let mut stop = at.wrapping_add(window).min(LAST_START - 2);
    'page: loop {
        'sequence: {
            let mut from = 'found: {
                while at < stop {
                    // SAFETY: `page` is valid for reads of a page by the safety requirement, and
                    // `at + 3` is at most `LAST_START`, as are the positions in the table.
                    unsafe {
                        if let Some(from) = table.probe::<BYTES>(page, at) {
                            break 'found from;
                        }
                        if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(1)) {
                            at = at.wrapping_add(1);
                            break 'found from;
                        }
                        if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(2)) {
                            at = at.wrapping_add(2);
                            break 'found from;
                        }
                        if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(3)) {
                            at = at.wrapping_add(3);
                            break 'found from;
                        }
                    }
                    at = at.wrapping_add(4);
                }
                cold();
                // A match after `last` has more literals before it than there is room for, even if
                // it grows; see `AFTER_ROOM`.
                let last = anchor.wrapping_add(out.room()).wrapping_add(AFTER_ROOM);
                // SAFETY: `page` is valid for reads of a page by the safety requirement, the
                // positions in the table are at most `LAST_START`, and `anchor` is at most `at`.
                let far = unsafe {
                    table.find_far::<BYTES, MATCH_END, TRIES>(page, anchor, at, stride.max(2), last)
                };
                let Some(Far { at, from, end }) = far else {
                    break 'page;
                };
                let (at, from, end) = (usize::from(at), usize::from(from), usize::from(end));
                let (literals, len) = (at.wrapping_sub(anchor), end.wrapping_sub(at));
                // SAFETY: The literals are the page from `anchor` to `at`, and `end` is after `at`.
                if !unsafe {
                    out.sequence_exactly(page.add(anchor), literals, at.wrapping_sub(from), len)
                } {
                    return Err(out.miss(PAGE.wrapping_sub(anchor)));
                }
                anchor = end;
                break 'sequence;
            };

            // SAFETY: `at` is at most `LAST_START`, and `from`, out of the table, is before `at`.
            let mut end = unsafe { match_end::<PAGE, MATCH_END>(page, at, from) };
            if fine && at < LAST_START {
                let later = at.wrapping_add(1);
                // SAFETY: `later` is at most `LAST_START`.
                if let Some(other) = unsafe { table.probe::<BYTES>(page, later) } {
                    // SAFETY: `later` is at most `LAST_START`, and `other` is before `later`.
                    let farther = unsafe { match_end::<PAGE, MATCH_END>(page, later, other) };
                    if farther > end {
                        (at, from, end) = (later, other, farther);
                    }
                }
            }
            let mut literals = at.wrapping_sub(anchor);
            // Most often a match can't grow, as one byte says.
            //
            // SAFETY: `from`, and hence `at`, has more than `BACK` bytes of the page before it.
            if from > BACK && unsafe { same_byte(page, at.wrapping_sub(1), from.wrapping_sub(1)) } {
                // SAFETY: `from` and `at` have more than `BACK` bytes of the page before them.
                literals = literals.saturating_sub(unsafe { same_before(page, at, from) });
            }
            let len = end.wrapping_sub(anchor).wrapping_sub(literals);
            // SAFETY: The literals are the page from `anchor` to `at` or less, and `at` is followed
            // by 16 bytes of the page. `end` is after `at` by at least `MIN_MATCH`.
            if !unsafe { out.sequence(page, anchor, literals, at.wrapping_sub(from), len) } {
                return Err(out.miss(PAGE.wrapping_sub(anchor)));
            }
            anchor = end;
        }

        // Often one match follows another directly. Then it has no literals to grow over.
        loop {
            if anchor > LAST_START {
                break 'page;
            }
            // Positions within a match are worth their time only where it is tight.
            if fine {
                // SAFETY: `anchor` is at most `LAST_START`, and a match is longer than two bytes.
                unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(2)) };
            }
            // SAFETY: `anchor` is at most `LAST_START`.
            let Some(from) = (unsafe { table.probe::<BYTES>(page, anchor) }) else {
                if fine {
                    // SAFETY: `anchor` is at most `LAST_START`, and at least one.
                    unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(1)) };
                }
                break;
            };
            // SAFETY: `anchor` is at most `LAST_START`, and `from` is before `anchor`.
            let end = unsafe { match_end::<PAGE, MATCH_END>(page, anchor, from) };
            let (distance, len) = (anchor.wrapping_sub(from), end.wrapping_sub(anchor));
            // SAFETY: `distance` and `len` are below a page's size, and `len` is at least
            // `MIN_MATCH`.
            if !unsafe { out.repeat(distance, len) } {
                return Err(out.miss(PAGE.wrapping_sub(anchor)));
            }
            anchor = end;
        }

        at = anchor.wrapping_add(1);
        stop = at.wrapping_add(window);
        if stop > LAST_START - 2 {
            cold();
            stop = LAST_START - 2;
        }
    }

    let literals = PAGE.wrapping_sub(anchor);
    // SAFETY: The literals are the page from `anchor` to its end.
    if unsafe { out.last(page.add(anchor), literals) } {
        Ok(out.len())
    } else {
        Err(out.miss(literals))
    }
}
