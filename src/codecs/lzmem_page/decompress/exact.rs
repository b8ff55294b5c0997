// SPDX-License-Identifier: GPL-2.0-only

//! Sequences near the end of the page.

use super::{
    progress::{
        run,
        Progress, //
    },
    sequence::Sequence, //
};
use crate::zram::codecs::{
    lz77::{
        repeat::copy_match_exactly,
        Corrupt, //
    },
    lzmem_page::{
        bits::{
            shifted,
            Region, //
        },
        codes::Read,
        PAGE, //
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
        let mut pairs = region.forward(now.lengths);
        let mut word = region.backward(now.distances);
        let mut one = Sequence::take(codes, &mut pairs, &mut word, now.distance);
        now.lengths = now.lengths.wrapping_add(shifted(pairs));
        now.distances = now.distances.wrapping_add(shifted(word));
        now.distance = one.distance;
        if one.goes_on {
            word = region.backward(now.distances);
            one.go_on(&mut word);
            now.distances = now.distances.wrapping_add(shifted(word));
        }

        let (some, rest) = literals.split_at_checked(one.literals).ok_or(Corrupt)?;
        literals = rest;
        let start = done.wrapping_add(one.literals);
        if start.wrapping_add(one.len) > PAGE || now.distance > start {
            return Err(Corrupt);
        }
        done = start.wrapping_add(one.len);
        // SAFETY: The literals and the match are within the page, and the distance is from 1 to
        // what is done before the match. `before` is at the page before `to`, or at `ZEROES`.
        unsafe {
            run(now.to, some.as_ptr(), some.len(), now.before);
            copy_match_exactly(now.to.add(some.len()), now.distance, one.len);
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
