// SPDX-License-Identifier: GPL-2.0-only

//! Pages of our own.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use super::ffi;
use core::{
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

// The table, the formats and the limits of the disk are made for this size.
const _: () = assert!(PAGE_SIZE == 4096, "rust_zram needs 4 KiB pages");

/// A page of our own.
#[repr(C, align(4096))]
#[derive(Zeroable)]
pub(crate) struct PageBuf(pub(crate) [u8; PAGE_SIZE]);

/// A `T` that fills a page of its own; the page is freed when dropped.
///
/// # Invariants
///
/// `0` is a page from the page allocator that holds a `T`.
pub(crate) struct PageBox<T>(NonNull<T>, PhantomData<T>);

// SAFETY: Owns its `T`.
unsafe impl<T: Send> Send for PageBox<T> {}
// SAFETY: Gives out `&T` to those who share it.
unsafe impl<T: Sync> Sync for PageBox<T> {}

impl<T: Zeroable> PageBox<T> {
    /// Allocates a zeroed page. May sleep and reclaim memory, but starts no I/O, and gives up in the end: see
    /// [`super::memory::Patience`].
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(crate) fn new_noio() -> Result<Self> {
        const { assert!(size_of::<T>() == PAGE_SIZE) };
        // SAFETY: The call has no requirements.
        let address = unsafe { ffi::get_free_pages_noprof(ffi::ZRAM_GFP_TABLE, 0) };
        // INVARIANT: A new page, whose zeroes are a `T`.
        NonNull::new(address as *mut T)
            .map(|page| Self(page, PhantomData))
            .ok_or(ENOMEM)
    }
}

impl<T> PageBox<T> {
    /// Gives up ownership, to be taken back with [`PageBox::from_raw`].
    pub(crate) fn into_raw(self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `raw` came from [`PageBox::into_raw`], and was not taken back since.
    pub(crate) unsafe fn from_raw(raw: NonNull<T>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(raw, PhantomData)
    }
}

impl<T> Deref for PageBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PageBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for PageBox<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            self.0.drop_in_place();
            ffi::free_pages(self.0.as_ptr() as usize, 0);
        }
    }
}
