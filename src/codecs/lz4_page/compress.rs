// SPDX-License-Identifier: GPL-2.0

//! Compression: the first match that a hash table finds, in a table made for a page.

#[cfg(target_arch = "x86_64")]
use core::arch::asm;

use super::{
    cold,
    output::{
        Mark,
        Miss,
        Output, //
    },
    read,
    MATCH_END,
    MIN_MATCH,
    PAGE, //
};
use core::num::NonZeroU64;

/// The number of slots, and its logarithm. With half as many, the library's size is missed by more
/// than a hundredth; twice as many take longer to clear than they save.
const LOG: u32 = 12;
const SLOTS: usize = 1 << LOG;

/// Where the last match may start. The format's limit is four bytes later; here, 16 bytes can be
/// read wherever a match starts, or the literals before it.
const LAST_START: usize = PAGE - 16;

/// After a match so many positions are tried one by one, then `STRIDE` positions at each distance
/// from two on: the less there is to find, the less time is spent on it.
const WINDOW: usize = 96;
const STRIDE: usize = 32;

/// The last part of a page that misses the room by less than this gets a finer pass, with this window.
const NEAR: usize = 112;
const FINE_WINDOW: usize = 512;

/// A match that starts so much later than there is room for literals is not looked for: it would have to grow
/// as much.
const AFTER_ROOM: usize = 24;

/// By so many bytes a match may grow over the literals before it.
const BACK: usize = 7;

/// Where the compressor saw something last, by a hash of it.
///
/// The content carries nothing from page to page. All zeroes are valid.
pub(crate) struct Table([u16; SLOTS]);

/// Compresses the page at `src`, and returns the length of the block at the start of `dst`.
///
/// `None` if there is no room for it. The block depends on the page, on `acceleration`, and if that
/// is short, on the room; on nothing else. With an `acceleration` above one, less of the page is
/// looked at.
///
/// # Safety
///
/// `src` is valid for reads of a page during the call. Others may write to it meanwhile: then the
/// block still makes a page, but any.
pub(crate) unsafe fn compress(
    table: &mut Table,
    src: *const u8,
    dst: &mut [u8],
    acceleration: u32,
) -> Option<usize> {
    let stride = (acceleration as usize).clamp(1, PAGE);
    // From here on the table has only positions up to `LAST_START`, and only what is behind the
    // position that is looked at. The start of the page is in every slot that was not used yet:
    // what is found there is compared like anything else.
    table.clear();

    // A hash of five bytes finds fewer, longer matches than one of four. They take less time, here
    // and in the decompressor, and hardly more room.
    //
    // SAFETY: By the caller.
    match unsafe { pass::<5>(table, src, dst, Mark::START, stride) } {
        Ok(len) => Some(len),
        // Where it was getting tight the short matches count.
        Err(Miss { by: 0..NEAR, mark }) => {
            table.clear();
            // SAFETY: By the caller; the table has only what is before the mark.
            unsafe {
                table.insert_some::<4>(src, usize::from(mark.done));
                pass::<4>(table, src, dst, mark, stride).ok()
            }
        }
        Err(_) => None,
    }
}

/// Compresses what comes after `start` with a hash of `BYTES` bytes; with four, in the finer way.
///
/// # Safety
///
/// `page` is valid for reads of a page, `start` was made with it, and the table has positions before that.
/// `stride` is at least one.
unsafe fn pass<const BYTES: u32>(
    table: &mut Table,
    page: *const u8,
    dst: &mut [u8],
    start: Mark,
    stride: usize,
) -> Result<usize, Miss> {
    let fine = BYTES == MIN_MATCH as u32;
    let window = match stride {
        1 if fine => FINE_WINDOW,
        1 => WINDOW,
        _ => 0,
    };
    let mut out = Output::new(dst, start);

    // All before `anchor` is in the block; `at` is where the next match may start.
    let mut anchor = usize::from(start.done);
    let mut at = anchor.max(1);
    let mut stop = at.wrapping_add(window).min(LAST_START - 2);
    'page: loop {
        'sequence: {
            let mut from = 'found: {
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
                cold();
                // There is no room for the literals before a match that starts much later.
                let last = anchor.wrapping_add(out.room()).wrapping_add(AFTER_ROOM);
                // SAFETY: By the caller and the table; there is nothing to find before `anchor`.
                let far = unsafe { table.find_far::<BYTES>(page, anchor, at, stride.max(2), last) };
                let Some(Far { at, from, end }) = far else {
                    break 'page;
                };
                let (at, from, end) = (usize::from(at), usize::from(from), usize::from(end));
                let (literals, len) = (at.wrapping_sub(anchor), end.wrapping_sub(at));
                // SAFETY: The literals end at `at`, and `end` is behind it.
                if !unsafe {
                    out.sequence_exactly(page.add(anchor), literals, at.wrapping_sub(from), len)
                } {
                    return Err(out.miss(PAGE.wrapping_sub(anchor)));
                }
                anchor = end;
                break 'sequence;
            };

            // SAFETY: Both are at most `LAST_START`.
            let mut end = unsafe { match_end(page, at, from) };
            if fine && at < LAST_START {
                let later = at.wrapping_add(1);
                // SAFETY: As above.
                if let Some(other) = unsafe { table.probe::<BYTES>(page, later) } {
                    // SAFETY: As above.
                    let farther = unsafe { match_end(page, later, other) };
                    if farther > end {
                        (at, from, end) = (later, other, farther);
                    }
                }
            }
            let mut literals = at.wrapping_sub(anchor);
            if from > BACK {
                // SAFETY: There are more than `BACK` bytes before either.
                literals = literals.saturating_sub(unsafe { same_before(page, at, from) });
            }
            let len = end.wrapping_sub(anchor).wrapping_sub(literals);
            // SAFETY: The literals end at `at` or before, with 16 bytes after that. `match_end` is
            // beyond `at` by at least `MIN_MATCH`.
            if !unsafe { out.sequence(page, anchor, literals, at.wrapping_sub(from), len) } {
                return Err(out.miss(PAGE.wrapping_sub(anchor)));
            }
            anchor = end;
        }

        // Often one match follows another: then there is nothing before it to look at.
        loop {
            if anchor > LAST_START {
                break 'page;
            }
            // SAFETY: `anchor` is at most `LAST_START`, and a match is longer than two bytes.
            unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(2)) };
            // SAFETY: As above.
            let Some(from) = (unsafe { table.probe::<BYTES>(page, anchor) }) else {
                // SAFETY: As above.
                unsafe { table.insert::<BYTES>(page, anchor.wrapping_sub(1)) };
                break;
            };
            // SAFETY: Both are at most `LAST_START`.
            let end = unsafe { match_end(page, anchor, from) };
            let (distance, len) = (anchor.wrapping_sub(from), end.wrapping_sub(anchor));
            // SAFETY: As above.
            if !unsafe { out.repeat(distance, len) } {
                return Err(out.miss(PAGE.wrapping_sub(anchor)));
            }
            anchor = end;
        }

        at = anchor.wrapping_add(1);
        stop = at.wrapping_add(window);
        if stop > LAST_START - 2 {
            cold();
            stop = LAST_START - 2;
        }
    }

    let literals = PAGE.wrapping_sub(anchor);
    // SAFETY: They are the end of the page.
    if unsafe { out.last(page.add(anchor), literals) } {
        Ok(out.len())
    } else {
        Err(out.miss(literals))
    }
}

impl Table {
    /// Makes it all zeroes.
    #[cfg(target_arch = "x86_64")]
    fn clear(&mut self) {
        // The kernel's memset() stores word after word on most machines. That takes twice as long.
        //
        // SAFETY: Writes the table. The direction flag is clear whenever Rust code runs.
        unsafe {
            asm!(
                "rep stosq",
                inout("rcx") size_of::<Self>() / 8 => _,
                inout("rdi") self.0.as_mut_ptr() => _,
                in("rax") 0_u64,
                options(nostack, preserves_flags),
            );
        }
    }

    /// Makes it all zeroes.
    #[cfg(not(target_arch = "x86_64"))]
    fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The slot of the first `BYTES` bytes of a word.
    #[inline(always)]
    fn slot<const BYTES: u32>(&mut self, word: u64) -> &mut u16 {
        // 2^40 by the golden ratio. The other bytes of the word are shifted out.
        const RATIO: u64 = 0x9e_3779_b185;
        let hash = u64::from_le(word).wrapping_mul(RATIO << (64 - 8 * BYTES));
        &mut self.0[(hash >> (64 - LOG)) as usize]
    }

    /// Notes that what is at `at` was seen there.
    ///
    /// # Safety
    ///
    /// There are eight bytes of `page` from `at` on, and `at` is at most [`LAST_START`].
    #[inline(always)]
    unsafe fn insert<const BYTES: u32>(&mut self, page: *const u8, at: usize) {
        // SAFETY: By the caller.
        *self.slot::<BYTES>(unsafe { read(page.add(at)) }) = at as u16;
    }

    /// The same, and where it was seen before if the first four bytes there are the same.
    ///
    /// # Safety
    ///
    /// As for [`Self::insert`], of which the rest of the table is made.
    #[inline(always)]
    unsafe fn probe<const BYTES: u32>(&mut self, page: *const u8, at: usize) -> Option<usize> {
        // SAFETY: By the caller.
        let word: u64 = unsafe { read(page.add(at)) };
        let slot = self.slot::<BYTES>(word);
        let from = usize::from(*slot);
        *slot = at as u16;
        // The first bytes are compared as they were hashed: reading them again takes longer.
        //
        // SAFETY: By the caller.
        let seen: u32 = unsafe { read(page.add(from)) };
        (u64::from_le(word) as u32 == u32::from_le(seen)).then_some(from)
    }

    /// Notes half of what is before `end`.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page.
    unsafe fn insert_some<const BYTES: u32>(&mut self, page: *const u8, end: usize) {
        for at in (0..end.min(LAST_START)).step_by(2) {
            // SAFETY: By the caller, and `at` is before `LAST_START`.
            unsafe { self.insert::<BYTES>(page, at) };
        }
    }

    /// The first match that is seen between `at` and `last`, looked for in growing strides. Then as much before
    /// it as it has in common with what it repeats, but for what is before `anchor`, is part of it.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and the table made by [`Self::insert`]. `anchor` is at most `at`.
    #[inline(never)]
    unsafe fn find_far<const BYTES: u32>(
        &mut self,
        page: *const u8,
        anchor: usize,
        mut at: usize,
        mut stride: usize,
        last: usize,
    ) -> Option<Far> {
        let last = last.min(LAST_START);
        while at <= last {
            let stop = at.wrapping_add(stride.wrapping_mul(STRIDE)).min(last);
            while at <= stop {
                // SAFETY: `at` is at most `LAST_START`; the rest by the caller.
                if let Some(from) = unsafe { self.probe::<BYTES>(page, at) } {
                    // SAFETY: As above.
                    return Some(unsafe { grown(page, anchor, at, from) });
                }
                at = at.wrapping_add(stride);
            }
            stride = stride.wrapping_add(1);
        }
        None
    }
}

/// A match that was found far from the last.
struct Far {
    at: u16,
    from: u16,
    end: u16,
}

/// The match at `at`, and what it has in common with `from` before that, up to `anchor`. The end is that of the
/// match as it was found, and so behind all that the table has.
///
/// # Safety
///
/// `page` is valid for reads of a page; `at` and `from` are at most [`LAST_START`], `anchor` at most `at`, and
/// `from` before it.
unsafe fn grown(page: *const u8, anchor: usize, mut at: usize, mut from: usize) -> Far {
    // SAFETY: By the caller.
    let end = unsafe { match_end(page, at, from) };
    while at > anchor && from > 0 {
        let (before, same) = (at.wrapping_sub(1), from.wrapping_sub(1));
        // SAFETY: Both are in the page.
        let (a, b): (u8, u8) = unsafe { (read(page.add(before)), read(page.add(same))) };
        if a != b {
            break;
        }
        (at, from) = (before, same);
    }
    Far {
        at: at as u16,
        from: from as u16,
        end: end as u16,
    }
}

/// Where what is at `at` stops repeating what is at `from`, given that it does for [`MIN_MATCH`].
///
/// # Safety
///
/// `page` is valid for reads of a page; `at` and `from` are at most [`LAST_START`].
#[inline(always)]
unsafe fn match_end(page: *const u8, at: usize, from: usize) -> usize {
    let mut end = at.wrapping_add(MIN_MATCH);
    let mut from = from.wrapping_add(MIN_MATCH);
    // SAFETY: There are 16 bytes from `LAST_START` on.
    if let Some(same) = unsafe { same_from(page, end, from) } {
        // At most seven, which is `MATCH_END` from `LAST_START`.
        return end.wrapping_add(same);
    }
    loop {
        end = end.wrapping_add(8);
        from = from.wrapping_add(8);
        if end > PAGE - 8 {
            break;
        }
        // SAFETY: There are eight bytes from `end` on, and from what is before it.
        if let Some(same) = unsafe { same_from(page, end, from) } {
            end = end.wrapping_add(same);
            break;
        }
    }
    end.min(MATCH_END)
}

const _: () = assert!(LAST_START + MIN_MATCH + 7 == MATCH_END);

/// How many bytes from `a` and from `b` on are the same; `None` for eight.
///
/// # Safety
///
/// There are eight bytes of `page` from either on.
#[inline(always)]
unsafe fn same_from(page: *const u8, a: usize, b: usize) -> Option<usize> {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a)), read(page.add(b))) };
    let difference = NonZeroU64::new(u64::from_le(a ^ b))?;
    Some((difference.trailing_zeros() / 8) as usize)
}

/// How many bytes before `a` and before `b` are the same, up to [`BACK`].
///
/// # Safety
///
/// There are eight bytes of `page` before either.
#[inline(always)]
unsafe fn same_before(page: *const u8, a: usize, b: usize) -> usize {
    // SAFETY: By the caller.
    let (a, b): (u64, u64) = unsafe { (read(page.add(a).sub(8)), read(page.add(b).sub(8))) };
    // The nearest byte becomes the lowest; the farthest always counts as different.
    let difference = u64::from_be(a ^ b) | 1 << (8 * BACK);
    (difference.trailing_zeros() / 8) as usize
}
