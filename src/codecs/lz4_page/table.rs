// SPDX-License-Identifier: GPL-2.0-only

//! The table in which the compressor finds what it has seen.

use super::{
    matches::{
        match_end,
        LAST_START, //
    },
    read, //
};
#[cfg(target_arch = "x86_64")]
use core::arch::asm;

/// The number of slots, and its logarithm. With half as many, the library's size is missed by more
/// than a hundredth; twice as many take longer to clear than they save.
const LOG: u32 = 12;
const SLOTS: usize = 1 << LOG;

/// So many positions are tried at each distance.
const STRIDE: usize = 32;

/// Where the compressor saw something last, by a hash of it.
///
/// The content carries nothing from page to page. All zeroes are valid.
pub(crate) struct Table([u16; SLOTS]);

impl Table {
    /// Makes it all zeroes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn clear(&mut self) {
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
    pub(super) fn clear(&mut self) {
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
    pub(super) unsafe fn insert<const BYTES: u32>(&mut self, page: *const u8, at: usize) {
        // SAFETY: By the caller.
        *self.slot::<BYTES>(unsafe { read(page.add(at)) }) = at as u16;
    }

    /// The same, and where it was seen before if the first four bytes there are the same.
    ///
    /// # Safety
    ///
    /// As for [`Self::insert`], of which the rest of the table is made.
    #[inline(always)]
    pub(super) unsafe fn probe<const BYTES: u32>(
        &mut self,
        page: *const u8,
        at: usize,
    ) -> Option<usize> {
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
    pub(super) unsafe fn insert_some<const BYTES: u32>(&mut self, page: *const u8, end: usize) {
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
    pub(super) unsafe fn find_far<const BYTES: u32>(
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
pub(super) struct Far {
    pub(super) at: u16,
    pub(super) from: u16,
    pub(super) end: u16,
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
