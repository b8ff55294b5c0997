// SPDX-License-Identifier: GPL-2.0-only

//! The block that is being written: a cursor that checks the room only near the end.

use super::{
    room::{
        Copy,
        Room, //
    },
    END,
    FAR,
    FAR_LEN,
    FAR_MAX,
    FEW,
    LITERALS,
    LITERALS_MAX,
    NEAR_DISTANCE,
    NEAR_MAX,
    PREFIX,
    RUN,
    RUN_DISTANCE,
    RUN_MIN, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_16,
    number,
    read,
    write, //
};
use core::{
    marker::PhantomData,
    slice, //
};

/// The number of bytes that literals and a match may write besides the literals, at most.
///
/// These are the number of literals, and then either 15 bytes after the literals, or the match,
/// rounded up to whole words.
const SLACK: usize = (1 + number::MOST + MATCH).next_multiple_of(8);

/// The number of bytes that a match may write, at most: one, the number, and two for the distance.
const MATCH: usize = 1 + number::MOST + 2;

// A match writes more than the copy of literals after these.
const _: () = assert!(MATCH >= 15);

/// A cursor that writes a block.
///
/// # Invariants
///
/// `start <= at <= end`, and `start..end` is valid for writes during `'a`. If `at` is before
/// `easy`, there are at least [`SLACK`] bytes from `easy` to `end`, and `few` is a position from
/// `start` to `at`, before `at`.
pub(super) struct Output<'a> {
    /// The position where the next instruction is written.
    at: *mut u8,
    /// The byte to which a number of literals up to [`FEW`] is added.
    few: *mut u8,
    /// The position before which an instruction without literals needs no check of the room.
    ///
    /// Before the first instruction, this is `start`.
    easy: *mut u8,
    start: *mut u8,
    end: *mut u8,
    _room: PhantomData<&'a mut [u8]>,
}

impl<'a> Output<'a> {
    /// Starts a block in `room`; returns `None` if that is too short for any.
    pub(super) fn new(room: &'a mut [u8]) -> Option<Self> {
        *room.first_chunk_mut()? = PREFIX;
        let all = room.as_mut_ptr_range();
        // INVARIANT: `room` is borrowed for `'a`, and has the prefix, after which `at` is. `easy`
        // is not after `at`.
        Some(Self {
            at: all.start.wrapping_add(PREFIX.len()),
            few: all.start,
            easy: all.start,
            start: all.start,
            end: all.end,
            _room: PhantomData,
        })
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

    /// Writes literals and a match, and returns whether there was room for them.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals and of 16 bytes after them. `literals` and `len`
    /// are below a page's size.
    #[inline(always)]
    pub(super) unsafe fn sequence(
        &mut self,
        page: *const u8,
        literals: usize,
        distance: usize,
        len: usize,
    ) -> bool {
        if self.at.wrapping_add(literals) >= self.easy {
            cold();
            // SAFETY: `page` is valid for reads of the literals by the safety requirement.
            return unsafe { self.exactly(page, literals, Copy { distance, len }) };
        }
        // SAFETY: `at + literals` is before `easy`, so by the type invariant there is room for the
        // literals and `SLACK` bytes more. The rest is required of the caller.
        unsafe {
            self.literals(page, literals);
            self.copy(distance, len);
        }
        true
    }

    /// Writes literals and a run of zeroes, and returns whether there was room for them.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the literals and of 16 bytes after them. `literals` is below a
    /// page's size.
    #[inline(always)]
    pub(super) unsafe fn run(&mut self, page: *const u8, literals: usize, len: usize) -> bool {
        if self.at.wrapping_add(literals) >= self.easy {
            cold();
            let zeroes = Copy { distance: 0, len };
            // SAFETY: `page` is valid for reads of the literals by the safety requirement.
            return unsafe { self.exactly(page, literals, zeroes) };
        }
        // SAFETY: `at + literals` is before `easy`, so by the type invariant there is room for the
        // literals and `SLACK` bytes more, of which the run takes four. The rest is required of the
        // caller.
        // INVARIANT: For the same reason, the new `at` is not after `end`.
        unsafe {
            self.literals(page, literals);
            let len = len.wrapping_sub(RUN_MIN) as u32;
            let first = u32::from(RUN) | len & 7 | u32::from(RUN_DISTANCE) << 8;
            write(self.at, (first | len >> 3 << 24).to_le());
            self.few = self.at.add(1);
            self.at = self.at.add(4);
        }
        true
    }

    /// Writes a match without literals, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `len` is below a page's size.
    #[inline(always)]
    pub(super) unsafe fn repeat(&mut self, distance: usize, len: usize) -> bool {
        if self.at >= self.easy {
            cold();
            // SAFETY: Without literals, nothing is read.
            return unsafe { self.exactly(self.at, 0, Copy { distance, len }) };
        }
        // SAFETY: `at` is before `easy`, so by the type invariant there are `SLACK` bytes from `at`
        // on. `len` is below a page's size by the safety requirement.
        unsafe { self.copy(distance, len) };
        true
    }

    /// Writes literals.
    ///
    /// # Safety
    ///
    /// `at + literals` is before `easy`. `page` is valid for reads of the literals and of 16 bytes
    /// after them. `literals` is below a page's size.
    #[inline(always)]
    unsafe fn literals(&mut self, page: *const u8, literals: usize) {
        // SAFETY: By the type invariant there is room for the literals and `SLACK` bytes more,
        // which is more than all that is written, and `few` is valid for reads and writes. `page`
        // is valid for reads of the literals and 16 bytes more by the safety requirement.
        // INVARIANT: For the same reason, the new `at` is not after `end`.
        unsafe {
            if literals <= FEW {
                *self.few = (*self.few).wrapping_add(literals as u8);
                write::<u32>(self.at, read(page));
            } else {
                let token = self.at;
                let mut at = token.add(1);
                let mut done = 0_usize;
                if literals <= LITERALS_MAX {
                    *token = literals.wrapping_sub(LITERALS) as u8;
                } else {
                    *token = 0;
                    at = go_on(at, literals.wrapping_sub(LITERALS_MAX));
                }
                loop {
                    copy_16(at.add(done), page.add(done));
                    done = done.wrapping_add(16);
                    if done >= literals {
                        break;
                    }
                }
                self.at = at;
            }
            self.at = self.at.add(literals);
        }
    }

    /// Writes a match.
    ///
    /// # Safety
    ///
    /// There are [`MATCH`] bytes from `at` to `end`. `len` is below a page's size.
    #[inline(always)]
    unsafe fn copy(&mut self, distance: usize, len: usize) {
        let distance = distance.wrapping_sub(1);
        // SAFETY: `at` is valid for writes of `MATCH` bytes by the safety requirement: one, the
        // number, and two for the distance.
        // INVARIANT: For the same reason the new `at` is not after `end`, and `few` is before it.
        unsafe {
            let at = self.at;
            if len <= NEAR_MAX && distance < NEAR_DISTANCE {
                let low = len.wrapping_sub(1) << 5 | (distance & 7) << 2;
                write(at, ((distance >> 3 << 8 | low) as u16).to_le());
                self.at = at.add(2);
            } else {
                let mut next = at.add(1);
                if len <= FAR_MAX {
                    *at = FAR | len.wrapping_sub(FAR_LEN) as u8;
                } else {
                    cold();
                    *at = FAR;
                    next = go_on(next, len.wrapping_sub(FAR_MAX));
                }
                write(next, ((distance << 2) as u16).to_le());
                self.at = next.add(2);
            }
            self.few = self.at.sub(2);
        }
    }

    /// Writes the last literals and the end, and returns whether there was room for them.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    pub(super) unsafe fn last(&mut self, page: *const u8, literals: usize) -> bool {
        let mut room = self.rest();
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        let written = unsafe { room.literals(page, literals) }
            .and_then(|()| room.bytes(&END))
            .map(|()| room);
        self.take(written)
    }

    /// Writes literals and what follows them like [`Self::sequence`], but accesses no byte beyond.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    #[inline(always)]
    pub(super) unsafe fn exactly(&mut self, page: *const u8, literals: usize, copy: Copy) -> bool {
        // The room is passed by value, so that the cursor itself can stay in registers.
        //
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        let rest = unsafe { self.rest().sequence(page, literals, copy) };
        self.take(rest)
    }

    /// Returns the room that is left.
    ///
    /// The cursor must not write until the result is passed to [`Self::take`] or dropped.
    fn rest(&mut self) -> Room<'a> {
        // SAFETY: `at..end` is valid for writes during `'a` by the type invariant, and the callers,
        // all in this file, do not use the cursor until the result is gone.
        let rest = unsafe { slice::from_raw_parts_mut(self.at, self.room()) };
        // INVARIANT: `few` is in the block by the type invariant.
        Room {
            rest,
            few: self.few,
            first: self.len() == PREFIX.len(),
        }
    }

    /// Continues where `room`, which [`Self::rest`] returned, has stopped.
    ///
    /// Returns whether it is there.
    #[inline(always)]
    fn take(&mut self, room: Option<Room<'a>>) -> bool {
        let Some(room) = room else {
            return false;
        };
        let len = (self.end as usize).wrapping_sub(self.start as usize);
        // INVARIANT: `rest` is a part of `at..end`. `easy` is at least `SLACK` bytes before `end`,
        // or `start` if the room is shorter than that.
        self.at = room.rest.as_mut_ptr();
        self.few = room.few;
        self.easy = self.start.wrapping_add(len.saturating_sub(SLACK));
        true
    }
}

/// Writes the bytes that a number goes on with, for `rest` more, and returns the end.
///
/// # Safety
///
/// `at` is valid for writes of [`number::MOST`] bytes. `rest` is at least one and below a page's
/// size.
#[inline(always)]
unsafe fn go_on(at: *mut u8, rest: usize) -> *mut u8 {
    let full = number::full(rest.wrapping_sub(1));
    // SAFETY: `full` is below `MOST`, and `at` is valid for writes of so many bytes by the safety
    // requirement.
    unsafe {
        number::fill(at, 0, full);
        let last = at.add(full as usize);
        // `rest - 255 * full`, modulo 256.
        *last = (rest as u8).wrapping_add(full as u8);
        last.add(1)
    }
}
