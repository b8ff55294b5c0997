// SPDX-License-Identifier: GPL-2.0-only

//! The 842 format: a compressor and a decompressor for pages.
//!
//! Compressed data is a string of bits, most significant first: 5-bit operations, each followed by
//! its arguments.
//!
//! | operation | arguments            | writes                                                |
//! |-----------|----------------------|-------------------------------------------------------|
//! | 0 to 24   | two halves           | a block of 8 bytes; the operation is `5 * kind + kind` |
//! | 25        | 8-bit index          | a block that was there before                         |
//! | 27        | 6-bit `n`            | the last 8 bytes, `n + 1` times                       |
//! | 28        |                      | 8 zeros                                               |
//! | 29        | 3-bit `n`, `n` bytes | what is left over by a length of `8 * blocks + n`     |
//! | 30        | 32-bit CRC           | nothing: this is the end                              |
//!
//! A half (4 bytes) of kind 4 is a 9-bit index. Otherwise it is two quarters: bit 1 of the kind
//! says that the first is an 8-bit index, bit 0 says it of the second; a quarter that is no index
//! is its 2 bytes themselves.
//!
//! An index counts blocks, halves or quarters in a ring of what was written last: 256 blocks, 512
//! halves, 256 quarters. The rings take in whole blocks, after these are written.
//!
//! Operation 29 is an addition of the kernel's `lib/842`. That library and this module read each
//! other's data, and their compressors choose alike: the output is equal to the last bit.

#![forbid(unsafe_code)]

mod compress;
mod decompress;

pub(crate) use compress::{
    compress,
    Workspace, //
};
pub(crate) use decompress::decompress;

/// An error of compression or decompression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The output buffer is too small.
    Full,
    /// The input is longer than [`MAX_INPUT`].
    TooLong,
    /// The input is damaged, or was never 842 data.
    Corrupt,
}

type Result<T = ()> = core::result::Result<T, Error>;

/// The length of the longest input of [`compress()`], in bytes.
///
/// It is the largest page of any architecture that has Rust in the kernel.
pub(crate) const MAX_INPUT: usize = 64 << 10;

// The operations of the table above.
const INDEX_BLOCK: u64 = 25;
const REPEAT: u64 = 27;
const ZEROS: u64 = 28;
const SHORT: u64 = 29;
const END: u64 = 30;

/// The kind of a half that is an index.
const INDEX_HALF: u64 = 4;

/// The number of kinds of a half.
const KINDS: u64 = 5;

// The lengths of an operation and of its arguments.
const OPERATION_BITS: u32 = 5;
const REPEAT_BITS: u32 = 6;
const SHORT_BITS: u32 = 3;
const BLOCK_BITS: u32 = 8;
const HALF_BITS: u32 = 9;
const QUARTER_BITS: u32 = 8;
const CRC_BITS: u32 = 32;

/// The CRC-32 of IEEE 802.3, most significant bit first, from 0 on and not inverted.
struct Crc(u32);

impl Crc {
    /// Takes in a byte.
    fn byte(&mut self, byte: u8) {
        let [top, ..] = self.0.to_be_bytes();
        self.0 = (self.0 << 8) ^ CRC[0][usize::from(top ^ byte)];
    }

    /// Takes in the eight bytes of `block`, most significant first.
    #[inline(always)]
    fn block(&mut self, block: u64) {
        let block = block ^ (u64::from(self.0) << 32);
        let [a, b, c, d, e, f, g, h] = block.to_be_bytes();
        self.0 = CRC[7][usize::from(a)]
            ^ CRC[6][usize::from(b)]
            ^ CRC[5][usize::from(c)]
            ^ CRC[4][usize::from(d)]
            ^ CRC[3][usize::from(e)]
            ^ CRC[2][usize::from(f)]
            ^ CRC[1][usize::from(g)]
            ^ CRC[0][usize::from(h)];
    }
}

/// `CRC[n][byte]` is the CRC of `byte` and `n` zeros.
static CRC: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut n = 0;
        while n < tables.len() {
            let mut bit = 0;
            while bit < 8 {
                crc = (crc << 1) ^ (0x04c1_1db7 * (crc >> 31));
                bit += 1;
            }
            tables[n][byte] = crc;
            n += 1;
        }
        byte += 1;
    }
    tables
};
