// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of LZ4 for a page: `rustc --test --edition 2021 selftests/host/lz4_page.rs`.
//!
//! The reference is a second, slow decompressor in this file, `meaning`.

// pages: 4096 16384

extern crate self as kernel;
pub(crate) use lz77::page;

#[path = "../../src"]
mod zram {
    pub mod codecs {
        pub mod lz4_page;
        #[allow(dead_code)] // The other format uses all of it.
        pub mod lz77;
    }
}

mod lz77;

use lz77::{
    agree,
    in_room,
    lying,
    rooms_for_numbers,
    table,
    time,
    to_page,
    unhex,
    with_numbers,
    Format,
    Random,
    PAGE,
    TEXTURES,
    TIGHT,
    TIMES, //
};
use std::hint::black_box;
use zram::codecs::{
    lz4_page::Corrupt, //
    lz77::table::Table,
};

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

/// The largest block of a page: all literals.
const BOUND: usize = PAGE + PAGE / 255 + 2;

fn compress_with(
    table: &mut Table<PAGE>,
    page: &[u8],
    room: usize,
    acceleration: u32,
) -> Option<Vec<u8>> {
    in_room(page, room, |page, dst| {
        // SAFETY: `page` is valid for reads of a page.
        unsafe { zram::codecs::lz4_page::compress(table, page, dst, acceleration) }
    })
}

fn compress(page: &[u8], room: usize) -> Option<Vec<u8>> {
    compress_with(&mut table(), page, room, 1)
}

fn decompress(block: &[u8]) -> Result<Vec<u8>, Corrupt> {
    decompress_parts(block, block.len())
}

/// Decompresses a block that is passed in two parts, the second of which begins at `split`.
fn decompress_parts(block: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    to_page(block, split, |head, tail, bridge, dst| {
        // SAFETY: `dst` is valid for writes of a page.
        unsafe { zram::codecs::lz4_page::decompress(head, tail, bridge, dst) }
    })
}

/// The format, for the tests that the other has as well.
struct Lz4;

impl Format for Lz4 {
    const ENDS: bool = true;

    fn compress(page: &[u8]) -> Vec<u8> {
        compress(page, BOUND).expect("there is room")
    }

    fn decompress(block: &[u8], split: usize) -> Option<Vec<u8>> {
        decompress_parts(block, split).ok()
    }

    fn meaning(block: &[u8]) -> Option<Vec<u8>> {
        meaning(block)
            .map(|meaning| meaning.data)
            .filter(|data| data.len() == PAGE)
    }

    fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        random.block()
    }
}

lz77::tests_of_any_format!(Lz4);

/// The content of a block, decoded byte by byte.
struct Meaning {
    data: Vec<u8>,
    last_literals: usize,
    last_match: usize,
}

fn meaning(block: &[u8]) -> Option<Meaning> {
    fn number(half: u8, input: &mut impl Iterator<Item = u8>) -> Option<usize> {
        let mut sum = usize::from(half);
        let mut more = half == 15;
        while more {
            let byte = input.next()?;
            sum += usize::from(byte);
            more = byte == 255;
        }
        Some(sum)
    }

    let mut input = block.iter().copied();
    let mut data = Vec::new();
    let mut last_match = 0;
    loop {
        let token = input.next()?;
        let literals = number(token >> 4, &mut input)?;
        if literals > input.len() || data.len() + literals > PAGE {
            return None;
        }
        data.extend(input.by_ref().take(literals));
        if input.len() == 0 {
            return Some(Meaning {
                data,
                last_literals: literals,
                last_match,
            });
        }
        let distance = usize::from(u16::from_le_bytes([input.next()?, input.next()?]));
        let len = number(token & 15, &mut input)? + 4;
        if distance == 0 || distance > data.len() || data.len() + len > PAGE {
            return None;
        }
        last_match = data.len();
        for _ in 0..len {
            data.push(data[data.len() - distance]);
        }
    }
}

/// Checks that `block` decompresses to `page`, and ends as the format demands.
///
/// Decompressors may rely on that end: five literals, and no match that starts in the last twelve
/// bytes.
fn check(block: &[u8], page: &[u8]) {
    let meaning = meaning(block).expect("a block");
    assert!(meaning.data == page, "another page");
    assert!(meaning.last_literals >= 5);
    assert!(meaning.last_match <= PAGE - 12);
    assert!(decompress(block).as_deref() == Ok(page));
}

impl Random {
    /// Returns a valid block that no compressor would write, and its page.
    fn block(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut block, mut page) = (Vec::new(), Vec::new());
        let put = |block: &mut Vec<u8>, number: usize| {
            if let Some(rest) = number.checked_sub(15) {
                block.extend(vec![255; rest / 255]);
                block.push((rest % 255) as u8);
            }
        };
        loop {
            let literals = self.length();
            let len = 4 + self.length();
            let more = page.len() + literals + len <= PAGE - 5 && page.len() + literals > 0;
            let literals = if more { literals } else { PAGE - page.len() };
            let low = if more { (len - 4).min(15) } else { 0 };
            block.push((literals.min(15) << 4 | low) as u8);
            put(&mut block, literals);
            let new = self.bytes(literals);
            block.extend(&new);
            page.extend(&new);
            if !more {
                return (block, page);
            }
            let near = [1, 2, 8, 17, PAGE][self.below(5)].min(page.len());
            let distance = 1 + self.below(near);
            block.extend((distance as u16).to_le_bytes());
            put(&mut block, len - 4);
            for _ in 0..len {
                page.push(page[page.len() - distance]);
            }
        }
    }
}

#[test]
fn pages_survive() {
    let mut random = Random::from_environment();
    for round in 0..200 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        let block = compress(&page, BOUND).expect("there is room");
        check(&block, &page);
    }
}

#[test]
fn every_period_survives() {
    for period in (1..PAGE).step_by(TIMES) {
        let page: Vec<u8> = (0..PAGE)
            .map(|i| (i % period * 7 + i % period / 256) as u8)
            .collect();
        let block = compress(&page, BOUND).expect("there is room");
        check(&block, &page);
        if period < 256 {
            assert!(
                block.len() < period + 24 + PAGE / 255,
                "{} of {period}",
                block.len()
            );
        }
    }
}

#[test]
fn matches_reach_the_end() {
    // The last position where a match is looked for, and all around it.
    for start in PAGE - 64..PAGE {
        let mut page = Random(start as u64).bytes(PAGE);
        page.copy_within(100..100 + PAGE - start, start);
        check(&compress(&page, BOUND).expect("there is room"), &page);
    }
}

#[test]
fn the_room_is_kept() {
    let mut random = Random::from_environment();
    for texture in 0..TEXTURES {
        let page = random.page(texture);
        let whole = compress(&page, BOUND).expect("there is room");
        let near = whole.len() - whole.len().min(500);
        let rooms = (0..near).step_by(TIMES).chain(near..whole.len() + 80);
        for room in rooms.chain([BOUND - 1]) {
            match compress(&page, room) {
                Some(block) => {
                    assert!(block.len() <= room);
                    assert!(room < whole.len() || block == whole);
                    check(&block, &page);
                }
                None => assert!(room < whole.len(), "{room}"),
            }
        }
    }
}

#[test]
fn what_was_in_the_table_does_not_matter() {
    let mut random = Random::from_environment();
    let mut used = table();
    for round in 0..20 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        for room in [BOUND, TIGHT, 100] {
            assert!(compress_with(&mut used, &page, room, 1) == compress(&page, room));
        }
    }
}

#[test]
fn acceleration_is_taken_as_it_comes() {
    let mut random = Random::from_environment();
    for acceleration in [0, 1, 2, 3, 9, 64, 4095, 4096, 65537, u32::MAX] {
        for texture in 0..TEXTURES {
            let page = random.page(texture);
            let block = compress_with(&mut table(), &page, BOUND, acceleration);
            check(&block.expect("there is room"), &page);
        }
    }
}

/// Checks that a page that just does not fit gets a second pass, which finds more.
#[test]
fn short_matches_count_where_it_is_tight() {
    let mut random = Random::from_environment();
    let mut helped = 0;
    for _ in 0..300 {
        let page = random.page(5);
        let whole = compress(&page, BOUND).expect("there is room");
        if let Some(block) = compress(&page, whole.len() - 1) {
            check(&block, &page);
            helped += 1;
        }
    }
    assert!(helped > 100, "{helped}");
}

/// Checks that the second pass does not go over the whole page.
#[test]
fn a_near_miss_costs_little() {
    let mut random = Random::from_environment();
    let mut costs = [0.0; 2];
    for _ in 0..20 {
        let page = random.page(5);
        let mut table = table();
        let mut dst = [0; BOUND];
        let len = compress(&page, BOUND).expect("there is room").len();
        for (cost, room) in costs.iter_mut().zip([BOUND, len - 20]) {
            *cost += time(|| {
                // SAFETY: `page` is valid for reads of a page.
                black_box(unsafe {
                    zram::codecs::lz4_page::compress(&mut table, page.as_ptr(), &mut dst[..room], 1)
                });
            });
        }
    }
    assert!(costs[1] < 1.75 * costs[0], "{costs:?}");
}

/// Checks that blocks of the kernel's library, of pages that repeat something, are read.
#[test]
fn the_librarys_blocks_are_read() {
    let fox = "The quick brown fox jumps over the lazy dog. ";
    for (repeated, start) in [
        ("\0", "1f000100"),
        ("abc", "3f6162630300"),
        (
            fox,
            "ff1e54686520717569636b2062726f776e20666f78206a756d7073206f766572\
             20746865206c617a7920646f672e202d00",
        ),
    ] {
        let page: Vec<u8> = repeated.bytes().cycle().take(PAGE).collect();
        let mut block = unhex(start);
        // Without the first literals and the last five, it is one match.
        let more = PAGE - repeated.len() - 5 - 4 - 15;
        block.resize(block.len() + more / 255, 255);
        block.extend([(more % 255) as u8, 0x50]);
        block.extend(&page[PAGE - 5..]);
        check(&block, &page);
    }
}

/// Checks numbers whose last byte is the least or the most, and one that is one above that.
#[test]
fn numbers_go_on_as_far_as_a_page() {
    for bytes in 0..PAGE / 255 {
        for number in [0, 1, 254].map(|rest| 255 * bytes + rest) {
            // Of literals 15 are in the token, and of a match 19.
            let [literals, _] = with_numbers(number + 15, 0);
            let [_, repeats] = with_numbers(number + 19, 0);
            for page in [literals, repeats] {
                let whole = compress(&page, BOUND).expect("there is room");
                check(&whole, &page);
                for room in rooms_for_numbers(whole.len()) {
                    match compress(&page, room) {
                        Some(block) => check(&block, &page),
                        None => assert!(room < whole.len(), "{number} {room}"),
                    }
                }
            }
        }
    }
}

#[test]
fn any_block_is_read() {
    let mut random = Random::from_environment();
    for _ in 0..3000 / TIMES {
        let (block, page) = random.block();
        assert!(decompress(&block) == Ok(page));
        agree::<Lz4>(&block);
    }
}

/// Checks that a match is found soon after noise.
///
/// The compressor goes through noise in strides, and must not miss the repetition behind it for
/// longer than the kernel's library does. The library's blocks are 72 bytes longer on the mean than
/// the part of these pages that does not repeat; if a page has 16 KiB 120, and 64 KiB 312.
#[test]
fn noise_does_not_hide_what_follows() {
    let mut random = Random::from_environment();
    let more = (0..1000).map(|_| {
        let len = 1 + random.below(300);
        let mut page = random.bytes(1024);
        page.extend(random.bytes(len).repeat(PAGE / len));
        compress(&page[..PAGE], BOUND).expect("there is room").len() - 1024 - len
    });
    let mean = more.sum::<usize>() / 1000;
    assert!(mean <= 54 + PAGE / 255, "{mean}");
}

/// Checks the same with words behind the noise, of which a first match is found less soon.
#[test]
fn noise_does_not_hide_words() {
    // The length on the mean of the blocks that the kernel's library makes of these very pages.
    let library = [(4096, 2_607), (16_384, 7_893), (65_536, 28_794)];
    let (_, library) = library.into_iter().find(|(page, _)| *page == PAGE).unwrap();
    let mut random = Random(77);
    let blocks = (0..1000).map(|_| {
        let mut page = random.bytes(1024);
        page.extend(random.page(1));
        compress(&page[..PAGE], BOUND).expect("there is room").len()
    });
    let mean = blocks.sum::<usize>() / 1000;
    assert!(mean <= library * 101 / 100, "{mean}");
}

/// Checks that matches at small distances are decompressed about as fast as others.
///
/// Matches that repeat three, five, six or seven bytes once took four times as long as those that
/// repeat four or eight: each word was read while its bytes were still on their way to the cache.
#[test]
fn near_matches_are_as_fast_as_others() {
    let mut random = Random::from_environment();
    let mut time_for = |distance: usize| {
        let mut page = random.bytes(distance);
        while page.len() < PAGE {
            let new = 1 + random.below(6);
            page.extend(random.bytes(new));
            for _ in 0..4 + random.below(12) {
                page.push(page[page.len() - distance]);
            }
        }
        page.truncate(PAGE);
        let block = compress(&page, BOUND).expect("there is room");
        let mut dst = [0; PAGE];
        time(|| {
            // SAFETY: `dst` is valid for writes of a page.
            let result = unsafe {
                zram::codecs::lz4_page::decompress(&block, &[], &mut [], dst.as_mut_ptr())
            };
            assert!(result.is_ok());
        })
    };
    let usual = time_for(4).max(time_for(8));
    for distance in [1, 2, 3, 5, 6, 7] {
        let near = time_for(distance);
        assert!(near < 2.2 * usual, "{distance}: {near} ns, not {usual}");
    }
}

/// Checks that a page that changes while it is compressed becomes the block of some page.
///
/// Every read may return another value than the reads before it. No byte around the buffers is
/// touched.
///
/// This is the only test that fails if, for one, `grown` compares again to find where a match that
/// has grown ends: then the table has positions behind that end, and the next match may refer to
/// bytes that are not yet written.
#[test]
fn pages_may_change_under_way() {
    let mut random = Random::from_environment();
    let mut table = table();
    let mut came = [0; 2];
    for round in 0..3000 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        let share = [1, 2, 10, 100, 1000][random.below(5)];
        let room = [BOUND, TIGHT, random.below(BOUND)][random.below(3)];
        let acceleration = 1 + random.below(8).saturating_sub(5) as u32;
        let seed = random.next();
        let block = lying(seed, share, || {
            compress_with(&mut table, &page, room, acceleration)
        });
        came[usize::from(block.is_some())] += 1;
        if let Some(block) = block {
            let meaning = meaning(&block).expect("a block");
            assert!(meaning.data.len() == PAGE);
            assert!(decompress(&block).as_ref() == Ok(&meaning.data));
        }
    }
    assert!(came[0] > 100 && came[1] > 100, "{came:?}");
}
