// SPDX-License-Identifier: GPL-2.0-only

//! What a parse finds of a page, before it is written in codes.

use super::{
    node::{
        Node,
        NODES, //
    },
    PAGE, //
};
use crate::zram::codecs::lz77::{
    cold,
    read,
    write, //
};
use core::marker::PhantomData;

/// The largest number of sequences of a page.
///
/// Hardly a page has so many. With more of them a page would take too long.
pub(super) const MOST: usize = 512;

/// The least distance by which literals are compared.
///
/// With less, words of eight bytes could not be compared.
pub(super) const LEAST_BACK: usize = 8;

/// Room for literals of a page, and for the rest of the word that is written last.
pub(super) type Bytes = [u8; PAGE + 8];

/// Literals, and the match after them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Sequence {
    /// The number of literals.
    pub literals: u16,
    /// The length of the match.
    pub len: u16,
    /// The distance of the match from what it repeats.
    pub distance: u16,
}

/// The sequences of a page, and its literals in both forms.
///
/// All zeroes is a valid value.
#[repr(C)]
pub(super) struct Sequences {
    list: [Sequence; MOST],
    /// The number of sequences, which is at most [`MOST`].
    count: usize,
    /// The literals as they are, and as differences.
    ///
    /// No more than the first ones are valid.
    literals: Literals,
    /// The number of literals, which is at most a page.
    literals_count: usize,
}

#[repr(C, align(8))]
struct Literals([Bytes; 2]);

// `Literals` has room for the nodes.
const _: () = assert!(size_of::<Literals>() >= size_of::<[Node; NODES]>());
const _: () = assert!(align_of::<Literals>() >= align_of::<[Node; NODES]>());

impl Sequences {
    /// Begins a page.
    #[inline(always)]
    pub(super) fn start(&mut self) -> Pen<'_> {
        let list = self.list.as_mut_ptr_range();
        let literals: *mut Literals = &mut self.literals;
        // INVARIANT: Nothing is done of the page. `list` and `literals` are borrowed.
        Pen {
            list: list.start,
            end: list.end,
            literals: literals.cast(),
            back: 0,
            mask: 0,
            count: &mut self.count,
            literals_count: &mut self.literals_count,
            start: (list.start, literals.cast()),
            _room: PhantomData,
        }
    }

    /// Returns the sequences.
    #[inline]
    pub(super) fn list(&self) -> &[Sequence] {
        self.list.get(..self.count).unwrap_or(&[])
    }

    /// Returns the literals as they are, and as differences.
    #[inline]
    pub(super) fn literals(&self) -> [&[u8]; 2] {
        let [plain, differences] = &self.literals.0;
        [plain, differences].map(|bytes| bytes.get(..self.literals_count).unwrap_or(&[]))
    }

    /// Returns room for sequences, and for nodes in place of the literals.
    pub(super) fn room_for_nodes(&mut self) -> (&mut [Sequence; MOST], &mut [Node; NODES]) {
        let literals: *mut Literals = &mut self.literals;
        // SAFETY: `Literals` is large enough and aligned for the nodes, for which any bytes are
        // valid, and which are borrowed in its place.
        (&mut self.list, unsafe { &mut *literals.cast() })
    }

    /// Adds the literals of the page for the first `count` sequences, which are in the list.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and the sequences were found in it.
    pub(super) unsafe fn gather(&mut self, page: *const u8, count: usize) {
        let mut pen = self.start();
        let mut anchor = 0_usize;
        for _ in 0..count {
            // SAFETY: `list` is at one of the sequences in the list, which were found in `page`.
            unsafe {
                let Sequence {
                    literals,
                    len,
                    distance,
                } = *pen.list;
                let at = anchor.wrapping_add(usize::from(literals));
                let end = at.wrapping_add(usize::from(len));
                pen.push(page, anchor, at, end, usize::from(distance));
                anchor = end;
            }
        }
        // SAFETY: `page` is valid for reads of a page, and the last match ended at `anchor`.
        unsafe { pen.end(page, anchor) };
    }

    /// Returns room for the literals of a page.
    pub(super) fn room(&mut self) -> &mut Bytes {
        let [room, _] = &mut self.literals.0;
        room
    }
}

/// A cursor that adds sequences.
///
/// # Invariants
///
/// `list..end` is valid for writes during `'a`. So is `literals` for the rest of a page and eight
/// bytes, and both again after `size_of::<Bytes>()` bytes. `back` is at most what is done of the
/// page.
pub(super) struct Pen<'a> {
    list: *mut Sequence,
    end: *mut Sequence,
    literals: *mut u8,
    /// The distance of the last match, or 0 if there is none.
    back: usize,
    /// All ones if literals have differences, which is from [`LEAST_BACK`] on.
    mask: u64,
    count: &'a mut usize,
    literals_count: &'a mut usize,
    start: (*mut Sequence, *mut u8),
    _room: PhantomData<&'a mut Sequences>,
}

impl Pen<'_> {
    /// Returns whether there is no room for another sequence.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.list >= self.end
    }

    /// Returns the number of literals.
    pub(super) fn literals(&self) -> usize {
        (self.literals as usize).wrapping_sub(self.start.1 as usize)
    }

    /// Returns the byte `at` of the page as a literal after the last match: as it is, and as a
    /// difference.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and `at` is in it, not before the end of that match.
    #[inline(always)]
    pub(super) unsafe fn literal(&self, page: *const u8, at: usize) -> [u8; 2] {
        // SAFETY: `at` is in the page by the safety requirement, and `back` is at most that.
        let (byte, before): (u8, u8) = unsafe {
            let from = page.add(at);
            (read(from), read(from.sub(self.back)))
        };
        [byte, byte ^ (before & self.mask as u8)]
    }

    /// Adds the literals of the page from `anchor` to `at`, and the match from there to `end`.
    ///
    /// # Safety
    ///
    /// There is room for a sequence. `page` is valid for reads of a page, `anchor` is where the
    /// last match ended, and `at` is at least that and at most eight bytes before the end of the
    /// page. `end` is after `at` and at most a page, and `distance` is from 1 to `at`.
    #[inline(always)]
    pub(super) unsafe fn push(
        &mut self,
        page: *const u8,
        anchor: usize,
        at: usize,
        end: usize,
        distance: usize,
    ) {
        let literals = at.wrapping_sub(anchor);
        let sequence = Sequence {
            literals: literals as u16,
            len: end.wrapping_sub(at) as u16,
            distance: distance as u16,
        };
        // SAFETY: There is room for a sequence, so `list` is valid for writes of one. `page` is
        // valid for reads of eight bytes after each literal, and `literals` for writes of them.
        unsafe {
            self.list.write(sequence);
            self.list = self.list.add(1);

            let from = page.add(anchor);
            self.word(from, 0);
            if literals > 8 {
                cold();
                let mut done = 8_usize;
                while done < literals {
                    self.word(from, done);
                    done = done.wrapping_add(8);
                }
            }
            self.literals = self.literals.add(literals);
        }
        // INVARIANT: The literals and the match are done, which are more than `distance`.
        self.back = distance;
        self.mask = if distance >= LEAST_BACK { u64::MAX } else { 0 };
    }

    /// Adds the bytes from `anchor` to the end of the page as the last literals, and ends.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and `anchor` is where the last match ended.
    pub(super) unsafe fn end(mut self, page: *const u8, anchor: usize) {
        let left = PAGE.wrapping_sub(anchor);
        let words = left & !7;
        // SAFETY: `page` is valid for reads of `left` bytes from `anchor` on, and for as many
        // `back` before that. `literals` is valid for writes of as many.
        unsafe {
            let from = page.add(anchor);
            let mut done = 0_usize;
            while done < words {
                self.word(from, done);
                done = done.wrapping_add(8);
            }
            while done < left {
                let [byte, difference] = self.literal(page, anchor.wrapping_add(done));
                let to = self.literals.add(done);
                write(to, byte);
                write(to.add(size_of::<Bytes>()), difference);
                done = done.wrapping_add(1);
            }
        }
        let size = size_of::<Sequence>();
        let list = (self.list as usize).wrapping_sub(self.start.0 as usize);
        *self.count = list / size;
        *self.literals_count = self.literals().wrapping_add(left);
    }

    /// Stores eight bytes that are `done` bytes after `from` as literals.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of these bytes, and of those that are `back` before them.
    /// `literals` is valid for writes of the eight bytes after `done`.
    #[inline(always)]
    unsafe fn word(&mut self, from: *const u8, done: usize) {
        // SAFETY: By the safety requirement and the invariants.
        unsafe {
            let from = from.add(done);
            let word: u64 = read(from);
            let before: u64 = read(from.sub(self.back));
            let to = self.literals.add(done);
            write(to, word);
            write(to.add(size_of::<Bytes>()), word ^ (before & self.mask));
        }
    }
}
