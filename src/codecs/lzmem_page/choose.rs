// SPDX-License-Identifier: GPL-2.0-only

//! The choice of the set of codes that suits a page, if any does.

use super::{
    bits::LEAST_REGION,
    codes::{
        escape,
        row,
        DISTANCE_SYMBOLS,
        LONG_MATCH,
        MANY_LITERALS,
        MATCHES,
        PRICES,
        SAME,
        SETS, //
    },
    sequences::{
        Pen,
        Sequences, //
    },
    FIRST_DISTANCE,
    HEADER,
    PAGE, //
};

/// One of so many literals is looked at to choose the set of codes.
pub(super) const SAMPLE: usize = 4;

/// The number of bytes that are looked at to give a page up.
const LOOKS: usize = 64;

/// The least number of bytes after the last match for which a page is given up.
///
/// Few bytes say little of the literals before them.
const NOISE: usize = PAGE / 4;

/// The number of literals of which codes must save more than one byte to be worth their time.
pub(super) const WORTH: usize = 11;
/// The same where there is more time to compress.
pub(super) const WORTH_OF_SHORTEST: usize = 14;

/// Returns whether literals that take `codes` in codes and `bytes` as they are are worth the codes,
/// when one of `worth` is the least to be saved.
pub(super) fn are_worth(codes: usize, bytes: usize, worth: usize) -> bool {
    codes.wrapping_add(bytes / worth) < bytes
}

/// Returns whether the literals of a page are too many and take too many bits in all sets, by a
/// sample of those after the last match, which ended at `anchor`.
///
/// # Safety
///
/// `page` is valid for reads of a page, and `anchor` is where the last match of `pen` ended.
pub(super) unsafe fn is_hopeless(
    pen: &Pen<'_>,
    page: *const u8,
    anchor: usize,
    limit: usize,
) -> bool {
    let left = PAGE.wrapping_sub(anchor);
    let literals = pen.literals().wrapping_add(left);
    let room = limit.saturating_sub(HEADER + LEAST_REGION);
    if left < NOISE || literals <= room {
        return false;
    }
    let mut sums = [0_u64; 2];
    for look in 0..LOOKS {
        let at = anchor.wrapping_add(left.wrapping_mul(look) / LOOKS);
        // SAFETY: `at` is in the page, and not before `anchor`.
        let forms = unsafe { pen.literal(page, at) };
        for ((sum, prices), literal) in sums.iter_mut().zip(&PRICES).zip(forms) {
            *sum = sum.wrapping_add(prices.literals[usize::from(literal)]);
        }
    }
    // Those before the anchor are taken to be alike.
    let (_, bits) = least(|set| price(sums, set));
    bits.wrapping_mul(literals) > room.wrapping_mul(8 * LOOKS)
}

/// Returns the sum of [`PRICES`] for a set.
#[inline(always)]
fn price(sums: [u64; 2], set: usize) -> usize {
    let [plain, differences] = sums;
    let sum = if set < SETS / 2 { plain } else { differences };
    usize::from(sum.wrapping_shr(16 * (set % (SETS / 2)) as u32) as u16)
}

// No sum exceeds its 16 bits: a sequence takes less than four literals do.
const _: () = assert!(PAGE * 11 <= u16::MAX as usize);

/// Returns the set with the least price, and that.
#[inline(always)]
fn least(price: impl Fn(usize) -> usize) -> (usize, usize) {
    let mut least = (0, usize::MAX);
    for set in 0..SETS {
        let price = price(set);
        // Most pages are of the last sets.
        if price <= least.1 {
            least = (set, price);
        }
    }
    least
}

/// Returns the set of codes in which the literals take the fewest bits, by a sample of them.
pub(super) fn choose(sequences: &Sequences) -> usize {
    let mut sums = [0_u64; 2];
    let [plain, differences] = sequences.literals().map(|all| all.chunks_exact(SAMPLE));
    for (a, b) in plain.zip(differences) {
        sums[0] = sums[0].wrapping_add(PRICES[0].literals[usize::from(a[0])]);
        sums[1] = sums[1].wrapping_add(PRICES[1].literals[usize::from(b[0])]);
    }
    least(|set| price(sums, set)).0
}

/// Returns the set of codes in which the literals and the sequences take the fewest bits, and how
/// many these are.
pub(super) fn choose_exactly(sequences: &Sequences) -> (usize, usize) {
    let mut sums = [0_u64; 2];
    for ((sum, prices), literals) in sums.iter_mut().zip(&PRICES).zip(sequences.literals()) {
        for literal in literals {
            *sum = sum.wrapping_add(prices.literals[usize::from(*literal)]);
        }
    }
    let [literals, _] = sequences.literals();
    let bytes = literals.len().wrapping_mul(8);
    let in_codes = sums;

    sums = [0; 2];
    let mut last = FIRST_DISTANCE as u16;
    let mut more = 0_u32;
    for sequence in sequences.list() {
        let (literals, len) = (usize::from(sequence.literals), usize::from(sequence.len));
        let row = row(literals, MATCHES[len.min(LONG_MATCH)].class);
        let mut symbol = DISTANCE_SYMBOLS[usize::from(sequence.distance) % PAGE];
        if sequence.distance == last {
            symbol = SAME;
        }
        last = sequence.distance;
        for (sum, prices) in sums.iter_mut().zip(&PRICES) {
            let pair = prices.pairs.get(row).copied().unwrap_or(0);
            let distance = prices.distances.get(usize::from(symbol)).copied();
            *sum = sum.wrapping_add(pair).wrapping_add(distance.unwrap_or(0));
        }
        for number in [
            literals.checked_sub(MANY_LITERALS),
            len.checked_sub(LONG_MATCH),
        ] {
            more = more.wrapping_add(number.map_or(0, |number| escape(number).1));
        }
    }
    let (set, bits) = least(|set| {
        let codes = price(in_codes, set);
        let literals = match are_worth(codes, bytes, WORTH_OF_SHORTEST) {
            true => codes,
            false => bytes,
        };
        literals.wrapping_add(price(sums, set))
    });
    (set, bits.wrapping_add(more as usize))
}
