// SPDX-License-Identifier: GPL-2.0-only

//! Decompression: fast while neither the end of the block nor that of the page is near, then exact.
//!
//! A block may be in two parts, as objects of zsmalloc that lie across two pages are. The sequence
//! that lies across both parts is put together in a buffer.

use super::LONG;
use crate::zram::codecs::lz77::{
    cold,
    copy_16,
    copy_exactly,
    in_parts,
    read,
    repeat::{
        copy_match,
        copy_match_exactly,
        copy_steps,
        STEP, //
    },
    write,
    Corrupt,
    MIN_MATCH,
    PAGE, //
};
use core::{
    hint,
    ops::Range, //
};

/// The number of bytes at a block's end among which the fast loop reads no token.
///
/// They suffice for a token and 16 bytes after it; or for a token, 14 literals, a distance, and one
/// byte that goes on with a length.
const BLOCK_END: usize = 18;

/// The number of bytes at a page's end among which the fast loop starts no sequence.
///
/// They suffice for 14 literals and 18 bytes of a match, or for 16 bytes and 16.
const PAGE_END: usize = 32;

/// Decompresses the block `head` followed by `tail` to the page at `dst`.
///
/// The sequence that lies across both parts is put together in `bridge`, which is as long as the
/// block. It may be empty if `tail` is.
///
/// # Errors
///
/// [`Corrupt`] if the block does not decompress to exactly a page, or `bridge` is too short. Then
/// `dst` holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to it
/// meanwhile; then it holds anything.
pub(crate) unsafe fn decompress(
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    dst: *mut u8,
) -> Result<(), Corrupt> {
    in_parts(
        head,
        tail,
        bridge,
        0,
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement, of which
        // nothing is done at first, and then what an earlier call has done.
        |src, done| unsafe { sequences(src, dst, done) },
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement, of which
        // `sequences` has done `done` bytes.
        |src, done| unsafe { decompress_exactly(src, dst, done) },
    )
}

/// Decompresses whole sequences, as long as neither end is near.
///
/// Returns how many bytes of `src` these were, and how many bytes of the page are done. If a
/// sequence turns out to be too long or corrupt halfway, returns 0 and `start`, as if there had
/// been none.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `start` bytes are done.
#[inline(never)]
unsafe fn sequences(src: &[u8], dst: *mut u8, start: usize) -> (usize, usize) {
    let block = src.as_ptr_range();
    let mut input = block.start;
    let mut done = start;

    // A token before `limit` is the first of at least `BLOCK_END` bytes.
    let limit = src.len().saturating_sub(BLOCK_END - 1);
    let limit = block.start.wrapping_add(limit);
    // Bytes of a short sequence besides its literals. Hidden from the optimizer, which would
    // otherwise add the constant last and lengthen the dependency chain from one token to the next,
    // the bottleneck of this loop.
    let others = hint::black_box(3_usize);
    while input < limit && done <= PAGE - PAGE_END {
        // SAFETY: At least `BLOCK_END` bytes are left of the block, and `PAGE_END` bytes of the
        // page.
        let token = unsafe {
            let token = usize::from(*input);
            // Copies 16 bytes before the number of literals is known.
            copy_16(dst.add(done), input.add(1));
            token
        };
        let mut literals = token >> 4;
        if literals < LONG {
            input = input.wrapping_add(others).wrapping_add(literals);
        } else {
            cold();
            // SAFETY: The token is not the last byte of the block, so `input + 1` is before its
            // end.
            let Some((from, rest)) = (unsafe { go_on(input.wrapping_add(1), block.end) }) else {
                break;
            };
            literals = literals.wrapping_add(rest);
            if literals.wrapping_add(PAGE_END) > PAGE.wrapping_sub(done)
                || from.wrapping_add(literals).wrapping_add(STEP) > block.end
            {
                break;
            }
            // SAFETY: `literals` bytes and `STEP` more are left of the block and of the page, as
            // was just checked.
            unsafe { copy_steps(dst.add(done), from, literals) };
            input = from.wrapping_add(literals).wrapping_add(2);
        }
        done = done.wrapping_add(literals);

        // SAFETY: `input` is after the two bytes of the distance, and before the end of the block.
        let distance = usize::from(u16::from_le(unsafe { read(input.sub(2)) }));
        let Some(from) = done.checked_sub(distance) else {
            return (0, start);
        };
        let mut len = token & LONG;
        if len < LONG && distance >= 8 {
            // SAFETY: At least 18 bytes of the page are left from `done` on, and `from` is before
            // `done`.
            unsafe {
                let (to, from) = (dst.add(done), dst.add(from));
                copy_16(to, from);
                write::<u16>(to.add(16), read(from.add(16)));
            }
        } else {
            cold();
            if len == LONG {
                // SAFETY: `input` is before the end of the block, as where the distance was read.
                let Some((next, rest)) = (unsafe { go_on(input, block.end) }) else {
                    return (0, start);
                };
                input = next;
                len = len.wrapping_add(rest);
            }
            // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement,
            // `distance` is at most `done`, and `done` is at most `PAGE`.
            if !unsafe { copy_match::<PAGE>(dst, done, distance, len.wrapping_add(MIN_MATCH)) } {
                return (0, start);
            }
        }
        done = done.wrapping_add(len).wrapping_add(MIN_MATCH);
    }
    ((input as usize).wrapping_sub(block.start as usize), done)
}

/// Decompresses the rest of a block, and accesses no byte beyond the end of the block or the page.
///
/// # Errors
///
/// [`Corrupt`] if the page is not complete when the block ends.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `done` bytes are done.
#[inline(never)]
unsafe fn decompress_exactly(src: &[u8], dst: *mut u8, mut done: usize) -> Result<(), Corrupt> {
    let Range {
        start: mut input,
        end,
    } = src.as_ptr_range();
    while input < end {
        // SAFETY: `input` is before the end of the block.
        let token = usize::from(unsafe { *input });
        input = input.wrapping_add(1);

        let mut literals = token >> 4;
        if literals == LONG {
            // SAFETY: `input..end` is the rest of `src`.
            let Some((next, rest)) = (unsafe { go_on_exactly(input, end) }) else {
                break;
            };
            input = next;
            literals = literals.wrapping_add(rest);
        }
        let left = (end as usize).wrapping_sub(input as usize);
        if literals > left || literals > PAGE.wrapping_sub(done) {
            break;
        }
        // SAFETY: `literals` bytes are left of the block and of the page, as was just checked.
        unsafe { copy_exactly(dst.add(done), input, literals) };
        input = input.wrapping_add(literals);
        done = done.wrapping_add(literals);
        if literals == left && done == PAGE {
            return Ok(());
        }

        if left.wrapping_sub(literals) < 2 {
            break;
        }
        // SAFETY: Two bytes of the block are left.
        let distance = usize::from(u16::from_le(unsafe { read(input) }));
        input = input.wrapping_add(2);
        let mut len = token & LONG;
        if len == LONG {
            // SAFETY: `input..end` is the rest of `src`.
            let Some((next, rest)) = (unsafe { go_on_exactly(input, end) }) else {
                break;
            };
            input = next;
            len = len.wrapping_add(rest);
        }
        len = len.wrapping_add(MIN_MATCH);
        if distance == 0 || distance > done || len > PAGE.wrapping_sub(done) {
            break;
        }
        // SAFETY: `len` bytes of the page are left after `done`, and `distance` is from 1 to
        // `done`, as was just checked.
        unsafe { copy_match_exactly(dst.add(done), distance, len) };
        done = done.wrapping_add(len);
    }
    Err(Corrupt)
}

/// Reads the bytes that half a token goes on with, and returns the position after them and their
/// sum.
///
/// Returns `None` if they do not end before `end`.
///
/// # Safety
///
/// `input..end` is valid for reads, and not empty.
#[inline(always)]
unsafe fn go_on(input: *const u8, end: *const u8) -> Option<(*const u8, usize)> {
    // SAFETY: `input..end` is valid for reads and not empty by the safety requirement.
    let byte = unsafe { *input };
    if byte < 255 {
        Some((input.wrapping_add(1), usize::from(byte)))
    } else {
        // SAFETY: `input..end` is valid for reads by the safety requirement.
        unsafe { go_on_exactly(input, end) }
    }
}

/// Does the same as [`go_on`], but `input..end` may be empty.
///
/// # Safety
///
/// `input..end` is valid for reads.
#[cold]
#[inline(never)]
unsafe fn go_on_exactly(mut input: *const u8, end: *const u8) -> Option<(*const u8, usize)> {
    let mut sum = 0_usize;
    while input < end {
        // SAFETY: `input` is before `end`.
        let byte = unsafe { *input };
        input = input.wrapping_add(1);
        sum = sum.wrapping_add(usize::from(byte));
        if byte < 255 {
            return Some((input, sum));
        }
    }
    None
}
