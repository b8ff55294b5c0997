// SPDX-License-Identifier: GPL-2.0-only

//! LZO-RLE for exactly one page.
//!
//! The format is that of the kernel's library, which decompresses what [`compress`] makes;
//! [`decompress`] reads what the library makes, with and without runs of zeroes. A block is a row
//! of instructions:
//!
//! | first byte | instruction | further bytes |
//! | --- | --- | --- |
//! | `01LDDDSS` or `1LLDDDSS` | a match of 3 to 8 bytes within 2 KiB | the rest of the distance |
//! | `001LLLLL` | a match within 16 KiB | the rest of a long length, distance and `SS` |
//! | `00011LLL` | a run of zeroes | ones and `SS`, the rest of the length |
//! | `0000LLLL` | four or more literals | the rest of a long number, the literals |
//!
//! Up to three literals follow an instruction without one of their own: their number is in `SS`. If
//! there are any, or the instruction was one of literals, `0000DDSS` is a match of two or three
//! bytes, which no compressor of the kernel makes. A number whose bits are all 0 goes on in further
//! bytes: 255 for each byte of 0, and then the first that is not 0.
//!
//! In front of all that, two bytes say that there may be runs of zeroes ([`PREFIX`]), and then a
//! byte may stand for the first literals ([`FIRST`]). The block ends with [`END`], which would be a
//! match beyond 16 KiB. There is no other such match, as a page is not longer than that.
//!
//! Both directions work on pages that others may write to at the same time, and keep the rule of
//! [`lz77`].

mod compress;
mod decompress;
mod exact;
mod output;
mod room;
mod zeroes;

use crate::zram::codecs::lz77::{
    self,
    matches::last_start,
    PAGE, //
};

pub(crate) use compress::compress;
pub(crate) use decompress::decompress;
pub(crate) use lz77::Corrupt;

// A match beyond 16 KiB, which only larger pages have, is an instruction of another kind.
const _: () = assert!(PAGE <= 16 << 10);

/// The bytes before a block that may have runs of zeroes: a mark and the version.
const PREFIX: [u8; 2] = [17, 1];

/// The bytes after a block.
const END: [u8; 3] = [17, 0, 0];

/// The number to add to that of the literals at the start of a block, up to [`FIRST_MAX`], in a
/// byte of their own.
const FIRST: u8 = 17;

/// The largest number of literals at the start of a block that is in such a byte.
const FIRST_MAX: usize = (u8::MAX - FIRST) as usize;

/// The largest number of literals that is a part of the instruction before them.
const FEW: usize = 3;

/// The first byte of an instruction of literals is their number less this.
const LITERALS: usize = 3;

/// The largest number of literals that the first byte of their instruction tells.
const LITERALS_MAX: usize = LITERALS + 15;

/// The longest match of two bytes.
const NEAR_MAX: usize = 8;

/// The largest distance of such a match.
const NEAR_DISTANCE: usize = 2048;

/// The first byte of a match of three bytes, without its length.
const FAR: u8 = 32;

/// The first byte of a match of three bytes has its length less this.
const FAR_LEN: usize = 2;

/// The longest match whose length is in the first of three bytes.
const FAR_MAX: usize = FAR_LEN + 31;

/// The first byte of a run of zeroes, without its length.
const RUN: u8 = 0b11000;

/// The distance of a run of zeroes, which is that of no match; the other two bits are the number of
/// literals.
const RUN_DISTANCE: u16 = 0xfffc;

/// The shortest run of zeroes.
const RUN_MIN: usize = 4;

/// The longest run of zeroes.
const RUN_MAX: usize = RUN_MIN + 2047;

/// The last position in the page where a match may start.
const LAST_START: usize = last_start(PAGE);
