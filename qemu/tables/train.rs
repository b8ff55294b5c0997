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

extern crate self as kernel;

mod sets;

/// The module of that name in the `kernel` crate.
mod page {
    pub const PAGE_SIZE: usize = crate::sets::PAGE;
}

#[allow(dead_code)]
#[path = "../../src"]
mod zram {
    pub mod codecs {
        pub mod lz77;
        // The files of the real module that find and number the symbols.
        pub mod lzmem_page {
            mod bits;
            mod chains;
            mod choose;
            mod codes;
            mod lengths;
            mod node;
            mod parse;
            mod sequences;
            mod shortest;

            use super::lz77::matches::last_start;
            use crate::sets::{
                tally,
                Page,
                PAGE, //
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

            /// The last position in a page where a match may start.
            const LAST_START: usize = last_start(PAGE);
            /// The length in bytes of what a block begins with.
            pub const HEADER: usize = 7;
            /// As the compressor chooses a set, and whether the literals are in codes.
            const SAMPLE: usize = choose::SAMPLE;
            pub const WORTH: usize = choose::WORTH;

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

use sets::{
    form,
    train,
    Numbers,
    Page,
    PAGE, //
};
use std::path::Path;
use zram::codecs::lzmem_page::{
    count,
    SETS,
    SYMBOLS, //
};

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
