// SPDX-License-Identifier: GPL-2.0-only

//! Sequences near the end of the page.

use super::progress::{
    run,
    Progress, //
};
use crate::zram::codecs::{
    lz77::{
        repeat::copy_match_exactly,
        Corrupt,
        PAGE, //
    },
    lzmem_page::{
        bits::{
            shifted,
            Region, //
        },
        codes::{
            escaped,
            Read,
            DISTANCE_BITS,
            LONG_MATCH,
            MANY_LITERALS,
            PAIR_BITS, //
        }, //
    }, //
};

/// Decompresses the rest of the sequences and the literals after them, and accesses no byte beyond
/// the end of the page.
///
/// # Errors
///
/// [`Corrupt`] if the page is not complete then, or if the streams are too long.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `now` tells what is done.
#[inline(never)]
pub(super) unsafe fn exactly<const DIFFERENCES: bool>(
    codes: &Read,
    region: Region<'_>,
    literals: &[u8],
    dst: *mut u8,
    mut now: Progress,
) -> Result<(), Corrupt> {
    let used = (now.literals as usize).wrapping_sub(literals.as_ptr() as usize);
    let mut literals = literals.get(used..).ok_or(Corrupt)?;
    let mut done = (now.to as usize).wrapping_sub(dst as usize);
    while now.left > 0 {
        now.left = now.left.wrapping_sub(1);
        let word = region.forward(now.lengths);
        let pair = &codes.pairs[word as usize % (1 << PAIR_BITS)];
        now.lengths = now.lengths.wrapping_add(usize::from(pair.len));
        let mut word = region.backward(now.distances);
        let code = &codes.distances[word as usize % (1 << DISTANCE_BITS)];
        let more = word.wrapping_shr(u32::from(code.shift)) as usize;
        now.distance = usize::from(code.least)
            .wrapping_add(more & usize::from(code.mask))
            .wrapping_add(now.distance & usize::from(code.keep));
        word = word.wrapping_shr(u32::from(code.len));
        let more = word as usize & usize::from(pair.mask);
        let mut len = usize::from(pair.least).wrapping_add(more);
        word = word.wrapping_shr(u32::from(pair.extra));
        now.distances = now.distances.wrapping_add(shifted(word));
        word = region.backward(now.distances);
        let mut count = usize::from(pair.literals);
        if count == MANY_LITERALS {
            let (more, bits) = escaped(word);
            count = count.wrapping_add(more);
            word = word.wrapping_shr(bits);
        }
        if len == LONG_MATCH {
            let (more, bits) = escaped(word);
            len = len.wrapping_add(more);
            word = word.wrapping_shr(bits);
        }
        now.distances = now.distances.wrapping_add(shifted(word));

        let (some, rest) = literals.split_at_checked(count).ok_or(Corrupt)?;
        literals = rest;
        let start = done.wrapping_add(count);
        if start.wrapping_add(len) > PAGE || now.distance > start {
            return Err(Corrupt);
        }
        done = start.wrapping_add(len);
        // SAFETY: The literals and the match are within the page, and the distance is from 1 to
        // what is done before the match. `before` is at the page before `to`, or at `ZEROES`.
        unsafe {
            run(now.to, some.as_ptr(), count, now.before);
            copy_match_exactly(now.to.add(count), now.distance, len);
            now.to = dst.add(done);
        }
        now.before = now.before::<DIFFERENCES>();
    }
    if literals.len() != PAGE.wrapping_sub(done) || !region.holds(now.lengths.max(now.distances)) {
        return Err(Corrupt);
    }
    // SAFETY: The literals are the rest of the page.
    unsafe { run(now.to, literals.as_ptr(), literals.len(), now.before) };
    Ok(())
}
