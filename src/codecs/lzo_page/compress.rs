// SPDX-License-Identifier: GPL-2.0-only

//! Compression: takes the first match that the hash table finds at each position.

use super::{
    output::Output,
    room::Copy,
    zeroes::{
        run_end,
        write_run, //
    },
    LAST_START, //
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
    PAGE, //
};

/// The number of bytes that are hashed.
const BYTES: u32 = 5;

/// The number of positions after a match that are tried one by one.
///
/// After these the steps grow, from two on: the less there is to find, the less time is spent on
/// it.
const WINDOW: usize = 96;

/// The number of positions that are tried with each stride after that.
const TRIES: usize = 16;

/// The distance beyond the room for literals from which on no match is looked for.
///
/// Such a match would have to grow back over as many bytes: more than two strides, the longest of
/// which is about `sqrt(2 * PAGE / TRIES)`.
const AFTER_ROOM: usize = PAGE.isqrt();

/// Compresses the page at `src`, and returns the length of the block at the start of `dst`.
///
/// Returns `None` if `dst` is too short, or so short that a match behind [`AFTER_ROOM`] would have
/// to save it. The block depends on nothing but the page.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// block still decompresses to some page.
pub(crate) unsafe fn compress(
    table: &mut Table<PAGE>,
    src: *const u8,
    dst: &mut [u8],
) -> Option<usize> {
    let page = src;
    // From here on the table has only positions up to `LAST_START`, all before the position that is
    // tried next. A slot that is not used yet has the start of the page, which is compared like any
    // other position.
    table.clear();
    let mut out = Output::new(dst)?;

    // What is before `anchor` is in the block; the next match may start at `at`. A block starts
    // with a literal.
    let mut anchor = 0_usize;
    let mut at = 1_usize;
    let mut stop = at.wrapping_add(WINDOW);
    'page: loop {
        'sequence: {
            let from = 'found: {
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
                let far =
                    unsafe { table.find_far::<BYTES, PAGE, TRIES>(page, anchor, at, 2, last) };
                let Some(Far { at, from, end }) = far else {
                    break 'page;
                };
                let (at, from, end) = (usize::from(at), usize::from(from), usize::from(end));
                // SAFETY: `at` is at most `LAST_START`.
                if let Some(end) = unsafe { run_end(page, at, end) } {
                    // SAFETY: The zeroes are after `anchor` and `at`, and end in the page.
                    anchor = unsafe { write_run(&mut out, page, anchor, at, end) }?;
                    break 'sequence;
                }
                let copy = Copy {
                    distance: at.wrapping_sub(from),
                    len: end.wrapping_sub(at),
                };
                // SAFETY: The literals are the page from `anchor` to `at`, and `end` is after `at`.
                if !unsafe { out.exactly(page.add(anchor), at.wrapping_sub(anchor), copy) } {
                    return None;
                }
                anchor = end;
                break 'sequence;
            };

            // SAFETY: `at` is at most `LAST_START`.
            if let Some(end) = unsafe { run_end(page, at, 0) } {
                // SAFETY: The zeroes are after `anchor` and `at`, and end in the page.
                anchor = unsafe { write_run(&mut out, page, anchor, at, end) }?;
                break 'sequence;
            }
            // SAFETY: `at` is at most `LAST_START`, and `from`, out of the table, is before `at`.
            let end = unsafe { match_end::<PAGE, PAGE>(page, at, from) };
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
            // by 16 bytes of the page. `end` is after `at` by at least four.
            if !unsafe { out.sequence(page.add(anchor), literals, at.wrapping_sub(from), len) } {
                return None;
            }
            anchor = end;
        }

        // Often one match follows another directly. Then it has no literals to grow over.
        loop {
            if anchor > LAST_START {
                break 'page;
            }
            // SAFETY: `anchor` is at most `LAST_START`.
            let Some(from) = (unsafe { table.probe::<BYTES>(page, anchor) }) else {
                // SAFETY: `anchor` is at most `LAST_START`, and at least one.
                unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(1)) };
                break;
            };
            // SAFETY: `anchor` is at most `LAST_START`.
            if let Some(end) = unsafe { run_end(page, anchor, 0) } {
                // SAFETY: The zeroes are after `anchor`, and end in the page.
                anchor = unsafe { write_run(&mut out, page, anchor, anchor, end) }?;
                continue;
            }
            // SAFETY: `anchor` is at most `LAST_START`, and `from` is before `anchor`.
            let end = unsafe { match_end::<PAGE, PAGE>(page, anchor, from) };
            let (distance, len) = (anchor.wrapping_sub(from), end.wrapping_sub(anchor));
            // SAFETY: `distance` and `len` are below a page's size, and `len` is at least four.
            if !unsafe { out.repeat(distance, len) } {
                return None;
            }
            anchor = end;
        }

        at = anchor.wrapping_add(1);
        stop = at.wrapping_add(WINDOW);
        if stop > LAST_START - 2 {
            cold();
            stop = LAST_START - 2;
        }
    }

    let literals = PAGE.wrapping_sub(anchor);
    // SAFETY: The literals are the page from `anchor` to its end.
    unsafe { out.last(page.add(anchor), literals) }.then(|| out.len())
}
