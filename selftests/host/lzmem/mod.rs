// SPDX-License-Identifier: GPL-2.0-only

//! LZMEM a second time, slow and plain: what a block means, and how any content is written.
//!
//! It shares nothing with the module but the lengths of the codes. All is read and written one bit
//! at a time.

pub mod blocks;
pub mod state;

use std::sync::LazyLock;

#[path = "../../../src/codecs/lzmem_page/lengths.rs"]
mod lengths;

const PAGE: usize = 4096;

/// The length in bytes of what a block begins with.
pub const HEADER: usize = 7;

/// The largest number of sequences.
pub const MOST: usize = 512;

/// The least length of a match by class, and the number of bits that are added to it.
const CLASSES: [(usize, usize); 14] = [
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 0),
    (12, 2),
    (16, 3),
    (24, 3),
    (32, 4),
    (48, 4),
    (LONG, 0),
];

/// From so many literals on, and from such a length of a match on, a number follows.
const MANY: usize = 16;
const LONG: usize = 64;

/// The codes of some symbols.
///
/// The shorter ones come first, as numbers whose highest bit is the first one of the code. Those of
/// one length are in the order of their symbols.
struct Codes {
    /// The symbols by the length of their codes, from one bit on.
    by_length: Vec<Vec<usize>>,
}

impl Codes {
    fn new(lengths: &[u8]) -> Self {
        let longest = lengths.iter().copied().max().unwrap();
        // All symbols have codes, and any bits begin with one.
        let shares = lengths.iter().map(|&len| 1 << (longest - len));
        assert!(!lengths.contains(&0) && shares.sum::<usize>() == 1 << longest);
        let with = |wanted| (0..lengths.len()).filter(move |&at| lengths[at] == wanted);
        Self {
            by_length: (1..=longest).map(|len| with(len).collect()).collect(),
        }
    }

    fn read(&self, stream: &mut Stream<'_>) -> Option<usize> {
        let (mut code, mut first) = (0, 0);
        for symbols in &self.by_length {
            code = 2 * code + stream.bit()?;
            first *= 2;
            if let Some(&symbol) = symbols.get(code - first) {
                return Some(symbol);
            }
            first += symbols.len();
        }
        unreachable!("any bits begin with a code");
    }

    /// Returns the bits of a symbol's code.
    fn bits(&self, symbol: usize) -> Vec<bool> {
        let mut first = 0;
        for (symbols, len) in self.by_length.iter().zip(1..) {
            first *= 2;
            if let Some(at) = symbols.iter().position(|&other| other == symbol) {
                return (0..len)
                    .rev()
                    .map(|bit| (first + at) >> bit & 1 == 1)
                    .collect();
            }
            first += symbols.len();
        }
        unreachable!("all symbols have codes");
    }

    /// Returns the symbols with the longest codes.
    fn longest(&self) -> &[usize] {
        self.by_length.last().unwrap()
    }
}

struct Set {
    /// Whether literals are written as what differs.
    differences: bool,
    literals: Codes,
    pairs: Codes,
    distances: Codes,
}

static SETS: LazyLock<Vec<Set>> = LazyLock::new(|| {
    let set = |lengths: &lengths::Lengths| Set {
        differences: lengths.differences,
        literals: Codes::new(&lengths.literals),
        pairs: Codes::new(&lengths.pairs),
        distances: Codes::new(&lengths.distances),
    };
    lengths::LENGTHS.iter().map(set).collect()
});

/// One of both streams of a region.
struct Stream<'b> {
    region: &'b [u8],
    /// Whether its bytes go from the region's end to its start.
    backward: bool,
    /// The number of bits that were read.
    done: usize,
}

impl<'b> Stream<'b> {
    /// Returns both streams of a region, if it is long enough for any.
    fn pair(region: &'b [u8]) -> Option<[Self; 2]> {
        let stream = |backward| Self {
            region,
            backward,
            done: 0,
        };
        (region.len() >= 8).then(|| [false, true].map(stream))
    }

    /// Reads a bit.
    ///
    /// The last eight bytes that a stream would come to are not for it, but for seven bits.
    fn bit(&mut self) -> Option<usize> {
        if self.done == 8 * (self.region.len() - 8) + 7 {
            return None;
        }
        let byte = self.done / 8;
        let byte = if self.backward {
            self.region[self.region.len() - 1 - byte]
        } else {
            self.region[byte]
        };
        let bit = byte >> (self.done % 8) & 1;
        self.done += 1;
        Some(bit.into())
    }

    /// Reads a number of so many bits, the lowest of which is first.
    fn number(&mut self, bits: usize) -> Option<usize> {
        let mut number = 0;
        for bit in 0..bits {
            number |= self.bit()? << bit;
        }
        Some(number)
    }

    /// Reads a number of any size: first of how many bits, then as if all shorter ones came before.
    fn any_number(&mut self) -> Option<usize> {
        let bits = self.number(4)?;
        Some((1 << bits) - 1 + self.number(bits)?)
    }
}

/// Literals, and a match that repeats what is `distance` before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    pub literals: usize,
    pub len: usize,
    pub distance: usize,
}

/// The start of a block.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub set: usize,
    pub raw: bool,
    pub sequences: usize,
    pub literals: usize,
    /// The lengths of two regions of literals.
    pub regions: [usize; 2],
}

impl Header {
    /// Returns the header that a block begins with, which may be none of a page.
    pub fn of(block: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for (at, &byte) in block.get(..HEADER)?.iter().enumerate() {
            bits |= u64::from(byte) << (8 * at);
        }
        let mut field = |width| {
            let field = bits % (1_u64 << width);
            bits >>= width;
            field as usize
        };
        let header = Self {
            set: field(3),
            raw: field(1) == 1,
            sequences: field(11),
            literals: field(13),
            regions: [field(12), field(12)],
        };
        (bits == 0).then_some(header)
    }

    /// Returns the bytes of the header, with the lowest bits of each number.
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut bits = 0;
        let mut width = 0;
        let raw = usize::from(self.raw);
        let [first, second] = self.regions;
        for (field, more) in [
            (self.set, 3),
            (raw, 1),
            (self.sequences, 11),
            (self.literals, 13),
            (first, 12),
            (second, 12),
        ] {
            bits |= (field as u64 % (1 << more)) << width;
            width += more;
        }
        bits.to_le_bytes()[..HEADER].try_into().unwrap()
    }
}

/// What a block says, which may not make a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub set: usize,
    /// Whether the literals are in the block as they are.
    pub raw: bool,
    /// The literals as they are written.
    pub literals: Vec<u8>,
    pub sequences: Vec<Sequence>,
}

impl Content {
    /// Reads a block.
    pub fn of(block: &[u8]) -> Option<Self> {
        let header = Header::of(block)?;
        let [first, second] = header.regions;
        let raw_regions = header.raw && (first > 0 || second > 0);
        if header.sequences > MOST || header.literals > PAGE || raw_regions {
            return None;
        }
        let set = &SETS[header.set];
        let mut rest = &block[HEADER..];
        let mut take = |len| {
            let (taken, others) = rest.split_at_checked(len)?;
            rest = others;
            Some(taken)
        };
        let literals = if header.raw {
            take(header.literals)?.to_vec()
        } else {
            let [a, b] = Stream::pair(take(first)?)?;
            let [c, d] = Stream::pair(take(second)?)?;
            let quarter = header.literals / 4;
            let counts = [quarter, quarter, quarter, header.literals - 3 * quarter];
            let mut literals = Vec::new();
            for (mut stream, count) in [a, b, c, d].into_iter().zip(counts) {
                for _ in 0..count {
                    literals.push(set.literals.read(&mut stream)? as u8);
                }
            }
            literals
        };
        let sequences = sequences(header.set, rest, header.sequences)?;
        Some(Self {
            set: header.set,
            raw: header.raw,
            literals,
            sequences,
        })
    }

    /// Returns the page, if it is one.
    pub fn page(&self) -> Option<Vec<u8>> {
        let mut page: Vec<u8> = Vec::new();
        let mut literals = self.literals.iter();
        // Literals before the first match are never compared.
        let mut back = 0;
        let differ = SETS[self.set].differences && !self.raw;
        let literal = |page: &mut Vec<u8>, literal: u8, back: usize| {
            let compared = differ && back >= 8;
            let before = if compared { page[page.len() - back] } else { 0 };
            page.push(literal ^ before);
        };
        for sequence in &self.sequences {
            for _ in 0..sequence.literals {
                literal(&mut page, *literals.next()?, back);
            }
            if sequence.distance > page.len() || page.len() + sequence.len > PAGE {
                return None;
            }
            back = sequence.distance;
            for _ in 0..sequence.len {
                page.push(page[page.len() - back]);
            }
        }
        for &last in literals {
            literal(&mut page, last, back);
        }
        (page.len() == PAGE).then_some(page)
    }
}

/// Reads so many sequences.
fn sequences(set: usize, region: &[u8], count: usize) -> Option<Vec<Sequence>> {
    let [mut lengths, mut distances] = Stream::pair(region)?;
    let mut last = 1;
    (0..count)
        .map(|_| sequence(&SETS[set], &mut lengths, &mut distances, &mut last))
        .collect()
}

/// Reads a sequence, where the distance before it was `last`.
fn sequence(
    set: &Set,
    lengths: &mut Stream<'_>,
    distances: &mut Stream<'_>,
    last: &mut usize,
) -> Option<Sequence> {
    let pair = set.pairs.read(lengths)?;
    let (mut literals, (least, bits)) = (pair / 14, CLASSES[pair % 14]);
    *last = match set.distances.read(distances)? {
        0 => *last,
        exact @ 1..16 => 8 * exact,
        eights @ 16..21 => {
            let bits = eights - 12;
            8 * ((1 << bits) + distances.number(bits)?)
        }
        others => {
            let bits = others - 21;
            (1 << bits) + distances.number(bits)?
        }
    };
    let mut len = least + distances.number(bits)?;
    if literals == MANY {
        literals += distances.any_number()?;
    }
    if len == LONG {
        len += distances.any_number()?;
    }
    Some(Sequence {
        literals,
        len,
        distance: *last,
    })
}

/// Returns the page that `block` stands for.
pub fn meaning(block: &[u8]) -> Option<Vec<u8>> {
    Content::of(block)?.page()
}
