// SPDX-License-Identifier: GPL-2.0-only

//! Codes for pages, and the sets that these belong to.

use crate::zram::codecs::lzmem_page::{
    HEADER,
    LIMITS,
    SETS,
    SYMBOLS,
    WORTH, //
};

pub const PAGE: usize = 4096;

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
pub type Symbols = Vec<(u16, u16)>;

/// The symbols of a page.
pub struct Page {
    /// The number of the file.
    pub file: usize,
    /// The page's share of it.
    pub weight: f64,
    /// The literals as they are, and as changes.
    pub literals: [Symbols; 2],
    /// Those of them that the compressor looks at to choose the set.
    pub sample: [Symbols; 2],
    /// The number of literals.
    pub bytes: f64,
    pub pairs: Symbols,
    pub distances: Symbols,
    /// The number of bits that follow the codes.
    pub more: f64,
}

/// A number for each symbol, by the three kinds of them: how often it is in the pages of a set, or
/// how many bits it takes.
pub type Numbers = [Vec<f64>; 3];

/// The set that a page belongs to.
#[derive(Clone, Copy)]
pub struct Place {
    pub set: usize,
    /// Set if the literals are in codes.
    pub literals: bool,
    /// Set if the rest is, so that the page is not stored as it is.
    pub others: bool,
    /// The length of the block.
    pub len: f64,
}

/// Counts symbols.
pub fn tally(symbols: impl IntoIterator<Item = usize>) -> Symbols {
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
pub fn form(set: usize) -> usize {
    usize::from(set >= SETS / 2)
}

impl Page {
    /// Returns the page's place if it belongs to `set`, and literals are in codes only if these
    /// save more than a byte of `worth`.
    fn place(&self, set: usize, lens: &Numbers, worth: f64) -> Place {
        let literals = bits(&self.literals[form(set)], &lens[0]) / 8.0;
        let others = bits(&self.pairs, &lens[1]) + bits(&self.distances, &lens[2]) + self.more;
        let in_codes = literals + self.bytes / worth < self.bytes;
        let len = HEADER as f64 + others / 8.0 + if in_codes { literals } else { self.bytes };
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
    pub fn chosen(&self, sets: &[Numbers]) -> Place {
        let price = |set: &usize| bits(&self.sample[form(*set)], &sets[*set][0]);
        // Of equal ones the last is chosen.
        let set = (0..SETS)
            .rev()
            .min_by(|a, b| price(a).total_cmp(&price(b)))
            .unwrap();
        self.place(set, &sets[set], WORTH as f64)
    }
}

/// Returns how often each symbol of a set is in its pages.
pub fn counts<'a>(pages: impl Iterator<Item = (&'a Page, Place)>, set: usize) -> Numbers {
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
pub fn whole(counts: &Numbers) -> Numbers {
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
pub fn train(pages: &[Page], files: usize) -> Vec<Numbers> {
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
