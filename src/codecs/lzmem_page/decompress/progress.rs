// SPDX-License-Identifier: GPL-2.0-only

//! The progress in a page, and how literals get there.

use crate::zram::codecs::{
    lz77::{
        read,
        write, //
    },
    lzmem_page::{
        sequences::Bytes,
        FIRST_DISTANCE,
        LEAST_BACK, //
    }, //
};

/// The bytes from which literals differ that stand for themselves.
pub(super) static ZEROES: [u8; 16] = [0; 16];

/// The progress in a row of sequences.
///
/// # Invariants
///
/// `literals` is at one of the literals or at their end, as far from their start as the literals in
/// the page are before `to`. `before` is `distance` before `to`, at least [`LEAST_BACK`], or at
/// [`ZEROES`]. `distance` is at least one.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// The number of sequences that are left.
    pub left: usize,
    /// The number of bits that are read of either stream.
    pub lengths: usize,
    pub distances: usize,
    /// The next literals.
    pub literals: *const u8,
    /// The end of what is done of the page.
    pub to: *mut u8,
    /// The distance of the last match.
    pub distance: usize,
    /// The bytes from which the next literals differ.
    pub before: *const u8,
}

impl Progress {
    /// Begins a page.
    pub(super) fn start(sequences: usize, literals: &Bytes, dst: *mut u8) -> Self {
        // INVARIANT: Nothing is done.
        Self {
            left: sequences,
            lengths: 0,
            distances: 0,
            literals: literals.as_ptr(),
            to: dst,
            distance: FIRST_DISTANCE,
            before: ZEROES.as_ptr(),
        }
    }

    /// Returns the bytes from which the literals after a match differ.
    pub(super) fn before<const DIFFERENCES: bool>(&self) -> *const u8 {
        if DIFFERENCES && self.distance >= LEAST_BACK {
            self.to.wrapping_sub(self.distance)
        } else {
            ZEROES.as_ptr()
        }
    }
}

/// Writes eight literals, `at` bytes after all three positions.
///
/// # Safety
///
/// `to` is valid for writes, and `from` and, with `DIFFERENCES`, `before` for reads of these bytes.
#[inline(always)]
pub(super) unsafe fn word<const DIFFERENCES: bool>(
    to: *mut u8,
    from: *const u8,
    before: *const u8,
    at: usize,
) {
    // SAFETY: All three are valid for these bytes by the safety requirement.
    unsafe {
        let word: u64 = read(from.add(at));
        let before: u64 = if DIFFERENCES { read(before.add(at)) } else { 0 };
        write(to.add(at), word ^ before);
    }
}

/// Writes `count` literals, and accesses no other bytes.
///
/// # Safety
///
/// `to` is valid for writes and `from` for reads of the literals. `before` is at [`ZEROES`], or
/// valid for reads from eight bytes before `to` or more.
#[inline(never)]
pub(super) unsafe fn run(to: *mut u8, from: *const u8, count: usize, before: *const u8) {
    let zeroes = before == ZEROES.as_ptr();
    let mut done = 0_usize;
    while done < count {
        let at = if zeroes { 0 } else { done };
        // SAFETY: `done` is less than `count`, and less by eight or more where a word is written.
        unsafe {
            let (to, from, before) = (to.add(done), from.add(done), before.add(at));
            if count.wrapping_sub(done) >= 8 {
                word::<true>(to, from, before, 0);
                done = done.wrapping_add(8);
            } else {
                write(to, read::<u8>(from) ^ read::<u8>(before));
                done = done.wrapping_add(1);
            }
        }
    }
}
