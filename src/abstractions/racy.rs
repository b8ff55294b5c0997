// SPDX-License-Identifier: GPL-2.0-only

//! Memory of a page that others may write to at any time.
//!
//! Never a reference, which the compiler may take for unchanging: what is read here goes through pointers, to code
//! that relies on no two reads agreeing.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

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

/// The machine words of a page.
const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// A page to read from, while others may write to it.
///
/// # Invariants
///
/// `0` is page-aligned, and valid for reads of a page during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct RacyPage<'a>(NonNull<u8>, PhantomData<&'a ()>);

/// RacyBytes to read, while others may write to them.
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
        // INVARIANT: Aligned by its type, and borrowed.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a mut PageBuf> for RacyPageMut<'a> {
    fn from(buffer: &'a mut PageBuf) -> Self {
        // INVARIANT: Aligned by its type, and borrowed.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a [u8]> for RacyBytes<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        // INVARIANT: Borrowed.
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
        // INVARIANT: By that of `RacyPage`.
        Self {
            from: page.as_ptr(),
            len: PAGE_SIZE,
            _borrow: PhantomData,
        }
    }
}

impl RacyBytes<'_> {
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.from
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<'a> RacyPage<'a> {
    /// # Safety
    ///
    /// `page` is page-aligned, and valid for reads of a page during `'a`.
    #[inline]
    pub(super) unsafe fn new(page: NonNull<u8>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(page, PhantomData)
    }

    /// For the C libraries, which only ever look at it.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The word that fills the page, if it is the same all over.
    #[inline]
    pub(crate) fn same(&self) -> Option<usize> {
        let words = self.0.as_ptr().cast::<usize>();
        // SAFETY: By the type invariant.
        unsafe {
            let first = words.read_volatile();
            // Most pages differ at one of their ends.
            let last = words.add(WORDS - 1).read_volatile();
            (last == first && arch::is_all(words, first)).then_some(first)
        }
    }

    /// Copies the page.
    pub(crate) fn copy_to(&self, buffer: &mut PageBuf) {
        // SAFETY: By the type invariant, and `buffer` is a page.
        unsafe { ffi::copy_page((&raw mut *buffer).cast(), self.0.as_ptr().cast()) };
    }
}

impl<'a> RacyPageMut<'a> {
    /// # Safety
    ///
    /// `page` is page-aligned, and valid for reads and writes of a page during `'a`.
    #[inline]
    pub(super) unsafe fn new(page: NonNull<u8>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(page, PhantomData)
    }

    /// For the C libraries.
    pub(crate) fn as_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Fills the page with `word`.
    #[inline]
    pub(super) fn fill(&mut self, word: usize) {
        // SAFETY: By the type invariant.
        unsafe { arch::fill(self.0.as_ptr().cast(), word) };
    }

    /// Fills `bytes` from the start of the page, as far as it goes.
    pub(crate) fn copy_to(&self, bytes: &mut [u8]) {
        let len = bytes.len().min(PAGE_SIZE);
        // SAFETY: By the type invariant, and `len` is within both.
        unsafe { copy(bytes.as_mut_ptr(), self.0.as_ptr(), len) };
    }

    /// Copies `bytes` to the start of the page, as far as they fit.
    #[inline]
    pub(crate) fn copy_from(&mut self, bytes: &[u8]) {
        if bytes.len() == PAGE_SIZE {
            // SAFETY: By the type invariant, and `bytes` is as long as a page.
            unsafe { ffi::copy_page(self.0.as_ptr().cast(), bytes.as_ptr().cast_mut().cast()) };
        } else {
            let len = bytes.len().min(PAGE_SIZE);
            // SAFETY: By the type invariant, and `len` is within both.
            unsafe { copy(self.0.as_ptr(), bytes.as_ptr(), len) };
        }
    }
}

/// Copies `len` bytes, which others may write to meanwhile: by the kernel's `memcpy()`, which may see any mix of
/// old and new bytes, while to the compiler a plain copy of memory that changes has no meaning.
///
/// # Safety
///
/// `to` is valid for writes and `from` for reads of `len` bytes, and they do not overlap.
#[inline]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: By the safety requirements of this function.
    unsafe { ffi::memcpy(to.cast(), from.cast(), len) };
}
