// SPDX-License-Identifier: GPL-2.0-only

//! Pages, reads that lie, and guarded buffers for the tests of the formats for a page.
//!
//! All random numbers come from one seed, which is printed; `LZ_SEED=n` sets another.

use crate::zram::codecs::lz77::table::Table;
use std::{
    cell::RefCell,
    mem,
    ops::Range,
    time::Instant, //
};

pub const PAGE: usize = page::PAGE_SIZE;

/// The module of that name in the `kernel` crate; `--cfg page_size="16384"` is for larger pages.
pub mod page {
    pub const PAGE_SIZE: usize = if cfg!(page_size = "16384") {
        16 << 10
    } else if cfg!(page_size = "65536") {
        64 << 10
    } else {
        4 << 10
    };
}

/// The number of times that a page has 4 KiB. Where there are more, tests try fewer pages.
pub const TIMES: usize = PAGE / 4096;

/// No less than what [`Random::length`] returns: more than its bytes can count if a page has many.
pub const LONGEST: usize = if TIMES > 1 { PAGE / 2 } else { 600 };

/// A room that is about as long as a block may be before zram stores its page as it is.
pub const TIGHT: usize = PAGE / 8 * 7 + 40;

/// Number of bytes before and after a buffer that must not change.
const GUARD: usize = 64;

/// Returns an empty hash table.
pub fn table() -> Box<Table<PAGE>> {
    // SAFETY: A `Table` consists of integers, for which all zeroes is a valid value.
    unsafe { filled(0) }
}

/// Returns a value whose bytes are all `byte`.
///
/// # Safety
///
/// `T` consists of integers, for which any bytes are a valid value.
pub unsafe fn filled<T>(byte: u8) -> Box<T> {
    let mut value = Box::<T>::new_uninit();
    // SAFETY: `value` is valid for writes of a `T`, and then it is one by the safety requirement.
    unsafe {
        value.as_mut_ptr().write_bytes(byte, 1);
        value.assume_init()
    }
}

/// Runs a compressor with `page` and so much room, and returns the block.
///
/// Checks that nothing around the room is written to.
pub fn in_room(
    page: &[u8],
    room: usize,
    compress: impl FnOnce(*const u8, &mut [u8]) -> Option<usize>,
) -> Option<Vec<u8>> {
    // An allocation of exactly a page, for tools that find accesses beyond allocations.
    let page: Box<[u8; PAGE]> = Box::new(page.try_into().unwrap());
    let mut dst = vec![0xa5; GUARD + room + GUARD];
    // Nobody else writes to what a compressor has made so far.
    let addresses = page.as_ptr_range();
    LIES.with_borrow_mut(|lies| {
        if let Some(lies) = lies {
            lies.about = addresses.start as usize..addresses.end as usize;
        }
    });
    let len = compress(page.as_ptr(), &mut dst[GUARD..GUARD + room]);
    assert!(dst[..GUARD].iter().all(|&b| b == 0xa5), "before the room");
    assert!(
        dst[GUARD + room..].iter().all(|&b| b == 0xa5),
        "after the room"
    );
    Some(dst[GUARD..GUARD + room][..len?].to_vec())
}

/// Runs a decompressor with `block` in two parts, the second of which begins at `split`.
///
/// The decompressor gets the parts, room to join them, and the page. Checks that nothing around the
/// page is written to.
pub fn to_page<E>(
    block: &[u8],
    split: usize,
    decompress: impl FnOnce(&[u8], &[u8], &mut [u8], *mut u8) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    // Allocations of exactly the parts' sizes, for the same tools.
    let (head, tail): (Box<[u8]>, Box<[u8]>) = (block[..split].into(), block[split..].into());
    let mut bridge = vec![0x5a; block.len()];
    let mut dst = vec![0x5a; GUARD + PAGE + GUARD];
    let result = decompress(&head, &tail, &mut bridge, dst[GUARD..].as_mut_ptr());
    assert!(dst[..GUARD].iter().all(|&b| b == 0x5a), "before the page");
    assert!(
        dst[GUARD + PAGE..].iter().all(|&b| b == 0x5a),
        "after the page"
    );
    result.map(|()| dst[GUARD..GUARD + PAGE].to_vec())
}

/// A generator of random numbers.
pub struct Random(pub u64);

impl Random {
    /// Returns one with the seed of the environment, which is printed.
    pub fn from_environment() -> Self {
        let seed = std::env::var("LZ_SEED").map_or(4, |seed| seed.parse().unwrap());
        println!("LZ_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Returns a length that is mostly small and sometimes large.
    pub fn length(&mut self) -> usize {
        let end = [4, 16, 40, LONGEST][self.below(4)];
        self.below(end)
    }

    /// Returns a page of one of several textures, from noise to runs and overlapping copies.
    pub fn page(&mut self, texture: usize) -> Vec<u8> {
        let words: Vec<Vec<u8>> = (0..60)
            .map(|_| {
                let len = 1 + self.below(9);
                self.bytes(len).iter().map(|b| b % 26 + b'a').collect()
            })
            .collect();
        let mut page = Vec::new();
        while page.len() < PAGE {
            match texture {
                0 => page.push(self.next() as u8),
                1 => {
                    page.extend(&words[self.below(60)]);
                    page.push(b' ');
                }
                // Pointers and counters.
                2 => page.extend((0xffff_8881_0000_0000 | self.next() % 4096 * 64).to_le_bytes()),
                3 => page.extend((self.next() as u32 % 300).to_le_bytes()),
                // Runs.
                4 => page.resize(page.len() + self.length(), (self.next() % 3) as u8),
                // Nearly random, so that it compresses to about the huge page limit.
                5 => {
                    let (new, old) = (1 + self.below(40), self.below(12));
                    page.extend(self.bytes(new));
                    let from = self.below(page.len());
                    page.extend_from_within(from..page.len().min(from + old));
                }
                // Zeroes with something here and there.
                7 => {
                    let new = 1 + self.below(12);
                    page.extend(self.bytes(new));
                    let end = [12, 40, 300, 5000 * TIMES][self.below(4)];
                    page.resize(page.len() + self.below(end), 0);
                }
                // Copies from any distance, which may overlap themselves.
                _ => {
                    let new = self.length();
                    page.extend(self.bytes(new));
                    let distance = 1 + self.below(page.len().max(1));
                    for _ in 0..self.length() {
                        let next = page.len().checked_sub(distance).map_or(0, |at| page[at]);
                        page.push(next);
                    }
                }
            }
        }
        page.truncate(PAGE);
        page
    }
}

/// Returns pages with a number of literals and the length of a match that are about `number`.
///
/// The literals go before a match up to the end of the page, and the match of bytes `byte` before
/// literals. In front of both is a short match.
pub fn with_numbers(number: usize, byte: u8) -> [Vec<u8>; 2] {
    [(number, PAGE), (20, number)].map(|(literals, len)| {
        let mut page = Random(number as u64).bytes(PAGE);
        page.copy_within(10..20, 30);
        let start = (40 + literals).min(PAGE);
        page[start..(start + len).min(PAGE)].fill(byte);
        page
    })
}

/// Returns rooms that end near the match of either page of [`with_numbers`], or near the end of its
/// block, which is `len` bytes long.
pub fn rooms_for_numbers(len: usize) -> impl Iterator<Item = usize> {
    let span = PAGE / 255 + 60;
    let near = |room: usize| room.saturating_sub(span)..room + span;
    near(60).chain(near(len)).step_by(TIMES.div_ceil(4))
}

/// The number of textures of [`Random::page`].
pub const TEXTURES: usize = 8;

/// Returns the bytes that are written as hexadecimal digits.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| Some(c.to_digit(16)? as u8))
        .collect();
    digits.chunks(2).map(|c| c[0] << 4 | c[1]).collect()
}

/// Returns the shortest of 300 times that `work` takes, in nanoseconds.
pub fn time(mut work: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    };
    (0..300).map(once).fold(f64::MAX, f64::min)
}

/// Values that reads return in place of the bytes in memory.
struct Lies {
    random: Random,
    /// One of `share` reads returns such a value.
    share: usize,
    /// The addresses of which such values are returned.
    about: Range<usize>,
    /// Values that were read lately: one that is returned again looks like a match.
    past: [u64; 8],
}

thread_local! {
    static LIES: RefCell<Option<Lies>> = const { RefCell::new(None) };
}

/// Returns the value that `read` in lz77 gets for an integer at `from`, which others may write to.
pub fn seen<T>(from: *const u8, value: T) -> T {
    LIES.with_borrow_mut(|lies| match lies {
        Some(lies) if lies.about.contains(&(from as usize)) => lies.seen(value),
        _ => value,
    })
}

impl Lies {
    fn seen<T>(&mut self, value: T) -> T {
        let size = mem::size_of::<T>();
        let mut bytes = [0; 8];
        // SAFETY: `value` is an integer of at most eight bytes, so that `bytes` has room for it.
        unsafe {
            bytes
                .as_mut_ptr()
                .copy_from((&raw const value).cast(), size)
        };
        let turn = self.random.below(8);
        if self.random.below(self.share) == 0 {
            match self.random.below(4) {
                0 => bytes = [0; 8],
                1 => bytes[self.random.below(size)] ^= 1 << self.random.below(8),
                _ => bytes = self.past[turn].to_le_bytes(),
            }
        } else {
            self.past[turn] = u64::from_le_bytes(bytes);
        }
        // SAFETY: `T` is an integer of at most eight bytes, for which any bytes are a valid value.
        unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
    }
}

/// Runs `work`, in which one of `share` reads returns a wrong value.
pub fn lying<R>(seed: u64, share: usize, work: impl FnOnce() -> R) -> R {
    let lies = Lies {
        random: Random(seed),
        share,
        about: 0..usize::MAX,
        past: [0; 8],
    };
    LIES.set(Some(lies));
    let result = work();
    LIES.set(None);
    result
}

/// A format, for the tests that are the same for all.
pub trait Format {
    /// Whether a block that is cut off or goes on is never one.
    const ENDS: bool;

    /// Returns the block that the compressor makes of `page`, with all the room that it may need.
    fn compress(page: &[u8]) -> Vec<u8>;

    /// Returns the page that the decompressor makes of `block`, whose second part begins at
    /// `split`.
    fn decompress(block: &[u8], split: usize) -> Option<Vec<u8>>;

    /// Returns the page that the reference makes of `block`.
    fn meaning(block: &[u8]) -> Option<Vec<u8>>;

    /// Returns a valid block that no compressor would write, and its page.
    fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>);
}

/// Returns a block and its page: of the compressor in each second round, else any other.
fn some_block<F: Format>(random: &mut Random, round: usize) -> (Vec<u8>, Vec<u8>) {
    if round % 2 == 0 {
        return F::block(random);
    }
    let page = random.page(round / 2 % TEXTURES);
    (F::compress(&page), page)
}

/// Checks that both decompressors have the same result, also if the block is in two parts.
pub fn agree<F: Format>(block: &[u8]) {
    let expected = F::meaning(block);
    for split in [block.len(), block.len() / 3, block.len() * 2 / 3] {
        assert!(
            F::decompress(block, split) == expected,
            "{split} {block:02x?}"
        );
    }
}

/// Checks blocks that are cut off, too long, changed in some bytes, or nothing but garbage.
pub fn broken_blocks_do_no_harm<F: Format>() {
    let mut random = Random::from_environment();
    let refused = |block: &[u8]| F::decompress(block, block.len()).is_none();
    for round in 0..60 / TIMES {
        let (block, _) = some_block::<F>(&mut random, round);
        for len in (round % TIMES..block.len()).step_by(TIMES) {
            assert!(!F::ENDS || refused(&block[..len]), "cut off at {len}");
            agree::<F>(&block[..len]);
        }
        let more = [&block[..], &[0]].concat();
        assert!(!F::ENDS || refused(&more));
        agree::<F>(&more);
        for _ in 0..400 / TIMES {
            let mut broken = block.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(broken.len());
                broken[at] = match random.below(4) {
                    0 => 0,
                    1 => 255,
                    2 => broken[at] ^ 1 << random.below(8),
                    _ => random.next() as u8,
                };
            }
            agree::<F>(&broken);
        }
    }
    for _ in 0..20_000 / TIMES {
        let len = random.length();
        let mut garbage = random.bytes(len);
        if random.below(2) == 0 {
            garbage.iter_mut().for_each(|b| *b &= 0x13);
        }
        agree::<F>(&garbage);
    }
}

/// Checks blocks that are split anywhere, as an object across two pages of the pool is.
pub fn blocks_come_in_two_parts<F: Format>() {
    let mut random = Random::from_environment();
    for round in 0..20 * TEXTURES / TIMES {
        let (block, page) = some_block::<F>(&mut random, round);
        for split in (round % TIMES..=block.len()).step_by(TIMES) {
            assert!(F::decompress(&block, split).as_ref() == Some(&page));
        }
    }
}

/// Checks that decompression touches nothing around a page that others write to meanwhile.
pub fn pages_may_change_while_they_are_made<F: Format>() {
    let mut random = Random::from_environment();
    for round in 0..1000 * TEXTURES / TIMES {
        let (block, _) = some_block::<F>(&mut random, round);
        let split = [block.len(), random.below(block.len())][random.below(2)];
        let share = [2, 10, 100, 1000][random.below(4)];
        let seed = random.next();
        // The result may be any page or an error, because the bytes that are copied may be wrong.
        let _ = lying(seed, share, || F::decompress(&block, split));
    }
}

/// Defines the tests that each format has.
#[allow(unused_macros)] // A fuzz target has no tests.
macro_rules! tests_of_any_format {
    ($format:ty) => {
        #[test]
        fn broken_blocks_do_no_harm() {
            $crate::lz77::broken_blocks_do_no_harm::<$format>();
        }

        #[test]
        fn blocks_come_in_two_parts() {
            $crate::lz77::blocks_come_in_two_parts::<$format>();
        }

        #[test]
        fn pages_may_change_while_they_are_made() {
            $crate::lz77::pages_may_change_while_they_are_made::<$format>();
        }
    };
}
#[allow(unused_imports)]
pub(crate) use tests_of_any_format;
