// SPDX-License-Identifier: GPL-2.0-only

//! Streams of bits: two in each region of a block, which run towards each other.
//!
//! The first bit of a byte is its lowest. The bytes of one stream follow each other from the
//! region's start on, those of the other one from its end down. Both read whole words, so each of
//! them ends eight bytes before the region does, but for the bits of its last byte.

use crate::zram::codecs::lz77::{
    read,
    write,
    Corrupt, //
};
#[cfg(target_arch = "x86_64")]
use core::arch::asm;
use core::marker::PhantomData;

/// The number of bytes that a region has at least.
pub(super) const LEAST_REGION: usize = 8;

/// The number of bits that a word from a [`Region`] has at least.
pub(super) const WORD_BITS: u32 = 57;

/// The highest bit of a word, which shows how far the word was shifted since.
pub(super) const MARK: u64 = 1 << 63;

/// Returns by how many bits a word with a [`MARK`] was shifted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn shifted(word: u64) -> usize {
    let highest: u64;
    // The instruction waits for its result's register, too. The compiler leaves in there what is
    // ready late, so that decompression takes a tenth longer.
    //
    // SAFETY: The instruction reads and writes registers only.
    unsafe {
        asm!(
            "bsr {highest}, {word}",
            highest = inout(reg) 0_u64 => highest,
            word = in(reg) word,
            options(pure, nomem, nostack),
        );
    }
    (highest ^ 63) as usize
}

/// Returns by how many bits a word with a [`MARK`] was shifted.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn shifted(word: u64) -> usize {
    word.leading_zeros() as usize
}

/// Returns whether a word with a [`MARK`] may have less than `bits` bits left.
#[inline(always)]
pub(super) fn is_short(word: u64, bits: u32) -> bool {
    // The mark is above the bits of the word.
    word < 1 << (bits + 63 - WORD_BITS)
}

/// A part of a block with two streams.
#[derive(Clone, Copy)]
pub(super) struct Region<'b> {
    bytes: &'b [u8],
    /// The offset of the region's last eight bytes.
    last: usize,
}

impl<'b> Region<'b> {
    /// Takes the bytes of a region.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if there are fewer than [`LEAST_REGION`].
    #[inline]
    pub(super) fn new(bytes: &'b [u8]) -> Result<Self, Corrupt> {
        let last = bytes.len().checked_sub(LEAST_REGION).ok_or(Corrupt)?;
        Ok(Self { bytes, last })
    }

    /// Returns the bits from `bit` on of the stream that begins at the region's start, with a
    /// [`MARK`].
    ///
    /// These are [`WORD_BITS`]. They are others if the stream may not go on so far, which
    /// [`Self::holds`] tells.
    #[inline(always)]
    pub(super) fn forward(&self, bit: usize) -> u64 {
        let byte = (bit >> 3).min(self.last);
        // SAFETY: `last`, and hence `byte`, is followed by eight bytes of the region.
        let word = u64::from_le(unsafe { read(self.bytes.as_ptr().add(byte)) });
        word.wrapping_shr(bit as u32 & 7) | MARK
    }

    /// Returns the bits from `bit` on of the stream that begins at the region's end, like
    /// [`Self::forward`].
    #[inline(always)]
    pub(super) fn backward(&self, bit: usize) -> u64 {
        let byte = self.last.saturating_sub(bit >> 3);
        // SAFETY: `byte` is at most `last`, which is followed by eight bytes of the region.
        let word = u64::from_be(unsafe { read(self.bytes.as_ptr().add(byte)) });
        word.wrapping_shr(bit as u32 & 7) | MARK
    }

    /// Returns whether a stream may have `bits` bits.
    #[inline]
    pub(super) fn holds(&self, bits: usize) -> bool {
        bits >> 3 <= self.last
    }
}

/// A stream of bits that is being written.
///
/// # Invariants
///
/// `to` is valid for writes of what the stream may still get, and of eight bytes more.
pub(super) struct Writer<'a> {
    start: *mut u8,
    to: *mut u8,
    /// The bits that are not written yet.
    bits: u64,
    /// The number of these.
    count: u32,
    _room: PhantomData<&'a mut [u8]>,
}

impl Writer<'_> {
    /// Begins a stream at `to`.
    ///
    /// # Safety
    ///
    /// As long as the stream is used, `to` is valid for writes of as many bytes as it gets, and of
    /// eight more.
    pub(super) unsafe fn new(to: *mut u8) -> Self {
        // INVARIANT: `to` is valid for writes of the stream and of eight bytes more by the safety
        // requirement.
        Self {
            start: to,
            to,
            bits: 0,
            count: 0,
            _room: PhantomData,
        }
    }

    /// Adds the lowest `count` bits of `bits`, all others of which are zeroes.
    ///
    /// After [`Self::flush`], no more than 56 bits may be added before the next one, as up to seven
    /// are left from before.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: u64, count: u32) {
        self.bits |= bits.wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
    }

    /// Writes the whole bytes.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        // SAFETY: `to` is valid for writes of eight bytes by the type invariant.
        unsafe { write(self.to, self.bits.to_le()) };
        // INVARIANT: The stream has got these bytes.
        self.to = self.to.wrapping_add((self.count >> 3) as usize);
        self.bits = self.bits.wrapping_shr(self.count & !7);
        self.count &= 7;
    }

    /// Writes the rest, and returns how many bits the stream has.
    fn end(&mut self) -> usize {
        self.flush();
        let bytes = (self.to as usize).wrapping_sub(self.start as usize);
        bytes.wrapping_mul(8).wrapping_add(self.count as usize)
    }
}

/// Makes a region of two streams, and returns its length in bytes.
///
/// `forward` was written to where the region begins. `backward` was written elsewhere, forward too,
/// and is copied to the region's end.
///
/// # Safety
///
/// The start of `forward` is valid for writes of the region, and that of `backward` is not in it.
pub(super) unsafe fn join(mut forward: Writer<'_>, mut backward: Writer<'_>) -> usize {
    let (a, b) = (forward.end(), backward.end());
    let least = (a.max(b) >> 3).wrapping_add(8);
    let (a, b) = (a.div_ceil(8), b.div_ceil(8));
    let len = least.max(a.wrapping_add(b));
    // SAFETY: `start` is valid for writes of `len` bytes by the safety requirement, and these are
    // at least eight. So are eight bytes before the end and after `start` of `backward`, as a
    // stream has room for eight bytes more than it gets.
    unsafe {
        let end = forward.start.add(len);
        for at in a..len.wrapping_sub(b) {
            write(forward.start.add(at), 0_u8);
        }
        let mut done = 0_usize;
        while done.wrapping_add(8) <= b {
            let word: u64 = read(backward.start.add(done));
            write(end.sub(done).sub(8), word.swap_bytes());
            done = done.wrapping_add(8);
        }
        while done < b {
            write(end.sub(done).sub(1), read::<u8>(backward.start.add(done)));
            done = done.wrapping_add(1);
        }
    }
    len
}
