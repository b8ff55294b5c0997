// SPDX-License-Identifier: GPL-2.0-only

//! LZMEM for a page of the kernel, which may be larger than what a block stands for.
//!
//! A page of 4 KiB is a block of [`lzmem_page`], and nothing else. A larger page is cut into pieces
//! of 4 KiB. For each of them there are two bytes with the length of its block, little endian, and
//! then the block.

use crate::zram::codecs::{
    lz77::{
        Corrupt,
        PAGE, //
    },
    lzmem_page::{
        self,
        Effort,
        State,
        PAGE as PIECE, //
    }, //
};

/// The number of pieces of a page.
const PIECES: usize = PAGE / PIECE;

// No byte of a page is left over, and the length of a block fits in two bytes: no block takes all
// of the room that it is given.
const _: () = assert!(PAGE % PIECE == 0 && 2 * PIECE <= u16::MAX as usize);

/// Compresses the page at `src`, and returns the length of what is at the start of `dst`.
///
/// Returns `None` if that would exceed `limit`. The rest of `dst` holds anything after that. The
/// result depends on nothing but the page and `effort`.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// blocks still decompress to some page.
#[inline]
pub(crate) unsafe fn compress(
    state: &mut State,
    src: *const u8,
    dst: &mut [u8; 2 * PAGE],
    limit: usize,
    effort: Effort,
) -> Option<usize> {
    if PIECES == 1 {
        let room = dst.first_chunk_mut()?;
        // SAFETY: `src` is valid for reads of a page by the safety requirement.
        return unsafe { lzmem_page::compress(state, src, room, limit, effort) };
    }
    let mut done = 0_usize;
    for piece in 0..PIECES {
        let (len, room) = dst.get_mut(done..)?.split_first_chunk_mut()?;
        let room = room.first_chunk_mut()?;
        done = done.wrapping_add(len.len());
        let limit = limit.checked_sub(done)?;
        // SAFETY: `src` is valid for reads of all pieces by the safety requirement.
        let block = unsafe {
            let src = src.add(piece.wrapping_mul(PIECE));
            lzmem_page::compress(state, src, room, limit, effort)?
        };
        *len = (block as u16).to_le_bytes();
        done = done.wrapping_add(block);
    }
    Some(done)
}

/// Decompresses what [`compress`] has made, `head` followed by `tail`, to the page at `dst`.
///
/// Bytes that lie across both parts are put together in `bridge`, which is as long as both
/// together. It may be empty if `tail` is.
///
/// # Errors
///
/// [`Corrupt`] if they do not decompress to exactly a page, or `bridge` is too short. Then `dst`
/// holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to it
/// meanwhile; then it holds anything.
#[inline]
pub(crate) unsafe fn decompress(
    state: &mut State,
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    dst: *mut u8,
) -> Result<(), Corrupt> {
    if PIECES == 1 {
        // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement.
        return unsafe { lzmem_page::decompress(state, head, tail, bridge, dst) };
    }
    let mut rest = Parts { head, tail };
    for piece in 0..PIECES {
        let len = rest.number().ok_or(Corrupt)?;
        let Parts { head, tail } = rest.take(len).ok_or(Corrupt)?;
        // SAFETY: `dst` is valid for reads and writes of all pieces by the safety requirement.
        unsafe {
            let dst = dst.add(piece.wrapping_mul(PIECE));
            lzmem_page::decompress(state, head, tail, bridge, dst)?;
        }
    }
    let nothing = rest.head.is_empty() && rest.tail.is_empty();
    nothing.then_some(()).ok_or(Corrupt)
}

/// Bytes that may be in two parts.
struct Parts<'b> {
    head: &'b [u8],
    tail: &'b [u8],
}

impl<'b> Parts<'b> {
    /// Takes the first `len` bytes, or returns `None` if there are not so many.
    fn take(&mut self, len: usize) -> Option<Self> {
        let (head, head_rest) = self.head.split_at_checked(len.min(self.head.len()))?;
        let (tail, tail_rest) = self.tail.split_at_checked(len.wrapping_sub(head.len()))?;
        (self.head, self.tail) = (head_rest, tail_rest);
        Some(Self { head, tail })
    }

    /// Takes a number of two bytes.
    fn number(&mut self) -> Option<usize> {
        let Parts { head, tail } = self.take(2)?;
        let mut bytes = head.iter().chain(tail).copied();
        let number = u16::from_le_bytes([bytes.next()?, bytes.next()?]);
        Some(usize::from(number))
    }
}
