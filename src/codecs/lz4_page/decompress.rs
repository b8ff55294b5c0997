// SPDX-License-Identifier: GPL-2.0-only

//! Decompression: at full speed while both ends are far, and then with care. A block may be in two
//! parts, as objects of zsmalloc are that lie across two pages: what lies across is put together.

use super::{
    cold,
    copy_16,
    copy_exactly,
    read,
    repeat::{
        copy_match,
        copy_match_exactly,
        copy_steps,
        STEP, //
    },
    write,
    LONG,
    MIN_MATCH,
    PAGE, //
};
use core::{
    hint,
    ops::Range, //
};

/// What was to be decompressed is not a block that makes a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// A block's last bytes, of which no token is read at full speed. They have room for 16 bytes after
/// a token; or for 14 literals, a distance, and one byte that goes on with a length.
const BLOCK_END: usize = 18;

/// A page's last bytes, in which no sequence starts at full speed. They have room for 14 literals
/// and 18 bytes of a match, or 16 bytes and 16.
const PAGE_END: usize = 32;

/// How much of a block's second part is put together with the end of the first.
const BRIDGE: usize = 128;

/// Decompresses a block to the page at `dst`. The block is `head` and then `tail`; what lies across
/// both is put together in `bridge`, which is as long as the block, unless there is no `tail`.
///
/// # Errors
///
/// [`Corrupt`], if it is not a block that makes a page, or if `bridge` is too short; then `dst`
/// holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to
/// it meanwhile; then it holds anything.
pub(crate) unsafe fn decompress(
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    dst: *mut u8,
) -> Result<(), Corrupt> {
    // SAFETY: By the caller; nothing is there yet.
    let (used, done) = unsafe { sequences(head, dst, 0) };
    let rest = from(head, used);
    if tail.is_empty() {
        // SAFETY: By the caller.
        return unsafe { decompress_exactly(rest, dst, done) };
    }

    // The first part has ended within a sequence. That and some more from the second part:
    let near = tail.get(..BRIDGE).unwrap_or(tail);
    let across = join(bridge, rest, near).ok_or(Corrupt)?;
    // SAFETY: By the caller.
    let (used, crossed) = unsafe { sequences(across, dst, done) };
    if let Some(used) = used.checked_sub(rest.len()) {
        // SAFETY: By the caller.
        return unsafe { decompress_end(from(tail, used), dst, crossed) };
    }
    // It is a long one: all of the second part.
    let all = join(bridge, rest, tail).ok_or(Corrupt)?;
    // SAFETY: By the caller.
    unsafe { decompress_end(all, dst, done) }
}

/// Decompresses a block's last part.
///
/// # Safety
///
/// As for [`sequences`].
unsafe fn decompress_end(src: &[u8], dst: *mut u8, start: usize) -> Result<(), Corrupt> {
    // SAFETY: By the caller.
    unsafe {
        let (used, done) = sequences(src, dst, start);
        decompress_exactly(from(src, used), dst, done)
    }
}

/// What is left of `src` after `used` bytes.
fn from(src: &[u8], used: usize) -> &[u8] {
    src.get(used..).unwrap_or(&[])
}

/// Copies `a` and then `b`; nothing, if there is no room for them.
fn join<'b>(bridge: &'b mut [u8], a: &[u8], b: &[u8]) -> Option<&'b [u8]> {
    let len = a.len().checked_add(b.len())?;
    let room = bridge.get_mut(..len)?;
    let (first, second) = room.split_at_mut_checked(a.len())?;
    first.copy_from_slice(a);
    second.copy_from_slice(b);
    Some(room)
}

/// Decompresses sequences at full speed, while both ends are far. The result is how much of `src` they
/// were, and how much of the page is done; nothing is, where that can't be said.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `start` bytes are there.
#[inline(never)]
unsafe fn sequences(src: &[u8], dst: *mut u8, start: usize) -> (usize, usize) {
    let block = src.as_ptr_range();
    let mut input = block.start;
    let mut done = start;

    // Tokens before this have `BLOCK_END` bytes from themselves on.
    let limit = src.len().saturating_sub(BLOCK_END - 1);
    let limit = block.start.wrapping_add(limit);
    // What a short sequence takes besides its literals. Knew the compiler the number, it would add
    // it last, and lengthen the way from one token to the next, which is what the time is spent on.
    let others = hint::black_box(3_usize);
    while input < limit && done <= PAGE - PAGE_END {
        // SAFETY: `BLOCK_END` bytes are left of the block, which nobody changes, and `PAGE_END`
        // bytes of the page.
        let token = unsafe {
            let token = usize::from(*input);
            // Before their number is known.
            copy_16(dst.add(done), input.add(1));
            token
        };
        let mut literals = token >> 4;
        if literals < LONG {
            input = input.wrapping_add(others).wrapping_add(literals);
        } else {
            cold();
            // SAFETY: The token is not the last byte of the block.
            let Some((from, rest)) = (unsafe { go_on(input.wrapping_add(1), block.end) }) else {
                break;
            };
            literals = literals.wrapping_add(rest);
            if literals.wrapping_add(PAGE_END) > PAGE.wrapping_sub(done)
                || from.wrapping_add(literals).wrapping_add(STEP) > block.end
            {
                break;
            }
            // SAFETY: Just checked, with `STEP` bytes more of either.
            unsafe { copy_steps(dst.add(done), from, literals) };
            input = from.wrapping_add(literals).wrapping_add(2);
        }
        done = done.wrapping_add(literals);

        // SAFETY: `input` is in the block, after the distance, and not at its end.
        let distance = usize::from(u16::from_le(unsafe { read(input.sub(2)) }));
        let Some(from) = done.checked_sub(distance) else {
            return (0, start);
        };
        let mut len = token & LONG;
        if len < LONG && distance >= 8 {
            // SAFETY: There are 18 bytes of the page left, and `from` is before them.
            unsafe {
                let (to, from) = (dst.add(done), dst.add(from));
                copy_16(to, from);
                write::<u16>(to.add(16), read(from.add(16)));
            }
        } else {
            cold();
            if len == LONG {
                // SAFETY: See above.
                let Some((next, rest)) = (unsafe { go_on(input, block.end) }) else {
                    return (0, start);
                };
                input = next;
                len = len.wrapping_add(rest);
            }
            // SAFETY: `distance` is not above `done`, which is not above `PAGE`.
            if !unsafe { copy_match(dst, done, distance, len.wrapping_add(MIN_MATCH)) } {
                return (0, start);
            }
        }
        done = done.wrapping_add(len).wrapping_add(MIN_MATCH);
    }
    ((input as usize).wrapping_sub(block.start as usize), done)
}

/// Decompresses what is left, and touches nothing else.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `done` bytes are there.
#[inline(never)]
unsafe fn decompress_exactly(src: &[u8], dst: *mut u8, mut done: usize) -> Result<(), Corrupt> {
    let Range {
        start: mut input,
        end,
    } = src.as_ptr_range();
    while input < end {
        // SAFETY: A byte is left.
        let token = usize::from(unsafe { *input });
        input = input.wrapping_add(1);

        let mut literals = token >> 4;
        if literals == LONG {
            // SAFETY: By the caller.
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
        // SAFETY: Just checked.
        unsafe { copy_exactly(dst.add(done), input, literals) };
        input = input.wrapping_add(literals);
        done = done.wrapping_add(literals);
        if literals == left && done == PAGE {
            return Ok(());
        }

        if left.wrapping_sub(literals) < 2 {
            break;
        }
        // SAFETY: Two bytes are left.
        let distance = usize::from(u16::from_le(unsafe { read(input) }));
        input = input.wrapping_add(2);
        let mut len = token & LONG;
        if len == LONG {
            // SAFETY: By the caller.
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
        // SAFETY: Just checked.
        unsafe { copy_match_exactly(dst.add(done), distance, len) };
        done = done.wrapping_add(len);
    }
    Err(Corrupt)
}

/// Reads what a half token goes on with, and returns what is left of the block, and the sum.
///
/// # Safety
///
/// `input..end` is valid for reads, and not empty.
#[inline(always)]
unsafe fn go_on(input: *const u8, end: *const u8) -> Option<(*const u8, usize)> {
    // SAFETY: By the caller.
    let byte = unsafe { *input };
    if byte < 255 {
        Some((input.wrapping_add(1), usize::from(byte)))
    } else {
        // SAFETY: By the caller.
        unsafe { go_on_exactly(input, end) }
    }
}

/// The same for a block that may be at its end.
///
/// # Safety
///
/// `input..end` is valid for reads.
#[cold]
#[inline(never)]
unsafe fn go_on_exactly(mut input: *const u8, end: *const u8) -> Option<(*const u8, usize)> {
    let mut sum = 0_usize;
    while input < end {
        // SAFETY: A byte is left.
        let byte = unsafe { *input };
        input = input.wrapping_add(1);
        sum = sum.wrapping_add(usize::from(byte));
        if byte < 255 {
            return Some((input, sum));
        }
    }
    None
}
