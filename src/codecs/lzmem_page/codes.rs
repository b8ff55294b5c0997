// SPDX-License-Identifier: GPL-2.0-only

//! The symbols, their codes, and the tables by which these are written and read.
//!
//! All tables are made at compile time, from the lengths of the codes.

mod tables;

use super::{
    lengths::{
        Lengths,
        DISTANCES,
        LENGTHS,
        PAIRS, //
    },
    PAGE, //
};

pub(super) use super::lengths::SETS;

/// The length in bits of the longest code of a literal.
pub(super) const LITERAL_BITS: u32 = 11;
/// The length in bits of the longest code of a pair.
pub(super) const PAIR_BITS: u32 = 10;
/// The length in bits of the longest code of a distance.
pub(super) const DISTANCE_BITS: u32 = 8;

/// The number of literals from which on the number goes on as an [`escape`].
pub(super) const MANY_LITERALS: usize = 16;
/// The number of numbers of literals that a pair may have.
const ROWS: usize = MANY_LITERALS + 1;

/// The length of a match from which on the length goes on as an [`escape`].
pub(super) const LONG_MATCH: usize = 64;
/// The number of classes of a match's length.
const CLASSES: usize = 14;
/// The least length of each class.
const LEAST: [u8; CLASSES] = [
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    16,
    24,
    32,
    48,
    LONG_MATCH as u8,
];
/// The number of bits that tell the lengths of a class apart.
const EXTRA: [u8; CLASSES] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3, 4, 4, 0];

// A pair is a number of literals and a class.
const _: () = assert!(PAIRS == ROWS * CLASSES);

/// The symbol for the distance of the match before.
pub(super) const SAME: u8 = 0;
/// The distance that the first match of a page may repeat.
pub(super) const FIRST_DISTANCE: usize = 1;
/// The last symbol that stands for one distance alone: its number times eight.
const LAST_EXACT: u8 = 15;
/// The first symbol for other multiples of eight, by powers of two.
const BY_EIGHT: u8 = 16;
/// The first symbol for all other distances, by powers of two.
const BY_ONE: u8 = 21;

/// The most bits that a sequence takes of the stream of distances before an [`escape`].
pub(super) const SEQUENCE_BITS: u32 = DISTANCE_BITS + 11 + 4;

/// A symbol, as it is written.
#[derive(Clone, Copy)]
pub(super) struct Code {
    pub bits: u16,
    /// The number of bits.
    pub len: u8,
}

/// A distance, as it is written.
#[derive(Clone, Copy)]
pub(super) struct DistanceCode {
    /// The code.
    pub bits: u16,
    /// The bits of the distance that follow it.
    pub mask: u16,
    /// The number of bits by which these are shifted to the left.
    pub shift: u8,
    /// The number of all bits.
    pub len: u8,
}

/// The length of a match, as it is written.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub class: u8,
    /// The bits that tell it apart from the others of the class, and their number.
    pub bits: u8,
    pub extra: u8,
}

/// The tables of the compressor for a set of codes.
pub(super) struct Write {
    pub literals: [Code; 256],
    /// The pairs by [`row`].
    pub pairs: [Code; ROWS * 16],
    pub distances: [DistanceCode; DISTANCES],
    /// The number of bits that a pair takes, by the number of literals and the length of a match
    /// below [`LONG_MATCH`].
    pub lengths: [[u8; LONG_MATCH]; ROWS],
    /// True if literals are written as differences.
    pub differences: bool,
}

/// A literal, as it is read.
#[derive(Clone, Copy)]
#[repr(C, align(2))]
pub(super) struct Literal {
    /// The number of bits.
    pub len: u8,
    pub byte: u8,
}

/// A number of literals and the length of a match, as they are read.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Pair {
    /// The number of bits.
    pub len: u8,
    /// The number of literals.
    pub literals: u8,
    /// The least length of the match.
    pub least: u8,
    /// The bits of the stream of distances that are to be added to it, and their number.
    pub mask: u8,
    pub extra: u8,
    /// True if one of both goes on as an [`escape`].
    pub escape: bool,
}

/// A distance, as it is read.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Distance {
    /// The least distance.
    pub least: u16,
    /// The bits that are to be added to it, of the stream's word shifted by `shift`.
    pub mask: u16,
    /// The bits of the last distance that are to be added to it: all or none.
    pub keep: u16,
    pub shift: u8,
    /// The number of all bits.
    pub len: u8,
}

/// The tables of the decompressor for a set of codes, each by the next bits of a stream.
pub(super) struct Read {
    pub literals: [Literal; 1 << LITERAL_BITS],
    pub pairs: [Pair; 1 << PAIR_BITS],
    pub distances: [Distance; 1 << DISTANCE_BITS],
    /// True if literals are written as differences.
    pub differences: bool,
}

/// The tables of the compressor.
pub(super) static WRITE: [Write; SETS] = {
    let mut sets = [Write::EMPTY; SETS];
    let mut set = 0;
    while set < SETS {
        sets[set] = Write::new(&LENGTHS[set]);
        set += 1;
    }
    sets
};

/// The tables of the decompressor.
pub(super) static READ: [Read; SETS] = {
    let mut sets = [Read::EMPTY; SETS];
    let mut set = 0;
    while set < SETS {
        sets[set] = Read::new(&LENGTHS[set]);
        set += 1;
    }
    sets
};

/// The numbers of bits that symbols take in four sets, with those that follow their codes.
///
/// Each is in 16 bits of a word.
pub(super) struct Prices {
    pub literals: [u64; 256],
    /// The pairs by [`row`].
    pub pairs: [u64; ROWS * 16],
    pub distances: [u64; DISTANCES],
}

/// The prices of the sets for literals as they are, and of those for differences.
pub(super) static PRICES: [Prices; 2] = [Prices::new(0), Prices::new(SETS / 2)];

/// The symbol of each distance, unless it is that of the match before.
pub(super) static DISTANCE_SYMBOLS: [u8; PAGE] = tables::distance_symbols();

/// The lengths of a match up to [`LONG_MATCH`].
pub(super) static MATCHES: [Match; LONG_MATCH + 1] = tables::matches();

/// Returns the place of a pair in [`Write::pairs`].
#[inline(always)]
pub(super) fn row(literals: usize, class: u8) -> usize {
    literals.min(MANY_LITERALS) << 4 | usize::from(class)
}

/// Returns the number of a pair among [`PAIRS`].
pub(super) const fn pair(literals: usize, class: u8) -> usize {
    let row = if literals < MANY_LITERALS {
        literals
    } else {
        MANY_LITERALS
    };
    row * CLASSES + class as usize
}

/// Returns the bits that stand for a number from 0 on, and the number of these.
///
/// The first four bits are the number of the others.
#[inline(always)]
pub(super) fn escape(number: usize) -> (u64, u32) {
    let number = (number as u64).wrapping_add(1);
    let count = 63_u32.wrapping_sub((number | 1).leading_zeros());
    let rest = number ^ 1_u64.wrapping_shl(count);
    (rest << 4 | u64::from(count), count.wrapping_add(4))
}

/// Returns the number that `word` begins with, and by how many bits it is told.
#[inline(always)]
pub(super) fn escaped(word: u64) -> (usize, u32) {
    let count = word as u32 & 15;
    let most = 1_u64.wrapping_shl(count).wrapping_sub(1);
    let number = most.wrapping_add(word >> 4 & most);
    (number as usize, count.wrapping_add(4))
}
