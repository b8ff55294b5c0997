// SPDX-License-Identifier: GPL-2.0-only

//! The literals of a block.

use crate::zram::codecs::{
    lz77::{
        write,
        Corrupt, //
    },
    lzmem_page::{
        bits::{
            shifted,
            Region, //
        },
        codes::{
            Literal,
            Read,
            LITERAL_BITS, //
        },
        sequences::Bytes, //
    }, //
};

/// The number of literals that are read from a word.
const GROUP: usize = 5;

/// Reads `count` literals, which is at most a page, to the start of `room`.
///
/// A quarter of them is in each stream; what is left over is in the last one.
///
/// # Errors
///
/// [`Corrupt`] if a region is shorter than its streams.
#[inline(never)]
pub(super) fn read_literals(
    codes: &Read,
    [first, second]: [&[u8]; 2],
    room: &mut Bytes,
    count: usize,
) -> Result<(), Corrupt> {
    let (first, second) = (Region::new(first)?, Region::new(second)?);
    let quarter = count / 4;
    let (parts, rest) = room
        .get_mut(..count)
        .ok_or(Corrupt)?
        .split_at_mut_checked(4 * quarter)
        .ok_or(Corrupt)?;
    let to = parts.as_mut_ptr();
    let mut bits = [0_usize; 4];
    let mut done = 0_usize;
    while done < quarter {
        let mut words = [
            first.forward(bits[0]),
            first.backward(bits[1]),
            second.forward(bits[2]),
            second.backward(bits[3]),
        ];
        let mut next = |done: usize| {
            for (part, word) in words.iter_mut().enumerate() {
                let at = quarter.wrapping_mul(part).wrapping_add(done);
                // SAFETY: `done` is less than `quarter`, so `at` is in `parts`.
                unsafe { write(to.add(at), literal(codes, word)) };
            }
        };
        if done.wrapping_add(GROUP) <= quarter {
            for at in 0..GROUP {
                next(done.wrapping_add(at));
            }
        } else {
            for at in done..quarter {
                next(at);
            }
        }
        done = done.wrapping_add(GROUP);
        for (bits, word) in bits.iter_mut().zip(words) {
            *bits = bits.wrapping_add(shifted(word));
        }
    }
    let mut word = second.backward(bits[3]);
    for to in rest {
        *to = literal(codes, &mut word);
    }
    bits[3] = bits[3].wrapping_add(shifted(word));
    let fit = first.holds(bits[0].max(bits[1])) && second.holds(bits[2].max(bits[3]));
    fit.then_some(()).ok_or(Corrupt)
}

/// Takes the literal that `word` begins with.
#[inline(always)]
fn literal(codes: &Read, word: &mut u64) -> u8 {
    let Literal { len, byte } = &codes.literals[*word as usize % (1 << LITERAL_BITS)];
    *word = word.wrapping_shr(u32::from(*len));
    *byte
}
