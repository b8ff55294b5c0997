// SPDX-License-Identifier: GPL-2.0-only

//! LZ4 for exactly one page.
//!
//! The format is LZ4's block format: the kernel's library decompresses what [`compress`] makes, and
//! [`decompress`] what the library makes. A block is a row of sequences. Each has a token, whose
//! halves are the number of its literals and the length of its match less [`MIN_MATCH`]; a half of
//! [`LONG`] goes on in bytes to add, up to the first that is not 255. The literals follow the first
//! number; then come two bytes with the distance from the match to what it repeats, and the rest of
//! the second number. The last sequence ends after its literals.
//!
//! Both directions work on pages that others may write to at the same time, and keep the rule of
//! [`lz77`].

mod compress;
mod decompress;
mod output;

use crate::zram::codecs::lz77::{
    self,
    matches::last_start,
    PAGE, //
};

pub(crate) use compress::compress;
pub(crate) use decompress::decompress;
pub(crate) use lz77::Corrupt;

/// The last position in the page where a match may end, as a block ends with five literals or more.
const MATCH_END: usize = PAGE - 5;

/// The last position in the page where a match may start.
const LAST_START: usize = last_start(PAGE);

/// The value of half a token whose number goes on in further bytes.
const LONG: usize = 15;

// A distance has 16 bits in the format. Those of a page are less than its size.
const _: () = assert!(PAGE <= 1 << 16);
