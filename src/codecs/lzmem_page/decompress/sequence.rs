// SPDX-License-Identifier: GPL-2.0-only

//! A sequence, as it is read.

use crate::zram::codecs::lzmem_page::codes::{
    escaped,
    Read,
    DISTANCE_BITS,
    LONG_MATCH,
    MANY_LITERALS,
    PAIR_BITS, //
};

/// Literals, and the match after them.
pub(super) struct Sequence {
    /// The number of literals.
    pub literals: usize,
    /// The length of the match.
    pub len: usize,
    /// The distance of the match from what it repeats.
    pub distance: usize,
    /// True if one of the first two goes on; see [`Self::go_on`].
    pub goes_on: bool,
}

impl Sequence {
    /// Takes the codes of a sequence from the words of both streams.
    ///
    /// `last` is the distance of the match before.
    #[inline(always)]
    pub(super) fn take(codes: &Read, lengths: &mut u64, distances: &mut u64, last: usize) -> Self {
        let pair = &codes.pairs[*lengths as usize % (1 << PAIR_BITS)];
        let code = &codes.distances[*distances as usize % (1 << DISTANCE_BITS)];
        *lengths = lengths.wrapping_shr(u32::from(pair.len));
        let more = distances.wrapping_shr(u32::from(code.shift)) as usize;
        // Without a branch, as it can't be foreseen whether the distance stays.
        let distance = usize::from(code.least)
            .wrapping_add(more & usize::from(code.mask))
            .wrapping_add(last & usize::from(code.keep));
        *distances = distances.wrapping_shr(u32::from(code.len));
        let more = *distances as usize & usize::from(pair.mask);
        *distances = distances.wrapping_shr(u32::from(pair.extra));
        Self {
            literals: usize::from(pair.literals),
            len: usize::from(pair.least).wrapping_add(more),
            distance,
            goes_on: pair.escape,
        }
    }

    /// Takes what goes on of a sequence from a whole word, of which it needs 38 bits at most.
    #[inline(always)]
    pub(super) fn go_on(&mut self, distances: &mut u64) {
        if self.literals == MANY_LITERALS {
            let (more, bits) = escaped(*distances);
            self.literals = self.literals.wrapping_add(more);
            *distances = distances.wrapping_shr(bits);
        }
        if self.len == LONG_MATCH {
            let (more, bits) = escaped(*distances);
            self.len = self.len.wrapping_add(more);
            *distances = distances.wrapping_shr(bits);
        }
    }
}
