// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of the 842 codec: `rustc --test --edition 2021 selftests/host/sw842.rs`.
//!
//! The vectors are the output of the kernel's `lib/842` (7.3, built for user space). All random
//! numbers come from one seed, which is printed; `SW842_SEED=n` sets another.

// pages: 4096 16384

#[path = "../../src"]
mod zram {
    pub mod codecs {
        pub mod sw842 {
            pub mod format;
        }
    }
}

use std::alloc::{
    alloc,
    handle_alloc_error,
    Layout, //
};
use zram::codecs::sw842::format::{
    compress,
    decompress,
    Error,
    Workspace,
    MAX_INPUT, //
};

/// `--cfg page_size="16384"` is for pages of that size.
const PAGE: usize = if cfg!(page_size = "16384") {
    16 << 10
} else {
    4 << 10
};

/// The number of times that a page has 4 KiB. Where there are more, tests try fewer pages.
const TIMES: usize = PAGE / 4096;

/// A constant multiplier of the hash tables, 2^64 divided by the golden ratio.
///
/// The codec once used it for all pages; now each workspace has a random one.
const OLD_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns a workspace of bytes `fill`, with `random` as the random number.
///
/// Any content is valid, zeroes as well as the remains of an earlier page.
fn workspace(fill: u8, random: u64) -> Box<Workspace> {
    let mut work = filled(fill);
    work.seed(random);
    work
}

fn filled(fill: u8) -> Box<Workspace> {
    let layout = Layout::new::<Workspace>();
    // SAFETY: `layout` is not of size zero. A `Workspace` consists of integers, so that any bytes
    // are a valid value, and all are written before the box is made. The box frees `work` with
    // this layout.
    unsafe {
        let work = alloc(layout).cast::<Workspace>();
        if work.is_null() {
            handle_alloc_error(layout);
        }
        work.write_bytes(fill, 1);
        Box::from_raw(work)
    }
}

fn packed(src: &[u8]) -> Vec<u8> {
    let mut dst = vec![0xa5; limit(src.len())];
    let len = compress(&mut workspace(0, OLD_MULTIPLIER), src, &mut dst).unwrap();
    dst.truncate(len);
    dst
}

fn unpacked(src: &[u8], room: usize) -> Result<Vec<u8>, Error> {
    let mut dst = vec![0x5a; room];
    let len = decompress(src, &mut dst)?;
    dst.truncate(len);
    Ok(dst)
}

/// Returns the length of the compressed data if nothing in it repeats.
fn limit(len: usize) -> usize {
    let rest = if len % 8 == 0 { 0 } else { 8 + len % 8 * 8 };
    (len / 8 * (5 + 64) + rest + 5 + 32).div_ceil(64) * 8
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|c| ((c[0] << 4) | c[1]) as u8)
        .collect()
}

struct Random(u64);

impl Random {
    fn from_environment() -> Self {
        let seed = std::env::var("SW842_SEED").map_or(842, |seed| seed.parse().unwrap());
        println!("SW842_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns data of one of several textures, which use different operations of the format.
    fn data(&mut self, texture: usize, len: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < len {
            let any = self.next();
            match texture {
                // Nothing repeats.
                0 => data.extend(any.to_be_bytes()),
                // Few quarters, halves or blocks.
                1 => data.extend((any as u16 % 40 * 251).to_be_bytes()),
                2 => data.extend((any as u32 % 700).wrapping_mul(0x9e37_79b1).to_be_bytes()),
                3 => data.extend(
                    (any % 300)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                        .to_be_bytes(),
                ),
                // Runs of one block, some of them zeros and some longer than one repeat.
                4 => {
                    let block = [0, any, any << 32, any][self.below(4)];
                    data.extend(block.to_be_bytes().repeat(1 + self.below(150)));
                }
                // Data copied from any distance, with new bytes in between.
                _ => {
                    data.extend(&any.to_be_bytes()[..self.below(8)]);
                    let from = self.below(data.len() + 1);
                    let to = data.len().min(from + self.below(64));
                    data.extend_from_within(from..to);
                }
            }
        }
        data.truncate(len);
        data
    }
}

const TEXTURES: usize = 6;

#[test]
fn vectors() {
    let fox = b"The quick brown fox jumps over the lazy dog. ".repeat(2);
    let repeated = [b"12345678".repeat(70), b"9".to_vec()].concat();
    let vectors: [(&[u8], &str); 6] = [
        (b"", "f000000000000000"),
        (b"abc", "eb616263f160b9cc6000000000000000"),
        (&[0; 64], "e6c6f00000000000"),
        (
            b"Hello, world\n",
            "02432b6363796103bf6b7b936320579f24091dc000000000",
        ),
        (
            &fox[..89],
            "02a34329038bab4b181ac8189c9bdddb8800ccdef040d4eadae0073206f766572207403432903630bd3c\
             900591bd9cb8815040040e2ead2c6d640c40726f776e20666f78010353ab6b839903785d995c881d1a00\
             40d8c2f4f240c8decfd25dec635d018000000000",
        ),
        (
            &repeated,
            "01899199a1a9b1b9c6ffd89d273e24131c6a000000000000",
        ),
    ];
    for (data, vector) in vectors {
        assert_eq!(packed(data), hex(vector));
        assert_eq!(unpacked(&hex(vector), data.len()).unwrap(), data);
    }
}

/// Blocks each of which is written by the operation in the comment behind it.
///
/// The test adds three bytes, which are written by operation 29.
const EVERY_OPERATION: [[u16; 4]; 30] = [
    [0x1001, 0x1002, 0x1003, 0x1004], // 0
    [0x1005, 0x1006, 0x1007, 0x1008], // 0
    [0x1009, 0x100a, 0x100b, 0x1002], // 1
    [0x100c, 0x100d, 0x1008, 0x100e], // 2
    [0x100f, 0x1010, 0x1006, 0x1003], // 3
    [0x1011, 0x1012, 0x100b, 0x1002], // 4
    [0x1013, 0x1011, 0x1014, 0x1015], // 5
    [0x1016, 0x1011, 0x1017, 0x1003], // 6
    [0x1018, 0x1006, 0x1014, 0x1019], // 7
    [0x101a, 0x1006, 0x1007, 0x1007], // 8
    [0x101b, 0x1007, 0x1009, 0x100a], // 9
    [0x1018, 0x101c, 0x101d, 0x101e], // 10
    [0x1010, 0x101f, 0x1020, 0x100f], // 11
    [0x1011, 0x1021, 0x1006, 0x1022], // 12
    [0x1021, 0x1023, 0x100d, 0x1011], // 13
    [0x1012, 0x1024, 0x1010, 0x101f], // 14
    [0x1014, 0x1011, 0x1025, 0x1026], // 15
    [0x100f, 0x1011, 0x1027, 0x1014], // 16
    [0x1011, 0x1017, 0x1014, 0x1028], // 17
    [0x101c, 0x1005, 0x1014, 0x100b], // 18
    [0x1002, 0x100f, 0x1016, 0x1011], // 19
    [0x100c, 0x100d, 0x1029, 0x102a], // 20
    [0x101a, 0x1006, 0x102b, 0x101e], // 21
    [0x1005, 0x1006, 0x101f, 0x102c], // 22
    [0x100c, 0x100d, 0x1007, 0x1025], // 23
    [0x1018, 0x101c, 0x1006, 0x1003], // 24
    [0x100c, 0x100d, 0x1008, 0x100e], // 25
    [0x100c, 0x100d, 0x1008, 0x100e], // 27
    [0x100c, 0x100d, 0x1008, 0x100e], // 27
    [0x0000, 0x0000, 0x0000, 0x0000], // 28
];

#[test]
fn vector_with_every_operation() {
    let blocks = EVERY_OPERATION.as_flattened().iter();
    let data: Vec<u8> = blocks
        .flat_map(|q| q.to_be_bytes())
        .chain(*b"end")
        .collect();
    let vector = hex(
        "008008801080188020040144018401c40202201220142016022100c100d07100e1880788080281104044\
         40480a5101314101410153080b0c880b899c40604868406502034420c0c9101b27022880407040744079\
         622203e204020c1d102125102269a8811869a3854409030f223b10251026819a08813a04514791c40a24\
         5a08942d3174407500c20522055509081597d8047e205971514a1602c09c81ec1e75b2b7327a6ce4c1d8",
    );
    assert_eq!(packed(&data), vector);
    assert_eq!(unpacked(&vector, PAGE).unwrap(), data);
}

/// Checks indices after operation 29, which count from a multiple of 8 that may lie in a block.
#[test]
fn vector_with_short_data_first() {
    let vector = hex("eb61626301899199a1a9b1b9c2c05dde1e6001fa487d35f8291c");
    assert_eq!(unpacked(&vector, 64).unwrap(), b"abc12345678c1wxy\x80xy!");
}

/// Checks length and FNV-1a hash of the output for whole pages, in which the rings wrap around.
#[test]
fn vectors_of_pages() {
    let vectors: [(usize, u64); TEXTURES] = if PAGE == 4096 {
        [
            (4424, 0x109c7d9683ae331b),
            (2240, 0x2dffc5af89c2bc24),
            (3232, 0x27c4776a1633d631),
            (2784, 0x710011f2e95d2e04),
            (48, 0x3c450d2c3d810411),
            (2152, 0x9b879e9e23e00897),
        ]
    } else {
        [
            (17648, 0x2d65085934534e2e),
            (8608, 0x805223df9a453e1c),
            (12072, 0xc52241f2528cd15a),
            (9968, 0x462ca9f4cc80158c),
            (232, 0x2f21d0d8bee64c29),
            (9520, 0x8ccfcd2c3b6acf10),
        ]
    };
    let outputs = std::array::from_fn(|texture| {
        let output = packed(&Random(texture as u64).data(texture, PAGE));
        let hash = output
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
        (output.len(), hash)
    });
    assert_eq!(outputs, vectors);
}

#[test]
fn round_trip() {
    let mut random = Random::from_environment();
    let mut work = workspace(0xff, random.next());
    let mut dst = [0; 2 * PAGE];
    for round in 0..3000 / TIMES {
        let len = if round % 3 == 0 {
            random.below(PAGE + 1)
        } else {
            PAGE
        };
        let data = random.data(round % TEXTURES, len);
        let len = compress(&mut work, &data, &mut dst).unwrap();
        assert!(len <= limit(data.len()) && len % 8 == 0);
        assert!(
            dst[..len] == packed(&data),
            "the output depends on the workspace's earlier use, or on its random number"
        );
        assert!(unpacked(&dst[..len], data.len()).unwrap() == data);
    }
}

/// Checks that a page made for one multiplier has long lists of halves with that one only.
///
/// With any other multiplier its lists are as short as those of a usual page.
#[test]
fn no_page_has_long_lists() {
    let mut random = Random::from_environment();
    let list = |half: &u32| u64::from(*half).wrapping_mul(OLD_MULTIPLIER) >> 52 == 1234;
    let halves = (1..).filter(list).take(PAGE / 4);
    let made: Vec<u8> = halves.flat_map(u32::to_be_bytes).collect();
    let usual = random.data(0, PAGE);
    let mut dst = [0; 2 * PAGE];
    let mut longest = |page: &[u8], number| {
        let mut work = workspace(0, number);
        compress(&mut work, page, &mut dst).unwrap();
        work.longest_list()
    };
    assert_eq!(
        longest(&made, OLD_MULTIPLIER),
        512,
        "the page does not have the long list that it was made for"
    );
    for _ in 0..100 {
        // Similar values may have slightly longer lists than random ones.
        let number = random.next();
        let (made, usual) = (longest(&made, number), longest(&usual, number));
        assert!(
            usual <= 12 && made <= 4 * usual,
            "{made}, {usual}, {number:#x}"
        );
    }
}

#[test]
fn lengths() {
    let mut random = Random::from_environment();
    assert_eq!(limit(4096), 4424);
    for len in (0..200).chain([MAX_INPUT - 1, MAX_INPUT]) {
        for texture in 0..TEXTURES {
            let data = random.data(texture, len);
            assert!(unpacked(&packed(&data), len).unwrap() == data);
        }
    }
    let too_long = compress(
        &mut workspace(0, OLD_MULTIPLIER),
        &vec![0; MAX_INPUT + 1],
        &mut [0; PAGE],
    );
    assert_eq!(too_long, Err(Error::TooLong));
}

#[test]
fn output_too_small() {
    let mut random = Random::from_environment();
    let mut work = workspace(0, OLD_MULTIPLIER);
    for texture in 0..TEXTURES {
        let data = random.data(texture, PAGE - texture);
        let output = packed(&data);
        let mut dst = [0; 2 * PAGE];
        for room in (texture % TIMES..output.len()).step_by(TIMES) {
            assert_eq!(
                compress(&mut work, &data, &mut dst[..room]),
                Err(Error::Full)
            );
        }
        let exact = compress(&mut work, &data, &mut dst[..output.len()]);
        assert_eq!(exact, Ok(output.len()));
        for room in (texture % TIMES..data.len()).step_by(TIMES) {
            assert_eq!(decompress(&output, &mut dst[..room]), Err(Error::Full));
        }
        assert_eq!(decompress(&output, &mut dst), Ok(data.len()));
    }
}

#[test]
fn truncated_input() {
    let mut random = Random::from_environment();
    for texture in 0..TEXTURES {
        let data = random.data(texture, PAGE);
        let output = packed(&data);
        // The last word ends in up to 63 bits of padding.
        for len in (texture % TIMES..output.len() - 8).step_by(TIMES) {
            assert_eq!(unpacked(&output[..len], PAGE), Err(Error::Corrupt));
        }
    }
}

#[test]
fn corrupt_input() {
    let mut random = Random::from_environment();
    for texture in 0..TEXTURES {
        let data = random.data(texture, PAGE);
        let output = packed(&data);
        for bit in (texture..output.len() * 8).step_by(3 * TIMES) {
            let mut damaged = output.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            // The damaged bit may be padding, or change an index to that of an equal block.
            if let Ok(found) = unpacked(&damaged, PAGE) {
                assert!(found == data);
            }
        }
    }
}

#[test]
fn invalid_operations() {
    // Reserved operations, operations that refer to data before the beginning, an operation 29 of
    // no bytes.
    for operation in [26, 31, 25, 24, 3, 27] {
        let first = [operation << 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(unpacked(&first, PAGE), Err(Error::Corrupt));
    }
    assert_eq!(
        unpacked(&[29 << 3, 0xf0, 0, 0, 0, 0, 0], PAGE),
        Err(Error::Corrupt)
    );
}

#[test]
fn noise() {
    let mut random = Random::from_environment();
    for _ in 0..100_000 {
        let len = random.below(100);
        let room = random.below(PAGE);
        let noise = random.data(0, len);
        if let Ok(found) = unpacked(&noise, room) {
            assert!(found.len() <= room);
        }
    }
}
