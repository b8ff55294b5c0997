// SPDX-License-Identifier: GPL-2.0-only

//! The table in which the compressor finds what it has seen.

use super::{
    matches::{
        last_start,
        match_end,
        same_byte, //
    },
    read, //
};
#[cfg(target_arch = "x86_64")]
use core::arch::asm;
use core::mem;

/// The position where the compressor last saw some bytes of a page of `PAGE` bytes, by a hash of
/// them.
///
/// There is a slot for each position: in a page of 4 KiB, the library's size is missed by more than
/// a hundredth with half as many; twice as many take longer to clear than they save.
///
/// Each compression clears the table first. All zeroes is a valid value.
pub(crate) struct Table<const PAGE: usize>([u16; PAGE]);

impl<const PAGE: usize> Table<PAGE> {
    /// The base two logarithm of the number of slots.
    const LOG: u32 = {
        // A hash of so many bits is the number of a slot, and a position has 16 bits.
        assert!(PAGE.is_power_of_two() && PAGE <= 1 << 16);
        PAGE.ilog2()
    };

    /// The last position that is ever in the table.
    pub const LAST_START: usize = last_start(PAGE);

    /// Sets all slots to 0.
    #[cfg(target_arch = "x86_64")]
    pub fn clear(&mut self) {
        // The kernel's memset() stores word after word on most machines. That takes twice as long.
        //
        // SAFETY: The instruction writes zeroes to the `size_of::<Self>()` bytes of the table,
        // which is borrowed. The direction flag is clear whenever Rust code runs.
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

    /// Sets all slots to 0.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Returns the slot for the first `BYTES` bytes of `word`.
    #[inline(always)]
    fn slot<const BYTES: u32>(&mut self, word: u64) -> &mut u16 {
        // 2^40 by the golden ratio. The other bytes of the word are shifted out.
        const RATIO: u64 = 0x9e_3779_b185;
        let hash = u64::from_le(word).wrapping_mul(RATIO << (64 - 8 * BYTES));
        &mut self.0[(hash >> (64 - Self::LOG)) as usize]
    }

    /// Stores `at` as the position of the bytes there.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and `at` is at most [`Self::LAST_START`].
    #[inline(always)]
    pub unsafe fn insert<const BYTES: u32>(&mut self, page: *const u8, at: usize) {
        // SAFETY: `page` is valid for reads of a page, and `at` is at most `LAST_START`, by the
        // safety requirement.
        unsafe { self.replace::<BYTES>(page, at) };
    }

    /// Stores `at` like [`Self::insert`], and returns the former position of bytes with that hash.
    ///
    /// # Safety
    ///
    /// That of [`Self::insert`].
    #[inline(always)]
    pub unsafe fn replace<const BYTES: u32>(&mut self, page: *const u8, at: usize) -> u16 {
        // SAFETY: `page` is valid for reads of a page, and `at` is followed by eight bytes of it,
        // by the safety requirement.
        let slot = self.slot::<BYTES>(unsafe { read(page.add(at)) });
        mem::replace(slot, at as u16)
    }

    /// Stores `at` like [`Self::insert`], and returns the former position of the bytes there.
    ///
    /// Returns `None` if the first four bytes are not the same at both positions.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, `at` is at most [`Self::LAST_START`], and the table has
    /// only positions for which that is true.
    #[inline(always)]
    pub unsafe fn probe<const BYTES: u32>(&mut self, page: *const u8, at: usize) -> Option<usize> {
        // SAFETY: `at` is followed by eight bytes of `page` by the safety requirement.
        let word: u64 = unsafe { read(page.add(at)) };
        let slot = self.slot::<BYTES>(word);
        let from = usize::from(*slot);
        *slot = at as u16;
        // The first bytes are compared as they were hashed: reading them again takes longer.
        //
        // SAFETY: `from`, as all positions in the table, is at most `LAST_START` by the safety
        // requirement.
        let seen: u32 = unsafe { read(page.add(from)) };
        (u64::from_le(word) as u32 == u32::from_le(seen)).then_some(from)
    }

    /// Stores every second position before `end`.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page.
    pub unsafe fn insert_some<const BYTES: u32>(&mut self, page: *const u8, end: usize) {
        for at in (0..end.min(Self::LAST_START)).step_by(2) {
            // SAFETY: `page` is valid for reads of a page by the safety requirement, and `at` is
            // before `LAST_START`.
            unsafe { self.insert::<BYTES>(page, at) };
        }
    }

    /// Returns the first match from `at` to `last` that is found with growing strides.
    ///
    /// `TRIES` positions are tried with each stride. The match is extended back over the bytes
    /// before it, as far as they match too, but not before `anchor`.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page. The table has only positions that are before `at` and
    /// at most [`Self::LAST_START`]. `anchor` is at most `at`.
    #[inline(never)]
    pub unsafe fn find_far<const BYTES: u32, const END: usize, const TRIES: usize>(
        &mut self,
        page: *const u8,
        anchor: usize,
        mut at: usize,
        mut stride: usize,
        last: usize,
    ) -> Option<Far> {
        let last = last.min(Self::LAST_START);
        while at <= last {
            let stop = at.wrapping_add(stride.wrapping_mul(TRIES)).min(last);
            while at <= stop {
                // SAFETY: `page` is valid for reads of a page by the safety requirement, and `at`
                // and the positions in the table are at most `LAST_START`.
                if let Some(from) = unsafe { self.probe::<BYTES>(page, at) } {
                    // SAFETY: `page` is valid for reads of a page by the safety requirement, `at`
                    // is at most `LAST_START` and at least `anchor`, and `from` is before `at`.
                    return Some(unsafe { grown::<PAGE, END>(page, anchor, at, from) });
                }
                at = at.wrapping_add(stride);
            }
            stride = stride.wrapping_add(1);
        }
        None
    }
}

/// A match that [`Table::find_far`] has found.
pub(crate) struct Far {
    /// The position where it starts.
    pub at: u16,
    /// The position of what it repeats.
    pub from: u16,
    /// The position after its last byte.
    pub end: u16,
}

/// Returns the match at `at`, extended back over the bytes before it, but not before `anchor`.
///
/// The end is that of the match as it was found, and hence after all positions in the table.
///
/// # Safety
///
/// `page` is valid for reads of a page, `at` is at most its [`last_start`], and `anchor` is at most
/// `at`. `from` is before `at`.
unsafe fn grown<const PAGE: usize, const END: usize>(
    page: *const u8,
    anchor: usize,
    mut at: usize,
    mut from: usize,
) -> Far {
    // No field is more than that.
    const { assert!(END <= u16::MAX as usize) };
    // SAFETY: `page` is valid for reads of a page, `at` is at most its `last_start`, and `from`
    // is before `at`, by the safety requirement.
    let end = unsafe { match_end::<PAGE, END>(page, at, from) };
    while at > anchor && from > 0 {
        let (before, same) = (at.wrapping_sub(1), from.wrapping_sub(1));
        // SAFETY: `before` and `same` are positions in the page.
        if !unsafe { same_byte(page, before, same) } {
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
