// SPDX-License-Identifier: GPL-2.0-only

//! The room that is left for a block, which is written with care near its end.

use super::{
    FAR,
    FAR_LEN,
    FAR_MAX,
    FEW,
    FIRST,
    FIRST_MAX,
    LITERALS,
    LITERALS_MAX,
    NEAR_DISTANCE,
    NEAR_MAX,
    RUN,
    RUN_DISTANCE,
    RUN_MIN, //
};
use crate::zram::codecs::lz77::copy_exactly;
use core::mem;

/// The part of the page after literals.
///
/// Two words that are passed in registers: with an enum of both kinds, the fast path would put it
/// into memory.
#[derive(Clone, Copy)]
pub(super) struct Copy {
    /// The distance of a match; 0 for zeroes.
    pub(super) distance: usize,
    /// The number of bytes.
    pub(super) len: usize,
}

/// The room for what is written with care, whose front is taken off.
///
/// # Invariants
///
/// `few` is valid for reads and writes of a byte, which is not in `rest`.
pub(super) struct Room<'a> {
    pub(super) rest: &'a mut [u8],
    /// The byte to which a number of literals up to [`FEW`] is added.
    pub(super) few: *mut u8,
    /// Tells whether nothing but the prefix is written.
    pub(super) first: bool,
}

impl Room<'_> {
    /// Writes literals and what follows them, or returns `None` if there is not enough room.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn sequence(
        mut self,
        page: *const u8,
        literals: usize,
        copy: Copy,
    ) -> Option<Self> {
        // SAFETY: `page` is valid for reads of `literals` bytes by the safety requirement.
        unsafe { self.literals(page, literals)? };
        self.copy(copy)?;
        Some(self)
    }

    /// Writes literals.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    pub(super) unsafe fn literals(&mut self, page: *const u8, literals: usize) -> Option<()> {
        if mem::take(&mut self.first) && literals <= FIRST_MAX {
            self.bytes(&[FIRST.wrapping_add(literals as u8)])?;
        } else if literals <= FEW {
            // SAFETY: `few` is valid for reads and writes by the type invariant.
            unsafe { *self.few = (*self.few).wrapping_add(literals as u8) };
        } else if literals <= LITERALS_MAX {
            self.bytes(&[literals.wrapping_sub(LITERALS) as u8])?;
        } else {
            self.bytes(&[0])?;
            self.go_on(literals.wrapping_sub(LITERALS_MAX))?;
        }
        let to = self.front(literals)?.as_mut_ptr();
        // SAFETY: `to` is a slice of `literals` bytes, and `page` is valid for reads of as many by
        // the safety requirement.
        unsafe { copy_exactly(to, page, literals) };
        Some(())
    }

    /// Writes a match or a run of zeroes.
    fn copy(&mut self, Copy { distance, len }: Copy) -> Option<()> {
        let Some(distance) = distance.checked_sub(1) else {
            let len = len.wrapping_sub(RUN_MIN);
            self.bytes(&[RUN | len as u8 & 7])?;
            self.last_bytes(RUN_DISTANCE.to_le_bytes())?;
            return self.bytes(&[(len >> 3) as u8]);
        };
        if len <= NEAR_MAX && distance < NEAR_DISTANCE {
            let low = len.wrapping_sub(1) << 5 | (distance & 7) << 2;
            return self.last_bytes([low as u8, (distance >> 3) as u8]);
        }
        if len <= FAR_MAX {
            self.bytes(&[FAR | len.wrapping_sub(FAR_LEN) as u8])?;
        } else {
            self.bytes(&[FAR])?;
            self.go_on(len.wrapping_sub(FAR_MAX))?;
        }
        self.last_bytes(((distance << 2) as u16).to_le_bytes())
    }

    /// Writes the bytes that a number goes on with.
    fn go_on(&mut self, mut rest: usize) -> Option<()> {
        while rest > 255 {
            self.bytes(&[0])?;
            rest = rest.wrapping_sub(255);
        }
        self.bytes(&[rest as u8])
    }

    /// Writes two bytes, to the first of which a number of literals may be added.
    fn last_bytes(&mut self, bytes: [u8; 2]) -> Option<()> {
        let few = self.rest.as_mut_ptr();
        self.bytes(&bytes)?;
        // INVARIANT: There was room for a byte at `few`, which `rest` does not have any more.
        self.few = few;
        Some(())
    }

    /// Writes bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.front(bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// Takes `len` bytes off the front, or returns `None` if there are fewer.
    fn front(&mut self, len: usize) -> Option<&mut [u8]> {
        let (front, rest) = mem::take(&mut self.rest).split_at_mut_checked(len)?;
        self.rest = rest;
        Some(front)
    }
}
