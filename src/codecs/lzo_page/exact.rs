// SPDX-License-Identifier: GPL-2.0-only

//! Decompression that accesses no byte beyond the end of the block or the page.

use super::{
    END,
    FAR,
    FAR_LEN,
    FAR_MAX,
    FEW,
    FIRST,
    LITERALS,
    LITERALS_MAX,
    NEAR_DISTANCE,
    RUN,
    RUN_DISTANCE,
    RUN_MIN, //
};
use crate::zram::codecs::lz77::{
    copy_exactly,
    repeat::copy_match_exactly,
    Corrupt,
    PAGE, //
};

/// The position in a page that is being made, and what counts for the next instruction.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// The number of bytes of the page that are done.
    pub(super) done: usize,
    /// The kind of the last instruction.
    pub(super) last: Last,
    /// Tells whether there may be runs of zeroes.
    pub(super) runs: bool,
}

/// The kind of an instruction, by the literals at its end.
pub(super) type Last = usize;

/// An instruction of literals; lower values are the number of literals after any other.
pub(super) const LAST_LITERALS: Last = FEW + 1;

/// There was no instruction yet.
pub(super) const LAST_NONE: Last = FEW + 2;

/// Decompresses the rest of a block.
///
/// # Errors
///
/// [`Corrupt`] if the page is not complete when the block ends.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `start.done` bytes are done.
#[inline(never)]
pub(super) unsafe fn decompress_exactly(
    src: &[u8],
    dst: *mut u8,
    start: Progress,
) -> Result<(), Corrupt> {
    // INVARIANT: `dst` is valid for reads and writes of a page, of which `start.done` bytes are
    // done, by the safety requirement.
    let mut page = Page {
        rest: src,
        dst,
        done: start.done,
    };
    page.instructions(start.last, start.runs).ok_or(Corrupt)
}

/// A page that is being made.
///
/// # Invariants
///
/// `dst` is valid for reads and writes of a page, of which `done` bytes are done; `done` is at most
/// a page.
struct Page<'a> {
    /// The rest of the block.
    rest: &'a [u8],
    dst: *mut u8,
    done: usize,
}

impl Page<'_> {
    /// Executes all instructions, or returns `None` if they do not make exactly a page.
    fn instructions(&mut self, mut last: Last, runs: bool) -> Option<()> {
        if last == LAST_NONE {
            last = 0;
            if let Some(literals @ 1..) = self.rest.first()?.checked_sub(FIRST) {
                self.byte()?;
                last = usize::from(literals).min(LAST_LITERALS);
                self.literals(usize::from(literals))?;
            }
        }
        loop {
            let token = self.byte()?;
            let upper = usize::from(token >> 2);
            let (distance, len, few);
            match token {
                64.. => {
                    distance = (upper & 7 | self.number()? << 3).wrapping_add(1);
                    len = usize::from(token >> 5).wrapping_add(1);
                    few = token;
                }
                FAR..64 => {
                    len = self.length(token & 31, FAR_LEN, FAR_MAX)?;
                    let operand = self.pair()?;
                    distance = usize::from(operand >> 2).wrapping_add(1);
                    few = operand as u8;
                }
                16..FAR => {
                    let operand = self.pair()?;
                    if token & !7 != RUN || operand < RUN_DISTANCE || !runs {
                        // Any other match is longer than a page.
                        let ends = token == END[0] && operand < 4 && self.rest.is_empty();
                        return (ends && self.done == PAGE).then_some(());
                    }
                    let len = (usize::from(token & 7) | self.number()? << 3).wrapping_add(RUN_MIN);
                    self.zeroes(len)?;
                    last = usize::from(operand) & FEW;
                    self.literals(last)?;
                    continue;
                }
                _ if last == 0 => {
                    let len = self.length(token, LITERALS, LITERALS_MAX)?;
                    self.literals(len)?;
                    last = LAST_LITERALS;
                    continue;
                }
                // No compressor of the kernel makes these.
                _ => {
                    let least = upper.wrapping_add(1);
                    let more = self.number()? << 2;
                    (distance, len) = match last {
                        LAST_LITERALS => (least.wrapping_add(more).wrapping_add(NEAR_DISTANCE), 3),
                        _ => (least.wrapping_add(more), 2),
                    };
                    few = token;
                }
            }
            self.copy(distance, len)?;
            last = usize::from(few) & FEW;
            self.literals(last)?;
        }
    }

    /// Takes a byte of the block.
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Takes a byte of the block, as a part of a number.
    fn number(&mut self) -> Option<usize> {
        self.byte().map(usize::from)
    }

    /// Takes two bytes of the block.
    fn pair(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    /// Returns the number that `bits` and `least` tell, or `most` and the bytes that go on with it.
    fn length(&mut self, bits: u8, least: usize, most: usize) -> Option<usize> {
        if bits != 0 {
            return Some(least.wrapping_add(usize::from(bits)));
        }
        let mut sum = most;
        loop {
            let byte = self.number()?;
            if byte != 0 {
                return Some(sum.wrapping_add(byte));
            }
            sum = sum.wrapping_add(255);
        }
    }

    /// Returns where the next `len` bytes of the page are to be, or `None` if fewer are left.
    fn room(&self, len: usize) -> Option<*mut u8> {
        (len <= PAGE.wrapping_sub(self.done)).then(|| self.dst.wrapping_add(self.done))
    }

    /// Copies literals.
    fn literals(&mut self, len: usize) -> Option<()> {
        let to = self.room(len)?;
        let (literals, rest) = self.rest.split_at_checked(len)?;
        // SAFETY: `literals` is a slice of `len` bytes, and `room` has found that the page has as
        // many left.
        unsafe { copy_exactly(to, literals.as_ptr(), len) };
        self.rest = rest;
        // INVARIANT: The page has these bytes, as `room` has found.
        self.done = self.done.wrapping_add(len);
        Some(())
    }

    /// Copies a match.
    fn copy(&mut self, distance: usize, len: usize) -> Option<()> {
        let to = self.room(len)?;
        if distance > self.done {
            return None;
        }
        // SAFETY: `room` has found that the page has `len` bytes left, and `distance` is from 1 to
        // `done`.
        unsafe { copy_match_exactly(to, distance, len) };
        // INVARIANT: The page has these bytes, as `room` has found.
        self.done = self.done.wrapping_add(len);
        Some(())
    }

    /// Writes zeroes.
    fn zeroes(&mut self, len: usize) -> Option<()> {
        let to = self.room(len)?;
        // SAFETY: `room` has found that the page has `len` bytes left.
        unsafe { to.write_bytes(0, len) };
        // INVARIANT: The page has these bytes, as `room` has found.
        self.done = self.done.wrapping_add(len);
        Some(())
    }
}
