// SPDX-License-Identifier: GPL-2.0-only

//! Compression: the first match that a hash table finds, in a table made for a page.

use super::{
    cold,
    matches::{
        match_end,
        same_before,
        BACK,
        LAST_START, //
    },
    output::{
        Mark,
        Miss,
        Output, //
    },
    table::{
        Far,
        Table, //
    },
    MIN_MATCH,
    PAGE, //
};

/// After a match so many positions are tried one by one, then some at each distance
/// from two on: the less there is to find, the less time is spent on it.
const WINDOW: usize = 96;

/// The last part of a page that misses the room by less than this gets a finer pass, with this window.
const NEAR: usize = 112;
const FINE_WINDOW: usize = 512;

/// A match that starts so much later than there is room for literals is not looked for: it would have to grow
/// as much.
const AFTER_ROOM: usize = 24;

/// Compresses the page at `src`, and returns the length of the block at the start of `dst`.
///
/// `None` if there is no room for it. The block depends on the page, on `acceleration`, and if that
/// is short, on the room; on nothing else. With an `acceleration` above one, less of the page is
/// looked at.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// block still makes a page, but any.
pub(crate) unsafe fn compress(
    table: &mut Table,
    src: *const u8,
    dst: &mut [u8],
    acceleration: u32,
) -> Option<usize> {
    let stride = (acceleration as usize).clamp(1, PAGE);
    // From here on the table has only positions up to `LAST_START`, and only what is behind the
    // position that is looked at. The start of the page is in every slot that was not used yet:
    // what is found there is compared like anything else.
    table.clear();

    // A hash of five bytes finds fewer, longer matches than one of four. They take less time, here
    // and in the decompressor, and hardly more room.
    //
    // SAFETY: By the caller.
    match unsafe { pass::<5>(table, src, dst, Mark::START, stride) } {
        Ok(len) => Some(len),
        // Where it was getting tight the short matches count.
        Err(Miss { by: 0..NEAR, mark }) => {
            table.clear();
            // SAFETY: By the caller; the table has only what is before the mark.
            unsafe {
                table.insert_some::<4>(src, usize::from(mark.done));
                pass::<4>(table, src, dst, mark, stride).ok()
            }
        }
        Err(_) => None,
    }
}

/// Compresses what comes after `start` with a hash of `BYTES` bytes; with four, in the finer way.
///
/// # Safety
///
/// `page` is valid for reads of a page, `start` was made with it, and the table has positions before that.
/// `stride` is at least one.
unsafe fn pass<const BYTES: u32>(
    table: &mut Table,
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

    // All before `anchor` is in the block; `at` is where the next match may start.
    let mut anchor = usize::from(start.done);
    let mut at = anchor.max(1);
    let mut stop = at.wrapping_add(window).min(LAST_START - 2);
    'page: loop {
        'sequence: {
            let mut from = 'found: {
                while at < stop {
                    // SAFETY: `at + 3` is at most `LAST_START`; the rest by the caller and the table.
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
                // There is no room for the literals before a match that starts much later.
                let last = anchor.wrapping_add(out.room()).wrapping_add(AFTER_ROOM);
                // SAFETY: By the caller and the table; there is nothing to find before `anchor`.
                let far = unsafe { table.find_far::<BYTES>(page, anchor, at, stride.max(2), last) };
                let Some(Far { at, from, end }) = far else {
                    break 'page;
                };
                let (at, from, end) = (usize::from(at), usize::from(from), usize::from(end));
                let (literals, len) = (at.wrapping_sub(anchor), end.wrapping_sub(at));
                // SAFETY: The literals end at `at`, and `end` is behind it.
                if !unsafe {
                    out.sequence_exactly(page.add(anchor), literals, at.wrapping_sub(from), len)
                } {
                    return Err(out.miss(PAGE.wrapping_sub(anchor)));
                }
                anchor = end;
                break 'sequence;
            };

            // SAFETY: Both are at most `LAST_START`.
            let mut end = unsafe { match_end(page, at, from) };
            if fine && at < LAST_START {
                let later = at.wrapping_add(1);
                // SAFETY: As above.
                if let Some(other) = unsafe { table.probe::<BYTES>(page, later) } {
                    // SAFETY: As above.
                    let farther = unsafe { match_end(page, later, other) };
                    if farther > end {
                        (at, from, end) = (later, other, farther);
                    }
                }
            }
            let mut literals = at.wrapping_sub(anchor);
            if from > BACK {
                // SAFETY: There are more than `BACK` bytes before either.
                literals = literals.saturating_sub(unsafe { same_before(page, at, from) });
            }
            let len = end.wrapping_sub(anchor).wrapping_sub(literals);
            // SAFETY: The literals end at `at` or before, with 16 bytes after that. `match_end` is
            // beyond `at` by at least `MIN_MATCH`.
            if !unsafe { out.sequence(page, anchor, literals, at.wrapping_sub(from), len) } {
                return Err(out.miss(PAGE.wrapping_sub(anchor)));
            }
            anchor = end;
        }

        // Often one match follows another: then there is nothing before it to look at.
        loop {
            if anchor > LAST_START {
                break 'page;
            }
            // SAFETY: `anchor` is at most `LAST_START`, and a match is longer than two bytes.
            unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(2)) };
            // SAFETY: As above.
            let Some(from) = (unsafe { table.probe::<BYTES>(page, anchor) }) else {
                // SAFETY: As above.
                unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(1)) };
                break;
            };
            // SAFETY: Both are at most `LAST_START`.
            let end = unsafe { match_end(page, anchor, from) };
            let (distance, len) = (anchor.wrapping_sub(from), end.wrapping_sub(anchor));
            // SAFETY: As above.
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
    // SAFETY: They are the end of the page.
    if unsafe { out.last(page.add(anchor), literals) } {
        Ok(out.len())
    } else {
        Err(out.miss(literals))
    }
}
