// SPDX-License-Identifier: GPL-2.0-only

//! Makes the codes of `lzmem` from pages of memory: `train FILE...` prints `lengths.rs`.
//!
//! Each file is the pages of one program or kind of files, which count as much as those of each
//! other one. With `train FILE... -- FILE...` the files after `--` are not learnt from; how short
//! their pages get with the codes is told instead.
//!
//! A page belongs to the set of codes that writes it shortest; the codes of a set are the best ones
//! for the pages that belong to it. From a first guess on, both are found in turn until they no
//! longer get better. Many guesses are followed with some of the pages, and the best of these with
//! all. At last the codes get whole lengths, and a page belongs to the set that the compressor
//! chooses for it.
//!
//! The same files give the same codes: all chance has a fixed seed.

#[allow(dead_code)]
#[path = "../../src"]
mod zram {
    pub mod codecs {
        pub mod lz77;
        // The files of the real module that find and number the symbols.
        pub mod lzmem_page {
            mod chains;
            mod codes;
            mod lengths;
            mod node;
            mod parse;
            mod sequences;
            mod shortest;

            use crate::{
                tally,
                Page,
                PAGE,
                SAMPLE, //
            };
            use codes::*;
            use lengths::{
                DISTANCES,
                PAIRS, //
            };
            use sequences::{
                Sequences,
                LEAST_BACK, //
            };

            /// The number of symbols of literals, of pairs, and of distances.
            pub const SYMBOLS: [usize; 3] = [256, PAIRS, DISTANCES];
            /// The lengths of their longest codes.
            pub const LIMITS: [u32; 3] = [LITERAL_BITS, PAIR_BITS, DISTANCE_BITS];
            pub const SETS: usize = codes::SETS;

            /// Counts the symbols of a page of a file.
            pub fn count(page: &[u8; PAGE], file: usize, weight: f64) -> Page {
                // SAFETY: Both are integers, for which all zeroes is a valid value.
                let (mut table, mut sequences): (Box<_>, Box<Sequences>) =
                    unsafe { (Box::new(std::mem::zeroed()), Box::new(std::mem::zeroed())) };
                // SAFETY: `page` is valid for reads of a page, and the last match ends at `anchor`.
                unsafe {
                    let (pen, anchor) =
                        parse::parse::<false>(&mut table, page.as_ptr(), &mut sequences);
                    pen.end(page.as_ptr(), anchor);
                }
                let (mut pairs, mut distances, mut more) = (vec![], vec![], 0);
                let mut last = FIRST_DISTANCE;
                for one in sequences.list() {
                    let (literals, len) = (usize::from(one.literals), usize::from(one.len));
                    let found = MATCHES[len.min(LONG_MATCH)];
                    pairs.push(pair(literals, found.class));
                    let distance = usize::from(one.distance);
                    let symbol = if distance == last {
                        SAME
                    } else {
                        DISTANCE_SYMBOLS[distance]
                    };
                    let symbol = usize::from(symbol);
                    distances.push(symbol);
                    last = distance;

                    // What follows the codes takes the same bits in all sets.
                    let whole = WRITE[0].distances[symbol].len;
                    more += u32::from(whole - lengths::LENGTHS[0].distances[symbol]);
                    more += u32::from(found.extra);
                    for (number, most) in [(literals, MANY_LITERALS), (len, LONG_MATCH)] {
                        more += number.checked_sub(most).map_or(0, |over| escape(over).1);
                    }
                }
                let literals = sequences.literals();
                let symbols = |literals: &[u8]| tally(literals.iter().map(|one| usize::from(*one)));
                let sample = |literals: &[u8]| {
                    tally(
                        literals
                            .chunks_exact(SAMPLE)
                            .map(|some| usize::from(some[0])),
                    )
                };
                Page {
                    file,
                    weight,
                    bytes: literals[0].len() as f64,
                    literals: literals.map(symbols),
                    sample: literals.map(sample),
                    pairs: tally(pairs),
                    distances: tally(distances),
                    more: f64::from(more),
                }
            }
        }
    }
}

use std::path::Path;
use zram::codecs::lzmem_page::{
    count,
    LIMITS,
    SETS,
    SYMBOLS, //
};

const PAGE: usize = 4096;

// As in `src/codecs/lzmem_page/compress.rs`.
const SAMPLE: usize = 4;
const WORTH: f64 = 11.0;
/// The length of a block's header.
const HEADER: f64 = 7.0;
/// The length of a block from which on zram stores a page as it is.
const HUGE: f64 = 3600.0;

/// The number of guesses.
const GUESSES: usize = 40;
/// They are followed with one of so many pages.
const THIN: usize = 16;
/// The number of the best ones, which are followed with all pages.
const KEPT: usize = 4;
/// Added to how often a set's symbol was seen, as other pages may have those that were not.
///
/// The first is an average number in the pages of a file, the second a share of all that was seen.
const UNSEEN: [f64; 2] = [0.01, 1e-4];

// ---- pages and codes ---------------------------------------------------------------------------

/// Symbols, and how often each is there.
type Symbols = Vec<(u16, u16)>;

/// The symbols of a page.
struct Page {
    /// The number of the file.
    file: usize,
    /// The page's share of it.
    weight: f64,
    /// The literals as they are, and as changes.
    literals: [Symbols; 2],
    /// Those of them that the compressor looks at to choose the set.
    sample: [Symbols; 2],
    /// The number of literals.
    bytes: f64,
    pairs: Symbols,
    distances: Symbols,
    /// The number of bits that follow the codes.
    more: f64,
}

/// A number for each symbol, by the three kinds of them: how often it is in the pages of a set, or
/// how many bits it takes.
type Numbers = [Vec<f64>; 3];

/// The set that a page belongs to.
#[derive(Clone, Copy)]
struct Place {
    set: usize,
    /// Set if the literals are in codes.
    literals: bool,
    /// Set if the rest is, so that the page is not stored as it is.
    others: bool,
    /// The length of the block.
    len: f64,
}

/// Counts symbols.
fn tally(symbols: impl IntoIterator<Item = usize>) -> Symbols {
    let mut counts = [0; 256];
    symbols.into_iter().for_each(|symbol| counts[symbol] += 1);
    let all = (0..).zip(counts);
    all.filter(|(_, count)| *count > 0).collect()
}

/// Returns how many bits symbols take.
fn bits(symbols: &Symbols, lens: &[f64]) -> f64 {
    let each = symbols
        .iter()
        .map(|(symbol, count)| f64::from(*count) * lens[usize::from(*symbol)]);
    each.sum()
}

/// Returns 1 if a set's literals are changes, else 0.
fn form(set: usize) -> usize {
    usize::from(set >= SETS / 2)
}

impl Page {
    /// Returns the page's place if it belongs to `set`, and literals are in codes only if these
    /// save more than a byte of `worth`.
    fn place(&self, set: usize, lens: &Numbers, worth: f64) -> Place {
        let literals = bits(&self.literals[form(set)], &lens[0]) / 8.0;
        let others = bits(&self.pairs, &lens[1]) + bits(&self.distances, &lens[2]) + self.more;
        let in_codes = literals + self.bytes / worth < self.bytes;
        let len = HEADER + others / 8.0 + if in_codes { literals } else { self.bytes };
        let small = len < HUGE;
        Place {
            set,
            literals: small && in_codes,
            others: small,
            len: if small { len } else { PAGE as f64 },
        }
    }

    /// Returns the place where the page's block is shortest.
    fn shortest(&self, sets: &[Numbers]) -> Place {
        let places = (0..SETS).map(|set| self.place(set, &sets[set], f64::INFINITY));
        places.min_by(|a, b| a.len.total_cmp(&b.len)).unwrap()
    }

    /// Returns the place that the compressor chooses.
    fn chosen(&self, sets: &[Numbers]) -> Place {
        let price = |set: &usize| bits(&self.sample[form(*set)], &sets[*set][0]);
        // Of equal ones the last is chosen.
        let set = (0..SETS)
            .rev()
            .min_by(|a, b| price(a).total_cmp(&price(b)))
            .unwrap();
        self.place(set, &sets[set], WORTH)
    }
}

/// Returns how often each symbol of a set is in its pages.
fn counts<'a>(pages: impl Iterator<Item = (&'a Page, Place)>, set: usize) -> Numbers {
    let mut sums = SYMBOLS.map(|len| vec![0.0; len]);
    for (page, place) in pages.filter(|(_, place)| place.set == set) {
        let kinds = [&page.literals[form(set)], &page.pairs, &page.distances];
        let wanted = [place.literals, place.others, place.others];
        for ((sums, kind), _) in sums.iter_mut().zip(kinds).zip(wanted).filter(|one| one.1) {
            for (symbol, count) in kind {
                sums[usize::from(*symbol)] += f64::from(*count) * page.weight;
            }
        }
    }
    for sums in &mut sums {
        let least = UNSEEN[0] + UNSEEN[1] * sums.iter().sum::<f64>();
        sums.iter_mut().for_each(|sum| *sum += least);
    }
    sums
}

/// Returns how many bits each symbol takes at best.
fn ideal(counts: &Numbers) -> Numbers {
    counts.each_ref().map(|counts| {
        let sum: f64 = counts.iter().sum();
        counts.iter().map(|count| (sum / count).log2()).collect()
    })
}

/// Returns the lengths of the best codes.
fn whole(counts: &Numbers) -> Numbers {
    [0, 1, 2].map(|kind| lengths(&counts[kind], LIMITS[kind]))
}

/// Returns the lengths of the best codes of at most `limit` bits: Larmore's and Hirschberg's
/// package-merge.
fn lengths(counts: &[f64], limit: u32) -> Vec<f64> {
    let mut leaves: Vec<(f64, Vec<usize>)> = counts
        .iter()
        .enumerate()
        .map(|(symbol, count)| (*count, vec![symbol]))
        .collect();
    let by_count = |a: &(f64, Vec<usize>), b: &(f64, Vec<usize>)| a.0.total_cmp(&b.0);
    leaves.sort_by(by_count);
    let mut packages = leaves.clone();
    for _ in 1..limit {
        packages = packages
            .chunks_exact(2)
            .map(|two| (two[0].0 + two[1].0, [&two[0].1[..], &two[1].1].concat()))
            .chain(leaves.iter().cloned())
            .collect();
        packages.sort_by(by_count);
    }
    let mut lens = vec![0.0; counts.len()];
    for (_, symbols) in &packages[..2 * counts.len() - 2] {
        symbols.iter().for_each(|symbol| lens[*symbol] += 1.0);
    }
    lens
}

// ---- finding the sets --------------------------------------------------------------------------

/// Finds places and codes in turn, from `sets` on, and returns the best codes and how long all
/// blocks are with them.
///
/// `place` finds a page's place, and `codes` the codes for what was counted.
fn settle(
    pages: &[&Page],
    mut sets: Vec<Numbers>,
    place: fn(&Page, &[Numbers]) -> Place,
    codes: fn(&Numbers) -> Numbers,
) -> (Vec<Numbers>, f64) {
    let mut best = (vec![], f64::INFINITY);
    loop {
        let places: Vec<Place> = pages.iter().map(|page| place(page, &sets)).collect();
        let all = || pages.iter().copied().zip(places.iter().copied());
        let sum = all().map(|(page, place)| place.len * page.weight).sum();
        let next = (0..SETS).map(|set| codes(&counts(all(), set))).collect();
        let enough = sum > best.1 * 0.99999;
        if sum < best.1 {
            best = (sets, sum);
        }
        if enough {
            return best;
        }
        sets = next;
    }
}

/// Makes a first guess: each set is for the pages of one file.
///
/// A file is the likelier to be taken, the more its pages take in the sets before. This is how
/// k-means++ begins.
fn guess(pages: &[&Page], files: usize, chance: &mut Chance) -> Vec<Numbers> {
    let mut sets = vec![];
    let mut least = vec![PAGE as f64; pages.len()];
    for set in 0..SETS {
        let mut sums = vec![0.0; files];
        for (page, least) in pages.iter().zip(&least) {
            sums[page.file] += least * page.weight;
        }
        let mut left = chance.next() * sums.iter().sum::<f64>();
        let passed = |sum: &f64| {
            left -= sum;
            left < 0.0
        };
        let file = sums.iter().position(passed).unwrap_or(files - 1);
        let place = Place {
            set,
            literals: true,
            others: true,
            len: 0.0,
        };
        let own = pages.iter().filter(|page| page.file == file);
        let lens = ideal(&counts(own.map(|page| (*page, place)), set));
        for (page, least) in pages.iter().zip(&mut least) {
            *least = least.min(page.place(set, &lens, f64::INFINITY).len);
        }
        sets.push(lens);
    }
    sets
}

/// Numbers from 0 on to below 1.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 32) as f64 / (1_u64 << 32) as f64
    }
}

/// Returns the lengths of the best codes that are found.
fn train(pages: &[Page], files: usize) -> Vec<Numbers> {
    let all: Vec<&Page> = pages.iter().collect();
    let some: Vec<&Page> = pages.iter().step_by(THIN).collect();
    let mut chance = Chance(1);
    let guesses = (0..GUESSES).map(|_| guess(&some, files, &mut chance));
    let mut found: Vec<_> = guesses
        .map(|sets| settle(&some, sets, Page::shortest, ideal))
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found.truncate(KEPT);
    let found = found.into_iter().map(|(sets, _)| {
        let (sets, _) = settle(&all, sets, Page::shortest, ideal);
        let places: Vec<Place> = all.iter().map(|page| page.shortest(&sets)).collect();
        let places = || all.iter().copied().zip(places.iter().copied());
        let sets = (0..SETS).map(|set| whole(&counts(places(), set))).collect();
        settle(&all, sets, Page::chosen, whole)
    });
    found.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

// ---- reading and printing ----------------------------------------------------------------------

/// Returns the pages of a file.
fn read(path: &str, file: usize) -> Vec<Page> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (pages, rest) = (bytes.chunks_exact(PAGE), bytes.len() % PAGE);
    assert!(
        rest == 0 && !bytes.is_empty(),
        "{path}: {} bytes are no pages",
        bytes.len()
    );
    let weight = 1.0 / pages.len() as f64;
    pages
        .map(|page| count(page.try_into().unwrap(), file, weight))
        .collect()
}

/// Returns a file's name without what follows the dot.
fn name(path: &str) -> String {
    let stem = Path::new(path).file_stem();
    stem.unwrap_or_else(|| panic!("{path} is no file"))
        .to_string_lossy()
        .into_owned()
}

/// Prints items as lines that begin with `start`, as long as rustfmt makes them.
fn wrap(start: &str, items: &[String]) {
    let mut line = start.to_string();
    for item in items {
        if line.len() + 1 + item.len() > 99 {
            println!("{line}");
            line = start.to_string();
        }
        line += if line.ends_with(' ') { "" } else { " " };
        line += item;
    }
    println!("{line}");
}

fn print(sets: &[Numbers], pages: usize, names: &[String]) {
    println!("// SPDX-License-Identifier: GPL-2.0-only\n");
    println!("//! The lengths of the codes, made by `qemu/tables/train`; not edited by hand.\n//!");
    println!("//! {pages} pages were looked at, which are of:");
    let (last, others) = names.split_last().unwrap();
    let mut items: Vec<String> = others.iter().map(|name| format!("{name},")).collect();
    items.push(format!("{last}."));
    wrap("//!", &items);
    println!("\n/// The number of sets of codes, half of which are for literals as they are.");
    println!("pub(super) const SETS: usize = {SETS};");
    println!("/// The number of symbols for a number of literals and the length of a match.");
    println!("pub(super) const PAIRS: usize = {};", SYMBOLS[1]);
    println!("/// The number of symbols for a distance.");
    println!("pub(super) const DISTANCES: usize = {};\n", SYMBOLS[2]);
    println!("/// The lengths in bits of the codes of a set, by symbol.");
    println!("pub(super) struct Lengths {{");
    println!("    /// True if literals are written as differences.");
    println!("    pub differences: bool,\n    pub literals: [u8; 256],");
    println!("    pub pairs: [u8; PAIRS],\n    pub distances: [u8; DISTANCES],\n}}\n");
    println!("pub(super) static LENGTHS: [Lengths; SETS] = [");
    for (set, lens) in sets.iter().enumerate() {
        println!("    Lengths {{\n        differences: {},", form(set) == 1);
        for (lens, name) in lens.iter().zip(["literals", "pairs", "distances"]) {
            println!("        {name}: [");
            let items: Vec<String> = lens.iter().map(|len| format!("{len},")).collect();
            wrap("            ", &items);
            println!("        ],");
        }
        println!("    }},");
    }
    println!("];");
}

fn main() {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let end = paths
        .iter()
        .position(|path| path == "--")
        .unwrap_or(paths.len());
    let (mut learnt, others) = (paths[..end].to_vec(), paths.get(end + 1..).unwrap_or(&[]));
    assert!(!learnt.is_empty(), "there are no files to learn from");
    learnt.sort();
    let files = learnt.iter().enumerate();
    let pages: Vec<Page> = files.flat_map(|(file, path)| read(path, file)).collect();
    let others: Vec<_> = others
        .iter()
        .map(|path| (name(path), read(path, 0)))
        .collect();
    let sets = train(&pages, learnt.len());

    let lens = pages
        .iter()
        .map(|page| page.chosen(&sets).len * page.weight);
    let mean = lens.sum::<f64>() / learnt.len() as f64;
    eprintln!(
        "  {} pages of {} files: {mean:.1} bytes a page",
        pages.len(),
        learnt.len()
    );
    for (name, pages) in others {
        let sum: f64 = pages.iter().map(|page| page.chosen(&sets).len).sum();
        let mean = sum / pages.len() as f64;
        eprintln!("  {name}, not learnt from: {mean:.1} bytes a page");
    }
    let names: Vec<String> = learnt.iter().map(|path| name(path)).collect();
    print(&sets, pages.len(), &names);
}
