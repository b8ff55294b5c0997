// SPDX-License-Identifier: GPL-2.0-only

//! Compression: finds the sequences of a page, and writes them with the set of codes that suits it.

use super::{
    bits::{
        join,
        Writer,
        LEAST_REGION, //
    },
    codes::{
        escape,
        row,
        Write,
        DISTANCE_SYMBOLS,
        LONG_MATCH,
        MANY_LITERALS,
        MATCHES,
        PRICES,
        SAME,
        SETS,
        WRITE, //
    },
    parse::parse,
    sequences::Sequences,
    shortest::shortest,
    Header,
    State,
    FIRST_DISTANCE,
    HEADER, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_exactly,
    read,
    write,
    PAGE, //
};

/// One of so many literals is looked at to choose the set of codes.
const SAMPLE: usize = 4;

/// The number of bytes that are looked at to give a page up.
const LOOKS: usize = 64;

/// The least number of bytes after the last match for which a page is given up.
///
/// Few bytes say little of the literals before them.
const NOISE: usize = PAGE / 4;

/// The number of literals of which codes must save more than one byte to be worth their time.
const WORTH: usize = 11;
/// The same for [`Effort::Shortest`].
const WORTH_OF_SHORTEST: usize = 14;

/// Room for a block: no page needs all of it.
///
/// A sequence stands for four bytes or more, and takes up to 10 + 23 bits, and up to 19 more for
/// each of its numbers that goes on, which then stands for 16 bytes or more. A literal takes a
/// byte, or up to eleven bits before that is found to be too much.
pub(crate) type Room = [u8; 2 * PAGE];

/// The time that is spent to find the sequences that make a short block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Takes the first match that is found.
    Fast,
    /// Looks whether a longer match begins one byte later.
    Lazy,
    /// Follows all ways through the page that are worth it.
    Shortest,
}

/// Compresses the page at `src`, and returns the length of the block at the start of `dst`.
///
/// Returns `None` if that would exceed `limit`. The rest of `dst` holds anything after that. The
/// block depends on nothing but the page and `effort`.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// block still decompresses to some page.
pub(crate) unsafe fn compress(
    state: &mut State,
    src: *const u8,
    dst: &mut Room,
    limit: usize,
    effort: Effort,
) -> Option<usize> {
    // SAFETY: `src` is valid for reads of a page by the safety requirement.
    let (set, worth) = unsafe {
        match effort {
            Effort::Fast => {
                find::<false>(state, src, limit)?;
                (choose(&state.sequences), WORTH)
            }
            Effort::Lazy => {
                find::<true>(state, src, limit)?;
                (choose(&state.sequences), WORTH)
            }
            Effort::Shortest => {
                find::<false>(state, src, limit)?;
                let set = choose_exactly(&state.sequences);
                find_shortest(state, src, &WRITE[set % SETS]);
                (set, WORTH_OF_SHORTEST)
            }
        }
    };
    encode(&state.sequences, set, worth, &mut state.scratch, dst, limit)
}

/// Finds the sequences of a page, or gives it up with `None`.
///
/// # Safety
///
/// `page` is valid for reads of a page.
#[inline(never)]
unsafe fn find<const LAZY: bool>(state: &mut State, page: *const u8, limit: usize) -> Option<()> {
    // SAFETY: `page` is valid for reads of a page by the safety requirement.
    let (pen, anchor) = unsafe { parse::<LAZY>(&mut state.table, page, &mut state.sequences) };
    let left = PAGE.wrapping_sub(anchor);
    let literals = pen.literals().wrapping_add(left);
    let room = limit.saturating_sub(HEADER + LEAST_REGION);
    // SAFETY: `page` is valid for reads of a page. The last match ended at `anchor`, which is in
    // the page if anything is left of that.
    unsafe {
        if left >= NOISE && literals > room && is_noise(page, anchor, left * room / literals) {
            return None;
        }
        pen.end(page, anchor);
    }
    Some(())
}

/// Finds the sequences that take the fewest bits with `codes`.
///
/// # Safety
///
/// `page` is valid for reads of a page.
#[inline(never)]
unsafe fn find_shortest(state: &mut State, page: *const u8, codes: &Write) {
    let State {
        table,
        sequences,
        scratch,
    } = state;
    let (list, nodes) = sequences.room_for_nodes();
    // SAFETY: `page` is valid for reads of a page by the safety requirement.
    let count = unsafe { shortest(table, scratch, nodes, list, page, codes) };
    // SAFETY: `page` is valid for reads of a page, and `shortest` has found the sequences in it.
    unsafe { sequences.gather(page, count) };
}

/// Returns whether the bytes of the page from `anchor` on take more than `limit` bytes in all codes
/// for literals as they are, by a sample of them.
///
/// # Safety
///
/// `page` is valid for reads of a page, and `anchor` is in it.
unsafe fn is_noise(page: *const u8, anchor: usize, limit: usize) -> bool {
    let left = PAGE.wrapping_sub(anchor);
    let mut sum = 0_u64;
    for look in 0..LOOKS {
        let at = anchor.wrapping_add(left.wrapping_mul(look) / LOOKS);
        // SAFETY: `at` is in the page, as `left` is not 0.
        let byte: u8 = unsafe { read(page.add(at)) };
        sum = sum.wrapping_add(PRICES[0].literals[usize::from(byte)]);
    }
    let least = (0..SETS / 2).map(|set| price(sum, set)).min();
    least.map_or(0, usize::from).wrapping_mul(left) > limit.wrapping_mul(8 * LOOKS)
}

/// Returns the sum for one of four sets.
#[inline(always)]
fn price(sums: u64, set: usize) -> u16 {
    sums.wrapping_shr(16 * set as u32) as u16
}

// No sum exceeds its 16 bits: the codes of a sequence take less than those of four literals.
const _: () = assert!(PAGE * 11 <= u16::MAX as usize);

/// Returns the set with the least sum.
fn least(sums: [u64; 2]) -> usize {
    let (mut best, mut least) = (0, u16::MAX);
    for set in 0..SETS {
        let price = price(sums[set / (SETS / 2)], set % (SETS / 2));
        // Most pages are of the last sets.
        if price <= least {
            (best, least) = (set, price);
        }
    }
    best
}

/// Returns the set of codes in which the literals take the fewest bits, by a sample of them.
fn choose(sequences: &Sequences) -> usize {
    let mut sums = [0_u64; 2];
    let [plain, differences] = sequences.literals().map(|all| all.chunks_exact(SAMPLE));
    for (a, b) in plain.zip(differences) {
        sums[0] = sums[0].wrapping_add(PRICES[0].literals[usize::from(a[0])]);
        sums[1] = sums[1].wrapping_add(PRICES[1].literals[usize::from(b[0])]);
    }
    least(sums)
}

/// Returns the set of codes in which the literals and the sequences take the fewest bits.
fn choose_exactly(sequences: &Sequences) -> usize {
    let mut sums = [0_u64; 2];
    for ((sum, prices), literals) in sums.iter_mut().zip(&PRICES).zip(sequences.literals()) {
        for literal in literals {
            *sum = sum.wrapping_add(prices.literals[usize::from(*literal)]);
        }
    }
    let mut last = FIRST_DISTANCE as u16;
    for sequence in sequences.list() {
        let class = MATCHES[usize::from(sequence.len).min(LONG_MATCH)].class;
        let row = row(usize::from(sequence.literals), class);
        let mut symbol = DISTANCE_SYMBOLS[usize::from(sequence.distance) % PAGE];
        if sequence.distance == last {
            symbol = SAME;
        }
        last = sequence.distance;
        for (sum, prices) in sums.iter_mut().zip(&PRICES) {
            let pair = prices.pairs.get(row).copied();
            let distance = prices.distances.get(usize::from(symbol)).copied();
            *sum = sum
                .wrapping_add(pair.unwrap_or(0))
                .wrapping_add(distance.unwrap_or(0));
        }
    }
    least(sums)
}

/// Writes a block to `dst`, and returns its length.
///
/// Literals are written in codes if these save more than one byte of `worth`. Returns `None` if the
/// block is longer than `limit`.
fn encode(
    sequences: &Sequences,
    set: usize,
    worth: usize,
    scratch: &mut [u16; PAGE],
    dst: &mut Room,
    limit: usize,
) -> Option<usize> {
    let codes = &WRITE[set % SETS];
    let [plain, differences] = sequences.literals();
    let literals = if codes.differences {
        differences
    } else {
        plain
    };
    let quarter = literals.len() / 4;
    let (first, rest) = literals.split_at_checked(quarter)?;
    let (second, rest) = rest.split_at_checked(quarter)?;
    let (third, fourth) = rest.split_at_checked(quarter)?;
    let block = dst.as_mut_ptr();
    let scratch = scratch.as_mut_ptr().cast();
    // SAFETY: `dst` has room for any block, and for the codes of the literals before they are found
    // to be too long; see `Room`. `scratch` has room for each stream: at most a quarter of the
    // literals and three more, with eleven bits each, or what sequences take of the distances, that
    // is up to 23 bits for four bytes of the page.
    unsafe {
        let body = block.add(HEADER);
        let mut header = Header {
            set: set as u8,
            raw: false,
            sequences: sequences.list().len(),
            literals: plain.len(),
            first: two_streams(codes, first, second, body, scratch),
            second: 0,
        };
        header.second = two_streams(codes, third, fourth, body.add(header.first), scratch);
        let mut len = header.first.wrapping_add(header.second);
        if len.wrapping_add(plain.len() / worth) >= plain.len() {
            header = Header {
                raw: true,
                first: 0,
                second: 0,
                ..header
            };
            len = plain.len();
            copy_exactly(body, plain.as_ptr(), len);
        }
        if len > limit {
            return None;
        }
        len = len.wrapping_add(write_sequences(codes, sequences, body.add(len), scratch));
        let bits = header.to_bits();
        write(block, (bits as u32).to_le());
        write(
            block.add(HEADER - 4),
            (bits.wrapping_shr(24) as u32).to_le(),
        );
        len = len.wrapping_add(HEADER);
        (len <= limit).then_some(len)
    }
}

/// Writes two streams of literals as a region at `to`, and returns its length in bytes.
///
/// # Safety
///
/// `to` is valid for writes of the region, and `scratch` for writes of the second stream and of
/// eight bytes more.
unsafe fn two_streams(
    codes: &Write,
    forward: &[u8],
    backward: &[u8],
    to: *mut u8,
    scratch: *mut u8,
) -> usize {
    // SAFETY: `to` and `scratch` are valid for writes of a stream each, and of eight bytes more, by
    // the safety requirement.
    unsafe {
        let forward = write_literals(codes, forward, to);
        let backward = write_literals(codes, backward, scratch);
        join(forward, backward)
    }
}

/// Writes literals as a stream at `to`.
///
/// # Safety
///
/// `to` is valid for writes of the stream and of eight bytes more, as long as it is used.
#[inline(always)]
unsafe fn write_literals<'a>(codes: &Write, literals: &[u8], to: *mut u8) -> Writer<'a> {
    // SAFETY: `to` is valid for writes of the stream and of eight bytes more by the safety
    // requirement.
    let mut stream = unsafe { Writer::new(to) };
    let mut groups = literals.chunks_exact(5);
    for group in &mut groups {
        for literal in group {
            let code = &codes.literals[usize::from(*literal)];
            stream.add(u64::from(code.bits), u32::from(code.len));
        }
        stream.flush();
    }
    for literal in groups.remainder() {
        let code = &codes.literals[usize::from(*literal)];
        stream.add(u64::from(code.bits), u32::from(code.len));
    }
    stream
}

/// Writes the sequences as a region at `to`, and returns its length in bytes.
///
/// # Safety
///
/// `to` is valid for writes of the region, and `scratch` for writes of the distances' stream and of
/// eight bytes more.
unsafe fn write_sequences(
    codes: &Write,
    sequences: &Sequences,
    to: *mut u8,
    scratch: *mut u8,
) -> usize {
    // SAFETY: `to` and `scratch` are valid for writes of a stream each, and of eight bytes more, by
    // the safety requirement.
    let (mut lengths, mut distances) = unsafe { (Writer::new(to), Writer::new(scratch)) };
    let mut last = FIRST_DISTANCE;
    for two in sequences.list().chunks(2) {
        for sequence in two {
            let (literals, len) = (usize::from(sequence.literals), usize::from(sequence.len));
            let found = &MATCHES[len.min(LONG_MATCH)];
            // SAFETY: No row is beyond the last number of literals with the last class.
            let code = unsafe { codes.pairs.get_unchecked(row(literals, found.class)) };
            lengths.add(u64::from(code.bits), u32::from(code.len));

            let distance = usize::from(sequence.distance);
            // SAFETY: A distance is less than a page.
            let mut symbol = unsafe { *DISTANCE_SYMBOLS.get_unchecked(distance) };
            if distance == last {
                symbol = SAME;
            }
            last = distance;
            // SAFETY: There is a code for each symbol of a distance.
            let code = unsafe { codes.distances.get_unchecked(usize::from(symbol)) };
            let more = (distance & usize::from(code.mask)) as u64;
            let more = more.wrapping_shl(u32::from(code.shift));
            distances.add(u64::from(code.bits) | more, u32::from(code.len));
            distances.add(u64::from(found.bits), u32::from(found.extra));

            if literals >= MANY_LITERALS || len >= LONG_MATCH {
                cold();
                distances.flush();
                if let Some(more) = literals.checked_sub(MANY_LITERALS) {
                    let (bits, count) = escape(more);
                    distances.add(bits, count);
                }
                if let Some(more) = len.checked_sub(LONG_MATCH) {
                    let (bits, count) = escape(more);
                    distances.add(bits, count);
                }
                distances.flush();
            }
        }
        lengths.flush();
        distances.flush();
    }
    // SAFETY: `to` is valid for writes of the region by the safety requirement, and `scratch` is
    // elsewhere.
    unsafe { join(lengths, distances) }
}
