// SPDX-License-Identifier: GPL-2.0-only

//! Makes the codes of `lzmem` from pages of memory: `train FILE...` prints `lengths.rs`.
//!
//! Each file is the pages of one program, which count as much as those of each other one. A page
//! belongs to the set of codes that writes it shortest; the codes of a set are the best ones for
//! the pages that belong to it. From a first guess on, both are found in turn until they no longer
//! change; the best of several guesses is taken.

#![allow(dead_code)]

#[path = "../../src"]
mod zram {
    pub mod codecs {
        pub mod lz77;
        pub mod lzmem_page {
            mod codes;
            mod lengths;
            mod parse;
            mod sequences;
            mod shortest;

            use crate::{
                Page,
                PAGE, //
            };
            use codes::*;
            use sequences::Sequences;

            const FIRST_DISTANCE: usize = 1;
            const LEAST_BACK: usize = 8;

            /// The number of symbols of literals, of pairs, and of distances.
            pub const SYMBOLS: [usize; 3] = [256, PAIRS, DISTANCES];
            /// The lengths of their longest codes.
            pub const LIMITS: [u32; 3] = [LITERAL_BITS, PAIR_BITS, DISTANCE_BITS];
            pub const SETS: usize = codes::SETS;

            /// Counts the symbols of a page: its literals as they are, and as changes; pairs;
            /// distances.
            pub fn count(page: &[u8; PAGE]) -> Page {
                // SAFETY: Both are integers, for which all zeroes is a valid value.
                let (mut table, mut sequences): (Box<_>, Box<Sequences>) =
                    unsafe { (Box::new(std::mem::zeroed()), Box::new(std::mem::zeroed())) };
                // SAFETY: `page` is valid for reads of a page, and the last match ends at `anchor`.
                unsafe {
                    let (pen, anchor) =
                        parse::parse::<false>(&mut table, page.as_ptr(), &mut sequences);
                    pen.end(page.as_ptr(), anchor);
                }
                let mut counts = [256, 256, PAIRS, DISTANCES].map(|len| vec![0.0; len]);
                for (literals, count) in sequences.literals().iter().zip(&mut counts) {
                    literals.iter().for_each(|literal| count[usize::from(*literal)] += 1.0);
                }
                let mut last = 1;
                for one in sequences.list() {
                    let class = MATCHES[usize::from(one.len).min(LONG_MATCH)].class;
                    counts[2][pair(usize::from(one.literals), class)] += 1.0;
                    let symbol = match one.distance {
                        distance if distance == last => SAME,
                        distance => DISTANCE_SYMBOLS[usize::from(distance)],
                    };
                    counts[3][usize::from(symbol)] += 1.0;
                    last = one.distance;
                }
                counts.map(|count| {
                    count.into_iter().enumerate().filter(|(_, count)| *count > 0.0).collect()
                })
            }
        }
    }
}

use zram::codecs::lzmem_page::{
    count,
    LIMITS,
    SETS,
    SYMBOLS, //
};

const PAGE: usize = 4096;

/// The number of pages of each program that are looked at.
const PAGES: usize = 256;
/// The number of first guesses.
const GUESSES: usize = 12;
/// How often sets and codes are found in turn at most.
const ROUNDS: usize = 30;

/// What is counted of a page: symbols and how often each is there.
type Page = [Vec<(usize, f64)>; 4];

/// For each kind of symbols how many bits each takes.
type Prices = [Vec<f64>; 3];

/// Whether a set's literals are changes.
fn differences(set: usize) -> bool {
    set >= SETS / 2
}

/// The number of bits from which on a page is stored as it is.
const HUGE: f64 = 3600.0 * 8.0;

/// Returns the three kinds of symbols that a page has with a set.
fn parts(page: &Page, set: usize) -> [&[(usize, f64)]; 3] {
    [&page[usize::from(differences(set))], &page[2], &page[3]]
}

/// Returns how many bits each kind of symbols of a page takes, and whether literals take less than
/// bytes.
fn price(page: &Page, set: usize, prices: &Prices) -> ([f64; 3], bool) {
    let mut kinds = [0.0; 3];
    for (kind, (part, prices)) in kinds.iter_mut().zip(parts(page, set).iter().zip(prices)) {
        *kind = part.iter().map(|(symbol, count)| count * prices[*symbol]).sum();
    }
    let bytes = page[0].iter().map(|(_, count)| count * 8.0).sum();
    let in_codes = kinds[0] < bytes;
    kinds[0] = kinds[0].min(bytes);
    (kinds, in_codes)
}

/// What is found of a page: its set, and whether its literals and the rest of it are in codes.
type Place = (usize, bool, bool);

/// Returns how often each symbol is in the pages of a set. None has never been seen: other pages may
/// have it.
fn counts(pages: &[(Page, f64)], places: &[Place], set: usize) -> Prices {
    let mut sums = SYMBOLS.map(|len| vec![0.0; len]);
    for ((page, weight), (its, literals, others)) in pages.iter().zip(places) {
        let wanted = [*literals, *others, *others];
        for ((sums, part), wanted) in sums.iter_mut().zip(parts(page, set)).zip(wanted) {
            if *its == set && wanted {
                part.iter().for_each(|(symbol, count)| sums[*symbol] += count * weight);
            }
        }
    }
    for sums in &mut sums {
        let least = 0.3 + sums.iter().sum::<f64>() * 2e-5;
        sums.iter_mut().for_each(|sum| *sum += least);
    }
    sums
}

/// Returns the lengths of the best codes of at most `limit` bits: Larmore's and Hirschberg's
/// package-merge.
fn lengths(counts: &[f64], limit: u32) -> Vec<u8> {
    let mut leaves: Vec<(f64, Vec<usize>)> =
        counts.iter().enumerate().map(|(symbol, count)| (*count, vec![symbol])).collect();
    let by_count = |a: &(f64, Vec<usize>), b: &(f64, Vec<usize>)| a.0.total_cmp(&b.0);
    leaves.sort_by(by_count);
    let mut packages = leaves.clone();
    for _ in 1..limit {
        let pairs = packages.chunks_exact(2);
        packages = pairs.map(|two| (two[0].0 + two[1].0, [&two[0].1[..], &two[1].1].concat())).collect();
        packages.extend_from_slice(&leaves);
        packages.sort_by(by_count);
    }
    let mut lens = vec![0; counts.len()];
    let chosen = packages.iter().take(2 * counts.len() - 2);
    chosen.flat_map(|package| &package.1).for_each(|symbol| lens[*symbol] += 1);
    lens
}

/// Returns the place of each page from a first guess on, and how many bits all pages take.
fn cluster(pages: &[(Page, f64)], guess: usize) -> (Vec<Place>, f64) {
    // Any numbers that differ from page to page.
    let mut state = guess as u64 * 2 + 1;
    let mut places: Vec<Place> = pages
        .iter()
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) as usize % SETS, true, true)
        })
        .collect();
    let mut total = f64::MAX;
    for _ in 0..ROUNDS {
        let prices: Vec<Prices> = (0..SETS)
            .map(|set| {
                counts(pages, &places, set).map(|counts| {
                    let sum: f64 = counts.iter().sum();
                    counts.iter().map(|count| (sum / count).log2()).collect()
                })
            })
            .collect();
        let mut sum = 0.0;
        for ((page, weight), place) in pages.iter().zip(&mut places) {
            let bits = |set: usize| price(page, set, &prices[set]).0.iter().sum::<f64>();
            let best = (0..SETS).min_by(|a, b| bits(*a).total_cmp(&bits(*b))).unwrap();
            let small = bits(best) < HUGE;
            *place = (best, small && price(page, best, &prices[best]).1, small);
            sum += bits(best).min(PAGE as f64 * 8.0) * weight;
        }
        if sum > total * 0.99999 {
            break;
        }
        total = sum;
    }
    (places, total)
}

fn main() {
    let mut pages = vec![];
    let mut about = vec![];
    for file in std::env::args().skip(1) {
        let bytes = std::fs::read(&file).expect(&file);
        let all = bytes.as_chunks::<PAGE>().0;
        let step = all.len().div_ceil(PAGES).max(1);
        let some: Vec<_> = all.iter().step_by(step).collect();
        let weight = PAGES as f64 / some.len() as f64;
        pages.extend(some.iter().map(|page| (count(page), weight)));
        let name = std::path::Path::new(&file).file_stem().unwrap().to_string_lossy().into_owned();
        about.push(name);
    }
    let guesses = (0..GUESSES).map(|guess| cluster(&pages, guess));
    let (places, total) = guesses.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let weights: f64 = pages.iter().map(|page| page.1).sum();
    eprintln!("{} pages of {} programs: {:.1} bytes a page", pages.len(), about.len(), total / 8.0 / weights);

    println!("// SPDX-License-Identifier: GPL-2.0-only\n");
    println!("//! The lengths of the codes, made by `qemu/tables/train`; not edited by hand.\n//!");
    println!("//! {} pages were looked at, as many of each of:", pages.len());
    let mut line = String::from("//!");
    for (number, name) in about.iter().enumerate() {
        let end = if number + 1 == about.len() { "." } else { "," };
        if line.len() + name.len() + 2 > 100 {
            println!("{line}");
            line = String::from("//!");
        }
        line += &format!(" {name}{end}");
    }
    println!("{line}\n");
    println!("use super::codes::{{\n    DISTANCES,\n    PAIRS,\n    SETS, //\n}};\n");
    println!("/// The lengths in bits of the codes of a set, by symbol.");
    println!("pub(super) struct Lengths {{");
    println!("    /// True if literals are written as differences.");
    println!("    pub differences: bool,");
    println!("    pub literals: [u8; 256],\n    pub pairs: [u8; PAIRS],\n    pub distances: [u8; DISTANCES],\n}}\n");
    println!("pub(super) static LENGTHS: [Lengths; SETS] = [");
    for set in 0..SETS {
        let own = places.iter().filter(|place| place.0 == set).count();
        eprintln!("set {set}: {own} pages");
        println!("    Lengths {{\n        differences: {},", differences(set));
        let counts = counts(&pages, &places, set);
        let names = ["literals", "pairs", "distances"];
        for ((counts, limit), name) in counts.iter().zip(LIMITS).zip(names) {
            println!("        {name}: [");
            for row in lengths(counts, limit).chunks(24) {
                let row: Vec<String> = row.iter().map(u8::to_string).collect();
                println!("            {},", row.join(", "));
            }
            println!("        ],");
        }
        println!("    }},");
    }
    println!("];");
}
