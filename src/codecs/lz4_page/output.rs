// SPDX-License-Identifier: GPL-2.0-only

//! The block that is being written: a cursor that checks the room only near the end.

use super::{
    LAST_START,
    LONG, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_16,
    copy_exactly,
    number,
    write,
    MIN_MATCH,
    PAGE, //
};
use core::{
    marker::PhantomData,
    mem,
    slice, //
};

/// The number of bytes that a sequence may write besides its literals, at most.
///
/// These are a token, either number, a distance, and 15 bytes after the literals, rounded up to
/// whole words.
const SLACK: usize = (1 + 2 * number::MOST + 2 + 15).next_multiple_of(8);

/// A position in the block, and the one in the page that goes with it.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// The length of the block so far.
    written: u16,
    /// The number of bytes of the page that the block stands for.
    pub(super) done: u16,
}

// A position is only noted where another sequence begins.
const _: () = assert!(LAST_START <= u16::MAX as usize);

impl Mark {
    /// The start of both.
    pub(super) const START: Self = Self {
        written: 0,
        done: 0,
    };
}

/// The error that the block does not fit.
pub(super) struct Miss {
    /// The number of missing bytes, at most.
    pub(super) by: usize,
    /// The position where the block took five eighths of the room; the start if it was not noted.
    pub(super) mark: Mark,
}

/// A cursor that writes a block.
///
/// # Invariants
///
/// `start <= at <= end`, and `start..end` is valid for writes during `'a`. If `at` is before
/// `easy`, there are at least [`SLACK`] bytes from `easy` to `end`.
pub(super) struct Output<'a> {
    /// The position where the next sequence is written.
    at: *mut u8,
    /// The position before which a sequence without literals needs no check of the room.
    easy: *mut u8,
    start: *mut u8,
    end: *mut u8,
    /// The position noted when five eighths of the room were taken; see [`Miss::mark`].
    mark: Mark,
    _room: PhantomData<&'a mut [u8]>,
}

impl<'a> Output<'a> {
    /// Creates a cursor that continues the block in `room` at `mark`.
    pub(super) fn new(room: &'a mut [u8], mark: Mark) -> Self {
        let len = room.len();
        let easy = len.saturating_sub(SLACK);
        // Only a cursor from the start has a position to note.
        let easy = match mark.written {
            0 => easy.min(len / 8 * 5),
            _ => easy,
        };
        let all = room.as_mut_ptr_range();
        // INVARIANT: `room` is borrowed for `'a`. `easy` is at least `SLACK` bytes before its end,
        // or its start if `room` is shorter than that.
        Self {
            at: all.start.wrapping_add(usize::from(mark.written).min(len)),
            easy: all.start.wrapping_add(easy),
            start: all.start,
            end: all.end,
            mark: Mark::START,
            _room: PhantomData,
        }
    }

    /// Returns the length of the block so far.
    pub(super) fn len(&self) -> usize {
        (self.at as usize).wrapping_sub(self.start as usize)
    }

    /// Returns the number of bytes that are left.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        (self.end as usize).wrapping_sub(self.at as usize)
    }

    /// Returns the error for a block that does not fit, with `rest` bytes of the page left to do.
    ///
    /// The number of missing bytes is that for `rest` bytes of literals.
    pub(super) fn miss(&self, rest: usize) -> Miss {
        Miss {
            by: rest.saturating_sub(self.room()),
            mark: self.mark,
        }
    }

    /// Notes the position when `easy` is reached for the first time, with `done` bytes of the page
    /// done.
    #[inline(always)]
    fn note(&mut self, done: usize) {
        let len = (self.end as usize).wrapping_sub(self.start as usize);
        let last = self.start.wrapping_add(len.saturating_sub(SLACK));
        // In a room of 64 KiB, a block that takes all of it is too long for a mark.
        let fits = PAGE <= u16::MAX as usize || self.len() <= u16::MAX as usize;
        if self.easy < last && fits {
            self.mark = Mark {
                written: self.len() as u16,
                done: done as u16,
            };
            // INVARIANT: There are `SLACK` bytes from `last` to `end`, as `easy < last` implies
            // that the room is not shorter than that.
            self.easy = last;
        }
    }

    /// Writes a sequence, and returns whether there was room for it.
    ///
    /// The literals are the `literals` bytes of `page` after its first `done` bytes.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals and of 16 bytes after them. `literals`, `distance`
    /// and `len` are below a page's size, and `len` is at least [`MIN_MATCH`].
    #[inline(always)]
    pub(super) unsafe fn sequence(
        &mut self,
        page: *const u8,
        done: usize,
        literals: usize,
        distance: usize,
        len: usize,
    ) -> bool {
        if self.at.wrapping_add(literals) >= self.easy {
            cold();
            self.note(done);
            // SAFETY: `page.add(done)` is valid for reads of the literals by the safety
            // requirement.
            return unsafe { self.sequence_exactly(page.add(done), literals, distance, len) };
        }
        // SAFETY: `at + literals` is before `easy`, so by the type invariant there is room for the
        // literals and `SLACK` bytes more, which is all that is written. `page` is valid for reads
        // of the literals and 16 bytes more by the safety requirement.
        // INVARIANT: For the same reason, the new `at` is not after `end`.
        unsafe {
            let page = page.add(done);
            let token = self.at;
            let mut at = token.add(1);
            // Copies 16 bytes before the number of literals is looked at.
            copy_16(at, page);
            let mut high = literals << 4;
            if literals >= LONG {
                high = LONG << 4;
                at = go_on(at, literals.wrapping_sub(LONG));
                let mut done = 0_usize;
                while done < literals {
                    copy_16(at.add(done), page.add(done));
                    done = done.wrapping_add(16);
                }
            }
            self.at = finish(token, high, at.add(literals), distance, len);
        }
        true
    }

    /// Writes a sequence without literals, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `distance` and `len` are below a page's size, and `len` is at least [`MIN_MATCH`].
    #[inline(always)]
    pub(super) unsafe fn repeat(&mut self, distance: usize, len: usize) -> bool {
        if self.at >= self.easy {
            cold();
            // SAFETY: Without literals, nothing is read.
            return unsafe { self.sequence_exactly(self.at, 0, distance, len) };
        }
        // SAFETY: `at` is before `easy`, so by the type invariant there are `SLACK` bytes from `at`
        // on.
        // INVARIANT: The new `at` is not beyond these bytes, and hence not after `end`.
        unsafe {
            let token = self.at;
            self.at = finish(token, 0, token.add(1), distance, len);
        }
        true
    }

    /// Writes the last sequence, which has no match, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    pub(super) unsafe fn last(&mut self, page: *const u8, literals: usize) -> bool {
        let mut exact = self.exact();
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        let written = unsafe { exact.start(page, literals, 0) }.is_some();
        self.take(exact.0, written)
    }

    /// Writes a sequence like [`Self::sequence`], but accesses no byte beyond it.
    ///
    /// The literals are at `page`.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    #[inline(always)]
    pub(super) unsafe fn sequence_exactly(
        &mut self,
        page: *const u8,
        literals: usize,
        distance: usize,
        len: usize,
    ) -> bool {
        // The room is passed by value, so that the cursor itself can stay in registers.
        //
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        let rest = unsafe { self.exact().sequence(page, literals, distance, len) };
        match rest {
            Some(rest) => self.take(rest, true),
            None => false,
        }
    }

    /// Returns the room that is left.
    ///
    /// The cursor must not write until the result is passed to [`Self::take`] or dropped.
    fn exact(&mut self) -> Exact<'a> {
        // SAFETY: `at..end` is valid for writes during `'a` by the type invariant, and the callers,
        // all in this file, do not use the cursor until the result is gone.
        Exact(unsafe { slice::from_raw_parts_mut(self.at, self.room()) })
    }

    /// Continues at `rest`, which is the end of what [`Self::exact`] returned, if `written` is
    /// true.
    ///
    /// Returns `written`.
    fn take(&mut self, rest: &mut [u8], written: bool) -> bool {
        if written {
            // INVARIANT: `rest` is a part of `at..end`.
            self.at = rest.as_mut_ptr();
        }
        written
    }
}

/// Writes the token and what follows the literals, and returns the end.
///
/// The token's upper half is that of `high`.
///
/// # Safety
///
/// `token` is valid for writes of a byte, and `at` for writes of a distance and of
/// [`number::MOST`] bytes. `len` is at least [`MIN_MATCH`] and below a page's size.
#[inline(always)]
unsafe fn finish(token: *mut u8, high: usize, at: *mut u8, distance: usize, len: usize) -> *mut u8 {
    // SAFETY: `token` is valid for writes of a byte, and `at` for writes of 2 bytes for the
    // distance and `MOST` for the number, by the safety requirement.
    unsafe {
        write(at, (distance as u16).to_le());
        let at = at.add(2);
        if len >= MIN_MATCH + LONG {
            *token = (high | LONG) as u8;
            go_on(at, len.wrapping_sub(MIN_MATCH + LONG))
        } else {
            *token = high.wrapping_add(len).wrapping_sub(MIN_MATCH) as u8;
            at
        }
    }
}

/// Writes the bytes that half a token goes on with, for `rest` more, and returns the end.
///
/// # Safety
///
/// `at` is valid for writes of [`number::MOST`] bytes, and `rest` is below a page's size.
#[inline(always)]
unsafe fn go_on(at: *mut u8, rest: usize) -> *mut u8 {
    let full = number::full(rest);
    // SAFETY: `full` is below `MOST`, and `at` is valid for writes of so many bytes by the safety
    // requirement.
    unsafe {
        number::fill(at, !0, full);
        let last = at.add(full as usize);
        // `rest - 255 * full`, modulo 256.
        *last = (rest as u8).wrapping_add(full as u8);
        last.add(1)
    }
}

/// The room for the end of a block, whose front is taken off as it is written.
struct Exact<'a>(&'a mut [u8]);

impl<'a> Exact<'a> {
    /// Writes a sequence and returns the room that is left, or `None` if there is not enough.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    #[cold]
    #[inline(never)]
    unsafe fn sequence(
        mut self,
        page: *const u8,
        literals: usize,
        distance: usize,
        len: usize,
    ) -> Option<&'a mut [u8]> {
        let low = len.wrapping_sub(MIN_MATCH);
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        unsafe { self.start(page, literals, low)? };
        self.byte(distance as u8)?;
        self.byte((distance >> 8) as u8)?;
        self.go_on(low)?;
        Some(self.0)
    }

    /// Writes a sequence up to the end of its literals, or returns `None` without room for that.
    ///
    /// `low` is the number for the lower half of the token.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    unsafe fn start(&mut self, page: *const u8, literals: usize, low: usize) -> Option<()> {
        self.byte((literals.min(LONG) << 4 | low.min(LONG)) as u8)?;
        self.go_on(literals)?;
        let to = self.take(literals)?.as_mut_ptr();
        // SAFETY: `to` is a slice of `literals` bytes, and `page` is valid for reads of as many by
        // the safety requirement.
        unsafe { copy_exactly(to, page, literals) };
        Some(())
    }

    /// Writes the bytes that half a token goes on with, if `number` needs any.
    fn go_on(&mut self, number: usize) -> Option<()> {
        let Some(mut rest) = number.checked_sub(LONG) else {
            return Some(());
        };
        while rest >= 255 {
            self.byte(255)?;
            rest = rest.wrapping_sub(255);
        }
        self.byte(rest as u8)
    }

    /// Writes a byte.
    fn byte(&mut self, byte: u8) -> Option<()> {
        *self.take(1)?.first_mut()? = byte;
        Some(())
    }

    /// Takes `len` bytes off the front, or returns `None` if there are fewer.
    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let (front, rest) = mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(front)
    }
}
