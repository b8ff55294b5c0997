// SPDX-License-Identifier: GPL-2.0

//! LZ4 for exactly one page.
//!
//! The format is LZ4's block format: the kernel's library decompresses what [`compress`] makes, and
//! [`decompress`] what the library makes. A block is a row of sequences. Each has a token, whose
//! halves are the length of its literals and that of its match less [`MIN_MATCH`]; a half of 15
//! goes on in bytes to add, up to and including the first that is not 255. Then come the literals,
//! and two bytes with the distance from the match to what it repeats. The last sequence ends after
//! its literals.
//!
//! Both directions work on pages that others may write to at the same time, so that every byte may
//! differ each time it is read. Hence a rule for all of this: a length or a position comes from a
//! value in a register, and is limited after it was made; nothing relies on two reads agreeing.

#[path = "lz4_page/compress.rs"]
mod compress;
#[path = "lz4_page/decompress.rs"]
mod decompress;

pub(crate) use compress::{
    compress,
    Table, //
};
pub(crate) use decompress::{
    decompress,
    Corrupt, //
};

use core::ptr;

/// What a block decompresses to.
const PAGE: usize = 4096;

/// Matches are at least this long.
const MIN_MATCH: usize = 4;

/// Matches end here at the latest: a block ends with five literals.
const MATCH_END: usize = PAGE - 5;

/// A half of a token that goes on in further bytes.
const LONG: usize = 15;

/// An integer at any address.
#[repr(C, packed)]
struct Unaligned<T>(T);

/// Reads an integer, in memory order, exactly once.
///
/// Others may write to it meanwhile. Volatile, as the value must stay what it was when it was
/// first looked at.
///
/// # Safety
///
/// `from` is valid for reads of a `T`, which is an integer.
#[inline(always)]
unsafe fn read<T>(from: *const u8) -> T {
    // SAFETY: By the caller; being packed, the type wants no alignment.
    unsafe { ptr::read_volatile(from.cast::<Unaligned<T>>()).0 }
}

/// Writes an integer in memory order.
///
/// # Safety
///
/// `to` is valid for writes of a `T`.
#[inline(always)]
unsafe fn write<T>(to: *mut u8, value: T) {
    // SAFETY: By the caller.
    unsafe { ptr::write_unaligned(to.cast::<T>(), value) }
}

/// Copies 16 bytes, the first eight before the others are read: a match may overlap what it
/// repeats if it is at least eight bytes away.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of 16 bytes.
#[inline(always)]
unsafe fn copy_16(to: *mut u8, from: *const u8) {
    // SAFETY: By the caller, for both halves.
    unsafe {
        write::<u64>(to, read(from));
        write::<u64>(to.add(8), read(from.add(8)));
    }
}

/// Copies `len` bytes and touches no others. They must not overlap.
///
/// # Safety
///
/// `from` is valid for reads and `to` for writes of `len` bytes.
#[inline]
unsafe fn copy_exactly(to: *mut u8, from: *const u8, len: usize) {
    let mut done = 0_usize;
    if let Some(last) = len.checked_sub(8) {
        while done < last {
            // SAFETY: `done + 8 < last + 8`, which is `len`.
            unsafe { write::<u64>(to.add(done), read(from.add(done))) };
            done = done.wrapping_add(8);
        }
        // SAFETY: `last + 8` is `len`.
        unsafe { write::<u64>(to.add(last), read(from.add(last))) };
    } else {
        while done < len {
            // SAFETY: `done` is below `len`.
            unsafe { write::<u8>(to.add(done), read(from.add(done))) };
            done = done.wrapping_add(1);
        }
    }
}

/// Marks the branch that it is called in as the unlikely one.
#[cold]
#[inline(always)]
fn cold() {}
