// SPDX-License-Identifier: GPL-2.0-only

//! zsmalloc, the allocator for compressed pages.
//!
//! C header: [`include/linux/zsmalloc.h`](srctree/include/linux/zsmalloc.h)
//!
//! Upstream this would be `rust/kernel/mm/zsmalloc.rs`. The driver needs two sets of allocation
//! flags, so there is a function for each; upstream they would be arguments, with a `NumaNode` for
//! the memory node.

mod later;
mod reading;

use super::{
    ffi,
    racy::RacyBytes,
    workqueue::{
        Deferred,
        Workqueue, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    num::NonZero,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use later::{
    Later,
    Urgency, //
};

/// A pool of objects of one byte to a page.
///
/// # Invariants
///
/// `raw` is the live pool that `later` owns.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{page::{PageBox, PageBuf}, zsmalloc::Pool};
/// # use crate::zram::abstractions::workqueue::Workqueue;
/// # use kernel::sync::Arc;
/// let queue = Arc::new(Workqueue::new(c"ramdisk")?, GFP_KERNEL)?;
/// let pool = Pool::new(c"ramdisk", &queue)?;
/// let mut object = pool.alloc(5, -1)?;
/// object.write(b"hello"[..].into());
///
/// let mut copy = PageBox::<PageBuf>::new_noio()?;
/// pr_info!("{} bytes\n", object.read(&mut copy.0).len());
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Pool {
    raw: NonNull<ffi::zs_pool>,
    later: Deferred<Later>,
}

// SAFETY: A pool is bound to no thread.
unsafe impl Send for Pool {}
// SAFETY: zsmalloc takes its own locks.
unsafe impl Sync for Pool {}

impl Pool {
    /// Creates an empty pool, which zsmalloc's statistics show as `name`.
    ///
    /// A worker of `queue` frees what [`Object::free_later`] puts aside.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &CStr, queue: &Arc<Workqueue>) -> Result<Self> {
        let later = Deferred::new(queue, Later::new(name)?)?;
        // INVARIANT: `raw` is the pool of `later`.
        Ok(Self {
            raw: later.pool(),
            later,
        })
    }

    /// Frees all objects that wait for that, see [`Object::free_later`], and returns whether there
    /// were any.
    ///
    /// Context: Process context. May sleep; waits for nobody but for other users of the pool.
    pub fn free_waiting(&self) -> bool {
        self.later.free_all()
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
        // SAFETY: `self.raw` is live by the type invariant.
        let raw = unsafe { ffi::zs_malloc(self.raw.as_ptr(), size, flags, nid) };
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
        // SAFETY: `self.raw` is live by the type invariant.
        unsafe { ffi::zs_huge_class_size(self.raw.as_ptr()) }
    }

    /// Returns the number of the class that objects of `size` bytes are in; those of a lower class
    /// take less memory.
    ///
    /// Context: Any context.
    pub fn class(&self, size: usize) -> u32 {
        // SAFETY: `self.raw` is live by the type invariant.
        unsafe { ffi::zs_lookup_class_index(self.raw.as_ptr(), size as c_uint) }
    }

    /// Returns the number of pages that the pool has taken.
    ///
    /// Context: Any context.
    #[inline]
    pub fn total_pages(&self) -> usize {
        // SAFETY: `self.raw` is live by the type invariant.
        unsafe { ffi::zs_get_total_pages(self.raw.as_ptr()) }
    }

    /// Returns the number of pages that compaction has freed since the pool was created.
    ///
    /// Context: Any context.
    pub fn pages_compacted(&self) -> usize {
        let mut stats = ffi::zs_pool_stats {
            pages_compacted: pin_init::zeroed(),
        };
        // SAFETY: `self.raw` is live by the type invariant, and `stats` is valid for writes.
        unsafe { ffi::zs_pool_stats(self.raw.as_ptr(), &mut stats) };
        stats.pages_compacted.counter as usize
    }

    /// Moves objects together, and frees the pages that this empties, and all objects that wait for
    /// that.
    ///
    /// Moves nothing while another task does this already.
    ///
    /// Context: Process context. May sleep.
    pub fn compact(&self) {
        self.later.free_all();
        // SAFETY: `self.raw` is live by the type invariant.
        unsafe { ffi::zs_compact(self.raw.as_ptr()) };
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
        unsafe { ffi::zs_obj_write(self.pool.raw.as_ptr(), self.raw.get(), from, len) }
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

    /// Gives up the object, to be freed by a worker from the next tick of the clock on.
    ///
    /// What waits to be freed is bounded, to some hundred objects or KiB for each CPU: when there
    /// are as many, the object is freed at once. [`Pool::free_waiting`] frees them earlier.
    ///
    /// Context: Any context but interrupts. Takes a spinlock.
    #[inline]
    pub fn free_later(self) {
        let (pool, size) = (self.pool, self.size);
        // SAFETY: `self` owns its live handle of the pool, by the type invariant, and gives it up.
        match unsafe { pool.later.add(self.into_raw(), size) } {
            Urgency::Known => {}
            Urgency::Soon => pool.later.run_soon(),
            Urgency::Now => pool.later.run_now(),
        }
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
        unsafe { ffi::zs_free(self.pool.raw.as_ptr(), self.raw.get()) }
    }
}
