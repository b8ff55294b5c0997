// SPDX-License-Identifier: GPL-2.0-only

//! The block that is being written: a cursor that knows where there is room enough not to look.

use super::{
    cold,
    copy_16,
    copy_exactly,
    write,
    LONG,
    MIN_MATCH, //
};
use core::{
    marker::PhantomData,
    mem,
    slice, //
};

/// What a sequence may take or touch besides its literals: a token, 17 bytes for either number, a
/// distance, and 15 bytes after the literals.
const SLACK: usize = 56;

/// How far a block is.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// How long it is.
    written: u16,
    /// How much of the page it stands for.
    pub(super) done: u16,
}

impl Mark {
    /// Before anything.
    pub(super) const START: Self = Self {
        written: 0,
        done: 0,
    };
}

/// There is no room for the block.
pub(super) struct Miss {
    /// How much longer it would have to be, at most.
    pub(super) by: usize,
    /// Where the block took five eighths of the room; the start, if that was not noted.
    pub(super) mark: Mark,
}

/// Where a block is written to.
///
/// # Invariants
///
/// `start <= at <= end`, and this is valid for writes during `'a`. If `at` is before `easy`, there
/// are at least [`SLACK`] bytes from `easy` to `end`.
pub(super) struct Output<'a> {
    at: *mut u8,
    easy: *mut u8,
    start: *mut u8,
    end: *mut u8,
    /// Where the block, and the page, was when `easy` was reached that is before the last.
    mark: Mark,
    _room: PhantomData<&'a mut [u8]>,
}

impl<'a> Output<'a> {
    /// Goes on at `mark`.
    pub(super) fn new(room: &'a mut [u8], mark: Mark) -> Self {
        let len = room.len();
        let easy = len.saturating_sub(SLACK);
        // Only the first time there is something to note.
        let easy = match mark.written {
            0 => easy.min(len / 8 * 5),
            _ => easy,
        };
        let all = room.as_mut_ptr_range();
        // INVARIANT: The slice is borrowed, and `easy` its start if it is shorter than `SLACK`.
        Self {
            at: all.start.wrapping_add(usize::from(mark.written).min(len)),
            easy: all.start.wrapping_add(easy),
            start: all.start,
            end: all.end,
            mark: Mark::START,
            _room: PhantomData,
        }
    }

    /// How much was written.
    pub(super) fn len(&self) -> usize {
        (self.at as usize).wrapping_sub(self.start as usize)
    }

    /// How much may be written yet.
    #[inline(always)]
    pub(super) fn room(&self) -> usize {
        (self.end as usize).wrapping_sub(self.at as usize)
    }

    /// What is missing if `rest` more bytes of the page were literals.
    pub(super) fn miss(&self, rest: usize) -> Miss {
        Miss {
            by: rest.saturating_sub(self.room()),
            mark: self.mark,
        }
    }

    /// Notes where the block and the page are, the first time that `easy` is reached.
    #[inline(always)]
    fn note(&mut self, done: usize) {
        let len = (self.end as usize).wrapping_sub(self.start as usize);
        let last = self.start.wrapping_add(len.saturating_sub(SLACK));
        if self.easy < last {
            self.mark = Mark {
                written: self.len() as u16,
                done: done as u16,
            };
            // INVARIANT: `SLACK` bytes are left there.
            self.easy = last;
        }
    }

    /// Writes a sequence, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals, which come after its first `done` bytes, and 16 bytes
    /// more. All numbers are below a page's size, and `len` is at least [`MIN_MATCH`].
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
            // SAFETY: By the caller.
            return unsafe { self.sequence_exactly(page.add(done), literals, distance, len) };
        }
        // SAFETY: There are `SLACK` bytes besides the literals. INVARIANT: For the same reason, the
        // result is not beyond `end`.
        unsafe {
            let page = page.add(done);
            let token = self.at;
            let mut at = token.add(1);
            // Before the length is known.
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
    /// As for [`Self::sequence`].
    #[inline(always)]
    pub(super) unsafe fn repeat(&mut self, distance: usize, len: usize) -> bool {
        if self.at >= self.easy {
            cold();
            // SAFETY: Nothing is read.
            return unsafe { self.sequence_exactly(self.at, 0, distance, len) };
        }
        // SAFETY: There are `SLACK` bytes. INVARIANT: And the result is not beyond them.
        unsafe {
            let token = self.at;
            self.at = finish(token, 0, token.add(1), distance, len);
        }
        true
    }

    /// Writes the last sequence, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals.
    pub(super) unsafe fn last(&mut self, page: *const u8, literals: usize) -> bool {
        let mut exact = self.exact();
        // SAFETY: By the caller.
        let written = unsafe { exact.start(page, literals, 0) }.is_some();
        self.take(exact.0, written)
    }

    /// As [`Self::sequence`], but touches nothing else.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals.
    #[inline(always)]
    pub(super) unsafe fn sequence_exactly(
        &mut self,
        page: *const u8,
        literals: usize,
        distance: usize,
        len: usize,
    ) -> bool {
        // SAFETY: By the caller. By value, so that the cursor itself can stay in registers.
        let rest = unsafe { self.exact().sequence(page, literals, distance, len) };
        match rest {
            Some(rest) => self.take(rest, true),
            None => false,
        }
    }

    /// The room that is left.
    fn exact(&mut self) -> Exact<'a> {
        // SAFETY: By the invariants; the cursor is not used until this is dropped.
        Exact(unsafe { slice::from_raw_parts_mut(self.at, self.room()) })
    }

    /// Goes on at `rest`, which is the end of [`Self::exact`].
    fn take(&mut self, rest: &mut [u8], written: bool) -> bool {
        if written {
            // INVARIANT: That is not after `end`.
            self.at = rest.as_mut_ptr();
        }
        written
    }
}

/// Writes what follows the literals, and the token, whose upper half is `high`; returns the end.
///
/// # Safety
///
/// `token` is valid for a write, and `at` for writes of 19 bytes. `len` is at least [`MIN_MATCH`]
/// and below a page's size.
#[inline(always)]
unsafe fn finish(token: *mut u8, high: usize, at: *mut u8, distance: usize, len: usize) -> *mut u8 {
    // SAFETY: By the caller.
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

/// Goes on with a number after a half token, and returns the end.
///
/// # Safety
///
/// `at` is valid for writes of 17 bytes, and `rest` is below a page's size.
#[inline(always)]
unsafe fn go_on(at: *mut u8, rest: usize) -> *mut u8 {
    // `rest / 255`, exact for more than a page.
    let full = (rest as u32).wrapping_mul(0x8081) >> 23;
    // SAFETY: `full` is at most 16.
    unsafe {
        write::<u64>(at, !0);
        write::<u64>(at.add(8), !0);
        let last = at.add(full as usize);
        // What is left of `rest`, as 255 is one less than 256.
        *last = (rest as u8).wrapping_add(full as u8);
        last.add(1)
    }
}

/// Room whose end is near. What is written is taken off its front.
struct Exact<'a>(&'a mut [u8]);

impl<'a> Exact<'a> {
    /// Writes a sequence, and returns what is left.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals.
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
        // SAFETY: By the caller.
        unsafe { self.start(page, literals, low)? };
        self.byte(distance as u8)?;
        self.byte((distance >> 8) as u8)?;
        self.go_on(low)?;
        Some(self.0)
    }

    /// Writes a sequence up to its literals.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals.
    unsafe fn start(&mut self, page: *const u8, literals: usize, low: usize) -> Option<()> {
        self.byte((literals.min(LONG) << 4 | low.min(LONG)) as u8)?;
        self.go_on(literals)?;
        let to = self.take(literals)?.as_mut_ptr();
        // SAFETY: Just taken; the other by the caller.
        unsafe { copy_exactly(to, page, literals) };
        Some(())
    }

    /// Goes on with a number after a half token, if it needs to.
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

    fn byte(&mut self, byte: u8) -> Option<()> {
        *self.take(1)?.first_mut()? = byte;
        Some(())
    }

    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let (front, rest) = mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(front)
    }
}
