// SPDX-License-Identifier: GPL-2.0-only

//! Copies of matches, which may overlap what they repeat.

use super::{
    cold,
    copy_16,
    read,
    write, //
};

/// The number of bytes of a step, in which longer literals and matches are copied.
pub(crate) const STEP: usize = 32;

/// A rule for repeating up to eight bytes.
struct Pattern {
    /// The factor that fills a word of eight bytes with repetitions of its first ones.
    fill: u64,
    /// The number of bits to drop from that word, so that the rest begins with what follows the
    /// word.
    ///
    /// 0 if the same word follows.
    drop: u32,
}

/// The patterns by the distance of the match, in bytes.
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

/// The first multiple of the distance that is at least eight, by distance; 0 for 0.
const MULTIPLE: [u8; 9] = [0, 8, 8, 9, 8, 10, 12, 14, 8];

/// Copies `len` bytes, rounded up to whole steps, and one step at least.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, rounded up to whole steps, and of
/// one step at least. If they overlap, `to` is at least eight bytes after `from`.
#[inline(always)]
pub(crate) unsafe fn copy_steps(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: `done` is 0 or less than `len`, so the step is among those that `from` is valid
        // for reads and `to` for writes of, by the safety requirement.
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

/// Copies `len` bytes, rounded up to whole words, and one word at least.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, rounded up to whole words, and of
/// one word at least. If they overlap, `to` is at least eight bytes after `from`.
#[inline(always)]
unsafe fn copy_words(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: `done` is 0 or less than `len`, so the word is among those that `from` is valid
        // for reads and `to` for writes of, by the safety requirement.
        unsafe { write::<u64>(to.add(done), read(from.add(done))) };
        done = done.wrapping_add(8);
        if done >= len {
            break;
        }
    }
}

/// Fills `len` bytes, rounded up to whole steps, and one step at least, with repetitions of `word`.
///
/// # Safety
///
/// `to` is valid for writes of `len` bytes, rounded up to whole steps, and of one step at least.
#[inline(always)]
pub(crate) unsafe fn fill_steps(to: *mut u8, word: u64, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: `done` is 0 or less than `len`, so the step is among those that `to` is valid for
        // writes of, by the safety requirement.
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

/// Fills `len` bytes, rounded up to whole words, and one word at least, with a pattern.
///
/// `word` is the first word, and each further one follows from the one before by dropping `drop`
/// bits. Reading back what was just written would take longer.
///
/// # Safety
///
/// `to` is valid for writes of `len` bytes, rounded up to whole words, and of one word at least.
#[inline(always)]
unsafe fn fill_on(to: *mut u8, mut word: u64, drop: u32, len: usize) {
    let mut done = 0_usize;
    loop {
        // SAFETY: `done` is 0 or less than `len`, so the word is among those that `to` is valid for
        // writes of, by the safety requirement.
        unsafe { write(to.add(done), word.to_le()) };
        let rest = word.wrapping_shr(drop);
        word = rest | rest.wrapping_shl(64_u32.wrapping_sub(drop));
        done = done.wrapping_add(8);
        if done >= len {
            break;
        }
    }
}

/// Writes a word of eight bytes that repeats the `distance` bytes before it.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of eight bytes, and `from` is `distance` bytes
/// before `to`.
#[inline(always)]
pub(crate) unsafe fn repeat_word(to: *mut u8, from: *const u8, distance: usize) {
    let fill = PATTERNS.get(distance).map_or(1, |pattern| pattern.fill);
    let others = 64_usize.wrapping_sub(distance.wrapping_mul(8));
    // SAFETY: `from` is valid for reads and `to` for writes of eight bytes by the safety
    // requirement.
    unsafe {
        let first = u64::from_le(read(from)) & u64::MAX.wrapping_shr(others as u32);
        write(to, first.wrapping_mul(fill).to_le());
    }
}

/// Copies a match of `len` bytes to position `done` of the page, and returns whether that is
/// possible.
///
/// It is not if `distance` is 0, or if the page has fewer than `len` bytes left. What follows the
/// match in the page may hold anything after that. `len` is at least one.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, which has `PAGE` bytes; `done` of them are done,
/// and `distance` is at most `done`.
#[inline(always)]
pub(crate) unsafe fn copy_match<const PAGE: usize>(
    dst: *mut u8,
    done: usize,
    distance: usize,
    len: usize,
) -> bool {
    // SAFETY: `done` is at most a page by the safety requirement, and `dst` is valid for a page.
    let to = unsafe { dst.add(done) };
    if done.wrapping_add(len) > PAGE - STEP {
        cold();
        if distance == 0 || len > PAGE.wrapping_sub(done) {
            return false;
        }
        // SAFETY: `len` bytes of the page are left, and `distance` is from 1 to `done`.
        unsafe { copy_match_exactly(to, distance, len) };
        return true;
    }
    // SAFETY: `distance` is at most `done` by the safety requirement.
    let from = unsafe { to.sub(distance) };
    if let Some(Pattern { fill, drop }) = PATTERNS.get(distance) {
        if distance == 0 {
            return false;
        }
        let others = 64_usize.wrapping_sub(distance.wrapping_mul(8));
        // SAFETY: A step more than `len` bytes of the page is left from `to` on, and `from` is
        // before `to`.
        unsafe {
            let first = u64::from_le(read(from)) & u64::MAX.wrapping_shr(others as u32);
            let word = first.wrapping_mul(*fill);
            if *drop == 0 {
                // Most often this is a run of one byte.
                fill_steps(to, word.to_le(), len);
            } else {
                fill_on(to, word, *drop, len);
            }
        }
        return true;
    }
    // SAFETY: A step more than `len` bytes of the page is left from `to` on, and `from` is at least
    // nine bytes before `to`, as `PATTERNS` has all smaller distances.
    unsafe {
        if distance < STEP {
            // The match repeats bytes that are just being written. Reading these takes long, so
            // none is read but for a word that is needed.
            copy_words(to, from, len);
        } else {
            copy_steps(to, from, len);
        }
    }
    true
}

/// Copies a match of `len` bytes, and accesses no byte after it.
///
/// # Safety
///
/// `to` is valid for writes of `len` bytes, and for reads from `distance` bytes before it to its
/// end. `distance` is at least one.
#[cold]
#[inline(never)]
pub(crate) unsafe fn copy_match_exactly(to: *mut u8, distance: usize, len: usize) {
    let mut done = 0_usize;
    // Once its first bytes are copied, the match repeats what is `multiple` bytes back, eight or
    // more, so that whole words can be copied.
    let multiple = MULTIPLE
        .get(distance)
        .map_or(distance, |multiple| usize::from(*multiple));
    let words = len.saturating_sub(7);
    let first = multiple.wrapping_sub(distance);
    while done < len {
        // SAFETY: `done` is less than `len`, and less than `len - 7` where a word is copied. What
        // is read begins `distance` bytes before the match at the earliest.
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
