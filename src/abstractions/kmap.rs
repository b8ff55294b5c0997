// SPDX-License-Identifier: GPL-2.0-only

//! Local mappings of pages.
//!
//! C header: [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

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

// Mappings of high memory must go in the reverse order of how they came, which a value with Drop can't see to. Where
// there is none, all pages are mapped for good.
#[cfg(CONFIG_HIGHMEM)]
compile_error!("rust_zram is for kernels without CONFIG_HIGHMEM");

/// A page of somebody else's, mapped to read from.
///
/// # Invariants
///
/// `0` is the address of a mapping made with `kmap_local_page`.
pub(crate) struct KmapLocal<'a>(NonNull<u8>, PhantomData<(&'a (), *mut ())>);

impl KmapLocal<'_> {
    /// # Safety
    ///
    /// `page` is a page that nobody frees during the result's life.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // SAFETY: By the safety requirement. The address of a mapping is not null.
        let address = unsafe { NonNull::new_unchecked(ffi::kmap_local_page(page)) };
        // INVARIANT: KmapLocal above.
        Self(address.cast(), PhantomData)
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The page, to read from.
    #[inline]
    pub(crate) fn source(&self) -> RacyPage<'_> {
        // SAFETY: `self.0` is a mapping of a page, which stays while `self` is borrowed.
        unsafe { RacyPage::new(self.0) }
    }
}

/// A page of somebody else's, mapped for the current task to write to.
///
/// # Invariants
///
/// The page may be written to. `raw` is the page that is mapped.
pub(crate) struct KmapLocalMut<'a> {
    mapped: KmapLocal<'a>,
    raw: *mut ffi::page,
}

impl KmapLocalMut<'_> {
    /// # Safety
    ///
    /// `page` is a page that nobody frees during the result's life, and that may be written to.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            // SAFETY: As above.
            mapped: unsafe { KmapLocal::new(page) },
            raw: page,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.mapped.0.as_ptr()
    }

    /// The page, to write to.
    #[inline]
    pub(crate) fn target(&mut self) -> RacyPageMut<'_> {
        // SAFETY: `self.mapped` is a mapping of a page that may be written to, which stays while `self` is borrowed.
        unsafe { RacyPageMut::new(self.mapped.0) }
    }
}

impl Drop for KmapLocalMut<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The page is mapped. Whoever maps it elsewhere, where caches tell addresses apart, shall see
        // what was written.
        unsafe { ffi::flush_dcache_page(self.raw) };
    }
}
