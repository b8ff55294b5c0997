// SPDX-License-Identifier: GPL-2.0-only

//! zsmalloc, the allocator for compressed pages.
//!
//! C header: [`include/linux/zsmalloc.h`](srctree/include/linux/zsmalloc.h)
//!
//! Upstream this would be `rust/kernel/mm/zsmalloc.rs`. The driver needs two sets of allocation
//! flags, so there is a function for each; upstream they would be arguments, with a `NumaNode` for
//! the memory node.

mod reading;

use super::{
    ffi,
    racy::RacyBytes, //
};
use core::{
    mem::ManuallyDrop,
    num::NonZero,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::prelude::*;

/// A pool of objects of one byte to a page.
///
/// # Invariants
///
/// `self.0` is a live pool owned by `self`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{page::{PageBox, PageBuf}, zsmalloc::Pool};
/// let pool = Pool::new(c"ramdisk")?;
/// let mut object = pool.alloc(5, -1)?;
/// object.write(b"hello"[..].into());
///
/// let mut copy = PageBox::<PageBuf>::new_noio()?;
/// pr_info!("{} bytes\n", object.read(&mut copy.0).len());
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Pool(NonNull<ffi::zs_pool>);

// SAFETY: A pool is bound to no thread.
unsafe impl Send for Pool {}
// SAFETY: zsmalloc takes its own locks.
unsafe impl Sync for Pool {}

impl Pool {
    /// Creates an empty pool, which zsmalloc's statistics show as `name`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &CStr) -> Result<Self> {
        // SAFETY: `name` is a valid C string, which the call copies.
        let pool = unsafe { ffi::zs_create_pool(name.as_char_ptr()) };
        // INVARIANT: A pointer that is not null is a new pool, which nobody else owns.
        NonNull::new(pool).map(Self).ok_or(ENOMEM)
    }

    /// Allocates `size` bytes near memory node `nid`, or near the current CPU for -1.
    ///
    /// Fails when there is no memory, rather than have a task killed; see
    /// [`super::memory::Patience`].
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O. The caller holds
    /// no lock that memory reclaim, or another request, may need: no slot and no stream.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a message in the log; `EINVAL` for no bytes; `ENOSPC` for more than
    /// `PAGE_SIZE`.
    pub fn alloc(&self, size: usize, nid: i32) -> Result<Object<'_>> {
        self.alloc_with(size, ffi::ZRAM_GFP_OBJECT, nid)
    }

    /// Allocates `size` bytes near memory node `nid`, or near the current CPU for -1, if there is
    /// memory without reclaiming any.
    ///
    /// Context: Process context. Does not sleep; a slot and a stream may be locked.
    ///
    /// # Errors
    ///
    /// Those of [`Pool::alloc`].
    #[inline]
    pub fn try_alloc(&self, size: usize, nid: i32) -> Result<Object<'_>> {
        self.alloc_with(size, ffi::ZRAM_GFP_OBJECT_NOWAIT, nid)
    }

    #[inline]
    fn alloc_with(&self, size: usize, flags: ffi::gfp_t, nid: i32) -> Result<Object<'_>> {
        // SAFETY: `self.0` is live by the type invariant.
        let raw = unsafe { ffi::zs_malloc(self.0.as_ptr(), size, flags, nid) };
        // zs_malloc() returns errors like ERR_PTR() does; no handle is among the last `MAX_ERRNO`
        // values.
        if raw > usize::MAX - ffi::MAX_ERRNO as usize {
            return Err(Error::from_errno(raw as c_int));
        }
        let raw = NonZero::new(raw).ok_or(ENOMEM)?;
        // INVARIANT: `raw` is a handle of `self`, was just allocated, and has no other owner.
        Ok(Object {
            pool: self,
            raw,
            size,
        })
    }

    /// Returns the size in bytes from which on an object takes a page of its own.
    ///
    /// Context: Any context.
    pub fn huge_class_size(&self) -> usize {
        // SAFETY: `self.0` is live by the type invariant.
        unsafe { ffi::zs_huge_class_size(self.0.as_ptr()) }
    }

    /// Returns the number of the class that objects of `size` bytes are in; those of a lower class
    /// take less memory.
    ///
    /// Context: Any context.
    pub fn class(&self, size: usize) -> u32 {
        // SAFETY: `self.0` is live by the type invariant.
        unsafe { ffi::zs_lookup_class_index(self.0.as_ptr(), size as c_uint) }
    }

    /// Returns the number of pages that the pool has taken.
    ///
    /// Context: Any context.
    #[inline]
    pub fn total_pages(&self) -> usize {
        // SAFETY: `self.0` is live by the type invariant.
        unsafe { ffi::zs_get_total_pages(self.0.as_ptr()) }
    }

    /// Returns the number of pages that compaction has freed since the pool was created.
    ///
    /// Context: Any context.
    pub fn pages_compacted(&self) -> usize {
        let mut stats = ffi::zs_pool_stats {
            pages_compacted: pin_init::zeroed(),
        };
        // SAFETY: `self.0` is live by the type invariant, and `stats` is valid for writes.
        unsafe { ffi::zs_pool_stats(self.0.as_ptr(), &mut stats) };
        stats.pages_compacted.counter as usize
    }

    /// Moves objects together, and frees the pages that this empties.
    ///
    /// Does nothing while another task does this already.
    ///
    /// Context: Process context. May sleep.
    pub fn compact(&self) {
        // SAFETY: `self.0` is live by the type invariant.
        unsafe { ffi::zs_compact(self.0.as_ptr()) };
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: `self.0` is live by the type invariant. Every `Object` borrows the pool, so that
        // no object is left but those given up with `into_raw`, which nobody can take back any
        // more.
        unsafe { ffi::zs_destroy_pool(self.0.as_ptr()) }
    }
}

/// An object in a pool; freed when dropped.
///
/// It may be dropped in any context but an interrupt.
///
/// # Invariants
///
/// `raw` is a live handle of `pool` for an object of at least `size` bytes, owned by `self`.
#[must_use]
pub(crate) struct Object<'p> {
    pool: &'p Pool,
    raw: NonZero<usize>,
    size: usize,
}

impl<'p> Object<'p> {
    /// Returns the number of bytes that the object holds.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Shortens the object to `size` bytes, if it is longer.
    ///
    /// It goes on to take the memory that it was allocated with.
    #[inline]
    pub fn truncate(&mut self, size: usize) {
        self.size = self.size.min(size);
    }

    /// Copies `bytes` to the start of the object; what does not fit is left out.
    #[inline]
    pub fn write(&mut self, bytes: RacyBytes<'_>) {
        let len = bytes.len().min(self.size);
        let from = bytes.as_ptr().cast_mut().cast();
        // SAFETY: `self.raw` is a live handle of `self.pool` by the type invariant. `bytes` and the
        // object have at least `len` bytes.
        unsafe { ffi::zs_obj_write(self.pool.0.as_ptr(), self.raw.get(), from, len) }
    }

    /// Returns whether the object is in `pool`.
    #[inline]
    pub fn is_of(&self, pool: &Pool) -> bool {
        ptr::eq(self.pool, pool)
    }

    /// Gives up ownership, to be taken back with [`Object::from_raw`].
    pub fn into_raw(self) -> NonZero<usize> {
        ManuallyDrop::new(self).raw
    }

    /// Takes back an object given up with [`Object::into_raw`].
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw` of an object of `pool` that holds `size` bytes or more, and was
    /// not taken back since.
    pub unsafe fn from_raw(pool: &'p Pool, raw: NonZero<usize>, size: usize) -> Self {
        // INVARIANT: `raw` is a live handle of `pool` for at least `size` bytes, and has no other
        // owner, by the safety requirement of `from_raw`.
        Self { pool, raw, size }
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: `self.raw` is a live handle of `self.pool` that `self` owns, by the type
        // invariant.
        unsafe { ffi::zs_free(self.pool.0.as_ptr(), self.raw.get()) }
    }
}
