// SPDX-License-Identifier: GPL-2.0-only

//! The allocator for compressed objects.
//!
//! C header: [`include/linux/zsmalloc.h`](srctree/include/linux/zsmalloc.h)

use super::{
    ffi,
    kmap::KmapLocal,
    racy::RacyBytes, //
};
use core::{
    marker::PhantomData,
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    num::NonZero,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// A pool of objects of one to [`PAGE_SIZE`] bytes.
///
/// # Invariants
///
/// `self.0` is a live pool owned by `self`.
pub(crate) struct Pool(NonNull<ffi::zs_pool>);

// SAFETY: zsmalloc does its own locking; a pool is bound to no thread.
unsafe impl Send for Pool {}
// SAFETY: As above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Creates an empty pool. May sleep.
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        // SAFETY: `name` is a valid C string, and is copied by the callee.
        let pool = unsafe { ffi::zs_create_pool(name.as_char_ptr()) };
        // INVARIANT: A non-null result is a new pool, which no one else owns.
        NonNull::new(pool).map(Self).ok_or(ENOMEM)
    }

    /// Allocates `size` bytes near memory node `nid`. May sleep and reclaim memory, but starts no I/O, and gives
    /// up in the end: see [`super::memory::Patience`]. To be called with nothing locked that others may wait for.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` and `ENOSPC` for a size that no pool has.
    pub(crate) fn alloc(&self, size: usize, nid: i32) -> Result<Object<'_>> {
        self.alloc_with(size, ffi::ZRAM_GFP_OBJECT, nid)
    }

    /// Allocates `size` bytes near memory node `nid`, if there is memory without reclaiming any: a slot and a
    /// stream may be locked.
    ///
    /// # Errors
    ///
    /// As of [`Pool::alloc`].
    #[inline]
    pub(crate) fn try_alloc(&self, size: usize, nid: i32) -> Result<Object<'_>> {
        self.alloc_with(size, ffi::ZRAM_GFP_OBJECT_NOWAIT, nid)
    }

    #[inline]
    fn alloc_with(&self, size: usize, flags: ffi::gfp_t, nid: i32) -> Result<Object<'_>> {
        // SAFETY: `self.0` is live by the type invariant.
        let raw = unsafe { ffi::zs_malloc(self.0.as_ptr(), size, flags, nid) };
        // Errors come back as `ERR_PTR` values, the only ones that are so near the end.
        if raw > usize::MAX - ffi::MAX_ERRNO as usize {
            return Err(Error::from_errno(raw as c_int));
        }
        let raw = NonZero::new(raw).ok_or(ENOMEM)?;
        // INVARIANT: `raw` was just allocated from `self`, and has one owner.
        Ok(Object {
            pool: self,
            raw,
            size,
        })
    }

    /// The size from which on an object takes a page of its own.
    pub(crate) fn huge_class_size(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_huge_class_size(self.0.as_ptr()) }
    }

    /// The class that objects of `size` bytes are in; objects of a lower one take less memory.
    pub(crate) fn class(&self, size: usize) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_lookup_class_index(self.0.as_ptr(), size as c_uint) }
    }

    /// How many pages the pool has taken. Any context.
    pub(crate) fn total_pages(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_get_total_pages(self.0.as_ptr()) }
    }

    /// How many pages compaction has freed since the pool was made. Any context.
    pub(crate) fn pages_compacted(&self) -> usize {
        let mut stats = ffi::zs_pool_stats {
            pages_compacted: pin_init::zeroed(),
        };
        // SAFETY: By the type invariant, and `stats` is there to be written to.
        unsafe { ffi::zs_pool_stats(self.0.as_ptr(), &mut stats) };
        stats.pages_compacted.counter as usize
    }

    /// Moves objects together and frees the pages that this empties. May sleep.
    pub(crate) fn compact(&self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_compact(self.0.as_ptr()) };
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pool is live, and every `Object` borrows it.
        unsafe { ffi::zs_destroy_pool(self.0.as_ptr()) }
    }
}

/// An object; freed when dropped, in any context.
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
    /// How many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Lets it hold no more than `size` bytes. It goes on to take the memory that it was allocated with.
    pub(crate) fn truncate(&mut self, size: usize) {
        self.size = self.size.min(size);
    }

    /// Copies `bytes` to the object's start, as far as they fit.
    #[inline]
    pub(crate) fn write(&mut self, bytes: RacyBytes<'_>) {
        let len = bytes.len().min(self.size);
        let from = bytes.as_ptr().cast_mut().cast();
        // SAFETY: The handle is live by the type invariant; `bytes` and the object are as long as `len`.
        unsafe { ffi::zs_obj_write(self.pool.0.as_ptr(), self.raw.get(), from, len) }
    }

    /// Maps the object to read it. What lies across two pages is put together in `copy`.
    ///
    /// Takes the object's read lock until the result is dropped: may sleep in between, but must
    /// not allocate from the pool.
    pub(crate) fn read<'a>(&'a self, copy: &'a mut [u8; PAGE_SIZE]) -> Reading<'a> {
        let copy = (&raw mut *copy).cast();
        // SAFETY: By the type invariant; an object is no larger than a page, and so than `copy`.
        let bytes = unsafe {
            ffi::zs_obj_read_begin(self.pool.0.as_ptr(), self.raw.get(), self.size, copy)
        };
        // INVARIANT: Begun above.
        Reading {
            object: self,
            bytes: bytes.cast(),
            _copy: PhantomData,
        }
    }

    /// Maps the object to read it where it is: in one page or across two.
    ///
    /// Takes the object's read lock until the result is dropped: may sleep in between, but must
    /// not allocate from the pool.
    #[inline]
    pub(crate) fn read_parts(&self) -> Parts<'_> {
        let mut list = MaybeUninit::<[ffi::scatterlist; 2]>::uninit();
        let first = list.as_mut_ptr().cast::<ffi::scatterlist>();
        // SAFETY: By the type invariant; an object is in two pages at most.
        unsafe {
            ffi::zs_obj_read_sg_begin(self.pool.0.as_ptr(), self.raw.get(), first, self.size)
        };
        // INVARIANT: Begun above.
        let locked = ReadLock(self);
        // SAFETY: The first entry was filled in just now, and the second, if it does not end there. The
        // pages stay as long as the lock is held.
        unsafe {
            let head = Part::new(first);
            let across = head.len < self.size;
            Parts {
                tail: across.then(|| Part::new(first.add(1))),
                head,
                _locked: locked,
            }
        }
    }

    /// Maps an object of a whole page, which is never across two; nothing for any other.
    pub(crate) fn read_huge(&self) -> Option<Reading<'_>> {
        if self.size != PAGE_SIZE {
            return None;
        }
        // SAFETY: By the type invariant; no copy is made of an object in one page.
        let bytes = unsafe {
            let copy = core::ptr::null_mut();
            ffi::zs_obj_read_begin(self.pool.0.as_ptr(), self.raw.get(), PAGE_SIZE, copy)
        };
        // INVARIANT: Begun above.
        Some(Reading {
            object: self,
            bytes: bytes.cast(),
            _copy: PhantomData,
        })
    }

    /// Whether `pool` is where this object lives.
    #[inline]
    pub(crate) fn is_of(&self, pool: &Pool) -> bool {
        ptr::eq(self.pool, pool)
    }

    /// Gives up ownership, to be taken back with [`Object::from_raw`].
    pub(crate) fn into_raw(self) -> NonZero<usize> {
        ManuallyDrop::new(self).raw
    }

    /// Takes back an object given up with [`Object::into_raw`].
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw` of an object of `pool` of that `size` or more, and was not taken back.
    pub(crate) unsafe fn from_raw(pool: &'p Pool, raw: NonZero<usize>, size: usize) -> Self {
        // INVARIANT: By the safety requirement.
        Self { pool, raw, size }
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_free(self.pool.0.as_ptr(), self.raw.get()) }
    }
}

/// The bytes of an object.
///
/// # Invariants
///
/// `bytes` came from `zs_obj_read_begin` for `object`.
pub(crate) struct Reading<'a> {
    object: &'a Object<'a>,
    bytes: *const u8,
    _copy: PhantomData<&'a mut [u8; PAGE_SIZE]>,
}

impl Deref for Reading<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: By the type invariant; only an object's owner writes to it.
        unsafe { core::slice::from_raw_parts(self.bytes, self.object.size) }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let Object { pool, raw, size } = self.object;
        let bytes = self.bytes.cast_mut().cast();
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_obj_read_end(pool.0.as_ptr(), raw.get(), *size, bytes) }
    }
}

/// The bytes of an object, where they are.
pub(crate) struct Parts<'a> {
    // What was mapped last is dropped first, and then unlocked.
    tail: Option<Part<'a>>,
    head: Part<'a>,
    _locked: ReadLock<'a>,
}

impl Parts<'_> {
    /// The bytes in the first page, and those in the second, if there are any.
    #[inline]
    pub(crate) fn slices(&self) -> (&[u8], &[u8]) {
        let tail = self.tail.as_ref().map_or(&[][..], Part::bytes);
        (self.head.bytes(), tail)
    }
}

/// What an object has in one page.
///
/// # Invariants
///
/// The `len` bytes at `offset` of the page are the object's.
struct Part<'a> {
    page: KmapLocal<'a>,
    offset: usize,
    len: usize,
}

impl Part<'_> {
    /// # Safety
    ///
    /// `entry` is what `zs_obj_read_sg_begin` made, and not ended while this lives.
    #[inline]
    unsafe fn new(entry: *const ffi::scatterlist) -> Self {
        // SAFETY: By the safety requirement.
        let entry = unsafe { &*entry };
        // The lowest bits say whether it is the last one.
        let page = entry.page_link & !((ffi::SG_CHAIN | ffi::SG_END) as usize);
        Self {
            // SAFETY: As above.
            page: unsafe { KmapLocal::new(page as *mut ffi::page) },
            offset: entry.offset as usize,
            len: entry.length as usize,
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: By the type invariant; only an object's owner writes to it.
        unsafe { core::slice::from_raw_parts(self.page.as_ptr().add(self.offset), self.len) }
    }
}

/// The read lock of an object.
///
/// # Invariants
///
/// Taken by `zs_obj_read_sg_begin`.
struct ReadLock<'a>(&'a Object<'a>);

impl Drop for ReadLock<'_> {
    #[inline]
    fn drop(&mut self) {
        let Object { pool, raw, .. } = self.0;
        // SAFETY: By the type invariant.
        unsafe { ffi::zs_obj_read_sg_end(pool.0.as_ptr(), raw.get()) }
    }
}
