// SPDX-License-Identifier: GPL-2.0-only

//! The making of the tables, at compile time.

use super::{
    pair,
    Code,
    Distance,
    DistanceCode,
    Lengths,
    Literal,
    Match,
    Pair,
    Prices,
    Read,
    Write,
    BY_EIGHT,
    BY_ONE,
    CLASSES,
    DISTANCES,
    DISTANCE_BITS,
    EXTRA,
    LAST_EXACT,
    LEAST,
    LENGTHS,
    LITERAL_BITS,
    LONG_MATCH,
    MANY_LITERALS,
    MATCHES,
    PAIRS,
    PAIR_BITS,
    ROWS,
    SAME,
    SETS, //
};
use crate::zram::codecs::{
    lz77::MIN_MATCH,
    lzmem_page::PAGE, //
};

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
    pub(super) const EMPTY: Self = Self {
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
    pub(super) const fn new(lengths: &Lengths) -> Self {
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
    pub(super) const EMPTY: Self = Self {
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

    /// Makes the tables of a set.
    pub(super) const fn new(lengths: &Lengths) -> Self {
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

/// Returns the least distance of a symbol, the number of bits that follow its code, and which of
/// the distance's bits is the lowest among these.
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

/// Returns the symbol of each distance.
pub(super) const fn distance_symbols() -> [u8; PAGE] {
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

/// Returns each length of a match.
pub(super) const fn matches() -> [Match; LONG_MATCH + 1] {
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

impl Prices {
    /// Makes the prices of the four sets from `first` on.
    pub(super) const fn new(first: usize) -> Self {
        let mut prices = Self {
            literals: [0; 256],
            pairs: [0; ROWS * 16],
            distances: [0; DISTANCES],
        };
        let mut set = 0;
        while set < SETS / 2 {
            let lengths = &LENGTHS[first + set];
            // The sets for literals as they are come first.
            assert!(lengths.differences == (first > 0));
            let shift = 16 * set;
            let mut symbol = 0;
            while symbol < 256 {
                prices.literals[symbol] |= (lengths.literals[symbol] as u64) << shift;
                symbol += 1;
            }
            symbol = 0;
            while symbol < PAIRS {
                let row = symbol / CLASSES << 4 | symbol % CLASSES;
                let price = lengths.pairs[symbol] + EXTRA[symbol % CLASSES];
                prices.pairs[row] |= (price as u64) << shift;
                symbol += 1;
            }
            symbol = 0;
            while symbol < DISTANCES {
                let price = lengths.distances[symbol] + range(symbol as u8).1;
                prices.distances[symbol] |= (price as u64) << shift;
                symbol += 1;
            }
            set += 1;
        }
        prices
    }
}
