// SPDX-License-Identifier: GPL-2.0-only

//! Copies of what is already in the page, which may lie less than its length before.

use super::{
    cold,
    copy_16,
    read,
    write,
    PAGE, //
};

/// Longer literals and matches are copied in steps of so many bytes.
pub(super) const STEP: usize = 32;

/// How to repeat a few bytes.
struct Pattern {
    /// The factor that fills eight bytes with the first of them.
    fill: u64,
    /// How many bits of these eight bytes to drop, so that what is left begins with what follows them; none, if
    /// that is the same eight bytes.
    drop: u32,
}

/// For a match so many bytes after what it repeats.
const PATTERNS: [Pattern; 9] = {
    const fn pattern(fill: u64, drop: u32) -> Pattern {
        Pattern { fill, drop }
    }
    [
        pattern(0, 0),
        pattern(0x0101_0101_0101_0101, 0),
        pattern(0x0001_0001_0001_0001, 0),
        pattern(0x0001_0000_0100_0001, 16),
        pattern(0x0000_0001_0000_0001, 0),
        pattern(0x0000_0100_0000_0001, 24),
        pattern(0x0001_0000_0000_0001, 16),
        pattern(0x0100_0000_0000_0001, 8),
        pattern(1, 0),
    ]
};

/// For such a match, the first multiple of the distance that is not below eight.
const MULTIPLE: [u8; 9] = [0, 8, 8, 9, 8, 10, 12, 14, 8];

/// Copies `len` bytes, and then up to the end of the step; one step at least.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of so much. If they overlap, `to` is eight bytes
/// or more after `from`.
#[inline(always)]
pub(super) unsafe fn copy_steps(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: By the caller.
        unsafe {
            copy_16(to.add(done), from.add(done));
            copy_16(to.add(done).add(16), from.add(done).add(16));
        }
        done = done.wrapping_add(STEP);
        if done >= len {
            break;
        }
    }
}

/// Fills what [`copy_steps`] would copy.
///
/// # Safety
///
/// `to` is valid for writes of so much.
#[inline(always)]
unsafe fn fill_steps(to: *mut u8, word: u64, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: By the caller.
        unsafe {
            let to = to.add(done);
            write(to, word);
            write(to.add(8), word);
            write(to.add(16), word);
            write(to.add(24), word);
        }
        done = done.wrapping_add(STEP);
        if done >= len {
            break;
        }
    }
}

/// Fills `len` bytes, and up to seven more, with what repeats less than eight: each word follows from the one
/// before. To read what was just written would take longer.
///
/// # Safety
///
/// `to` is valid for writes of so much.
#[inline(always)]
unsafe fn fill_on(to: *mut u8, mut word: u64, drop: u32, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: By the caller.
        unsafe { write(to.add(done), word.to_le()) };
        let rest = word.wrapping_shr(drop);
        word = rest | rest.wrapping_shl(64_u32.wrapping_sub(drop));
        done = done.wrapping_add(8);
        if done >= len {
            break;
        }
    }
}

/// Copies a match of `len` bytes, of which one at least is wanted, and returns whether there is
/// such a match, and room for it.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `done` bytes are there. `distance` is
/// not above `done`.
#[inline(always)]
pub(super) unsafe fn copy_match(dst: *mut u8, done: usize, distance: usize, len: usize) -> bool {
    // SAFETY: By the caller.
    let to = unsafe { dst.add(done) };
    if done.wrapping_add(len) > PAGE - STEP {
        cold();
        if distance == 0 || len > PAGE.wrapping_sub(done) {
            return false;
        }
        // SAFETY: Just checked.
        unsafe { copy_match_exactly(to, distance, len) };
        return true;
    }
    // SAFETY: By the caller.
    let from = unsafe { to.sub(distance) };
    if let Some(Pattern { fill, drop }) = PATTERNS.get(distance) {
        if distance == 0 {
            return false;
        }
        let others = 64_usize.wrapping_sub(distance.wrapping_mul(8));
        // SAFETY: A step more than `len` is left.
        unsafe {
            let first = u64::from_le(read(from)) & u64::MAX.wrapping_shr(others as u32);
            let word = first.wrapping_mul(*fill);
            if *drop == 0 {
                // Most often a run.
                fill_steps(to, word.to_le(), len);
            } else {
                fill_on(to, word, *drop, len);
            }
        }
        return true;
    }
    // SAFETY: A step more than `len` is left, and it is eight bytes or more from `from` to `to`.
    unsafe { copy_steps(to, from, len) };
    true
}

/// Copies a match of `len` bytes, and touches no others.
///
/// # Safety
///
/// `to` is valid for writes of so many bytes, and for reads from `distance` bytes before, which is
/// at least one.
#[cold]
#[inline(never)]
pub(super) unsafe fn copy_match_exactly(to: *mut u8, distance: usize, len: usize) {
    let mut done = 0_usize;
    // Once the first bytes are there, the match repeats what is eight bytes back or more.
    let multiple = MULTIPLE
        .get(distance)
        .map_or(distance, |multiple| usize::from(*multiple));
    let words = len.saturating_sub(7);
    let first = multiple.wrapping_sub(distance);
    while done < len {
        // SAFETY: By the caller.
        unsafe {
            let to = to.add(done);
            if done >= first && done < words {
                write::<u64>(to, read(to.sub(multiple)));
                done = done.wrapping_add(8);
            } else {
                write::<u8>(to, read(to.sub(distance)));
                done = done.wrapping_add(1);
            }
        }
    }
}
