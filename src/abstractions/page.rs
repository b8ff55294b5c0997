// SPDX-License-Identifier: GPL-2.0-only

//! Pages of memory that the driver owns.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)
//!
//! Upstream this would be a part of `rust/kernel/page.rs`, whose `Page` has unknown contents; this
//! is a known type that fills a page. The `kernel` crate has neither `GFP_NOIO` nor
//! `__GFP_RETRY_MAYFAIL`, so that none of its own types can be allocated for I/O.

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

/// The bytes of a page, aligned like a page.
// An alignment is written as a number, and nothing else.
#[repr(C)]
#[cfg_attr(CONFIG_PAGE_SIZE_4KB, repr(align(4096)))]
#[cfg_attr(CONFIG_PAGE_SIZE_16KB, repr(align(16384)))]
#[derive(Zeroable)]
pub(crate) struct PageBuf(pub(crate) [u8; PAGE_SIZE]);

// In pages of 64 KiB, LZO has matches so far apart that they are instructions of another kind.
// These are not written.
const _: () = assert!(
    align_of::<PageBuf>() == PAGE_SIZE,
    "rust_zram needs pages of 4 or 16 KiB"
);

/// A `T` that fills a page of its own; the page is freed when dropped.
///
/// # Invariants
///
/// `0` is a page from the page allocator that holds a `T` and belongs to `self`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::page::{PageBox, PageBuf};
/// let mut page = PageBox::<PageBuf>::new_noio()?;
/// page.0[..5].copy_from_slice(b"hello");
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct PageBox<T>(NonNull<T>, PhantomData<T>);

// SAFETY: `PageBox` owns its `T`, like `KBox`.
unsafe impl<T: Send> Send for PageBox<T> {}
// SAFETY: A `&PageBox<T>` gives out `&T` only.
unsafe impl<T: Sync> Sync for PageBox<T> {}

impl<T: Zeroable> PageBox<T> {
    /// Allocates a zeroed page.
    ///
    /// Fails when there is no memory, rather than have a task killed; see
    /// [`super::memory::Patience`].
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a message in the log.
    pub fn new_noio() -> Result<Self> {
        const { assert!(size_of::<T>() == PAGE_SIZE) };
        // SAFETY: The call has no requirements.
        let address = unsafe { ffi::get_free_pages_noprof(ffi::ZRAM_GFP_TABLE, 0) };
        // INVARIANT: `page` was just allocated, and is all zeroes, which is a valid `T`.
        NonNull::new(address as *mut T)
            .map(|page| Self(page, PhantomData))
            .ok_or(ENOMEM)
    }
}

impl<T> PageBox<T> {
    /// Gives up ownership, to be taken back with [`PageBox::from_raw`].
    pub fn into_raw(self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(self).0
    }

    /// Takes back a page that [`PageBox::into_raw`] gave up.
    ///
    /// # Safety
    ///
    /// `raw` came from [`PageBox::into_raw`] and was not taken back since.
    pub unsafe fn from_raw(raw: NonNull<T>) -> Self {
        // INVARIANT: `raw` is a page that holds a `T`, and has no other owner, by the safety
        // requirement of `from_raw`.
        Self(raw, PhantomData)
    }
}

impl<T> Deref for PageBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `self.0` holds a `T` that `self` owns, by the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PageBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: `self.0` holds a `T` that `self` owns, by the type invariant.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for PageBox<T> {
    fn drop(&mut self) {
        // SAFETY: `self.0` is a page of the page allocator, by the type invariant. It holds a `T`,
        // which is not used after this.
        unsafe {
            self.0.drop_in_place();
            ffi::free_pages(self.0.as_ptr() as usize, 0);
        }
    }
}
