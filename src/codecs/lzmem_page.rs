// SPDX-License-Identifier: GPL-2.0-only

//! LZMEM: a block format for pages of memory, of this module's own.
//!
//! It is an LZ77 with static codes: what is in memory is known well enough that a page needs no
//! codes of its own, which take zstd most of its time. `doc/lzmem.md` describes the format and says
//! why it is so.
//!
//! In here a page is the 4 KiB that a block stands for, for which the codes are made. Where the
//! kernel's pages are larger, [`lzmem_pieces`](super::lzmem_pieces) makes pieces of them.
//!
//! Both directions work on pages that others may write to at the same time, and keep the rule of
//! [`lz77`]. The block itself is read by one task, and not changed.

mod bits;
mod chains;
mod choose;
mod codes;
mod compress;
mod decompress;
mod input;
mod lengths;
mod node;
mod parse;
mod sequences;
mod shortest;

use crate::zram::codecs::lz77::{
    self,
    matches::last_start,
    table::Table, //
};
use codes::FIRST_DISTANCE;
use sequences::{
    Sequences,
    LEAST_BACK,
    MOST, //
};

pub(crate) use compress::{
    compress,
    Effort, //
};
pub(crate) use decompress::decompress;
pub(crate) use lz77::Corrupt;

/// The number of bytes that a block stands for.
pub(crate) const PAGE: usize = 4096;

/// The last position in a page where a match may start.
const LAST_START: usize = last_start(PAGE);

/// The memory of one compression or decompression at a time.
///
/// It need not be cleared between two of them. All zeroes is a valid value.
pub(crate) struct State {
    table: Table<PAGE>,
    sequences: Sequences,
    /// The links of the table's chains, and later a stream that is being written.
    scratch: [u16; PAGE],
}

const _: () = assert!(size_of::<State>() <= 32 << 10);

/// The length in bytes of a [`Header`].
const HEADER: usize = 7;

/// The start of a block.
#[derive(Clone, Copy)]
struct Header {
    /// The set of codes.
    set: u8,
    /// True if the literals are bytes instead of codes.
    raw: bool,
    /// The number of sequences.
    sequences: usize,
    /// The number of literals.
    literals: usize,
    /// The lengths in bytes of the two regions of literals.
    first: usize,
    second: usize,
}

impl Header {
    /// Returns the header's bits, of which there are 52.
    fn to_bits(self) -> u64 {
        u64::from(self.set)
            | u64::from(self.raw) << 3
            | (self.sequences as u64) << 4
            | (self.literals as u64) << 15
            | (self.first as u64) << 28
            | (self.second as u64) << 40
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if it is not one that [`Self::to_bits`] returns for a page.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Corrupt> {
        let [a, b, c, d, e, f, g] = *bytes.first_chunk().ok_or(Corrupt)?;
        let bits = u64::from_le_bytes([a, b, c, d, e, f, g, 0]);
        let header = Self {
            set: bits as u8 & 7,
            raw: bits >> 3 & 1 != 0,
            sequences: (bits >> 4) as usize & 0x7ff,
            literals: (bits >> 15) as usize & 0x1fff,
            first: (bits >> 28) as usize & 0xfff,
            second: (bits >> 40) as usize & 0xfff,
        };
        let regions = header.first | header.second;
        let valid = bits >> 52 == 0
            && header.sequences <= MOST
            && header.literals <= PAGE
            && !(header.raw && regions != 0);
        valid.then_some(header).ok_or(Corrupt)
    }
}
