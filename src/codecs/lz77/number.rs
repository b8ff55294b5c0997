// SPDX-License-Identifier: GPL-2.0-only

//! Numbers that go on in further bytes: each but the last one counts 255.

use super::{
    write,
    PAGE, //
};

/// The number of bytes that count 255 in a number below a page's size, at most.
const FULL: usize = (PAGE - 1) / 255;

/// The number of bytes that [`fill`] writes and a last one, at most.
pub(crate) const MOST: usize = {
    let words = FULL.next_multiple_of(8);
    if words > FULL {
        words
    } else {
        FULL + 1
    }
};

/// The factor and the shift that divide by 255.
const FACTOR: u32 = 0x8081;
const SHIFT: u32 = 23;

// The factor is `(2^23 + 127) / 255`. So the result for n is too large by `n * 127 / 2^23` parts of
// 255, and what follows the point of `n / 255` is at most 254 of them.
const _: () = assert!(FACTOR as u64 * 255 == (1 << SHIFT) + 127);
const _: () = assert!((PAGE as u64 - 1) * 127 < 1 << SHIFT);
// The product is not cut off.
const _: () = assert!((PAGE as u64 - 1) * FACTOR as u64 <= u32::MAX as u64);

/// Returns how often a number below a page's size has 255 in it.
#[inline(always)]
pub(crate) fn full(number: usize) -> u32 {
    (number as u32).wrapping_mul(FACTOR) >> SHIFT
}

/// Writes `full` bytes of a word whose bytes are all the same, and some more.
///
/// # Safety
///
/// `at` is valid for writes of [`MOST`] bytes, and `full` came from [`full()`].
#[inline(always)]
pub(crate) unsafe fn fill(at: *mut u8, word: u64, full: u32) {
    // SAFETY: `full` is at most `FULL`, and `at` is valid for writes of as many bytes, rounded up
    // to whole words and to two of them, by the safety requirement.
    unsafe {
        write::<u64>(at, word);
        write::<u64>(at.add(8), word);
        let mut done = 16_usize;
        // In a page of 4 KiB, two words are all.
        while FULL > 16 && done < full as usize {
            write::<u64>(at.add(done), word);
            done = done.wrapping_add(8);
        }
    }
}

// Two words are written in any case.
const _: () = assert!(FULL >= 16);
