// SPDX-License-Identifier: GPL-2.0-only

//! Decompression: first all literals, then sequence after sequence.
//!
//! Sequences are decompressed fast while the end of the page is not near, then exactly.

use super::{
    bits::{
        is_short,
        shifted,
        Region, //
    },
    codes::{
        escaped,
        Literal,
        Read,
        DISTANCE_BITS,
        LITERAL_BITS,
        LONG_MATCH,
        MANY_LITERALS,
        PAIR_BITS,
        READ,
        SEQUENCE_BITS,
        SETS, //
    },
    input::Input,
    sequences::Bytes,
    Header,
    State,
    FIRST_DISTANCE,
    HEADER,
    LEAST_BACK, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_16,
    read,
    repeat::{
        copy_match,
        copy_match_exactly, //
    },
    write,
    Corrupt,
    PAGE, //
};

/// Decompresses the block `head` followed by `tail` to the page at `dst`.
///
/// What lies across both parts is put together in `bridge`, which is as long as the block. It may be
/// empty if `tail` is.
///
/// # Errors
///
/// [`Corrupt`] if the block does not decompress to exactly a page, or `bridge` is too short. Then
/// `dst` holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to it
/// meanwhile; then it holds anything.
pub(crate) unsafe fn decompress(
    state: &mut State,
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    dst: *mut u8,
) -> Result<(), Corrupt> {
    let mut input = Input::new(head, tail, bridge);
    let header = Header::from_bytes(input.take(HEADER)?)?;
    let codes = &READ[usize::from(header.set) % SETS];
    let room = state.sequences.room();
    if header.raw {
        let raw = input.take(header.literals)?;
        room.get_mut(..raw.len()).ok_or(Corrupt)?.copy_from_slice(raw);
    } else {
        let regions = [input.take(header.first)?, input.take(header.second)?];
        read_literals(codes, regions, room, header.literals)?;
    }
    let region = Region::new(input.rest()?)?;
    let literals = room.get(..header.literals).ok_or(Corrupt)?;
    // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement. After the
    // literals there are eight bytes of `room`.
    unsafe {
        let now = Progress::start(header.sequences, literals, dst);
        if codes.differences && !header.raw {
            let now = fast::<true>(codes, region, dst, now)?;
            exactly::<true>(codes, region, literals, dst, now)
        } else {
            let now = fast::<false>(codes, region, dst, now)?;
            exactly::<false>(codes, region, literals, dst, now)
        }
    }
}

/// The number of literals that are read from a word.
const GROUP: usize = 5;

/// Reads `count` literals, which is at most a page, to the start of `room`.
///
/// A quarter of them is in each stream; what is left over is in the last one.
///
/// # Errors
///
/// [`Corrupt`] if a region is shorter than its streams.
#[inline(never)]
fn read_literals(
    codes: &Read,
    [first, second]: [&[u8]; 2],
    room: &mut Bytes,
    count: usize,
) -> Result<(), Corrupt> {
    let (first, second) = (Region::new(first)?, Region::new(second)?);
    let quarter = count / 4;
    let (parts, rest) = room.get_mut(..count).ok_or(Corrupt)?.split_at_mut_checked(4 * quarter).ok_or(Corrupt)?;
    let to = parts.as_mut_ptr();
    let mut bits = [0_usize; 4];
    let mut done = 0_usize;
    while done < quarter {
        let mut words = [
            first.forward(bits[0]),
            first.backward(bits[1]),
            second.forward(bits[2]),
            second.backward(bits[3]),
        ];
        let mut next = |done: usize| {
            for (part, word) in words.iter_mut().enumerate() {
                let at = quarter.wrapping_mul(part).wrapping_add(done);
                // SAFETY: `done` is less than `quarter`, so `at` is in `parts`.
                unsafe { write(to.add(at), literal(codes, word)) };
            }
        };
        if done.wrapping_add(GROUP) <= quarter {
            for at in 0..GROUP {
                next(done.wrapping_add(at));
            }
        } else {
            for at in done..quarter {
                next(at);
            }
        }
        done = done.wrapping_add(GROUP);
        for (bits, word) in bits.iter_mut().zip(words) {
            *bits = bits.wrapping_add(shifted(word));
        }
    }
    let mut word = second.backward(bits[3]);
    for to in rest {
        *to = literal(codes, &mut word);
    }
    bits[3] = bits[3].wrapping_add(shifted(word));
    let fit = first.holds(bits[0].max(bits[1])) && second.holds(bits[2].max(bits[3]));
    fit.then_some(()).ok_or(Corrupt)
}

/// Takes the literal that `word` begins with.
#[inline(always)]
fn literal(codes: &Read, word: &mut u64) -> u8 {
    let Literal { len, byte } = &codes.literals[*word as usize % (1 << LITERAL_BITS)];
    *word = word.wrapping_shr(u32::from(*len));
    *byte
}

/// What literals are compared with that stand for themselves.
static ZEROES: [u8; 16] = [0; 16];

/// How far sequences are decompressed.
///
/// # Invariants
///
/// `literals` is at one of the literals or at their end, as far from their start as the literals in
/// the page are before `to`. `before` is `distance` before `to`, at least [`LEAST_BACK`], or at
/// [`ZEROES`]. `distance` is at least one.
#[derive(Clone, Copy)]
struct Progress {
    /// The number of sequences that are left.
    left: usize,
    /// How many bits are read of either stream.
    lengths: usize,
    distances: usize,
    /// The next literals.
    literals: *const u8,
    /// The end of what is done of the page.
    to: *mut u8,
    /// The distance of the last match.
    distance: usize,
    /// What the next literals are compared with.
    before: *const u8,
}

impl Progress {
    /// Begins a page.
    fn start(sequences: usize, literals: &[u8], dst: *mut u8) -> Self {
        // INVARIANT: Nothing is done.
        Self {
            left: sequences,
            lengths: 0,
            distances: 0,
            literals: literals.as_ptr(),
            to: dst,
            distance: FIRST_DISTANCE,
            before: ZEROES.as_ptr(),
        }
    }

    /// Returns what the literals after a match are compared with.
    fn before<const CHANGES: bool>(&self) -> *const u8 {
        if CHANGES && self.distance >= LEAST_BACK {
            self.to.wrapping_sub(self.distance)
        } else {
            ZEROES.as_ptr()
        }
    }
}

/// The number of bytes at a page's end among which the fast loop ends no sequence.
///
/// It suffices for the 32 bytes of a match that are copied whatever its length.
const PAGE_END: usize = 32;

/// Decompresses sequences until one ends near the end of the page, or none is left.
///
/// # Errors
///
/// [`Corrupt`] if a match begins before the page, or ends after it.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, and `start` at its start. With the literals go
/// as many bytes as a page has left, and eight more.
#[inline(never)]
unsafe fn fast<const CHANGES: bool>(
    codes: &Read,
    region: Region<'_>,
    dst: *mut u8,
    start: Progress,
) -> Result<Progress, Corrupt> {
    let limit = dst.wrapping_add(PAGE - PAGE_END);
    let mut now = Progress { ..start };
    let mut lengths = region.forward(now.lengths);
    let mut distances = region.backward(now.distances);
    while now.left > 0 {
        // Four pairs are read from a word: other than for distances, whose number of bits differs
        // much, the processor foresees when the next word is needed.
        if now.left % 4 == 0 {
            now.lengths = now.lengths.wrapping_add(shifted(lengths));
            lengths = region.forward(now.lengths);
        }
        if is_short(distances, SEQUENCE_BITS) {
            now.distances = now.distances.wrapping_add(shifted(distances));
            distances = region.backward(now.distances);
        }
        now.left = now.left.wrapping_sub(1);
        let pair = &codes.pairs[lengths as usize % (1 << PAIR_BITS)];
        let code = &codes.distances[distances as usize % (1 << DISTANCE_BITS)];
        lengths = lengths.wrapping_shr(u32::from(pair.len));
        let more = distances.wrapping_shr(u32::from(code.shift)) as usize;
        // Without a branch, as it can't be foreseen whether the distance stays.
        now.distance = usize::from(code.least)
            .wrapping_add(more & usize::from(code.mask))
            .wrapping_add(now.distance & usize::from(code.keep));
        distances = distances.wrapping_shr(u32::from(code.len));
        let more = distances as usize & usize::from(pair.mask);
        let mut len = usize::from(pair.least).wrapping_add(more);
        distances = distances.wrapping_shr(u32::from(pair.extra));
        let mut count = usize::from(pair.literals);

        // SAFETY: `to` is at most `limit`, so 16 bytes of the page are left. `before` is eight bytes
        // before that at least, or at `ZEROES`, which are 16. As `literals` has advanced as far as
        // `to` at most, more than 16 bytes are after it.
        unsafe {
            word::<CHANGES>(now.to, now.literals, now.before, 0);
            word::<CHANGES>(now.to, now.literals, now.before, 8);
        }
        if pair.escape {
            cold();
            now.distances = now.distances.wrapping_add(shifted(distances));
            distances = region.backward(now.distances);
            // Both numbers take 38 bits at most.
            if count == MANY_LITERALS {
                let (more, bits) = escaped(distances);
                count = count.wrapping_add(more);
                distances = distances.wrapping_shr(bits);
            }
            if len == LONG_MATCH {
                let (more, bits) = escaped(distances);
                len = len.wrapping_add(more);
                distances = distances.wrapping_shr(bits);
            }
            if now.to.wrapping_add(count) <= limit {
                let step = if now.before == ZEROES.as_ptr() { 0 } else { 8 };
                let mut before = now.before.wrapping_add(step);
                let mut done = 16_usize;
                while done < count {
                    before = before.wrapping_add(step);
                    // SAFETY: Each literal is before `limit`, so that eight bytes of the page are
                    // left, and of the literals. `before` is as far before that as at first, or at
                    // `ZEROES`.
                    unsafe {
                        let (to, from) = (now.to.add(done), now.literals.add(done));
                        word::<CHANGES>(to, from, before, 0);
                    }
                    done = done.wrapping_add(8);
                }
            }
        }

        let to = now.to.wrapping_add(count);
        let end = to.wrapping_add(len);
        let from = to.wrapping_sub(now.distance);
        if from < dst {
            return Err(Corrupt);
        }
        if end > limit {
            cold();
            let left = (dst.wrapping_add(PAGE) as usize).wrapping_sub(now.to as usize);
            if count.wrapping_add(len) > left {
                return Err(Corrupt);
            }
            // SAFETY: The literals and the match are within the page, and `from` is, too. As many
            // literals are left as there are bytes in the page.
            unsafe {
                run(now.to, now.literals, count, now.before);
                copy_match_exactly(to, now.distance, len);
            }
        } else if now.distance >= LEAST_BACK {
            if CHANGES {
                now.before = from.wrapping_add(len);
            }
            // SAFETY: 32 bytes are left of the page after `to`, and 15 after `end`. `from` is in the
            // page, and eight bytes before `to` at least.
            unsafe {
                copy_16(to, from);
                copy_16(to.add(16), from.add(16));
                if len > 32 {
                    cold();
                    let mut done = 32_usize;
                    while done < len {
                        copy_16(to.add(done), from.add(done));
                        done = done.wrapping_add(16);
                    }
                }
            }
        } else {
            cold();
            now.before = ZEROES.as_ptr();
            let done = (to as usize).wrapping_sub(dst as usize);
            // SAFETY: `dst` is valid for reads and writes of a page, of which `done` bytes are done,
            // and `distance` is at most that.
            unsafe { copy_match(dst, done, now.distance, len) };
        }
        // INVARIANT: The literals and the match are done, and the literals are in the page.
        now.literals = now.literals.wrapping_add(count);
        now.to = end;
        if end > limit {
            now.before = now.before::<CHANGES>();
            break;
        }
    }
    now.lengths = now.lengths.wrapping_add(shifted(lengths));
    now.distances = now.distances.wrapping_add(shifted(distances));
    Ok(now)
}

/// Decompresses the rest of the sequences and the literals after them, and accesses no byte beyond
/// the end of the page.
///
/// # Errors
///
/// [`Corrupt`] if the page is not complete then, or if the streams are too long.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page, of which `now` tells what is done.
#[inline(never)]
unsafe fn exactly<const CHANGES: bool>(
    codes: &Read,
    region: Region<'_>,
    literals: &[u8],
    dst: *mut u8,
    mut now: Progress,
) -> Result<(), Corrupt> {
    let used = (now.literals as usize).wrapping_sub(literals.as_ptr() as usize);
    let mut literals = literals.get(used..).ok_or(Corrupt)?;
    let mut done = (now.to as usize).wrapping_sub(dst as usize);
    while now.left > 0 {
        now.left = now.left.wrapping_sub(1);
        let word = region.forward(now.lengths);
        let pair = &codes.pairs[word as usize % (1 << PAIR_BITS)];
        now.lengths = now.lengths.wrapping_add(usize::from(pair.len));
        let mut word = region.backward(now.distances);
        let code = &codes.distances[word as usize % (1 << DISTANCE_BITS)];
        let more = word.wrapping_shr(u32::from(code.shift)) as usize;
        now.distance = usize::from(code.least)
            .wrapping_add(more & usize::from(code.mask))
            .wrapping_add(now.distance & usize::from(code.keep));
        word = word.wrapping_shr(u32::from(code.len));
        let more = word as usize & usize::from(pair.mask);
        let mut len = usize::from(pair.least).wrapping_add(more);
        word = word.wrapping_shr(u32::from(pair.extra));
        now.distances = now.distances.wrapping_add(shifted(word));
        word = region.backward(now.distances);
        let mut count = usize::from(pair.literals);
        if count == MANY_LITERALS {
            let (more, bits) = escaped(word);
            count = count.wrapping_add(more);
            word = word.wrapping_shr(bits);
        }
        if len == LONG_MATCH {
            let (more, bits) = escaped(word);
            len = len.wrapping_add(more);
            word = word.wrapping_shr(bits);
        }
        now.distances = now.distances.wrapping_add(shifted(word));

        let (some, rest) = literals.split_at_checked(count).ok_or(Corrupt)?;
        literals = rest;
        let start = done.wrapping_add(count);
        if start.wrapping_add(len) > PAGE || now.distance > start {
            return Err(Corrupt);
        }
        done = start.wrapping_add(len);
        // SAFETY: The literals and the match are within the page, and the distance is from 1 to
        // what is done before the match. `before` is at the page before `to`, or at `ZEROES`.
        unsafe {
            run(now.to, some.as_ptr(), count, now.before);
            copy_match_exactly(now.to.add(count), now.distance, len);
            now.to = dst.add(done);
        }
        now.before = now.before::<CHANGES>();
    }
    if literals.len() != PAGE.wrapping_sub(done)
        || !region.holds(now.lengths.max(now.distances))
    {
        return Err(Corrupt);
    }
    // SAFETY: The literals are the rest of the page.
    unsafe { run(now.to, literals.as_ptr(), literals.len(), now.before) };
    Ok(())
}

/// Writes eight literals, `at` bytes after all three positions.
///
/// # Safety
///
/// `to` is valid for writes, and `from` and, with `CHANGES`, `before` for reads of these bytes.
#[inline(always)]
unsafe fn word<const CHANGES: bool>(to: *mut u8, from: *const u8, before: *const u8, at: usize) {
    // SAFETY: By the safety requirement.
    unsafe {
        let word: u64 = read(from.add(at));
        let before: u64 = if CHANGES { read(before.add(at)) } else { 0 };
        write(to.add(at), word ^ before);
    }
}

/// Writes `count` literals, and accesses no other bytes.
///
/// # Safety
///
/// `to` is valid for writes and `from` for reads of the literals. `before` is at [`ZEROES`], or
/// valid for reads from eight bytes before `to` or more.
#[inline(never)]
unsafe fn run(to: *mut u8, from: *const u8, count: usize, before: *const u8) {
    let zeroes = before == ZEROES.as_ptr();
    let mut done = 0_usize;
    while done < count {
        let at = if zeroes { 0 } else { done };
        // SAFETY: `done` is less than `count`, and less by eight or more where a word is written.
        unsafe {
            let (to, from, before) = (to.add(done), from.add(done), before.add(at));
            if count.wrapping_sub(done) >= 8 {
                word::<true>(to, from, before, 0);
                done = done.wrapping_add(8);
            } else {
                write(to, read::<u8>(from) ^ read::<u8>(before));
                done = done.wrapping_add(1);
            }
        }
    }
}
