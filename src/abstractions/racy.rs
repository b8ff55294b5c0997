// SPDX-License-Identifier: GPL-2.0-only

//! Pages that others may write to at any time.
//!
//! Pages of a bio are of this kind: a program may write to a page that is under direct I/O. No
//! `&[u8]` is ever made of them, since the compiler may rely on what is behind a reference not to
//! change. They are read through pointers, by code that does not rely on two reads of a byte to
//! agree.
//!
//! The functions here are safe all the same. Like the kernel's C code, they access such memory with
//! its own copy functions, with assembly, or with volatile accesses: a race can only change which
//! bytes are read or written.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Upstream this would be `rust/kernel/page/racy.rs`, as the safe counterpart of `Page::read_raw()`
//! and `Page::write_raw()`, which require that nobody else writes.

use super::{
    arch,
    ffi,
    page::PageBuf, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::page::PAGE_SIZE;

/// Number of machine words in a page.
const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// A page to read, while others may write to it.
///
/// # Invariants
///
/// `0` is page-aligned, and valid for reads of a page during `'a`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{page::{PageBox, PageBuf}, racy::{RacyPage, RacyPageMut}};
/// let mut page = PageBox::<PageBuf>::new_noio()?;
/// RacyPageMut::from(&mut *page).copy_from(b"hello");
/// if RacyPage::from(&*page).same() == Some(0) {
///     return Err(EINVAL);
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub(crate) struct RacyPage<'a>(NonNull<u8>, PhantomData<&'a ()>);

/// Bytes to read, while others may write to them.
///
/// # Invariants
///
/// `from` is valid for reads of `len` bytes during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct RacyBytes<'a> {
    from: *const u8,
    len: usize,
    _borrow: PhantomData<&'a ()>,
}

/// A page to write to, while others may read it or write to it.
///
/// # Invariants
///
/// `0` is page-aligned, and valid for reads and writes of a page during `'a`.
pub(crate) struct RacyPageMut<'a>(NonNull<u8>, PhantomData<&'a ()>);

impl<'a> From<&'a PageBuf> for RacyPage<'a> {
    fn from(buffer: &'a PageBuf) -> Self {
        // INVARIANT: `PageBuf` is aligned like a page, and borrowed for `'a`.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a mut PageBuf> for RacyPageMut<'a> {
    fn from(buffer: &'a mut PageBuf) -> Self {
        // INVARIANT: `PageBuf` is aligned like a page, and borrowed for `'a`.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a [u8]> for RacyBytes<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        // INVARIANT: `bytes` is borrowed for `'a`.
        Self {
            from: bytes.as_ptr(),
            len: bytes.len(),
            _borrow: PhantomData,
        }
    }
}

impl<'a> From<RacyPage<'a>> for RacyBytes<'a> {
    #[inline]
    fn from(page: RacyPage<'a>) -> Self {
        // INVARIANT: `page` is valid for reads of a page during `'a`, by the invariant of
        // `RacyPage`.
        Self {
            from: page.as_ptr(),
            len: PAGE_SIZE,
            _borrow: PhantomData,
        }
    }
}

impl RacyBytes<'_> {
    /// Returns the address of the first byte, for C functions that only read.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.from
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl<'a> RacyPage<'a> {
    /// Wraps a pointer to a page to read.
    ///
    /// # Safety
    ///
    /// `page` is page-aligned, and valid for reads of a page during `'a`.
    #[inline]
    pub(super) unsafe fn new(page: NonNull<u8>) -> Self {
        // INVARIANT: `page` is page-aligned and valid for reads of a page during `'a`, by the
        // safety requirement of `new`.
        Self(page, PhantomData)
    }

    /// Returns the address of the page, for C libraries that only read.
    pub fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Returns the word that the page is filled with, or `None` if its words are not all equal.
    #[inline]
    pub fn same(&self) -> Option<usize> {
        let words = self.0.as_ptr().cast::<usize>();
        // SAFETY: `self.0` is page-aligned and valid for reads of a page, by the type invariant.
        unsafe {
            let first = words.read_volatile();
            // Most pages differ at one of their ends.
            let last = words.add(WORDS - 1).read_volatile();
            (last == first && arch::is_all(words, first)).then_some(first)
        }
    }

    /// Copies the page to `buffer`.
    pub fn copy_to(&self, buffer: &mut PageBuf) {
        // SAFETY: `self.0` is valid for reads of a page by the type invariant. `buffer` is another
        // page, as it is borrowed mutably.
        unsafe { ffi::copy_page((&raw mut *buffer).cast(), self.0.as_ptr().cast()) };
    }
}

impl<'a> RacyPageMut<'a> {
    /// Wraps a pointer to a page to write to.
    ///
    /// # Safety
    ///
    /// `page` is page-aligned, and valid for reads and writes of a page during `'a`.
    #[inline]
    pub(super) unsafe fn new(page: NonNull<u8>) -> Self {
        // INVARIANT: `page` is page-aligned and valid for reads and writes of a page during `'a`,
        // by the safety requirement of `new`.
        Self(page, PhantomData)
    }

    /// Returns the address of the page, for C libraries.
    pub fn as_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Fills the page with `word`.
    #[inline]
    pub fn fill(&mut self, word: usize) {
        // SAFETY: `self.0` is page-aligned and valid for writes of a page, by the type invariant.
        unsafe { arch::fill(self.0.as_ptr().cast(), word) };
    }

    /// Copies `bytes` to the start of the page; what does not fit is left out.
    #[inline]
    pub fn copy_from(&mut self, bytes: &[u8]) {
        if bytes.len() == PAGE_SIZE {
            // SAFETY: `self.0` is valid for writes of a page by the type invariant, and `bytes` is
            // as long as a page.
            unsafe { ffi::copy_page(self.0.as_ptr().cast(), bytes.as_ptr().cast_mut().cast()) };
        } else {
            let len = bytes.len().min(PAGE_SIZE);
            // SAFETY: `self.0` is valid for writes of a page by the type invariant, and `len` is
            // within both.
            unsafe { copy(self.0.as_ptr(), bytes.as_ptr(), len) };
        }
    }
}

/// Copies `len` bytes that others may write to meanwhile.
///
/// Calls the kernel's `memcpy()`, which may see any mix of old and new bytes. To the compiler,
/// copying memory that changes meanwhile by other means has no defined result.
///
/// # Safety
///
/// `to` is valid for writes and `from` for reads of `len` bytes, and they don't overlap.
#[inline]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: `to` and `from` are valid for `len` bytes and don't overlap, by the safety
    // requirement of `copy`.
    unsafe { ffi::memcpy(to.cast(), from.cast(), len) };
}
