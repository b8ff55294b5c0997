// SPDX-License-Identifier: GPL-2.0-only

//! A block that may be in two parts.

use crate::zram::codecs::lz77::{
    join,
    Corrupt, //
};

/// The rest of a block.
pub(super) struct Input<'b> {
    head: &'b [u8],
    tail: &'b [u8],
    /// Room in which bytes are put together that lie across both parts.
    bridge: Option<&'b mut [u8]>,
}

impl<'b> Input<'b> {
    /// Begins the block `head` followed by `tail`.
    pub(super) fn new(head: &'b [u8], tail: &'b [u8], bridge: &'b mut [u8]) -> Self {
        Self {
            head,
            tail,
            bridge: Some(bridge),
        }
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if there are not so many.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'b [u8], Corrupt> {
        if let Some((taken, rest)) = self.head.split_at_checked(len) {
            self.head = rest;
            return Ok(taken);
        }
        self.cross(len)
    }

    /// Takes all that is left.
    ///
    /// # Errors
    ///
    /// None, but if the bridge is too short.
    pub(super) fn rest(&mut self) -> Result<&'b [u8], Corrupt> {
        self.take(self.head.len().wrapping_add(self.tail.len()))
    }

    /// Takes the next `len` bytes, which go on in the second part.
    #[cold]
    fn cross(&mut self, len: usize) -> Result<&'b [u8], Corrupt> {
        let left = len.wrapping_sub(self.head.len());
        let (near, rest) = self.tail.split_at_checked(left).ok_or(Corrupt)?;
        self.tail = rest;
        if self.head.is_empty() {
            return Ok(near);
        }
        // This happens once, as nothing is left of the first part then.
        let taken = join(self.bridge.take().ok_or(Corrupt)?, self.head, near);
        self.head = &[];
        taken.ok_or(Corrupt)
    }
}
