// SPDX-License-Identifier: GPL-2.0-only

//! LZ4 for exactly one page.
//!
//! The format is LZ4's block format: the kernel's library decompresses what [`compress`] makes, and
//! [`decompress`] what the library makes. A block is a row of sequences. Each has a token, whose
//! halves are the number of its literals and the length of its match less [`MIN_MATCH`]; a half of
//! [`LONG`] goes on in bytes to add, up to the first that is not 255. The literals follow the first
//! number; then come two bytes with the distance from the match to what it repeats, and the rest of
//! the second number. The last sequence ends after its literals.
//!
//! Both directions work on pages that others may write to at the same time, so that every look at a
//! byte may show another value. Hence a rule for all of this: a length or a position comes from
//! values that were read once, and is limited after it was made; nothing relies on two reads
//! agreeing.

mod compress;
mod decompress;
mod matches;
mod output;
mod repeat;
mod table;

pub(crate) use compress::compress;
pub(crate) use decompress::{
    decompress,
    Corrupt, //
};

pub(crate) use table::Table;

use core::ptr;

/// The size in bytes of the page that a block decompresses to.
const PAGE: usize = 4096;

/// The length of the shortest match, in bytes.
const MIN_MATCH: usize = 4;

/// The last position in the page where a match may end, as a block ends with five literals or more.
const MATCH_END: usize = PAGE - 5;

/// The value of half a token whose number goes on in further bytes.
const LONG: usize = 15;

/// An integer at any address.
#[repr(C, packed)]
struct Unaligned<T>(T);

/// Reads an integer from any address, exactly once.
///
/// Others may write to it, and the compiler must not read it again after it was checked.
///
/// # Safety
///
/// `T` is an integer, and `from` is valid for reads of a `T`.
#[inline(always)]
unsafe fn read<T>(from: *const u8) -> T {
    // SAFETY: `from` is valid for reads of a `T` by the safety requirement, and the packed type
    // needs no alignment.
    let value = unsafe { ptr::read_volatile(from.cast::<Unaligned<T>>()).0 };
    // The host test has others write to the page between any two reads.
    #[cfg(test)]
    let value = crate::seen(value);
    value
}

/// Writes an integer to any address.
///
/// # Safety
///
/// `to` is valid for writes of a `T`.
#[inline(always)]
unsafe fn write<T>(to: *mut u8, value: T) {
    // SAFETY: `to` is valid for writes of a `T` by the safety requirement.
    unsafe { ptr::write_unaligned(to.cast::<T>(), value) }
}

/// Copies 16 bytes.
///
/// The first half is written before the second is read, so that a match may be copied from eight
/// bytes before its own start.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of 16 bytes.
#[inline(always)]
unsafe fn copy_16(to: *mut u8, from: *const u8) {
    // SAFETY: `from` is valid for reads and `to` for writes of both halves by the safety
    // requirement.
    unsafe {
        write::<u64>(to, read(from));
        write::<u64>(to.add(8), read(from.add(8)));
    }
}

/// Copies `len` bytes, and accesses no others.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes, and they do not overlap.
#[inline]
unsafe fn copy_exactly(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0_usize;
    if let Some(last) = len.checked_sub(8) {
        while done < last {
            // SAFETY: `done` is less than `last`, and eight bytes from `last` on are within `len`.
            unsafe { write::<u64>(to.add(done), read(from.add(done))) };
            done = done.wrapping_add(8);
        }
        // SAFETY: Eight bytes from `last` on are the end of the `len` bytes.
        unsafe { write::<u64>(to.add(last), read(from.add(last))) };
    } else {
        while done < len {
            // SAFETY: `done` is less than `len`.
            unsafe { write::<u8>(to.add(done), read(from.add(done))) };
            done = done.wrapping_add(1);
        }
    }
}

/// Marks the branch that calls it as unlikely.
#[cold]
#[inline(always)]
fn cold() {}
