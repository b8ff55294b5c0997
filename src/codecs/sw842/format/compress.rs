// SPDX-License-Identifier: GPL-2.0-only

//! The 842 compressor.

use core::mem::take;

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
    MAX_INPUT,
    OPERATION_BITS,
    QUARTER_BITS,
    REPEAT,
    REPEAT_BITS,
    SHORT,
    SHORT_BITS,
    ZEROS, //
};

/// The tables of [`compress()`], in which it finds earlier parts of its input.
///
/// They take 84 KiB, too much for a stack. They are plain integers, and any value is valid: a call
/// relies on nothing that an earlier one has left. But until [`Workspace::seed`] is called, all
/// values share one list, and compression is slow.
pub(crate) struct Workspace {
    blocks: Ring<{ 1 << BLOCK_BITS }, 2048>,
    halves: Ring<{ 1 << HALF_BITS }, 4096>,
    quarters: Quarters,
}

const _: () = assert!(size_of::<Workspace>() == (84 << 10) + 16);

impl Workspace {
    /// Makes the hash functions depend on a random number.
    ///
    /// Otherwise a page could be made whose values all share one list, which takes 80 times as long
    /// to compress as any other. The output does not depend on the number.
    pub fn seed(&mut self, random: u64) {
        self.blocks.multiplier = random | 1;
        self.halves.multiplier = random | 1;
    }

    /// Returns the length of the longest list to search.
    #[cfg(test)]
    pub fn longest_list(&self) -> usize {
        self.blocks.longest_list().max(self.halves.longest_list())
    }

    /// Forgets the units of an earlier input.
    fn clear(&mut self) {
        self.blocks.heads.fill(0);
        self.halves.heads.fill(0);
    }

    /// Adds `block`, the next one, whose number is `now`, with its halves and quarters.
    #[inline(always)]
    fn add(&mut self, block: u64, now: u16) {
        self.blocks.add(block, now);

        let half = now.wrapping_mul(2);
        self.halves.add(block >> 32, half);
        self.halves.add(block & 0xffff_ffff, half.wrapping_add(1));

        let quarter = now.wrapping_mul(4);
        for (n, shift) in [(0, 48), (1, 32), (2, 16), (3, 0)] {
            let value = block.wrapping_shr(shift) as u16;
            self.quarters.add(value, quarter.wrapping_add(n));
        }
    }
}

/// A ring of the last `UNITS` blocks or halves, found by value.
///
/// Each bucket of a hash table is a list of units from the newest to the oldest, linked by stamps:
/// a unit's number plus one. Values share a list by no more than chance, as long as nobody knows
/// the multiplier, which is odd. Nothing is ever taken out of a list. A unit that has left the ring
/// has an old stamp, as have all after it; where such a stamp is met, the list ends.
struct Ring<const UNITS: usize, const BUCKETS: usize> {
    /// The multiplier of the hash function; see [`Workspace::seed`].
    multiplier: u64,
    /// The units, by place.
    values: [u64; UNITS],
    /// The stamp of the next older unit in the list of each unit, by place.
    links: [u16; UNITS],
    /// The stamp of the newest unit of each bucket.
    heads: [u16; BUCKETS],
}

impl<const UNITS: usize, const BUCKETS: usize> Ring<UNITS, BUCKETS> {
    /// The mask that makes a place in the ring out of a number.
    const PLACES: usize = {
        assert!(UNITS.is_power_of_two());
        UNITS - 1
    };
    /// The shift that makes a bucket out of a product.
    const BUCKET_SHIFT: u32 = {
        assert!(BUCKETS.is_power_of_two());
        u64::BITS - BUCKETS.trailing_zeros()
    };

    // An index below comes from one of these two functions, and by their last operation is less
    // than the length of its array.

    /// Returns the bucket of `value`.
    #[inline(always)]
    fn bucket(&self, value: u64) -> usize {
        // The top bits of the product depend on all of `value`.
        (value.wrapping_mul(self.multiplier) >> Self::BUCKET_SHIFT) as usize
    }

    /// Returns the place in the ring of the unit with this number.
    #[inline(always)]
    fn place(number: u16) -> usize {
        usize::from(number) & Self::PLACES
    }

    /// Returns the place of the newest unit with this value, or `None` if there is none.
    ///
    /// `now` is the number of the next unit.
    #[inline(always)]
    fn find(&self, value: u64, now: u16) -> Option<u64> {
        let oldest = now.saturating_sub(UNITS as u16);
        let mut stamp = self.heads[self.bucket(value)];
        while stamp > oldest {
            let place = Self::place(stamp.wrapping_sub(1));
            if self.values[place] == value {
                return Some(place as u64);
            }
            stamp = self.links[place];
        }
        None
    }

    /// Adds the unit with the number `now`.
    #[inline(always)]
    fn add(&mut self, value: u64, now: u16) {
        let place = Self::place(now);
        let head = &mut self.heads[self.bucket(value)];
        self.values[place] = value;
        self.links[place] = *head;
        *head = now.wrapping_add(1);
    }

    /// Returns the length of the longest list.
    ///
    /// Stamps fall along a list, until they are those of units that have left the ring.
    #[cfg(test)]
    fn longest_list(&self) -> usize {
        let newest = self.heads.iter().max().unwrap_or(&0);
        let oldest = newest.saturating_sub(UNITS as u16);
        let length = |&head: &u16| {
            let (mut stamp, mut len) = (head, 0);
            while stamp > oldest {
                stamp = self.links[Self::place(stamp.wrapping_sub(1))];
                len += 1;
            }
            len
        };
        self.heads.iter().map(length).max().unwrap_or(0)
    }
}

/// A ring of the last 256 quarters, found by value.
///
/// A table over all values needs neither lists nor clearing: an entry counts only if the place that
/// it names holds the value. Most lookups are for quarters, and this makes them twice as fast.
struct Quarters {
    /// The quarters, by place.
    values: [u16; 1 << QUARTER_BITS],
    /// The place where each value was last added.
    places: [u8; 1 << 16],
}

impl Quarters {
    /// Returns the place of a quarter with this value, where `now` is the number of the next one.
    #[inline(always)]
    fn find(&self, value: u16, now: u16) -> Option<u64> {
        let place = self.places[usize::from(value)];
        // The second condition is for the first round, when later places hold another input's data.
        if self.values[usize::from(place)] == value && u16::from(place) < now {
            Some(place.into())
        } else {
            None
        }
    }

    /// Adds the quarter with the number `now`.
    #[inline(always)]
    fn add(&mut self, value: u16, now: u16) {
        let place = now as u8;
        self.values[usize::from(place)] = value;
        self.places[usize::from(value)] = place;
    }
}

/// One way to write a half or a quarter, as `len` bits.
///
/// A quarter of kind 1 is an index, one of kind 0 is its bytes.
struct Part {
    kind: u64,
    bits: u64,
    len: u32,
}

impl Part {
    /// Returns the shortest way to write this half of the block with the number `now`.
    #[inline(always)]
    fn half(work: &Workspace, half: u64, now: u16) -> Self {
        let (kind, bits, len) = match work.halves.find(half, now.wrapping_mul(2)) {
            Some(place) => (INDEX_HALF, place, HALF_BITS),
            None => {
                let first = Self::quarter(work, (half >> 16) as u16, now);
                let second = Self::quarter(work, half as u16, now);
                (
                    (first.kind << 1) | second.kind,
                    first.bits.wrapping_shl(second.len) | second.bits,
                    first.len.wrapping_add(second.len),
                )
            }
        };
        Self { kind, bits, len }
    }

    /// Returns the shortest way to write this quarter of the block with the number `now`.
    #[inline(always)]
    fn quarter(work: &Workspace, quarter: u16, now: u16) -> Self {
        let (kind, bits, len) = match work.quarters.find(quarter, now.wrapping_mul(4)) {
            Some(place) => (1, place, QUARTER_BITS),
            None => (0, quarter.into(), u16::BITS),
        };
        Self { kind, bits, len }
    }
}

/// Appends bits to a buffer, a word of 64 at a time: the output is padded to whole words anyway.
struct Writer<'a> {
    dst: &'a mut [u8],
    /// The length of the output so far, in bytes.
    at: usize,
    /// The lowest `len` bits are not yet in `dst`; those above them are, and no longer matter.
    word: u64,
    len: u32,
}

impl Writer<'_> {
    /// Starts at the beginning of `dst`.
    fn new(dst: &mut [u8]) -> Writer<'_> {
        let (at, word, len) = (0, 0, 0);
        Writer { dst, at, word, len }
    }

    /// Appends the lowest `len` bits of `value`, fewer than 64; those above them must be zero.
    #[inline(always)]
    fn put(&mut self, value: u64, len: u32) -> Result {
        let total = self.len.wrapping_add(len);
        if total < u64::BITS {
            self.word = self.word.wrapping_shl(len) | value;
            self.len = total;
        } else {
            let left = total.wrapping_sub(u64::BITS);
            let room = len.wrapping_sub(left);
            self.flush(self.word.wrapping_shl(room) | value.wrapping_shr(left))?;
            self.word = value;
            self.len = left;
        }
        Ok(())
    }

    /// Appends an operation and the lowest `len` bits of its arguments.
    #[inline(always)]
    fn operation(&mut self, operation: u64, arguments: u64, len: u32) -> Result {
        let bits = operation.wrapping_shl(len) | arguments;
        self.put(bits, len.wrapping_add(OPERATION_BITS))
    }

    /// Appends the operation that repeats the last block `count` times, unless that is 0.
    #[inline(always)]
    fn repeat(&mut self, count: u64) -> Result {
        match count.checked_sub(1) {
            Some(more) => self.operation(REPEAT, more, REPEAT_BITS),
            None => Ok(()),
        }
    }

    /// Appends the operation that writes `block`, whose number is `now`.
    #[inline(always)]
    fn block(&mut self, work: &Workspace, block: u64, now: u16) -> Result {
        if block == 0 {
            return self.operation(ZEROS, 0, 0);
        }
        let first = Part::half(work, block >> 32, now);
        let second = Part::half(work, block & 0xffff_ffff, now);
        // Both rings reach equally far back: a block can be found only if its halves can.
        if first.kind == INDEX_HALF && second.kind == INDEX_HALF {
            if let Some(place) = work.blocks.find(block, now) {
                return self.operation(INDEX_BLOCK, place, BLOCK_BITS);
            }
        }
        let kinds = first.kind.wrapping_mul(KINDS).wrapping_add(second.kind);
        self.operation(kinds, first.bits, first.len)?;
        self.put(second.bits, second.len)
    }

    /// Writes a word to the buffer.
    #[inline(always)]
    fn flush(&mut self, word: u64) -> Result {
        let rest = self.dst.get_mut(self.at..);
        let to = rest.and_then(|rest| rest.first_chunk_mut());
        *to.ok_or(Error::Full)? = word.to_be_bytes();
        self.at = self.at.wrapping_add(size_of::<u64>());
        Ok(())
    }

    /// Pads the last word with zeros and returns the length of the output.
    fn finish(mut self) -> Result<usize> {
        if self.len > 0 {
            let room = u64::BITS.wrapping_sub(self.len);
            self.flush(self.word.wrapping_shl(room))?;
        }
        Ok(self.at)
    }
}

/// Compresses `src` into `dst` and returns the length, a multiple of 8.
///
/// Data that does not compress grows, 4096 bytes to at most 4424. If `dst` is that long, there is
/// no [`Error::Full`].
pub(crate) fn compress(work: &mut Workspace, src: &[u8], dst: &mut [u8]) -> Result<usize> {
    if src.len() > MAX_INPUT {
        return Err(Error::TooLong);
    }
    work.clear();
    let mut out = Writer::new(dst);
    let mut crc = Crc(0);
    let mut last = None;
    let mut repeats = 0u64;
    let mut now = 0u16;
    let mut rest = src;
    while let Some((block, after)) = rest.split_first_chunk() {
        let block = u64::from_be_bytes(*block);
        rest = after;
        crc.block(block);
        if last == Some(block) {
            repeats = repeats.wrapping_add(1);
            if repeats == 1 << REPEAT_BITS {
                out.repeat(take(&mut repeats))?;
            }
        } else {
            out.repeat(take(&mut repeats))?;
            out.block(work, block, now)?;
            last = Some(block);
        }
        work.add(block, now);
        now = now.wrapping_add(1);
    }
    out.repeat(repeats)?;
    if !rest.is_empty() {
        out.operation(SHORT, rest.len() as u64, SHORT_BITS)?;
        for &byte in rest {
            crc.byte(byte);
            out.put(byte.into(), u8::BITS)?;
        }
    }
    out.operation(END, crc.0.into(), CRC_BITS)?;
    out.finish()
}
