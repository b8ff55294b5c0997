// SPDX-License-Identifier: GPL-2.0-only

//! Blocks that no compressor would write, valid and nearly so.

use super::{
    meaning,
    sequence,
    Codes,
    Content,
    Header,
    Sequence,
    Set,
    Stream,
    CLASSES,
    HEADER,
    LONG,
    MANY,
    MOST,
    PAGE,
    SETS, //
};
use crate::lz77::Random;

impl Content {
    /// Writes a block whose regions are `spare` bytes longer than they need be.
    ///
    /// What stands for a distance is any of the ways that there are, and what no stream has is
    /// anything. With `long` it is what takes the most bits.
    pub fn block(&self, random: &mut Random, spare: [usize; 3], long: bool) -> Vec<u8> {
        let set = &SETS[self.set];
        let [first, second, last] = spare;
        let literals = |part: &[u8]| {
            let codes = part
                .iter()
                .map(|&literal| set.literals.bits(literal.into()));
            codes.flatten().collect::<Vec<bool>>()
        };
        let (parts, rest) = self.literals.split_at(self.literals.len() / 4 * 4);
        let quarter = parts.len() / 4;
        let [a, b, c] = [0, 1, 2].map(|at| literals(&parts[at * quarter..][..quarter]));
        let d = literals(&[&parts[3 * quarter..], rest].concat());
        let regions = if self.raw {
            [vec![], vec![]]
        } else {
            [region(random, a, b, first), region(random, c, d, second)]
        };

        let (mut lengths, mut distances) = (vec![], vec![]);
        let mut before = 1;
        for sequence in &self.sequences {
            let (pair, more, more_bits) = pair(sequence);
            lengths.extend(set.pairs.bits(pair));
            let mut ways = ways(sequence.distance, before);
            before = sequence.distance;
            let way = if long {
                ways.sort_by_key(|&(symbol, bits)| set.distances.bits(symbol).len() + bits);
                ways.len() - 1
            } else {
                random.below(ways.len())
            };
            let (symbol, bits) = ways[way];
            distances.extend(set.distances.bits(symbol));
            let offset = if symbol < 21 {
                sequence.distance / 8
            } else {
                sequence.distance
            };
            add(&mut distances, offset, bits);
            add(&mut distances, more, more_bits);
            for (number, from) in [(sequence.literals, MANY), (sequence.len, LONG)] {
                if let Some(number) = number.checked_sub(from) {
                    let bits = (number + 1).ilog2() as usize;
                    add(&mut distances, bits, 4);
                    add(&mut distances, number + 1, bits);
                }
            }
        }
        let header = Header {
            set: self.set,
            raw: self.raw,
            sequences: self.sequences.len(),
            literals: self.literals.len(),
            regions: [regions[0].len(), regions[1].len()],
        };
        let raw: &[u8] = if self.raw { &self.literals } else { &[] };
        let [first, second] = &regions;
        let last = region(random, lengths, distances, last);
        [&header.bytes(), raw, first, second, &last].concat()
    }
}

/// Adds the lowest bits of a number.
fn add(stream: &mut Vec<bool>, number: usize, bits: usize) {
    stream.extend((0..bits).map(|bit| number >> bit & 1 == 1));
}

/// Returns the pair of a sequence, and what is added to the length of its class.
fn pair(sequence: &Sequence) -> (usize, usize, usize) {
    let class = CLASSES
        .iter()
        .rposition(|&(least, _)| least <= sequence.len);
    let class = class.expect("no match is shorter");
    let (least, bits) = CLASSES[class];
    let pair = sequence.literals.min(MANY) * 14 + class;
    (pair, sequence.len - least, bits)
}

/// Returns all symbols for a distance, with the number of bits that follow them.
fn ways(distance: usize, before: usize) -> Vec<(usize, usize)> {
    let log = distance.ilog2() as usize;
    let mut ways = vec![(21 + log, log)];
    if distance % 8 == 0 && distance < 128 {
        ways.push((distance / 8, 0));
    } else if distance % 8 == 0 {
        ways.push((16 + log - 7, log - 3));
    }
    if distance == before {
        ways.push((0, 0));
    }
    ways
}

/// Makes a region of two streams.
fn region(random: &mut Random, a: Vec<bool>, b: Vec<bool>, spare: usize) -> Vec<u8> {
    let least = 8 + a.len().max(b.len()) / 8;
    let len = least.max(a.len().div_ceil(8) + b.len().div_ceil(8)) + spare;
    let mut region = random.bytes(len);
    let mut put = |at: usize, bit: usize, set: bool| {
        region[at] = region[at] & !(1 << bit) | u8::from(set) << bit;
    };
    for (at, bit) in a.into_iter().enumerate() {
        put(at / 8, at % 8, bit);
    }
    for (at, bit) in b.into_iter().enumerate() {
        put(len - 1 - at / 8, at % 8, bit);
    }
    region
}

/// Makes a valid block of any bytes.
///
/// The first four choose the set and how many sequences there are at most; what follows is their
/// region, as it is, and what the literals are made of.
pub fn of_any(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(12), 0);
    let (start, region) = bytes.split_at(4);
    let (set, raw) = (usize::from(start[0] % 8), start[0] & 8 > 0);
    let most = usize::from(u16::from_le_bytes([start[1], start[2]])) % (MOST + 1);

    let [mut lengths, mut distances] = Stream::pair(region).expect("it is long enough");
    let (mut last, mut count, mut done, mut literals) = (1, 0, 0, 0);
    while count < most {
        let next = sequence(&SETS[set], &mut lengths, &mut distances, &mut last);
        let Some(next) = next else {
            break;
        };
        let start = done + next.literals;
        if start + next.len > PAGE || next.distance > start {
            break;
        }
        count += 1;
        done = start + next.len;
        literals += next.literals;
    }
    literals += PAGE - done;

    let mut more = region.iter().copied().cycle().skip(usize::from(start[3]));
    let longest = SETS[set].literals.by_length.len();
    let (third, fourth) = (literals / 4, literals - literals / 4 * 3);
    let regions = if raw {
        [0, 0]
    } else {
        [third, fourth].map(|count| 8 + count * longest / 8)
    };
    let header = Header {
        set,
        raw,
        sequences: count,
        literals,
        regions,
    };
    let mut block = header.bytes().to_vec();
    let codes = if raw {
        literals
    } else {
        regions[0] + regions[1]
    };
    block.extend(more.by_ref().take(codes));
    block.extend(region);
    block
}

/// Returns a valid block of any kind, and its page.
pub fn any(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let kind = random.below(KINDS + 1);
    let block = if kind < KINDS {
        let content = random.content(kind);
        let spare = [0; 3].map(|_| random.below(3) * random.below(40));
        content.block(random, spare, kind == LONG_CODES)
    } else {
        let len = 12 + random.below(2000);
        of_any(&random.bytes(len))
    };
    let page = meaning(&block).expect("a block");
    (block, page)
}

/// The kinds of [`Random::content`].
pub const KINDS: usize = 8;

/// The kind with the longest codes.
pub const LONG_CODES: usize = 1;

impl Random {
    /// Returns the content of some page.
    pub fn content(&mut self, kind: usize) -> Content {
        let number = self.below(SETS.len());
        let set = &SETS[number];
        let mut content = Content {
            set: number,
            raw: self.below(4) == 0 && kind != LONG_CODES,
            literals: vec![],
            sequences: vec![],
        };
        let some = self.below(4);
        let (mut done, mut last) = (0, 1);
        while content.sequences.len() < MOST {
            let (mut literals, mut len) = self.numbers(set, kind);
            if done == 0 {
                literals = literals.max(1);
            }
            if done + literals + len > PAGE {
                // The last match ends where the page does, or some bytes before.
                let left = (PAGE - done).saturating_sub(literals);
                let spare = [0, self.below(40)][self.below(2)];
                len = left.saturating_sub(spare);
                if len < 4 || self.below(4) == 0 {
                    break;
                }
            }
            done += literals;
            let distance = self.distance(set, kind, done, last);
            last = distance;
            content.sequences.push(Sequence {
                literals,
                len,
                distance,
            });
            self.add_literals(&mut content, literals, some);
            done += len;
            if done == PAGE || kind == 6 && self.below(3) == 0 {
                break;
            }
        }
        self.add_literals(&mut content, PAGE - done, some);
        content
    }

    /// Returns a number of literals and the length of a match.
    fn numbers(&mut self, set: &Set, kind: usize) -> (usize, usize) {
        match kind {
            // As many sequences as there may be.
            0 => (self.below(2), 4 + self.below(3)),
            LONG_CODES => {
                let pair = self.symbol(&set.pairs);
                let (least, bits) = CLASSES[pair % 14];
                (pair / 14, least + self.below(1 << bits))
            }
            // All numbers go on.
            2 => (MANY + self.below(4), LONG + self.below(4)),
            3 => (MANY + self.below(4), 4 + self.below(12)),
            4 => (self.below(3), LONG + self.below(4)),
            5 => (self.below(20), 4 + self.below(70)),
            6 => (self.below(2500), 4 + self.below(1500)),
            _ => (self.length(), 4 + self.length()),
        }
    }

    /// Returns a distance that is at most `done`.
    fn distance(&mut self, set: &Set, kind: usize, done: usize, last: usize) -> usize {
        let by_symbol = match self.symbol(&set.distances) {
            0 => last,
            exact @ 1..16 => 8 * exact,
            eights @ 16..21 => 8 * self.power(eights - 12),
            others => self.power(others - 21),
        };
        let distance = match self.below(8) {
            _ if kind == LONG_CODES => by_symbol,
            0 => last,
            1 => 1 + self.below(8),
            2 => 8 + self.below(9),
            3 => 8 * (1 + self.below(32)),
            4 => 8 * (1 + self.below(511)),
            5 => done.min(PAGE - 1),
            6 => self.power(self.0 as usize % 12),
            _ => 1 + self.below(PAGE - 1),
        };
        if distance > done {
            1 + self.below(done)
        } else {
            distance
        }
    }

    /// Returns a number with so many bits below its highest one.
    fn power(&mut self, bits: usize) -> usize {
        (1 << bits) + [0, (1 << bits) - 1, self.below(1 << bits)][self.below(3)]
    }

    /// Returns one of the symbols with the longest codes.
    fn symbol(&mut self, codes: &Codes) -> usize {
        let longest = codes.longest();
        longest[self.below(longest.len())]
    }

    fn add_literals(&mut self, content: &mut Content, count: usize, some: usize) {
        let codes = &SETS[content.set].literals;
        for _ in 0..count {
            content.literals.push(match some {
                0 => 0,
                1 => self.symbol(codes) as u8,
                2 => self.below(4) as u8,
                _ => self.next() as u8,
            });
        }
    }

    /// Changes a content in something that matters, so that it may be none of a page.
    pub fn spoil(&mut self, content: &mut Content) {
        let count = content.sequences.len();
        let at = self.below(count.max(1));
        let some = content.sequences.get_mut(at);
        match (self.below(7), some) {
            (0, _) => content.literals.push(0),
            (1, _) => drop(content.literals.pop()),
            (2, Some(sequence)) => sequence.len += 1,
            (3, Some(sequence)) => sequence.literals += 1,
            // A match of what is just before the page.
            (4, Some(_)) => {
                let sequences = &mut content.sequences[..=at];
                let start: usize = sequences.iter().map(|s| s.literals + s.len).sum();
                let start = start - sequences[at].len;
                sequences[at].distance = (start + 1).min(PAGE - 1);
            }
            // More than there may be.
            (5, Some(sequence)) => {
                let more = vec![sequence.clone(); MOST + 1 - count];
                content.sequences.extend(more);
            }
            // More than a page.
            (_, Some(sequence)) => {
                let large = [4096, 65_534 + 4][self.below(2)];
                *[&mut sequence.literals, &mut sequence.len][self.below(2)] = large;
            }
            (_, None) => (),
        }
    }

    /// Changes a block where it hurts.
    pub fn damage(&mut self, block: &mut Vec<u8>) {
        let Some(mut header) = Header::of(block) else {
            return;
        };
        let by = [1, usize::MAX, self.below(5000)][self.below(3)];
        let region = self.below(2);
        match self.below(9) {
            0 => header.sequences = header.sequences.wrapping_add(by),
            1 => header.literals = header.literals.wrapping_add(by),
            2 => header.regions[region] = header.regions[region].wrapping_add(by),
            // What one region loses the other gets.
            3 => {
                header.regions[region] = header.regions[region].wrapping_add(by);
                header.regions[1 - region] = header.regions[1 - region].wrapping_sub(by);
            }
            4 => header.set = self.below(8),
            5 => header.raw = !header.raw,
            // One byte less in one of the regions.
            6 => {
                let regions = header.regions;
                let starts = [
                    HEADER,
                    HEADER + regions[0],
                    HEADER + regions[0] + regions[1],
                ];
                let which = self.below(3);
                if let Some(len) = header.regions.get_mut(which) {
                    *len = len.saturating_sub(1);
                }
                let from = starts[which].min(block.len() - 1);
                let to = starts
                    .get(which + 1)
                    .map_or(block.len(), |&to| to.min(block.len()));
                block.remove(from + (to - from) / 2);
            }
            7 => {
                let bit = self.below(8 * block.len());
                block[bit / 8] ^= 1 << (bit % 8);
                return;
            }
            _ => {
                block[HEADER - 1] ^= 1 << (4 + self.below(4));
                return;
            }
        }
        block[..HEADER].copy_from_slice(&header.bytes());
    }
}
