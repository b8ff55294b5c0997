// SPDX-License-Identifier: GPL-2.0

//! Compression: a greedy parse with a hash table that is made for a page.

use super::{
    cold,
    copy_16,
    copy_exactly,
    read,
    write,
    LONG,
    MATCH_END,
    MIN_MATCH,
    PAGE, //
};
use core::{
    marker::PhantomData,
    num::NonZeroU64,
    slice, //
};

/// The logarithm of the number of slots.
const LOG: u32 = 12;
const SLOTS: usize = 1 << LOG;

/// Where the last match may start. The format says 12 bytes before the end; four more let 16 bytes
/// be read wherever a match or the literals before it start.
const LAST_START: usize = PAGE - 16;

/// After a match, so many positions are tried one by one, and then `STRIDE` at each distance from
/// two on: what does not compress is passed over faster and faster.
const WINDOW: usize = 96;
const STRIDE: usize = 32;

/// A page that misses the limit by less than this gets a second, finer pass.
const NEAR: usize = 160;

/// How far back a match may grow over the literals before it.
const BACK: usize = 7;

/// With this much more room than a sequence has literals it is written without a look at the end:
/// a token, two lengths of up to 17 bytes, 15 bytes beyond the literals and the distance.
const SLACK: usize = 56;

/// The positions at which the compressor saw its input last, by a hash of what is there.
///
/// Its content does not matter: a page compresses to the same block whatever was compressed
/// before. All zeroes are valid.
#[repr(align(64))]
pub(crate) struct Table([u16; SLOTS]);

/// How much smaller a block would have had to be, at most.
struct Excess(usize);

/// Compresses the page at `src` to the start of `dst`, and returns the length of the block.
///
/// `None` if it does not fit. With `acceleration`, which is one or more, the compressor looks at
/// less of the page to begin with.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. The page may change meanwhile; then the
/// block holds any mixture of old and new.
pub(crate) unsafe fn compress(
    table: &mut Table,
    src: *const u8,
    dst: &mut [u8],
    acceleration: u32,
) -> Option<usize> {
    let stride = (acceleration as usize).clamp(1, PAGE);
    // A hash of five bytes finds fewer but longer matches than one of four: that takes less time
    // here and in the decompressor, and hardly more room.
    //
    // SAFETY: By the caller.
    match unsafe { pass::<5>(table, src, dst, stride) } {
        Ok(len) => Some(len),
        // Where nearly nothing repeats, every match counts.
        //
        // SAFETY: By the caller.
        Err(Excess(0..NEAR)) => unsafe { pass::<4>(table, src, dst, stride) }.ok(),
        Err(_) => None,
    }
}

/// The slot of the first `BYTES` bytes.
#[inline(always)]
fn hash<const BYTES: u32>(word: u64) -> usize {
    // An odd fraction of 2^40 close to the golden ratio; the bytes that don't count are shifted
    // out.
    const RATIO: u64 = 0x9e_3779_b185;
    let multiplier = RATIO << (64 - 8 * BYTES);
    (u64::from_le(word).wrapping_mul(multiplier) >> (64 - LOG)) as usize
}

impl Table {
    /// Exchanges the last position of what is at `at` for `at`, and returns it if it starts with
    /// the same four bytes.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, `at` is at most [`LAST_START`], and so is all in the
    /// table.
    #[inline(always)]
    unsafe fn probe<const BYTES: u32>(&mut self, page: *const u8, at: usize) -> Option<usize> {
        // SAFETY: A page has eight bytes from `at` on.
        let slot = unsafe { &mut self.0[hash::<BYTES>(read(page.add(at)))] };
        let from = usize::from(*slot);
        *slot = at as u16;
        // SAFETY: As above, also from `from` on.
        let same = unsafe { read::<u32>(page.add(at)) == read::<u32>(page.add(from)) };
        same.then_some(from)
    }

    /// Looks for a match from `at` to `last` or [`LAST_START`], in growing strides.
    ///
    /// Out of line, as most matches are nearer.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and all in the table is at most [`LAST_START`].
    #[inline(never)]
    unsafe fn probe_far<const BYTES: u32>(
        &mut self,
        page: *const u8,
        mut at: usize,
        mut stride: usize,
        last: usize,
    ) -> Option<(usize, usize)> {
        let last = last.min(LAST_START);
        while at <= last {
            let stop = at.wrapping_add(stride.wrapping_mul(STRIDE)).min(last);
            while at <= stop {
                // SAFETY: `at` is at most `last`; the rest by the caller.
                if let Some(from) = unsafe { self.probe::<BYTES>(page, at) } {
                    return Some((at, from));
                }
                at = at.wrapping_add(stride);
            }
            stride = stride.wrapping_add(1);
        }
        None
    }
}

/// Compresses the page with a hash of `BYTES` bytes.
///
/// # Safety
///
/// As for [`compress`]; `stride` is from one to [`PAGE`].
unsafe fn pass<const BYTES: u32>(
    table: &mut Table,
    page: *const u8,
    dst: &mut [u8],
    stride: usize,
) -> Result<usize, Excess> {
    let window = if stride == 1 { WINDOW } else { 0 };
    let mut out = Output::new(dst);

    // A slot that was not written yet says that its bytes were seen at the start of the page: what
    // is found is compared anyway. From here on all in the table is at most `LAST_START`.
    table.0.fill(0);

    // Everything before `anchor` is in the block, and `at` is where the next match may start.
    let mut anchor = 0;
    let mut at = 1_usize;
    let mut stop = at.wrapping_add(window);
    'page: loop {
        let from = 'found: {
            while at < stop {
                // SAFETY: `at + 3` is at most `LAST_START`; the rest by the caller and the table.
                unsafe {
                    if let Some(from) = table.probe::<BYTES>(page, at) {
                        break 'found from;
                    }
                    if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(1)) {
                        at = at.wrapping_add(1);
                        break 'found from;
                    }
                    if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(2)) {
                        at = at.wrapping_add(2);
                        break 'found from;
                    }
                    if let Some(from) = table.probe::<BYTES>(page, at.wrapping_add(3)) {
                        at = at.wrapping_add(3);
                        break 'found from;
                    }
                }
                at = at.wrapping_add(4);
            }
            // A match that starts later than this has too many literals before it, even after it
            // has grown back.
            let last = anchor.wrapping_add(out.room()).wrapping_add(BACK);
            // SAFETY: By the caller and the table.
            match unsafe { table.probe_far::<BYTES>(page, at, stride.max(2), last) } {
                Some((found, from)) => {
                    at = found;
                    from
                }
                None => break 'page,
            }
        };

        // SAFETY: Both are at most `LAST_START`.
        let end = unsafe { match_end(page, at, from) };
        let mut literals = at.wrapping_sub(anchor);
        if from > BACK {
            // SAFETY: There are `BACK + 1` bytes before `from`, and more before `at`.
            let back = unsafe { same_before(page, at, from) };
            literals = literals.saturating_sub(back);
        }
        let sequence = Sequence {
            literals,
            distance: at.wrapping_sub(from),
            len: end.wrapping_sub(anchor).wrapping_sub(literals),
        };
        // SAFETY: The literals end at `at` or before, and that is at most `LAST_START`.
        if !unsafe { out.write(page.add(anchor), sequence) } {
            return Err(out.excess(PAGE.wrapping_sub(anchor)));
        }

        anchor = end;
        at = end;
        stop = end.wrapping_add(window);
        if stop > LAST_START - 2 {
            cold();
            if end > LAST_START {
                break;
            }
            stop = LAST_START - 2;
        }
        for seen in [end.wrapping_sub(2), end.wrapping_sub(1)] {
            // SAFETY: There are eight bytes from `end`, which is at most `LAST_START`; a match has
            // more than two.
            table.0[hash::<BYTES>(unsafe { read(page.add(seen)) })] = seen as u16;
        }
    }

    let literals = PAGE.wrapping_sub(anchor);
    // SAFETY: The page ends with them.
    if unsafe { out.finish(page.add(anchor), literals) } {
        Ok(out.len())
    } else {
        Err(out.excess(literals))
    }
}

/// Where what starts at `at` ceases to be what starts at `from`, given that it does not before
/// `at + MIN_MATCH`.
///
/// # Safety
///
/// `page` is valid for reads of a page, and `from` and `at` are at most [`LAST_START`].
#[inline(always)]
unsafe fn match_end(page: *const u8, at: usize, from: usize) -> usize {
    let mut at = at.wrapping_add(MIN_MATCH);
    let mut from = from.wrapping_add(MIN_MATCH);
    // SAFETY: There are 16 bytes from `LAST_START` on.
    if let Some(same) = unsafe { same_from(page, at, from) } {
        // Not beyond `MATCH_END`, which is four and seven bytes after `LAST_START`.
        return at.wrapping_add(same);
    }
    loop {
        at = at.wrapping_add(8);
        from = from.wrapping_add(8);
        if at > PAGE - 8 {
            break;
        }
        // SAFETY: Just checked, and `from` is before `at`.
        if let Some(same) = unsafe { same_from(page, at, from) } {
            at = at.wrapping_add(same);
            break;
        }
    }
    at.min(MATCH_END)
}

/// How many bytes from `at` and `from` on are the same; `None` if eight are.
///
/// # Safety
///
/// There are eight bytes of `page` from `at` and from `from` on.
#[inline(always)]
unsafe fn same_from(page: *const u8, at: usize, from: usize) -> Option<usize> {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(at)), read(page.add(from))) };
    let first = NonZeroU64::new(u64::from_le(a ^ b))?.trailing_zeros() / 8;
    Some(first as usize)
}

/// How many bytes before `at` and `from` are the same, up to [`BACK`].
///
/// # Safety
///
/// There are eight bytes of `page` before `at` and before `from`.
#[inline(always)]
unsafe fn same_before(page: *const u8, at: usize, from: usize) -> usize {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(at).sub(8)), read(page.add(from).sub(8))) };
    // The last byte comes first; the bit makes the eighth differ.
    let first = (u64::from_be(a ^ b) | 1 << 63).trailing_zeros() / 8;
    first as usize
}

/// What a sequence of the block says: so many literals, then a match.
#[derive(Clone, Copy)]
struct Sequence {
    literals: usize,
    distance: usize,
    len: usize,
}

/// Where a block is written to.
///
/// # Invariants
///
/// `start..end` is valid for writes during `'a`. `at` is in there. If `easy` is above `at`, there
/// are [`SLACK`] bytes from `easy` to `end`.
#[derive(Clone, Copy)]
struct Output<'a> {
    at: *mut u8,
    easy: *mut u8,
    start: *mut u8,
    end: *mut u8,
    borrowed: PhantomData<&'a mut [u8]>,
}

impl<'a> Output<'a> {
    fn new(dst: &'a mut [u8]) -> Self {
        let easy = dst.len().saturating_sub(SLACK);
        let range = dst.as_mut_ptr_range();
        // INVARIANT: The slice is borrowed; `easy` is its start if it is shorter than `SLACK`.
        Self {
            at: range.start,
            easy: range.start.wrapping_add(easy),
            start: range.start,
            end: range.end,
            borrowed: PhantomData,
        }
    }

    fn len(self) -> usize {
        (self.at as usize).wrapping_sub(self.start as usize)
    }

    fn room(self) -> usize {
        (self.end as usize).wrapping_sub(self.at as usize)
    }

    /// How much is missing for `rest` more bytes of the page, if they were literals.
    fn excess(self, rest: usize) -> Excess {
        Excess(rest.saturating_sub(self.room()))
    }

    /// Writes a sequence, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the sequence's literals and 16 bytes more.
    #[inline(always)]
    unsafe fn write(&mut self, page: *const u8, sequence: Sequence) -> bool {
        let Sequence {
            literals,
            distance,
            len,
        } = sequence;
        if self.at.wrapping_add(literals) >= self.easy {
            cold();
            // SAFETY: By the caller.
            return match unsafe { self.write_exactly(page, sequence) } {
                Some(at) => {
                    self.at = at;
                    true
                }
                None => false,
            };
        }
        let token = self.at;
        // SAFETY: `at` is below `easy` by more than the number of literals, and what is written
        // besides them is less than `SLACK`. What is read, by the caller.
        unsafe {
            let mut at = token.add(1);
            copy_16(at, page);
            let high = if literals >= LONG {
                at = write_more(at, literals.wrapping_sub(LONG));
                let mut done = 0_usize;
                while done < literals {
                    copy_16(at.add(done), page.add(done));
                    done = done.wrapping_add(16);
                }
                LONG << 4
            } else {
                literals << 4
            };
            at = at.add(literals);
            write(at, (distance as u16).to_le());
            at = at.add(2);
            let low = len.wrapping_sub(MIN_MATCH);
            if low >= LONG {
                at = write_more(at, low.wrapping_sub(LONG));
                *token = (high | LONG) as u8;
            } else {
                *token = (high | low) as u8;
            }
            // INVARIANT: Nothing was written beyond `end`.
            self.at = at;
        }
        true
    }

    /// As `write`, touching nothing but what the sequence takes; returns its end.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of the sequence's literals.
    #[cold]
    #[inline(never)]
    unsafe fn write_exactly(self, page: *const u8, sequence: Sequence) -> Option<*mut u8> {
        let Sequence {
            literals,
            distance,
            len,
        } = sequence;
        let low = len.wrapping_sub(MIN_MATCH);
        let mut exact = Exact(self.slice());
        exact.token(literals, low)?;
        // SAFETY: By the caller.
        unsafe { exact.literals(page, literals)? };
        exact.bytes(&(distance as u16).to_le_bytes())?;
        exact.more(low)?;
        // INVARIANT: A part of the slice that is left.
        Some(exact.0.as_mut_ptr())
    }

    /// Writes the last sequence, which has no match, and returns whether there was room for it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of `literals` bytes.
    #[inline]
    unsafe fn finish(&mut self, page: *const u8, literals: usize) -> bool {
        let mut exact = Exact(self.slice());
        // SAFETY: By the caller.
        let written = exact.token(literals, 0).is_some()
            && unsafe { exact.literals(page, literals) }.is_some();
        // INVARIANT: A part of the slice that is left.
        self.at = exact.0.as_mut_ptr();
        written
    }

    /// What is left of the room.
    fn slice(self) -> &'a mut [u8] {
        // SAFETY: By the invariants; whoever calls it is done with the pointer until the slice is.
        unsafe { slice::from_raw_parts_mut(self.at, self.room()) }
    }
}

/// Goes on with a length of which a token holds [`LONG`], and returns the end: as many 255 as there
/// are, then what remains.
///
/// # Safety
///
/// `at` is valid for writes of 17 bytes, and `rest` is below [`PAGE`].
#[inline(always)]
unsafe fn write_more(at: *mut u8, rest: usize) -> *mut u8 {
    // Exact for what a page can hold.
    let full = (rest as u32).wrapping_mul(0x8081) >> 23;
    // SAFETY: `full` is at most 16.
    unsafe {
        write::<u64>(at, !0);
        write::<u64>(at.add(8), !0);
        let last = at.add(full as usize);
        // 255 is one less than 256.
        *last = (rest as u8).wrapping_add(full as u8);
        last.add(1)
    }
}

/// Room that must not be left; what is written is cut off from its front.
struct Exact<'a>(&'a mut [u8]);

impl Exact<'_> {
    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let (front, rest) = core::mem::take(&mut self.0).split_at_mut_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        for (to, from) in self.take(bytes.len())?.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(())
    }

    fn token(&mut self, high: usize, low: usize) -> Option<()> {
        let token = high.min(LONG) << 4 | low.min(LONG);
        self.bytes(&[token as u8])?;
        self.more(high)
    }

    fn more(&mut self, len: usize) -> Option<()> {
        let Some(mut rest) = len.checked_sub(LONG) else {
            return Some(());
        };
        while rest >= 255 {
            self.bytes(&[255])?;
            rest = rest.wrapping_sub(255);
        }
        self.bytes(&[rest as u8])
    }

    /// # Safety
    ///
    /// `page` is valid for reads of `len` bytes.
    unsafe fn literals(&mut self, page: *const u8, len: usize) -> Option<()> {
        let to = self.take(len)?.as_mut_ptr();
        // SAFETY: By the caller, and just taken.
        unsafe { copy_exactly(to, page, len) };
        Some(())
    }
}
