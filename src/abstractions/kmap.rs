// SPDX-License-Identifier: GPL-2.0-only

//! Pages mapped for the current task.
//!
//! C header: [`include/linux/highmem.h`](srctree/include/linux/highmem.h)
//!
//! Upstream this would be `rust/kernel/highmem.rs`. Where there is high memory, it would have to
//! map pages for the length of a call, as `Page::read_raw()` does.

use super::{
    ffi,
    racy::{
        RacyPage,
        RacyPageMut, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

// Mappings of high memory must be undone in reverse order, which a type with `Drop` can't make sure
// of. Without high memory, `kmap_local_page()` returns the address that a page always has.
#[cfg(CONFIG_HIGHMEM)]
compile_error!("rust_zram is for kernels without CONFIG_HIGHMEM");

/// A page that belongs to somebody else, mapped to read from.
///
/// # Invariants
///
/// `0` is the address of a page, from `kmap_local_page`. The page is not freed during `'a`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::bio::{BioPage, Reading, Writing};
/// # use crate::zram::abstractions::page::PageBuf;
/// fn copy<T>(from: &BioPage<'_, T, Writing>, to: &BioPage<'_, T, Reading>, via: &mut PageBuf) {
///     if let (BioPage::Whole(from), BioPage::Whole(to)) = (from, to) {
///         from.map().page().copy_to(via);
///         to.map().page_mut().copy_from(&via.0);
///     }
/// }
/// ```
pub(crate) struct KmapLocal<'a>(NonNull<u8>, PhantomData<(&'a (), *mut ())>);

impl KmapLocal<'_> {
    /// Maps `page`.
    ///
    /// # Safety
    ///
    /// `page` is a page that is not freed during the life of the result.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // SAFETY: `page` is allocated by the safety requirement of `new`, and no page is mapped at
        // null.
        let address = unsafe { NonNull::new_unchecked(ffi::kmap_local_page(page)) };
        // INVARIANT: `address` was returned by `kmap_local_page`; the page stays by the safety
        // requirement.
        Self(address.cast(), PhantomData)
    }

    /// Returns the address of the page.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Returns the page, to read from.
    #[inline]
    pub fn page(&self) -> RacyPage<'_> {
        // SAFETY: `self.0` is the address of a page, which stays while `self` is borrowed, by the
        // type invariant.
        unsafe { RacyPage::new(self.0) }
    }
}

/// A page that belongs to somebody else, mapped to write to.
///
/// # Invariants
///
/// `raw` is the page that `mapped` maps, and may be written to.
pub(crate) struct KmapLocalMut<'a> {
    mapped: KmapLocal<'a>,
    raw: *mut ffi::page,
}

impl KmapLocalMut<'_> {
    /// Maps `page`.
    ///
    /// # Safety
    ///
    /// `page` is a page that is not freed during the life of the result, and that may be written
    /// to.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // INVARIANT: `page` is mapped below, and may be written to by the safety requirement of
        // `new`.
        Self {
            // SAFETY: `page` is not freed during the life of the result, by the safety requirement
            // of `new`.
            mapped: unsafe { KmapLocal::new(page) },
            raw: page,
        }
    }

    /// Returns the address of the page.
    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.mapped.0.as_ptr()
    }

    /// Returns the page, to write to.
    #[inline]
    pub fn page_mut(&mut self) -> RacyPageMut<'_> {
        // SAFETY: `self.mapped` is the address of a page that stays while `self` is borrowed and
        // may be written to, by the type invariants.
        unsafe { RacyPageMut::new(self.mapped.0) }
    }
}

impl Drop for KmapLocalMut<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `self.raw` is a page that is mapped, by the type invariant. The flush makes what
        // was written visible in other mappings of the page, on architectures whose caches tell
        // those apart.
        unsafe { ffi::flush_dcache_page(self.raw) };
    }
}
