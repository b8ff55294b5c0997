// SPDX-License-Identifier: GPL-2.0-only

//! Decompression: fast while neither the end of the block nor that of the page is near, then exact.
//!
//! A block may be in two parts, as objects of zsmalloc that lie across two pages are. The
//! instruction that lies across both parts is put together in a buffer.

use super::{
    exact::{
        decompress_exactly,
        Progress,
        LAST_LITERALS,
        LAST_NONE, //
    },
    FAR,
    FAR_LEN,
    FAR_MAX,
    FEW,
    FIRST,
    LITERALS,
    LITERALS_MAX,
    PREFIX,
    RUN,
    RUN_DISTANCE,
    RUN_MIN, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_16,
    in_parts,
    join,
    read,
    repeat::{
        copy_match,
        copy_steps,
        fill_steps,
        repeat_word,
        STEP, //
    },
    write,
    Corrupt,
    PAGE, //
};
use core::hint;

/// The number of bytes at a block's end among which the fast loop starts no instruction.
///
/// They suffice for an instruction of literals that are up to 18.
const BLOCK_END: usize = 1 + LITERALS_MAX;

/// The number of bytes at a page's end among which the fast loop starts no instruction.
///
/// They suffice for 18 literals, or for 16 bytes of a match and four bytes of literals.
const PAGE_END: usize = 20;

/// Decompresses the block `head` followed by `tail` to the page at `dst`.
///
/// The instruction that lies across both parts is put together in `bridge`, which is as long as the
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
    if head.len() < 5 && !tail.is_empty() {
        let all = join(bridge, head, tail).ok_or(Corrupt)?;
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement.
        return unsafe { decompress(all, &[], &mut [], dst) };
    }
    let mut start = Progress {
        done: 0,
        last: LAST_NONE,
        runs: false,
    };
    let mut head = head;
    if let ([first, version, rest @ ..], 5..) = (head, head.len()) {
        if *first == PREFIX[0] {
            start.runs = *version != 0;
            head = rest;
        }
    }

    in_parts(
        head,
        tail,
        bridge,
        start,
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement, of which
        // nothing is done at first, and then what an earlier call has done.
        |src, progress| unsafe { instructions(src, dst, progress) },
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement, of which
        // `instructions` has done `progress.done` bytes.
        |src, progress| unsafe { decompress_exactly(src, dst, progress) },
    )
}

/// Decompresses whole instructions, as long as neither end is near and nothing is unusual.
///
/// Returns how many bytes of `src` these were, and what is done.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `start.done` bytes are done.
#[inline(never)]
unsafe fn instructions(src: &[u8], dst: *mut u8, start: Progress) -> (usize, Progress) {
    let block = src.as_ptr_range();
    let mut input = block.start;
    let Progress {
        mut done,
        mut last,
        runs,
    } = start;

    if last == LAST_NONE {
        let Some(&first) = src.first() else {
            return (0, start);
        };
        last = 0;
        if let Some(literals @ 1..) = first.checked_sub(FIRST) {
            let literals = usize::from(literals);
            let next = literals.wrapping_add(1);
            if next.wrapping_add(STEP) > src.len() {
                return (0, start);
            }
            // SAFETY: `literals` bytes and `STEP` more are left of the block, as was just checked,
            // and of the page, of which nothing is done.
            unsafe { copy_steps(dst, input.wrapping_add(1), literals) };
            done = literals;
            input = input.wrapping_add(next);
            last = literals.min(LAST_LITERALS);
        }
    }

    // An instruction before `limit` is the first of at least `BLOCK_END` bytes.
    let limit = src.len().saturating_sub(BLOCK_END - 1);
    let limit = block.start.wrapping_add(limit);
    while input < limit && done <= PAGE - PAGE_END {
        // SAFETY: At least `BLOCK_END` bytes are left of the block.
        let (token, operand) = unsafe { (usize::from(*input), read::<u16>(input.add(1))) };
        let operand = u16::from_le(operand);
        if token >= 64 {
            let distance = ((token >> 2 & 7) | usize::from(operand & 255) << 3).wrapping_add(1);
            let len = (token >> 5).wrapping_add(1);
            let Some(from) = done.checked_sub(distance) else {
                break;
            };
            // SAFETY: `from` is before `done`, and `PAGE_END` bytes are left of the page.
            unsafe {
                let (to, from) = (dst.add(done), dst.add(from));
                if distance >= 8 {
                    write::<u64>(to, read(from));
                } else {
                    cold();
                    repeat_word(to, from, distance);
                }
            }
            done = done.wrapping_add(len);
            last = token & FEW;
            input = input.wrapping_add(2);
        } else if token >= usize::from(FAR) {
            let mut next = input.wrapping_add(3);
            let mut len = (token & 31).wrapping_add(FAR_LEN);
            let mut operand = operand;
            if len == FAR_LEN {
                cold();
                // SAFETY: `input + 1` is before the end of the block.
                let Some((after, rest)) = (unsafe { go_on(input.wrapping_add(1), block.end) })
                else {
                    break;
                };
                if after.wrapping_add(BLOCK_END) > block.end {
                    break;
                }
                // SAFETY: More than two bytes are left of the block after the number.
                operand = u16::from_le(unsafe { read(after) });
                next = after.wrapping_add(2);
                len = rest.wrapping_add(FAR_MAX);
            }
            let distance = usize::from(operand >> 2).wrapping_add(1);
            let Some(from) = done.checked_sub(distance) else {
                break;
            };
            if len <= 16 && distance >= 8 {
                // SAFETY: `from` is before `done`, and `PAGE_END` bytes are left of the page.
                unsafe { copy_16(dst.add(done), dst.add(from)) };
            } else {
                cold();
                // The literals after it take up to four bytes more.
                if len.wrapping_add(4) > PAGE.wrapping_sub(done) {
                    break;
                }
                // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement,
                // `distance` is at most `done`, and `done` is at most `PAGE`.
                if !unsafe { copy_match::<PAGE>(dst, done, distance, len) } {
                    break;
                }
            }
            done = done.wrapping_add(len);
            last = usize::from(operand) & FEW;
            input = next;
        } else if token <= LITERALS_MAX - LITERALS && last == 0 {
            let mut literals = token.wrapping_add(LITERALS);
            let mut next = input.wrapping_add(1);
            if token == 0 {
                cold();
                // SAFETY: `next` is before the end of the block.
                let Some((after, rest)) = (unsafe { go_on(next, block.end) }) else {
                    break;
                };
                literals = rest.wrapping_add(LITERALS_MAX);
                next = after;
                if literals.wrapping_add(STEP) > PAGE.wrapping_sub(done)
                    || next.wrapping_add(literals).wrapping_add(STEP) > block.end
                {
                    break;
                }
                // SAFETY: `literals` bytes and `STEP` more are left of the block and of the page,
                // as was just checked.
                unsafe { copy_steps(dst.add(done), next, literals) };
            } else {
                // SAFETY: `BLOCK_END` bytes are left of the block and `PAGE_END` of the page.
                unsafe {
                    let to = dst.add(done);
                    copy_16(to, next);
                    write::<u16>(to.add(16), read(next.add(16)));
                }
            }
            done = done.wrapping_add(literals);
            last = LAST_LITERALS;
            input = next.wrapping_add(literals);
            continue;
        } else if token & 0xf8 == usize::from(RUN) && operand >= RUN_DISTANCE && runs {
            // SAFETY: At least `BLOCK_END` bytes are left of the block.
            let upper = usize::from(unsafe { *input.add(3) });
            let len = (token & 7 | upper << 3).wrapping_add(RUN_MIN);
            if len.wrapping_add(STEP) > PAGE.wrapping_sub(done) {
                break;
            }
            // Hidden from the optimizer, which would otherwise call a function for every run.
            let zero = hint::black_box(0);
            // SAFETY: `len` bytes of the page are left, and `STEP` more.
            unsafe { fill_steps(dst.add(done), zero, len) };
            done = done.wrapping_add(len);
            last = usize::from(operand) & FEW;
            input = input.wrapping_add(4);
        } else {
            break;
        }
        // SAFETY: At least four bytes of the page are left. Of the block, of which the instruction
        // has taken at most four of `BLOCK_END` bytes, or which has as many after the number, four
        // are left.
        unsafe { write::<u32>(dst.add(done), read(input)) };
        done = done.wrapping_add(last);
        input = input.wrapping_add(last);
    }
    let progress = Progress { done, last, runs };
    (
        (input as usize).wrapping_sub(block.start as usize),
        progress,
    )
}

/// Reads the bytes that a number goes on with, and returns the position after them and their sum.
///
/// Returns `None` if they do not end before `end`.
///
/// # Safety
///
/// `input..end` is valid for reads.
#[inline(always)]
unsafe fn go_on(mut input: *const u8, end: *const u8) -> Option<(*const u8, usize)> {
    let mut sum = 0_usize;
    while input < end {
        // SAFETY: `input` is before `end`.
        let byte = unsafe { *input };
        input = input.wrapping_add(1);
        if byte != 0 {
            return Some((input, sum.wrapping_add(usize::from(byte))));
        }
        sum = sum.wrapping_add(255);
    }
    None
}
