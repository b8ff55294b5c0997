// SPDX-License-Identifier: GPL-2.0-only

//! Compression: finds the sequences of a page, and writes them with the set of codes that suits it.

use super::{
    bits::{
        join,
        Writer, //
    },
    choose::{
        are_worth,
        choose,
        choose_exactly,
        is_hopeless,
        WORTH,
        WORTH_OF_SHORTEST, //
    },
    codes::{
        escape,
        row,
        Write,
        DISTANCE_SYMBOLS,
        LONG_MATCH,
        MANY_LITERALS,
        MATCHES,
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
    HEADER,
    PAGE, //
};
use crate::zram::codecs::lz77::{
    cold,
    copy_exactly,
    write, //
};

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
                let (set, bits) = choose_exactly(&state.sequences);
                find_shortest(state, src, &WRITE[set % SETS]);
                let (mut best, fewer) = choose_exactly(&state.sequences);
                // It does not foresee what a distance does to the literals after the next match.
                if fewer > bits {
                    find::<false>(state, src, limit)?;
                    best = set;
                }
                (best, WORTH_OF_SHORTEST)
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
    // SAFETY: `page` is valid for reads of a page, and the last match ended at `anchor`.
    unsafe {
        if is_hopeless(&pen, page, anchor, limit) {
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
        if !are_worth(len, plain.len(), worth) {
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
