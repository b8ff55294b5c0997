// SPDX-License-Identifier: GPL-2.0-only

//! The symbols, their codes, and the tables by which these are written and read.
//!
//! All tables are made at compile time, from the lengths of the codes.

use super::lengths::{
    Lengths,
    LENGTHS, //
};
use crate::zram::codecs::lz77::{
    MIN_MATCH,
    PAGE, //
};

/// The number of sets of codes, half of which are for literals as they are.
pub(super) const SETS: usize = 8;

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
const LEAST: [u8; CLASSES] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 24, 32, 48, LONG_MATCH as u8];
/// The number of bits that tell the lengths of a class apart.
const EXTRA: [u8; CLASSES] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3, 4, 4, 0];

/// The number of pairs: of a number of literals, and a class.
pub(super) const PAIRS: usize = ROWS * CLASSES;

/// The number of symbols for distances.
pub(super) const DISTANCES: usize = 33;
/// The symbol for the distance of the match before.
pub(super) const SAME: u8 = 0;
/// The last symbol that stands for one distance alone: its number times eight.
const LAST_EXACT: u8 = 15;
/// The first symbol for other multiples of eight, by powers of two.
const BY_EIGHT: u8 = 16;
/// The first symbol for all other distances, by powers of two.
const BY_ONE: u8 = 21;

/// The most bits that a sequence takes of the stream of distances before an [`escape`].
pub(super) const SEQUENCE_BITS: u32 = DISTANCE_BITS + 11 + 4;

/// How a symbol is written.
#[derive(Clone, Copy)]
pub(super) struct Code {
    pub bits: u16,
    /// The number of bits.
    pub len: u8,
}

/// How a distance is written.
#[derive(Clone, Copy)]
pub(super) struct DistanceCode {
    /// The code.
    pub bits: u16,
    /// The bits of the distance that follow it.
    pub mask: u16,
    /// How far to the left these go.
    pub shift: u8,
    /// The number of all bits.
    pub len: u8,
}

/// How the length of a match is written.
#[derive(Clone, Copy)]
pub(super) struct Match {
    pub class: u8,
    /// The bits that tell it apart from the others of the class, and their number.
    pub bits: u8,
    pub extra: u8,
}

/// What the compressor looks up in a set of codes.
pub(super) struct Write {
    pub literals: [Code; 256],
    /// By [`row`].
    pub pairs: [Code; ROWS * 16],
    pub distances: [DistanceCode; DISTANCES],
    /// The number of bits that a pair takes, by the number of literals and the length of a match
    /// below [`LONG_MATCH`].
    pub lengths: [[u8; LONG_MATCH]; ROWS],
    /// Whether literals stand for what has changed.
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
    /// Whether one of both goes on as an [`escape`].
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

/// What the decompressor looks up in a set of codes, each by the next bits of a stream.
pub(super) struct Read {
    pub literals: [Literal; 1 << LITERAL_BITS],
    pub pairs: [Pair; 1 << PAIR_BITS],
    pub distances: [Distance; 1 << DISTANCE_BITS],
    /// Whether literals stand for what has changed.
    pub differences: bool,
}

/// What the compressor looks up.
pub(super) static WRITE: [Write; SETS] = {
    let mut sets = [Write::EMPTY; SETS];
    let mut set = 0;
    while set < SETS {
        sets[set] = Write::new(&LENGTHS[set]);
        set += 1;
    }
    sets
};

/// What the decompressor looks up.
pub(super) static READ: [Read; SETS] = {
    let mut sets = [Read::EMPTY; SETS];
    let mut set = 0;
    while set < SETS {
        sets[set] = Read::new(&LENGTHS[set]);
        set += 1;
    }
    sets
};

/// How many bits a literal takes: as it is, and as what has changed.
///
/// Each 16 bits are one of the four sets.
pub(super) static PRICES: [[u64; 256]; 2] = prices();

/// The symbol of each distance, unless it is that of the match before.
pub(super) static DISTANCE_SYMBOLS: [u8; PAGE] = distance_symbols();

/// How each length of a match up to [`LONG_MATCH`] is written.
pub(super) static MATCHES: [Match; LONG_MATCH + 1] = matches();

/// Returns the place of a pair in [`Write::pairs`].
#[inline(always)]
pub(super) fn row(literals: usize, class: u8) -> usize {
    literals.min(MANY_LITERALS) << 4 | usize::from(class)
}

/// Returns the number of a pair among [`PAIRS`].
pub(super) const fn pair(literals: usize, class: u8) -> usize {
    let row = if literals < MANY_LITERALS { literals } else { MANY_LITERALS };
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

/// Returns the codes of the lengths `lens`, the longest of which is `most`.
///
/// The shorter codes come first, those of one length in the order of their symbols; a length of 0
/// is no code. The first bit of each is its lowest.
const fn codes<const N: usize>(lens: &[u8; N], most: u32) -> [Code; N] {
    let mut codes = [Code { bits: 0, len: 0 }; N];
    let mut next = 0_u32;
    let mut len = 1;
    while len <= most {
        let mut symbol = 0;
        while symbol < N {
            if lens[symbol] as u32 == len {
                let bits = next >> (most - len);
                codes[symbol] = Code {
                    bits: (bits.reverse_bits() >> (32 - len)) as u16,
                    len: len as u8,
                };
                next += 1 << (most - len);
            }
            symbol += 1;
        }
        len += 1;
    }
    // Any bits begin with just one of the codes.
    assert!(next == 1 << most);
    codes
}

impl Write {
    const EMPTY: Self = Self {
        literals: [Code { bits: 0, len: 0 }; 256],
        pairs: [Code { bits: 0, len: 0 }; ROWS * 16],
        distances: [DistanceCode {
            bits: 0,
            mask: 0,
            shift: 0,
            len: 0,
        }; DISTANCES],
        lengths: [[0; LONG_MATCH]; ROWS],
        differences: false,
    };

    /// Makes the tables of a set.
    const fn new(lengths: &Lengths) -> Self {
        let mut write = Self {
            literals: codes(&lengths.literals, LITERAL_BITS),
            differences: lengths.differences,
            ..Self::EMPTY
        };
        let pairs = codes(&lengths.pairs, PAIR_BITS);
        let mut literals = 0;
        while literals < ROWS {
            let mut class = 0;
            while class < CLASSES {
                write.pairs[literals << 4 | class] = pairs[pair(literals, class as u8)];
                class += 1;
            }
            let mut len = MIN_MATCH;
            while len < LONG_MATCH {
                let Match { class, extra, .. } = MATCHES[len];
                let price = lengths.pairs[pair(literals, class)];
                write.lengths[literals][len] = price + extra;
                len += 1;
            }
            literals += 1;
        }
        let distances = codes(&lengths.distances, DISTANCE_BITS);
        let mut symbol = 0;
        while symbol < DISTANCES {
            let Code { bits, len } = distances[symbol];
            let (_, count, lowest) = range(symbol as u8);
            // The bits of a distance never go to the right.
            assert!(count == 0 || len >= lowest);
            write.distances[symbol] = DistanceCode {
                bits,
                mask: ((1 << count) - 1) << lowest,
                shift: if count == 0 { 0 } else { len - lowest },
                len: len + count,
            };
            symbol += 1;
        }
        write
    }
}

impl Read {
    const EMPTY: Self = Self {
        literals: [Literal { len: 0, byte: 0 }; 1 << LITERAL_BITS],
        pairs: [Pair {
            len: 0,
            literals: 0,
            least: 0,
            mask: 0,
            extra: 0,
            escape: false,
        }; 1 << PAIR_BITS],
        distances: [Distance {
            least: 0,
            mask: 0,
            keep: 0,
            shift: 0,
            len: 0,
        }; 1 << DISTANCE_BITS],
        differences: false,
    };

    /// Makes the tables of a set. All their entries are the end of some code.
    const fn new(lengths: &Lengths) -> Self {
        let mut read = Self {
            differences: lengths.differences,
            ..Self::EMPTY
        };
        let literals = codes(&lengths.literals, LITERAL_BITS);
        let mut symbol = 0;
        while symbol < 256 {
            let Code { bits, len } = literals[symbol];
            let mut at = bits as usize;
            while at < read.literals.len() {
                read.literals[at] = Literal {
                    len,
                    byte: symbol as u8,
                };
                at += 1 << len;
            }
            symbol += 1;
        }
        let pairs = codes(&lengths.pairs, PAIR_BITS);
        symbol = 0;
        while symbol < PAIRS {
            let Code { bits, len } = pairs[symbol];
            let (literals, class) = (symbol / CLASSES, symbol % CLASSES);
            let mut at = bits as usize;
            while at < read.pairs.len() {
                read.pairs[at] = Pair {
                    len,
                    literals: literals as u8,
                    least: LEAST[class],
                    mask: (1 << EXTRA[class]) - 1,
                    extra: EXTRA[class],
                    escape: literals == MANY_LITERALS || LEAST[class] as usize == LONG_MATCH,
                };
                at += 1 << len;
            }
            symbol += 1;
        }
        let distances = codes(&lengths.distances, DISTANCE_BITS);
        symbol = 0;
        while symbol < DISTANCES {
            let Code { bits, len } = distances[symbol];
            let (least, count, lowest) = range(symbol as u8);
            let mut at = bits as usize;
            while at < read.distances.len() {
                read.distances[at] = Distance {
                    least,
                    mask: ((1 << count) - 1) << lowest,
                    keep: if symbol == SAME as usize { u16::MAX } else { 0 },
                    shift: if count == 0 { 0 } else { len - lowest },
                    len: len + count,
                };
                at += 1 << len;
            }
            symbol += 1;
        }
        read
    }
}

/// Returns the least distance of a symbol, the number of bits that follow its code, and which of the
/// distance's bits is the lowest among these.
const fn range(symbol: u8) -> (u16, u8, u8) {
    if symbol >= BY_ONE {
        let count = symbol - BY_ONE;
        (1 << count, count, 0)
    } else if symbol >= BY_EIGHT {
        let count = symbol - BY_EIGHT + 4;
        (8 << count, count, 3)
    } else {
        (symbol as u16 * 8, 0, 0)
    }
}

const fn distance_symbols() -> [u8; PAGE] {
    let mut symbols = [SAME; PAGE];
    let mut distance = 1;
    while distance < PAGE {
        symbols[distance] = if distance % 8 != 0 {
            BY_ONE + distance.ilog2() as u8
        } else if distance <= LAST_EXACT as usize * 8 {
            (distance / 8) as u8
        } else {
            BY_EIGHT + distance.ilog2() as u8 - 7
        };
        distance += 1;
    }
    symbols
}

const fn matches() -> [Match; LONG_MATCH + 1] {
    let mut matches = [Match {
        class: 0,
        bits: 0,
        extra: 0,
    }; LONG_MATCH + 1];
    let mut class = 0;
    let mut len = MIN_MATCH;
    while len <= LONG_MATCH {
        if class + 1 < CLASSES && LEAST[class + 1] as usize == len {
            class += 1;
        }
        matches[len] = Match {
            class: class as u8,
            bits: len as u8 - LEAST[class],
            extra: EXTRA[class],
        };
        len += 1;
    }
    matches
}

const fn prices() -> [[u64; 256]; 2] {
    let mut prices = [[0; 256]; 2];
    let mut set = 0;
    while set < SETS {
        // The sets for literals as they are come first.
        let kind = set / (SETS / 2);
        assert!(LENGTHS[set].differences as usize == kind);
        let mut literal = 0;
        while literal < 256 {
            let price = LENGTHS[set].literals[literal] as u64;
            prices[kind][literal] |= price << (16 * (set % (SETS / 2)));
            literal += 1;
        }
        set += 1;
    }
    prices
}
