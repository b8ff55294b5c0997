// SPDX-License-Identifier: GPL-2.0-only

//! Sequences while the end of the page is not near.

use super::{
    progress::{
        run,
        word,
        Progress,
        ZEROES, //
    },
    sequence::Sequence, //
};
use crate::zram::codecs::{
    lz77::{
        cold,
        copy_16,
        repeat::{
            copy_match,
            copy_match_exactly, //
        },
        Corrupt, //
    },
    lzmem_page::{
        bits::{
            is_short,
            shifted,
            Region, //
        },
        codes::{
            Read,
            SEQUENCE_BITS, //
        },
        LEAST_BACK,
        PAGE, //
    }, //
};

/// The number of bytes at a page's end among which the fast loop ends no sequence.
///
/// It suffices for the 32 bytes of a match that are copied whatever its length.
const PAGE_END: usize = 32;

/// Decompresses sequences until one ends near the end of the page, or none is left.
///
/// # Errors
///
/// [`Corrupt`] if a match begins before the page, or ends after it.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, and `start` at its start. With the literals go
/// as many bytes as a page has left, and eight more.
#[inline(never)]
pub(super) unsafe fn fast<const DIFFERENCES: bool>(
    codes: &Read,
    region: Region<'_>,
    dst: *mut u8,
    start: Progress,
) -> Result<Progress, Corrupt> {
    let limit = dst.wrapping_add(PAGE - PAGE_END);
    let mut now = Progress { ..start };
    let mut lengths = region.forward(now.lengths);
    let mut distances = region.backward(now.distances);
    while now.left > 0 {
        // Four pairs are read from a word: other than for distances, whose number of bits differs
        // much, the processor foresees when the next word is needed.
        if now.left % 4 == 0 {
            now.lengths = now.lengths.wrapping_add(shifted(lengths));
            lengths = region.forward(now.lengths);
        }
        if is_short(distances, SEQUENCE_BITS) {
            now.distances = now.distances.wrapping_add(shifted(distances));
            distances = region.backward(now.distances);
        }
        now.left = now.left.wrapping_sub(1);
        let mut one = Sequence::take(codes, &mut lengths, &mut distances, now.distance);
        now.distance = one.distance;

        // SAFETY: `to` is at most `limit`, so 16 bytes of the page are left. `before` is eight
        // bytes before that at least, or at `ZEROES`, which are 16. As `literals` has advanced as
        // far as `to` at most, more than 16 bytes are after it.
        unsafe {
            word::<DIFFERENCES>(now.to, now.literals, now.before, 0);
            word::<DIFFERENCES>(now.to, now.literals, now.before, 8);
        }
        if one.goes_on {
            cold();
            now.distances = now.distances.wrapping_add(shifted(distances));
            distances = region.backward(now.distances);
            one.go_on(&mut distances);
            if now.to.wrapping_add(one.literals) <= limit {
                let step = if now.before == ZEROES.as_ptr() { 0 } else { 8 };
                let mut before = now.before.wrapping_add(step);
                let mut done = 16_usize;
                while done < one.literals {
                    before = before.wrapping_add(step);
                    // SAFETY: Each literal is before `limit`, so that eight bytes of the page are
                    // left, and of the literals. `before` is as far before that as at first, or at
                    // `ZEROES`.
                    unsafe {
                        let (to, from) = (now.to.add(done), now.literals.add(done));
                        word::<DIFFERENCES>(to, from, before, 0);
                    }
                    done = done.wrapping_add(8);
                }
            }
        }

        let Sequence { literals, len, .. } = one;
        let to = now.to.wrapping_add(literals);
        let end = to.wrapping_add(len);
        let from = to.wrapping_sub(now.distance);
        if from < dst {
            return Err(Corrupt);
        }
        if end > limit {
            cold();
            let left = (dst.wrapping_add(PAGE) as usize).wrapping_sub(now.to as usize);
            if literals.wrapping_add(len) > left {
                return Err(Corrupt);
            }
            // SAFETY: The literals and the match are within the page, and `from` is, too. As many
            // literals are left as there are bytes in the page.
            unsafe {
                run(now.to, now.literals, literals, now.before);
                copy_match_exactly(to, now.distance, len);
            }
        } else if now.distance >= LEAST_BACK {
            if DIFFERENCES {
                now.before = from.wrapping_add(len);
            }
            // SAFETY: 32 bytes are left of the page after `to`, and 15 after `end`. `from` is in
            // the page, and eight bytes before `to` at least.
            unsafe {
                copy_16(to, from);
                copy_16(to.add(16), from.add(16));
                if len > 32 {
                    cold();
                    let mut done = 32_usize;
                    while done < len {
                        copy_16(to.add(done), from.add(done));
                        done = done.wrapping_add(16);
                    }
                }
            }
        } else {
            cold();
            now.before = ZEROES.as_ptr();
            let done = (to as usize).wrapping_sub(dst as usize);
            // SAFETY: `dst` is valid for reads and writes of a page, of which `done` bytes are
            // done, and `distance` is at most that.
            unsafe { copy_match::<PAGE>(dst, done, now.distance, len) };
        }
        // INVARIANT: The literals and the match are done, and the literals are in the page.
        now.literals = now.literals.wrapping_add(literals);
        now.to = end;
        if end > limit {
            now.before = now.before::<DIFFERENCES>();
            break;
        }
    }
    now.lengths = now.lengths.wrapping_add(shifted(lengths));
    now.distances = now.distances.wrapping_add(shifted(distances));
    Ok(now)
}
