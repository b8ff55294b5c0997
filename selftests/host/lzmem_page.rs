// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of LZMEM for a page: `rustc --test --edition 2021 selftests/host/lzmem_page.rs`.
//!
//! The reference is a second, slow decompressor in `lzmem/mod.rs`.

extern crate self as kernel;
pub(crate) use lz77::page;

#[path = "../../src"]
mod zram {
    pub mod codecs {
        #[allow(dead_code)] // The other formats use all of it.
        pub mod lz77;
        pub mod lzmem_page;
    }
}

#[allow(dead_code)] // The tests of the other formats use all of it.
mod lz77;
mod lzmem;

use lz77::{
    agree,
    in_room,
    lying,
    time,
    to_page,
    Format,
    Random,
    PAGE,
    TEXTURES, //
};
use lzmem::{
    blocks::{
        any,
        of_any,
        KINDS,
        LONG_CODES, //
    },
    meaning,
    state::{
        state,
        EFFORTS,
        NONE,
        ROOM,
        USED, //
    },
    Content,
    Header,
    Sequence,
    HEADER,
    MOST, //
};
use std::array;
use zram::codecs::lzmem_page::{
    Corrupt,
    Effort,
    State, //
};

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

fn compress_with(state: &mut State, page: &[u8], limit: usize, effort: Effort) -> Option<Vec<u8>> {
    in_room(page, ROOM, |page, dst| {
        let dst = dst.try_into().expect("it is that long");
        // SAFETY: `page` is valid for reads of a page.
        unsafe { zram::codecs::lzmem_page::compress(state, page, dst, limit, effort) }
    })
}

fn compress(page: &[u8], limit: usize, effort: Effort) -> Option<Vec<u8>> {
    USED.with_borrow_mut(|state| compress_with(state, page, limit, effort))
}

fn decompress(block: &[u8]) -> Result<Vec<u8>, Corrupt> {
    USED.with_borrow_mut(|state| decompress_with(state, block, block.len()))
}

/// Decompresses a block that is passed in two parts, the second of which begins at `split`.
fn decompress_with(state: &mut State, block: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    to_page(block, split, |head, tail, bridge, dst| {
        // SAFETY: `dst` is valid for reads and writes of a page.
        unsafe { zram::codecs::lzmem_page::decompress(state, head, tail, bridge, dst) }
    })
}

/// The format, for the tests that the others have as well.
struct Lzmem;

impl Format for Lzmem {
    // Streams may be shorter than their region.
    const ENDS: bool = false;

    /// With any effort.
    fn compress(page: &[u8]) -> Vec<u8> {
        let sum: usize = page.iter().map(|&byte| usize::from(byte)).sum();
        compress(page, NONE, EFFORTS[sum % 3]).expect("there is no limit")
    }

    fn decompress(block: &[u8], split: usize) -> Option<Vec<u8>> {
        USED.with_borrow_mut(|state| decompress_with(state, block, split).ok())
    }

    fn meaning(block: &[u8]) -> Option<Vec<u8>> {
        meaning(block)
    }

    fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        any(random)
    }
}

lz77::tests_of_any_format!(Lzmem);

/// Checks that `block` decompresses to `page`, and that the reference says so, too.
fn check(block: &[u8], page: &[u8]) {
    assert!(meaning(block).as_deref() == Some(page), "another page");
    assert!(decompress(block).as_deref() == Ok(page));
}

#[test]
fn pages_survive() {
    let mut random = Random::from_environment();
    for round in 0..200 * TEXTURES {
        let page = random.page(round % TEXTURES);
        for effort in EFFORTS {
            let block = compress(&page, NONE, effort).expect("there is no limit");
            check(&block, &page);
        }
    }
}

#[test]
fn every_period_survives() {
    for period in 1..PAGE {
        let page: Vec<u8> = (0..PAGE)
            .map(|i| (i % period * 7 + i % period / 256) as u8)
            .collect();
        for effort in EFFORTS {
            let block = compress(&page, NONE, effort).expect("there is no limit");
            check(&block, &page);
            if period < 256 {
                assert!(block.len() < period + 60, "{} of {period}", block.len());
            }
        }
    }
}

#[test]
fn matches_reach_the_end() {
    // The last position where a match is looked for, and all around it.
    for start in PAGE - 64..PAGE {
        for from in [0, 1, 100, start - 8, start - 9] {
            let mut page = Random(start as u64).bytes(PAGE);
            page.copy_within(from..from + (PAGE - start).min(start - from), start);
            for effort in EFFORTS {
                check(
                    &compress(&page, NONE, effort).expect("there is no limit"),
                    &page,
                );
            }
        }
    }
    // A last match that ends anywhere, so that the search goes on from there.
    for end in PAGE - 300..PAGE {
        let mut page = Random(end as u64).bytes(PAGE);
        page.copy_within(100..120, end - 20);
        for effort in EFFORTS {
            check(
                &compress(&page, NONE, effort).expect("there is no limit"),
                &page,
            );
        }
    }
}

/// The document shows a page and its block: four structures, and zeroes.
#[test]
fn the_example_is_right() {
    let mut page = vec![0; PAGE];
    for (number, at) in (0_u64..4).zip((0..).step_by(24)) {
        let pointer = 0x7f12_3456_7890 + 96 * number;
        page[at..at + 8].copy_from_slice(&pointer.to_le_bytes());
        page[at + 8..at + 16].copy_from_slice(&(number + 5).to_le_bytes());
        page[at + 16..at + 22].copy_from_slice(b"memory");
    }
    let document = include_str!("../../doc/lzmem.md");
    let (_, example) = document.split_once("### An example").unwrap();
    let (example, _) = example.split_once("##").unwrap();
    let lines = example.lines().filter_map(|line| line.strip_prefix("    "));
    let digits = lines.flat_map(str::split_whitespace);
    let block: Vec<u8> = digits
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(compress(&page, NONE, Effort::Fast).unwrap(), block);
    assert_eq!(decompress(&block).unwrap(), page);
    assert_eq!(meaning(&block).unwrap(), page);
}

/// Checks pages that have matches everywhere, and mostly more than a block has sequences.
#[test]
fn there_are_no_more_sequences_than_that() {
    let mut random = Random::from_environment();
    for effort in EFFORTS {
        let mut most = 0;
        let mut pages = vec![];
        for round in 0..200 {
            // Matches of so many bytes, whose distances differ.
            let (len, count) = (4 + round % 4, 8 << (round / 4 % 5));
            let parts: Vec<_> = (0..count).map(|_| random.bytes(len)).collect();
            let mut page = parts.concat();
            while page.len() < PAGE {
                page.extend(&parts[random.below(count)]);
                let literals = random.below(1 + round % 3);
                page.extend(random.bytes(literals));
            }
            page.truncate(PAGE);
            pages.push(page);
        }
        for alphabet in (2..20).chain([2; 10]).chain([3; 10]) {
            let page = random.bytes(PAGE).into_iter().map(|byte| byte % alphabet);
            pages.push(page.collect());
        }
        for page in pages {
            let block = compress(&page, NONE, effort).expect("there is no limit");
            check(&block, &page);
            let content = Content::of(&block).expect("a block");
            most = most.max(content.sequences.len());
        }
        assert!(most > MOST - 20 && most <= MOST, "{effort:?} {most}");
    }
}

/// Checks that one sequence more than there may be is an error, if all else is right.
#[test]
fn one_sequence_more_is_too_many() {
    let mut random = Random::from_environment();
    for set in 0..8 {
        for count in [MOST - 1, MOST, MOST + 1, MOST + 2, 1000] {
            let sequence = |at| Sequence {
                literals: usize::from(at == 0),
                len: 4,
                distance: 1,
            };
            let content = Content {
                set,
                raw: set % 2 > 0,
                literals: random.bytes(PAGE - 4 * count),
                sequences: (0..count).map(sequence).collect(),
            };
            let page = content.page().expect("a page");
            let block = content.block(&mut random, [0; 3], false);
            agree::<Lzmem>(&block);
            assert!(decompress(&block).ok() == (count <= MOST).then_some(page));
        }
    }
}

/// Checks that no block exceeds its limit, and is the same with any.
#[test]
fn the_limit_is_kept() {
    let mut random = Random::from_environment();
    for texture in 0..TEXTURES {
        let page = random.page(texture);
        for effort in EFFORTS {
            let whole = compress(&page, NONE, effort).expect("there is no limit");
            for limit in (0..whole.len() + 80).chain([PAGE, ROOM]) {
                match compress(&page, limit, effort) {
                    Some(block) => assert!(block.len() <= limit && block == whole),
                    // A page that is taken for noise may be given up.
                    None => assert!(limit < whole.len() + 8, "{texture} {limit}"),
                }
            }
        }
    }
}

/// Checks that a page that fits is not given up because of the last bytes after its last match.
#[test]
fn few_bytes_are_no_noise() {
    let mut random = Random::from_environment();
    for left in (0..PAGE / 4).step_by(7) {
        // Hexadecimal digits, most of which are literals.
        let page = random.bytes(PAGE).into_iter();
        let mut page: Vec<u8> = page
            .map(|byte| b"0123456789abcdef"[usize::from(byte % 16)])
            .collect();
        let end = PAGE - left;
        page.copy_within(100..140, end - 40);
        page[end..].iter_mut().for_each(|byte| *byte |= 128);
        for effort in EFFORTS {
            let block = compress(&page, NONE, effort).expect("there is no limit");
            assert!(compress(&page, block.len(), effort) == Some(block));
        }
    }
}

/// Checks that a block and a page depend on nothing that was in the state before.
#[test]
fn what_was_in_the_state_does_not_matter() {
    let mut random = Random::from_environment();
    let mut used = state(0);
    for round in 0..40 * TEXTURES {
        let page = random.page(round % TEXTURES);
        for effort in EFFORTS {
            for limit in [NONE, 3624, 100] {
                let block = compress_with(&mut used, &page, limit, effort);
                let byte = random.next() as u8;
                assert!(block == compress_with(&mut state(0), &page, limit, effort));
                assert!(block == compress_with(&mut state(byte), &page, limit, effort));
            }
        }
        let (mut block, _) = Lzmem::block(&mut random);
        for _ in 0..4 {
            let result = decompress_with(&mut used, &block, block.len());
            let byte = random.next() as u8;
            assert!(result == decompress_with(&mut state(byte), &block, block.len()));
            random.damage(&mut block);
        }
    }
}

#[test]
fn any_block_is_read() {
    let mut random = Random::from_environment();
    let mut most = 0;
    for round in 0..400 * KINDS {
        let kind = round % KINDS;
        let content = random.content(kind);
        most = most.max(content.sequences.len());
        let page = content.page().expect("a page");
        let spare = [[0; 3], [0; 3].map(|_| random.below(100))][round / KINDS % 2];
        let block = content.block(&mut random, spare, kind == LONG_CODES);
        assert!(Content::of(&block).expect("a block") == content);
        assert!(decompress(&block) == Ok(page));
        agree::<Lzmem>(&block);
    }
    assert!(most == MOST);
    for len in 0..4000 {
        let block = of_any(&random.bytes(len));
        assert!(meaning(&block).is_some());
        agree::<Lzmem>(&block);
    }
}

/// Checks contents that just fail to be a page, and blocks that just fail to have one.
#[test]
fn nearly_is_not_enough() {
    let mut random = Random::from_environment();
    let mut came = [0; 2];
    for round in 0..2000 * KINDS {
        let mut content = random.content(round % KINDS);
        let mut block;
        if round / KINDS % 2 == 0 {
            random.spoil(&mut content);
            block = content.block(&mut random, [0; 3], false);
        } else {
            block = content.block(&mut random, [0; 3], false);
            random.damage(&mut block);
        }
        came[usize::from(meaning(&block).is_some())] += 1;
        agree::<Lzmem>(&block);
    }
    assert!(came[0] > 1000 && came[1] > 300, "{came:?}");
}

/// Checks each number of a header at its limits, and beyond.
#[test]
fn headers_are_checked() {
    let mut random = Random::from_environment();
    for kind in 0..KINDS {
        let block = random.content(kind).block(&mut random, [0; 3], false);
        let header = Header::of(&block).expect("a header");
        let with = |header: Header| [&header.bytes(), &block[HEADER..]].concat();
        for sequences in (0..2048).step_by(3).chain([MOST, MOST + 1]) {
            agree::<Lzmem>(&with(Header {
                sequences,
                ..header
            }));
        }
        for literals in (0..8192).step_by(17).chain([PAGE, PAGE + 1]) {
            agree::<Lzmem>(&with(Header { literals, ..header }));
        }
        for len in (0..PAGE).step_by(19).chain([7, 8]) {
            for regions in [[len, header.regions[1]], [header.regions[0], len]] {
                agree::<Lzmem>(&with(Header { regions, ..header }));
                agree::<Lzmem>(&with(Header {
                    regions,
                    raw: true,
                    ..header
                }));
            }
        }
        for bit in 0..8 * HEADER {
            let mut other = block.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            agree::<Lzmem>(&other);
            assert!(bit < 52 || decompress(&other).is_err());
        }
    }
}

/// Checks how many bits a stream may have, which depends on the region's length.
///
/// Regions are too short for their streams by a byte, just long enough, or longer. Both streams may
/// have the same bits.
#[test]
fn streams_end_before_their_region() {
    let mut random = Random::from_environment();
    for set in 0..8 {
        for len in 0..60 {
            let mut came = [0; 2];
            for literals in (0..4 * 8 * 60).step_by(1 + len % 4) {
                // All four streams and that of the matches, of which there is none.
                let header = Header {
                    set,
                    raw: false,
                    sequences: 0,
                    literals,
                    regions: [len, len],
                };
                let region = random.bytes(len);
                let block = [&header.bytes(), &region[..], &region, &[0; 8]].concat();
                came[usize::from(Content::of(&block).is_some())] += 1;
                agree::<Lzmem>(&block);
            }
            assert!(came[1] > 0 || len < 8);
        }
        // The same for the last region, whose longest stream is either one.
        for round in 0..200 {
            let mut content = random.content(random.0 as usize % KINDS);
            content.raw = true;
            content.set = set;
            if round % 2 == 0 {
                // These distances take the least bits.
                content.sequences.truncate(1 + random.below(60));
                content
                    .sequences
                    .iter_mut()
                    .for_each(|sequence| sequence.distance = 1);
                let count = |sum, sequence: &Sequence| sum + sequence.len;
                let matches = content.sequences.iter().fold(0, count);
                content.literals = random.bytes(PAGE - matches);
            }
            let block = content.block(&mut random, [0; 3], false);
            agree::<Lzmem>(&block);
            // What is between the streams does not matter, but how much it is.
            let start = HEADER + content.literals.len();
            for at in (start..block.len()).step_by(3) {
                let mut less = block.clone();
                less.remove(at);
                agree::<Lzmem>(&less);
            }
        }
    }
}

/// Checks regions that begin and end anywhere in a block of two parts.
#[test]
fn any_split_is_the_same() {
    let mut random = Random::from_environment();
    for _ in 0..100 {
        let (mut block, _) = Lzmem::block(&mut random);
        if random.below(2) == 0 {
            random.damage(&mut block);
        }
        let expected = meaning(&block);
        for split in 0..=block.len() {
            assert!(
                Lzmem::decompress(&block, split) == expected,
                "{split} {block:02x?}"
            );
        }
    }
}

/// Checks that a bridge that is too short is an error, and one that is not needed may be empty.
#[test]
fn the_bridge_may_be_too_short() {
    let mut random = Random::from_environment();
    for _ in 0..100 {
        let (block, page) = Lzmem::block(&mut random);
        let mut used = state(0);
        let mut dst = [0; PAGE];
        for _ in 0..20 {
            let (head, tail) = block.split_at(random.below(block.len() + 1));
            let mut bridge = vec![0; random.below(block.len())];
            // SAFETY: `dst` is valid for reads and writes of a page.
            let result = unsafe {
                zram::codecs::lzmem_page::decompress(
                    &mut used,
                    head,
                    tail,
                    &mut bridge,
                    dst.as_mut_ptr(),
                )
            };
            assert!(result.is_err() || dst[..] == page);
            assert!(result.is_ok() || !tail.is_empty());
        }
    }
}

/// Checks that a page that changes while it is compressed becomes the block of some page.
///
/// Every read of the page may return another value than the reads before it. No byte around the
/// buffers is touched.
#[test]
fn pages_may_change_under_way() {
    let mut random = Random::from_environment();
    let mut came = [0; 2];
    for round in 0..2000 * TEXTURES {
        let page = random.page(round % TEXTURES);
        let share = [1, 2, 10, 100, 1000][random.below(5)];
        let limit = [NONE, 3624, random.below(PAGE)][random.below(3)];
        let effort = EFFORTS[random.below(3)];
        let seed = random.next();
        let block = lying(seed, share, || compress(&page, limit, effort));
        came[usize::from(block.is_some())] += 1;
        if let Some(block) = block {
            let page = meaning(&block).expect("a block");
            assert!(decompress(&block) == Ok(page));
        }
    }
    assert!(came[0] > 100 && came[1] > 100, "{came:?}");
}

/// Returns the times that a page takes to be compressed with each effort, and to be decompressed.
///
/// With `missed` the limit is a byte less than the block's length. The slowest block counts.
fn times(page: &[u8], missed: bool) -> [f64; 4] {
    let mut used = state(0);
    let mut dst = [0; ROOM];
    let mut back = 0.0_f64;
    let compress = EFFORTS.map(|effort| {
        let block = compress(page, NONE, effort).expect("there is no limit");
        let limit = block.len() - usize::from(missed);
        let mut page = vec![0; PAGE];
        back = back.max(time(|| {
            let dst = page.as_mut_ptr();
            // SAFETY: `dst` is valid for reads and writes of a page.
            let result = unsafe {
                zram::codecs::lzmem_page::decompress(&mut used, &block, &[], &mut [], dst)
            };
            assert!(result.is_ok());
        }));
        (limit, effort)
    });
    let compress = compress.map(|(limit, effort)| {
        time(|| {
            let src = page.as_ptr();
            // SAFETY: `src` is valid for reads of a page.
            let len = unsafe {
                zram::codecs::lzmem_page::compress(&mut used, src, &mut dst, limit, effort)
            };
            assert!(len.is_none() == missed);
        })
    });
    [compress[0], compress[1], compress[2], back]
}

/// Returns a page of matches of `len` bytes with one distance, which `literals` follow.
fn regular(random: &mut Random, distance: usize, len: usize, literals: usize) -> Vec<u8> {
    let mut page = random.bytes(distance);
    while page.len() < PAGE {
        for _ in 0..len {
            page.push(page[page.len() - distance]);
        }
        page.extend(random.bytes(literals));
    }
    page.truncate(PAGE);
    page
}

/// Checks that the pages that take longest do not take many times as long as text.
///
/// They were searched for: small alphabets have the most matches at each position, and parts of
/// five bytes the most sequences. Matches at small distances read what was just written, which
/// takes longest from nine to fifteen bytes.
#[test]
fn no_page_takes_much_longer() {
    let mut random = Random::from_environment();
    let mut typical = [0.0; 4];
    for _ in 0..8 {
        let page = random.page(1);
        let times = times(&page, false);
        typical = array::from_fn(|at| typical[at] + times[at] / 8.0);
    }
    let mut pages = vec![
        ("noise", random.page(0)),
        ("nearly noise", random.page(5)),
        ("zeroes", vec![0; PAGE]),
        ("far matches", regular(&mut random, 1000, 4, 1)),
    ];
    for distance in [1, 3, 7, 8, 9, 12, 15, 16, 17, 24, 31, 64] {
        pages.push(("regular", regular(&mut random, distance, 4, 2)));
        pages.push(("regular", regular(&mut random, distance, 12, 1)));
    }
    for alphabet in [2, 3, 4, 6] {
        let page = random.bytes(PAGE).into_iter().map(|byte| byte % alphabet);
        pages.push(("small alphabet", page.collect()));
    }
    for (count, literals) in [(16, 1), (128, 0)] {
        let parts: Vec<_> = (0..count).map(|_| random.bytes(5)).collect();
        let mut page = vec![];
        while page.len() < PAGE {
            page.extend(&parts[random.below(count)]);
            page.extend(random.bytes(literals));
        }
        page.truncate(PAGE);
        pages.push(("parts", page));
    }
    let mut most = [0.0_f64; 4];
    for (name, page) in &pages {
        for missed in [false, true] {
            let times = times(page, missed);
            let ratios: [f64; 4] = array::from_fn(|at| times[at] / typical[at]);
            println!("{ratios:.2?} {name}, missed: {missed}");
            most = array::from_fn(|at| most[at].max(ratios[at]));
        }
    }
    println!("{most:.2?} at most, of {typical:.0?} ns");
    let within = most
        .iter()
        .zip([2.2, 2.2, 3.5, 5.5])
        .all(|(most, bound)| *most < bound);
    assert!(within, "{most:.2?}");
}
