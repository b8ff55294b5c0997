// SPDX-License-Identifier: GPL-2.0-only

//! The 842 decompressor.

use super::{
    Crc,
    Error,
    Result,
    BLOCK_BITS,
    CRC_BITS,
    END,
    HALF_BITS,
    INDEX_BLOCK,
    INDEX_HALF,
    KINDS,
    OPERATION_BITS,
    QUARTER_BITS,
    REPEAT,
    REPEAT_BITS,
    SHORT,
    SHORT_BITS,
    ZEROS, //
};

/// Decompresses `src` into `dst` and returns the length.
///
/// Bytes in `src` after the end of the compressed data are ignored.
///
/// # Errors
///
/// [`Error::Full`] or [`Error::Corrupt`]. Then `dst` may hold anything.
pub(crate) fn decompress(src: &[u8], dst: &mut [u8]) -> Result<usize> {
    let mut bits = Reader::new(src);
    let mut out = Output { dst, at: 0 };
    let mut crc = Crc(0);
    loop {
        match bits.take(OPERATION_BITS)? {
            operation @ 0..INDEX_BLOCK => {
                let (first, len) = put_half(&mut out, bits.peek(), operation / KINDS)?;
                bits.skip(len);
                let (second, len) = put_half(&mut out, bits.peek(), operation % KINDS)?;
                bits.skip(len);
                crc.block((first << 32) | second);
            }
            INDEX_BLOCK => {
                let index = bits.take(BLOCK_BITS)?;
                crc.block(u64::from_be_bytes(out.copy::<8, BLOCK_BITS>(index)?));
            }
            REPEAT => {
                let more = bits.take(REPEAT_BITS)?;
                let block = out.last()?;
                for _ in 0..=more {
                    out.put(block)?;
                    crc.block(u64::from_be_bytes(block));
                }
            }
            ZEROS => {
                out.put([0; 8])?;
                crc.block(0);
            }
            SHORT => {
                let len = bits.take(SHORT_BITS)?;
                if len == 0 {
                    return Err(Error::Corrupt);
                }
                for _ in 0..len {
                    let byte = bits.take(u8::BITS)? as u8;
                    out.put([byte])?;
                    crc.byte(byte);
                }
            }
            END => break,
            _ => return Err(Error::Corrupt),
        }
    }
    if bits.take(CRC_BITS)? == u64::from(crc.0) {
        Ok(out.at)
    } else {
        Err(Error::Corrupt)
    }
}

/// Writes out the half of this kind at the top of `word`, and returns it and the number of its
/// bits.
#[inline(always)]
fn put_half(out: &mut Output<'_>, word: u64, kind: u64) -> Result<(u64, u32)> {
    match kind {
        INDEX_HALF => {
            let half = out.copy::<4, HALF_BITS>(word >> (64 - HALF_BITS))?;
            Ok((u32::from_be_bytes(half).into(), HALF_BITS))
        }
        0 => {
            let half = (word >> 32) as u32;
            out.put(half.to_be_bytes())?;
            Ok((half.into(), u32::BITS))
        }
        _ => {
            let (first, len) = put_quarter(out, word, kind & 2 != 0)?;
            let (second, more) = put_quarter(out, word.wrapping_shl(len), kind & 1 != 0)?;
            Ok(((first << 16) | second, len.wrapping_add(more)))
        }
    }
}

/// Writes out the quarter at the top of `word`, and returns it and the number of its bits.
#[inline(always)]
fn put_quarter(out: &mut Output<'_>, word: u64, is_index: bool) -> Result<(u64, u32)> {
    if is_index {
        let quarter = out.copy::<2, QUARTER_BITS>(word >> (64 - QUARTER_BITS))?;
        Ok((u16::from_be_bytes(quarter).into(), QUARTER_BITS))
    } else {
        let quarter = (word >> 48) as u16;
        out.put(quarter.to_be_bytes())?;
        Ok((quarter.into(), u16::BITS))
    }
}

/// Takes bits from a buffer.
struct Reader<'a> {
    src: &'a [u8],
    /// The position, in bits.
    at: usize,
    /// The length, in bits.
    end: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `src`.
    fn new(src: &'a [u8]) -> Self {
        // More bits than a `usize` counts do not fit in memory on any machine that runs this.
        let end = src.len().saturating_mul(8);
        Self { src, at: 0, end }
    }

    /// Returns a word whose upper 57 bits, at least, are the next ones.
    ///
    /// Bits after the end read as zeros.
    #[inline(always)]
    fn peek(&self) -> u64 {
        let rest = self.src.get(self.at >> 3..);
        let word = match rest.and_then(|rest| rest.first_chunk()) {
            Some(word) => u64::from_be_bytes(*word),
            None => Self::last_word(rest.unwrap_or_default()),
        };
        word.wrapping_shl((self.at & 7) as u32)
    }

    /// Returns `rest`, which is less than a word, filled up with zeros.
    #[cold]
    fn last_word(rest: &[u8]) -> u64 {
        let mut word = [0; size_of::<u64>()];
        for (to, from) in word.iter_mut().zip(rest) {
            *to = *from;
        }
        u64::from_be_bytes(word)
    }

    /// Skips `len` bits.
    ///
    /// If there are fewer, the next [`Self::take`] fails.
    #[inline(always)]
    fn skip(&mut self, len: u32) {
        self.at = self.at.wrapping_add(len as usize);
    }

    /// Takes the next `len` bits, at most 57.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if there are fewer.
    #[inline(always)]
    fn take(&mut self, len: u32) -> Result<u64> {
        let bits = self.peek().wrapping_shr(u64::BITS.wrapping_sub(len));
        self.skip(len);
        if self.at <= self.end {
            Ok(bits)
        } else {
            Err(Error::Corrupt)
        }
    }
}

/// Appends bytes to a buffer and copies from what is in it.
struct Output<'a> {
    dst: &'a mut [u8],
    /// The length of the output so far, in bytes.
    at: usize,
}

impl Output<'_> {
    /// Appends `bytes` and returns them.
    #[inline(always)]
    fn put<const SIZE: usize>(&mut self, bytes: [u8; SIZE]) -> Result<[u8; SIZE]> {
        let rest = self.dst.get_mut(self.at..);
        let to = rest.and_then(|rest| rest.first_chunk_mut());
        *to.ok_or(Error::Full)? = bytes;
        self.at = self.at.wrapping_add(SIZE);
        Ok(bytes)
    }

    /// Appends and returns the unit at `index` in the ring of the last `1 << BITS` units of `SIZE`
    /// bytes.
    #[inline(always)]
    fn copy<const SIZE: usize, const BITS: u32>(&mut self, index: u64) -> Result<[u8; SIZE]> {
        // `last` is the last byte that the ring has taken in, and `from` is `back` bytes before it.
        // If fewer bytes were written so far, `from` wraps and is beyond the end of any buffer.
        let last = (self.at & !7).wrapping_sub(1);
        let back = last.wrapping_sub((index as usize).wrapping_mul(SIZE)) & ((SIZE << BITS) - 1);
        let from = last.wrapping_sub(back);
        let unit = self.dst.get(from..).and_then(|rest| rest.first_chunk());
        self.put(*unit.ok_or(Error::Corrupt)?)
    }

    /// Returns the last 8 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if there are fewer.
    fn last(&self) -> Result<[u8; 8]> {
        let from = self.at.checked_sub(8).ok_or(Error::Corrupt)?;
        let rest = self.dst.get(from..).unwrap_or_default();
        rest.first_chunk().copied().ok_or(Error::Corrupt)
    }
}
