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

/// What [`compress`] knows of its input so far: 84 KiB, too much for a stack.
///
/// It is plain integers. All zeros is a valid value, and so is any other: a call relies on nothing
/// that an earlier one has left. But it takes long before [`Workspace::seed`] was called.
pub(crate) struct Workspace {
    blocks: Ring<{ 1 << BLOCK_BITS }, 2048>,
    halves: Ring<{ 1 << HALF_BITS }, 4096>,
    quarters: Quarters,
}

const _: () = assert!(size_of::<Workspace>() == (84 << 10) + 16);

impl Workspace {
    /// Has the hash tables find by a random number. Otherwise a page could be made whose values share one
    /// list, which takes 80 times as long to compress as any other. What it becomes is the same.
    pub(crate) fn seed(&mut self, random: u64) {
        self.blocks.multiplier = random | 1;
        self.halves.multiplier = random | 1;
    }

    /// The length of the longest list to search.
    #[cfg(test)]
    pub(crate) fn longest_list(&self) -> usize {
        self.blocks.longest_list().max(self.halves.longest_list())
    }

    fn clear(&mut self) {
        self.blocks.heads.fill(0);
        self.halves.heads.fill(0);
    }

    /// Takes in the block with the number `now`, the next one.
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

/// The last `UNITS` blocks or halves, findable by value.
///
/// Each bucket of a hash table is a list of units from the newest to the oldest, linked by stamps:
/// a unit's number plus one. Values share a list by no more than chance, as long as nobody knows the
/// multiplier, which is odd. Nothing is ever taken out of a list. A unit that has left the ring has
/// an old stamp, as have all after it; where such a stamp is met, the list ends.
struct Ring<const UNITS: usize, const BUCKETS: usize> {
    multiplier: u64,
    values: [u64; UNITS],
    links: [u16; UNITS],
    heads: [u16; BUCKETS],
}

impl<const UNITS: usize, const BUCKETS: usize> Ring<UNITS, BUCKETS> {
    const PLACES: usize = {
        assert!(UNITS.is_power_of_two());
        UNITS - 1
    };
    const BUCKET_SHIFT: u32 = {
        assert!(BUCKETS.is_power_of_two());
        u64::BITS - BUCKETS.trailing_zeros()
    };

    // An index below comes from one of these two functions, and by their last operation is less
    // than the length of its array.

    #[inline(always)]
    fn bucket(&self, value: u64) -> usize {
        // The top bits of the product depend on all of `value`.
        (value.wrapping_mul(self.multiplier) >> Self::BUCKET_SHIFT) as usize
    }

    #[inline(always)]
    fn place(number: u16) -> usize {
        usize::from(number) & Self::PLACES
    }

    /// The place of the newest unit with this value, where `now` is the number of the next one.
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

    #[inline(always)]
    fn add(&mut self, value: u64, now: u16) {
        let place = Self::place(now);
        let head = &mut self.heads[self.bucket(value)];
        self.values[place] = value;
        self.links[place] = *head;
        *head = now.wrapping_add(1);
    }

    /// Stamps fall along a list, until they are of units that have left the ring.
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

/// The last 256 quarters, findable by value.
///
/// A table over all values needs neither lists nor clearing: an entry counts only if the place that
/// it names holds the value. Most lookups are for quarters, and this makes them twice as fast.
struct Quarters {
    values: [u16; 1 << QUARTER_BITS],
    places: [u8; 1 << 16],
}

impl Quarters {
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

    #[inline(always)]
    fn add(&mut self, value: u16, now: u16) {
        let place = now as u8;
        self.values[usize::from(place)] = value;
        self.places[usize::from(value)] = place;
    }
}

/// One way to write a half or a quarter. A quarter of kind 1 is an index.
struct Part {
    kind: u64,
    bits: u64,
    len: u32,
}

impl Part {
    /// The shortest way to write this half of the block with the number `now`.
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
    at: usize,
    /// The lowest `len` bits are not yet in `dst`; those above them are, and no longer matter.
    word: u64,
    len: u32,
}

impl Writer<'_> {
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

    #[inline(always)]
    fn repeat(&mut self, count: u64) -> Result {
        match count.checked_sub(1) {
            Some(more) => self.operation(REPEAT, more, REPEAT_BITS),
            None => Ok(()),
        }
    }

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
/// What does not compress grows, 4096 bytes to at most 4424. If `dst` has room for that much, there
/// is no [`Error::Full`].
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
