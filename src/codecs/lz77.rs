// SPDX-License-Identifier: GPL-2.0-only

//! The parts that [`lz4_page`](super::lz4_page) and [`lzo_page`](super::lzo_page) share.
//!
//! Both formats consist of literals and of matches, which repeat what the page has before. Both
//! directions work on pages that others may write to at the same time, so that every look at a byte
//! may show another value. Hence a rule for all of this: a length or a position comes from values
//! that were read once, and is limited after it was made; nothing relies on two reads agreeing.

pub(super) mod matches;
pub(super) mod number;
pub(super) mod repeat;
pub(crate) mod table;

use core::ptr;

/// The error that the input is not a block that decompresses to exactly a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// The size in bytes of a page of the kernel.
pub(super) const PAGE: usize = kernel::page::PAGE_SIZE;

/// The length in bytes of the shortest match that a compressor makes.
pub(super) const MIN_MATCH: usize = 4;

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
pub(super) unsafe fn read<T>(from: *const u8) -> T {
    // SAFETY: `from` is valid for reads of a `T` by the safety requirement, and the packed type
    // needs no alignment.
    let value = unsafe { ptr::read_volatile(from.cast::<Unaligned<T>>()).0 };
    // The host test has others write to the page between any two reads.
    #[cfg(test)]
    let value = crate::seen(from, value);
    value
}

/// Writes an integer to any address.
///
/// # Safety
///
/// `to` is valid for writes of a `T`.
#[inline(always)]
pub(super) unsafe fn write<T>(to: *mut u8, value: T) {
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
pub(super) unsafe fn copy_16(to: *mut u8, from: *const u8) {
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
pub(super) unsafe fn copy_exactly(to: *mut u8, from: *const u8, len: usize) {
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
pub(super) fn cold() {}

/// The number of bytes of a block's second part that are first put together with the end of the
/// first.
const BRIDGE: usize = 128;

/// Decompresses a block that may be in two parts, `head` and `tail`.
///
/// `fast` goes on from the progress that it is passed, as long as the end of the bytes that it is
/// given is not near, and returns how many of these it has used and its progress. `exact` does the
/// rest of a block. What lies across both parts is put together in `bridge`, which is as long as
/// the block; it may be empty if `tail` is.
///
/// # Errors
///
/// Those of `exact`; [`Corrupt`] if `bridge` is too short.
#[inline(always)]
pub(super) fn in_parts<P: Copy>(
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    start: P,
    fast: impl Fn(&[u8], P) -> (usize, P),
    exact: impl Fn(&[u8], P) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    let (used, progress) = fast(head, start);
    let rest = from(head, used);
    if tail.is_empty() {
        return exact(rest, progress);
    }
    let end = |src: &[u8], start| {
        let (used, progress) = fast(src, start);
        exact(from(src, used), progress)
    };
    // The first part ends halfway: continue with its rest and some of the second part.
    let near = tail.get(..BRIDGE).unwrap_or(tail);
    let (used, crossed) = fast(join(bridge, rest, near).ok_or(Corrupt)?, progress);
    match used.checked_sub(rest.len()) {
        Some(used) => end(from(tail, used), crossed),
        // What lies across is longer than that: put the whole of the second part behind it.
        None => end(join(bridge, rest, tail).ok_or(Corrupt)?, progress),
    }
}

/// Returns the rest of `src` after `used` bytes.
fn from(src: &[u8], used: usize) -> &[u8] {
    src.get(used..).unwrap_or(&[])
}

/// Copies `a` and `b` to the start of `bridge` and returns them, or `None` if it is too short.
pub(super) fn join<'b>(bridge: &'b mut [u8], a: &[u8], b: &[u8]) -> Option<&'b [u8]> {
    let len = a.len().checked_add(b.len())?;
    let room = bridge.get_mut(..len)?;
    let (first, second) = room.split_at_mut_checked(a.len())?;
    first.copy_from_slice(a);
    second.copy_from_slice(b);
    Some(room)
}
