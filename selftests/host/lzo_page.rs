// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of LZO-RLE for a page: `rustc --test --edition 2021 selftests/host/lzo_page.rs`.
//!
//! The reference is a second, slow decompressor in this file, `meaning`.

// pages: 4096 16384

extern crate self as kernel;
pub(crate) use lz77::page;

#[path = "../../src"]
mod zram {
    pub mod codecs {
        #[allow(dead_code)] // The other format uses all of it.
        pub mod lz77;
        pub mod lzo_page;
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
    LONGEST,
    PAGE,
    TEXTURES,
    TIGHT,
    TIMES, //
};
use zram::codecs::{
    lz77::table::Table,
    lzo_page::Corrupt, //
};

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

/// The largest block of a page: all literals.
const BOUND: usize = 2 + 2 + PAGE / 255 + PAGE + 3;

fn compress_with(table: &mut Table<PAGE>, page: &[u8], room: usize) -> Option<Vec<u8>> {
    in_room(page, room, |page, dst| {
        // SAFETY: `page` is valid for reads of a page.
        unsafe { zram::codecs::lzo_page::compress(table, page, dst) }
    })
}

fn compress(page: &[u8], room: usize) -> Option<Vec<u8>> {
    compress_with(&mut table(), page, room)
}

fn decompress(block: &[u8]) -> Result<Vec<u8>, Corrupt> {
    decompress_parts(block, block.len())
}

/// Decompresses a block that is passed in two parts, the second of which begins at `split`.
fn decompress_parts(block: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    to_page(block, split, |head, tail, bridge, dst| {
        // SAFETY: `dst` is valid for writes of a page.
        unsafe { zram::codecs::lzo_page::decompress(head, tail, bridge, dst) }
    })
}

/// The format, for the tests that the other has as well.
struct Lzo;

impl Format for Lzo {
    const ENDS: bool = true;

    fn compress(page: &[u8]) -> Vec<u8> {
        compress(page, BOUND).expect("there is room")
    }

    fn decompress(block: &[u8], split: usize) -> Option<Vec<u8>> {
        decompress_parts(block, split).ok()
    }

    fn meaning(block: &[u8]) -> Option<Vec<u8>> {
        meaning(block).map(|(data, _)| data)
    }

    fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        random.block()
    }
}

lz77::tests_of_any_format!(Lzo);

/// What a block has of each instruction.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    runs: usize,
    near: usize,
    far: usize,
    literals: usize,
    rare: usize,
}

/// Returns the content of a block, decoded byte by byte, or `None` unless that is a page.
fn meaning(block: &[u8]) -> Option<(Vec<u8>, Counts)> {
    let mut input = block.iter().map(|&byte| usize::from(byte)).peekable();
    let mut data: Vec<u8> = Vec::new();
    let mut counts = Counts::default();
    let versioned = block.len() >= 5 && block[0] == 17;
    let runs = versioned && block[1] > 0;
    if versioned {
        input.nth(1);
    }
    // Either literals that have an instruction of their own, or as many as the last one tells.
    let mut many = 0;
    let mut few = 0;
    if let Some(literals) = input.next_if(|&byte| byte > 17) {
        match literals - 17 {
            literals @ 1..4 => few = literals,
            literals => many = literals,
        }
    }
    loop {
        for _ in 0..many + few {
            data.push(input.next()? as u8);
        }
        if data.len() > PAGE {
            return None;
        }
        let number = |bits: usize, token: usize, input: &mut dyn Iterator<Item = usize>| {
            let mut number = token % (1 << bits);
            if number == 0 {
                number = (1 << bits) - 1;
                loop {
                    match input.next()? {
                        0 => number += 255,
                        last => break Some(number + last),
                    }
                }
            } else {
                Some(number)
            }
        };
        let token = input.next()?;
        let (distance, len);
        if token < 16 && many == 0 && few == 0 {
            counts.literals += 1;
            many = 3 + number(4, token, &mut input)?;
            if many > PAGE {
                return None;
            }
            continue;
        } else if token < 16 {
            counts.rare += 1;
            let nearest = if many > 0 { 2049 } else { 1 };
            len = if many > 0 { 3 } else { 2 };
            distance = nearest + token / 4 + 4 * input.next()?;
            few = token % 4;
        } else if token < 32 {
            let mut rest = input.clone();
            let operand = rest.next()? + 256 * rest.next()?;
            if runs && token >= 24 && operand / 4 == 0x3fff {
                counts.runs += 1;
                let len = 4 + token % 8 + 8 * rest.next()?;
                input = rest;
                data.resize(data.len() + len, 0);
                (many, few) = (0, operand % 4);
                continue;
            }
            let at_end = token == 17 && operand < 4 && rest.next().is_none();
            return (at_end && data.len() == PAGE).then_some((data, counts));
        } else if token < 64 {
            counts.far += 1;
            len = 2 + number(5, token, &mut input)?;
            let operand = input.next()? + 256 * input.next()?;
            distance = 1 + operand / 4;
            few = operand % 4;
        } else {
            counts.near += 1;
            len = 1 + token / 32;
            distance = 1 + token / 4 % 8 + 8 * input.next()?;
            few = token % 4;
        }
        many = 0;
        if distance > data.len() || len > PAGE {
            return None;
        }
        for _ in 0..len {
            data.push(data[data.len() - distance]);
        }
    }
}

/// Checks that `block` decompresses to `page`, and starts and ends as one with runs of zeroes does.
fn check(block: &[u8], page: &[u8]) -> Counts {
    let (data, counts) = meaning(block).expect("a block");
    assert!(data == page, "another page");
    assert!(block.starts_with(&[17, 1]) && block.ends_with(&[17, 0, 0]));
    assert!(decompress(block).as_deref() == Ok(page));
    counts
}

impl Random {
    /// Returns a valid block with everything that the format has, and its page.
    fn block(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut block, mut page) = (Vec::new(), Vec::new());
        match self.below(4) {
            0 => (),
            1 => block.extend([17, 0]),
            2 => block.extend([17, 1]),
            _ => block.extend([17, self.next() as u8 | 2]),
        }
        let runs = block.get(1).is_some_and(|&version| version > 0);
        let mut last = 0;
        let first = [0, 1 + self.below(3), 4 + self.below(235)][self.below(3)];
        if first > 0 {
            block.push(17 + first as u8);
            self.literals(&mut block, &mut page, first);
            last = first.min(4);
        }
        while page.len() < PAGE {
            let (done, left) = (page.len(), PAGE - page.len());
            // The last instruction fills the page.
            let ends = left <= LONGEST + 100 || self.below(30) == 0 && done > 0;
            let len = if ends { left } else { 4 + self.length() };
            let few = if ends { 0 } else { self.below(4) };
            if last == 0 && (done == 0 || self.below(3) == 0) {
                put(&mut block, 0, 4, len - 3);
                self.literals(&mut block, &mut page, len);
                last = 4;
                continue;
            }
            let distance = |random: &mut Self, from: usize, to: usize| {
                let to = [from, from + 1, from + 7, from + 16, to][random.below(5)];
                from + random.below(to.min(done) + 1 - from)
            };
            match (self.below(6), last) {
                (0, _) if runs && !ends => {
                    let end = [40, 2048][self.below(2)].min(left - 100);
                    let len = 4 + self.below(end);
                    block.push(24 | (len - 4) as u8 & 7);
                    block.extend([0xfc | few as u8, 0xff, ((len - 4) >> 3) as u8]);
                    page.resize(done + len, 0);
                }
                (1, 1..=3) if !ends => {
                    let back = distance(self, 1, 1024) - 1;
                    block.extend([(back % 4 << 2 | few) as u8, (back / 4) as u8]);
                    repeat(&mut page, back + 1, 2);
                }
                (1 | 2, 4) if !ends && done > 2048 => {
                    let back = distance(self, 2049, 3072) - 2049;
                    block.extend([(back % 4 << 2 | few) as u8, (back / 4) as u8]);
                    repeat(&mut page, back + 2049, 3);
                }
                (2 | 3, _) if !ends => {
                    let back = distance(self, 1, 2048) - 1;
                    let len = 3 + self.below(6);
                    let low = (len - 1) << 5 | back % 8 << 2 | few;
                    block.extend([low as u8, (back / 8) as u8]);
                    repeat(&mut page, back + 1, len);
                }
                _ => {
                    let distance = distance(self, 1, PAGE);
                    put(&mut block, 32, 5, len - 2);
                    block.extend((((distance - 1) << 2 | few) as u16).to_le_bytes());
                    repeat(&mut page, distance, len);
                }
            }
            last = few;
            self.literals(&mut block, &mut page, few);
        }
        block.extend([17, 0, 0]);
        (block, page)
    }

    fn literals(&mut self, block: &mut Vec<u8>, page: &mut Vec<u8>, len: usize) {
        let new = self.bytes(len);
        block.extend(&new);
        page.extend(&new);
    }
}

/// Adds the first byte of an instruction with a number of so many bits, and the rest of the number.
fn put(block: &mut Vec<u8>, token: u8, bits: u32, number: usize) {
    let most = (1 << bits) - 1;
    if number <= most {
        block.push(token | number as u8);
    } else {
        let rest = number - most - 1;
        block.push(token);
        block.extend(vec![0; rest / 255]);
        block.push((rest % 255 + 1) as u8);
    }
}

fn repeat(page: &mut Vec<u8>, distance: usize, len: usize) {
    for _ in 0..len {
        page.push(page[page.len() - distance]);
    }
}

#[test]
fn pages_survive() {
    let mut random = Random::from_environment();
    let mut sum = Counts::default();
    for round in 0..200 * TEXTURES {
        let page = random.page(round % TEXTURES);
        let block = compress(&page, BOUND).expect("there is room");
        let counts = check(&block, &page);
        sum.runs += counts.runs;
        sum.near += counts.near;
        sum.far += counts.far;
        sum.literals += counts.literals;
        assert!(counts.rare == 0);
    }
    assert!(sum.runs > 1000 && sum.near > 1000 && sum.far > 1000 && sum.literals > 1000);
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

/// Checks runs of zeroes of any length, at the start, within and at the end of a page.
#[test]
fn zeroes_take_little() {
    let noise = Random(5).bytes(PAGE).into_iter().map(|byte| byte | 1);
    let noise: Vec<u8> = noise.collect();
    for len in (0..=PAGE).step_by(TIMES) {
        for start in [0, 1, 2, 3, 4, 20, 300, PAGE - len] {
            let mut page = noise.clone();
            page[start..(start + len).min(PAGE)].fill(0);
            let block = compress(&page, BOUND).expect("there is room");
            check(&block, &page);
            let others = PAGE - len.min(PAGE - start);
            if len > 200 {
                assert!(
                    block.len() <= others + others / 255 + 22 + 4 * (PAGE / 2048),
                    "{start} {len}"
                );
            }
        }
    }
}

/// Checks matches that are found in the middle and grow back over zeroes.
///
/// The zeroes are no run then: after them there are positions that the table has already.
#[test]
fn matches_grow_over_zeroes() {
    for zeroes in 8..40 {
        for start in 2000..2064 {
            let mut page = Random(start as u64).bytes(PAGE);
            page[100..100 + zeroes].fill(0);
            page.copy_within(99..200, start);
            check(&compress(&page, BOUND).expect("there is room"), &page);
        }
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
                    assert!(room >= whole.len() && block == whole);
                }
                // No match is looked for that would have to grow back over more than 64 bytes.
                None => assert!(room < whole.len() + 8, "{texture} {room}"),
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
            assert!(compress_with(&mut used, &page, room) == compress(&page, room));
        }
    }
}

/// Checks that blocks of the kernel's library are read, with and without runs of zeroes.
#[cfg(not(page_size = "16384"))]
#[test]
fn the_librarys_blocks_are_read() {
    let fox = "The quick brown fox jumps over the lazy dog. ";
    let sparse = "Hello, pages".to_string() + &"\0".repeat(288);
    for (repeated, block) in [
        (
            "\0",
            "11010200000000001ffcffff18fcfffc000200000000000000000000000000000000000000001100 \
             00",
        ),
        (
            "\0",
            "02000000000020000000000000000000000000000000da10000c0000000000000000000000000000 \
             00110000",
        ),
        (
            "abc",
            "11010361626361626320000000000000000000000000000000da14000b6361626361626361626361 \
             626361110000",
        ),
        (
            "abc",
            "0361626361626320000000000000000000000000000000da14000b63616263616263616263616263 \
             61110000",
        ),
        (
            fox,
            "1101002054686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c \
             617a7920646f672e20546865207120000000000000000000000000000000aab0000f657220746865 \
             206c617a7920646f672e2054110000",
        ),
        (
            &sparse,
            "11010948656c6c6f2c2070616765731cfcff23200000000000000000000000000000b1ac040d0000 \
             0000000000000000000000000000110000",
        ),
        (
            &sparse,
            "0a48656c6c6f2c2070616765730020fe0000200000000000000000000000000000b1ac040d000000 \
             00000000000000000000000000110000",
        ),
    ] {
        let page: Vec<u8> = repeated.bytes().cycle().take(PAGE).collect();
        let block = unhex(block);
        assert!(meaning(&block).is_some_and(|(data, _)| data == page));
        assert!(decompress(&block) == Ok(page));
    }
}

/// Checks numbers whose last byte is the least or the most, and one that is one above that.
#[test]
fn numbers_go_on_as_far_as_a_page() {
    for bytes in 0..PAGE / 255 {
        for number in [1, 2, 255].map(|rest| 255 * bytes + rest) {
            // Of literals 18 are in the first byte, and of a match 33.
            let [literals, _] = with_numbers(number + 18, 1);
            let [_, repeats] = with_numbers(number + 33, 1);
            for page in [literals, repeats] {
                let whole = compress(&page, BOUND).expect("there is room");
                check(&whole, &page);
                for room in rooms_for_numbers(whole.len()) {
                    match compress(&page, room) {
                        Some(block) => assert!(block == whole),
                        // See `the_room_is_kept`.
                        None => assert!(room < whole.len() + 8, "{number} {room}"),
                    }
                }
            }
        }
    }
}

#[test]
fn any_block_is_read() {
    let mut random = Random::from_environment();
    let mut rare = 0;
    for _ in 0..3000 / TIMES {
        let (block, page) = random.block();
        assert!(decompress(&block).as_ref() == Ok(&page));
        agree::<Lzo>(&block);
        rare += meaning(&block).expect("a block").1.rare;
    }
    assert!(rare > 1000 / TIMES, "{rare}");
}

/// Checks that a block without the right prefix has no runs of zeroes.
#[test]
fn runs_need_a_version() {
    let mut random = Random::from_environment();
    for _ in 0..200 {
        let block = compress(&random.page(7), BOUND).expect("there is room");
        assert!(meaning(&block).is_some_and(|(_, counts)| counts.runs > 0));
        assert!(decompress(&block[2..]).is_err());
        let old = [&[17, 0], &block[2..]].concat();
        assert!(decompress(&old).is_err());
        agree::<Lzo>(&old);
    }
}

/// Checks that a match is found soon after noise.
///
/// The compressor goes through noise in strides, and must not miss the repetition behind it. The
/// blocks of the kernel's library are 623 bytes longer on the mean than the part of these pages that
/// does not repeat; if a page has 16 KiB 676.
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
    assert!(mean <= 49 + PAGE / 255, "{mean}");
}

/// Checks the same with words behind the noise, of which a first match is found less soon.
///
/// The blocks that the kernel's library makes of these very pages are 3,317 bytes long on the mean,
/// and those of 16 KiB 7,974.
#[test]
fn noise_does_not_hide_words() {
    let mut random = Random(77);
    let blocks = (0..1000).map(|_| {
        let mut page = random.bytes(1024);
        page.extend(random.page(1));
        compress(&page[..PAGE], BOUND).expect("there is room").len()
    });
    let mean = blocks.sum::<usize>() / 1000;
    let most = if PAGE == 4096 { 2_650 } else { 7_100 };
    assert!(mean <= most, "{mean}");
}

/// Checks that noise is given up in a fraction of the time that text takes.
#[test]
fn noise_is_given_up_soon() {
    let mut random = Random::from_environment();
    let mut time_for = |texture: usize, room: usize| {
        let page = random.page(texture);
        let mut table = table();
        let mut dst = [0; BOUND];
        time(|| {
            // SAFETY: `page` is valid for reads of a page.
            let len = unsafe {
                zram::codecs::lzo_page::compress(&mut table, page.as_ptr(), &mut dst[..room])
            };
            assert!(len.is_some() == (texture > 0));
        })
    };
    let (text, noise, least) = (time_for(1, TIGHT), time_for(0, TIGHT), time_for(0, 100));
    assert!(noise < text / 4.0, "{noise} ns, not {text}");
    assert!(least < noise * 0.8, "{least} ns, not {noise}");
}

/// Checks that matches at small distances are decompressed about as fast as others.
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
                zram::codecs::lzo_page::decompress(&block, &[], &mut [], dst.as_mut_ptr())
            };
            assert!(result.is_ok());
        })
    };
    let usual = time_for(16).max(time_for(20));
    for distance in 1..=8 {
        let near = time_for(distance);
        assert!(near < 2.2 * usual, "{distance}: {near} ns, not {usual}");
    }
}

/// Checks that a page that changes while it is compressed becomes the block of some page.
///
/// Every read may return another value than the reads before it. No byte around the buffers is
/// touched.
#[test]
fn pages_may_change_under_way() {
    let mut random = Random::from_environment();
    let mut table = table();
    let mut came = [0; 2];
    for round in 0..3000 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        let share = [1, 2, 10, 100, 1000][random.below(5)];
        let room = [BOUND, TIGHT, random.below(BOUND)][random.below(3)];
        let seed = random.next();
        let block = lying(seed, share, || compress_with(&mut table, &page, room));
        came[usize::from(block.is_some())] += 1;
        if let Some(block) = block {
            let (data, _) = meaning(&block).expect("a block");
            assert!(decompress(&block).as_ref() == Ok(&data));
        }
    }
    assert!(came[0] > 100 && came[1] > 100, "{came:?}");
}
