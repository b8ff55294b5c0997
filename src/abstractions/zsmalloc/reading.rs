// SPDX-License-Identifier: GPL-2.0-only

//! Objects of zsmalloc while they are read.

use super::Object;
use crate::zram::abstractions::{
    ffi,
    kmap::KmapLocal, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Deref, //
};
use kernel::page::PAGE_SIZE;

impl Object<'_> {
    /// Maps the object to read it as a whole; one that lies across two pages is put together in
    /// `copy`.
    ///
    /// Holds the read lock of the object until the result is dropped. The caller may sleep
    /// meanwhile, but must not allocate from the pool: this is the last lock in zsmalloc's lock
    /// order.
    pub fn read<'a>(&'a self, copy: &'a mut [u8; PAGE_SIZE]) -> Reading<'a> {
        let copy = (&raw mut *copy).cast();
        // SAFETY: `self.raw` is a live handle of `self.pool` for `self.size` bytes, by the type
        // invariant. `copy` is as large as a page, and an object is no larger.
        let bytes = unsafe {
            ffi::zs_obj_read_begin(self.pool.raw.as_ptr(), self.raw.get(), self.size, copy)
        };
        // INVARIANT: `bytes` was returned by `zs_obj_read_begin` for `self`.
        Reading {
            object: self,
            bytes: bytes.cast(),
            _copy: PhantomData,
        }
    }

    /// Maps the object to read it where it is: in one page or across two.
    ///
    /// Holds the read lock of the object until the result is dropped. The caller may sleep
    /// meanwhile, but must not allocate from the pool: this is the last lock in zsmalloc's lock
    /// order.
    #[inline]
    pub fn read_parts(&self) -> Parts<'_> {
        let mut list = MaybeUninit::<[ffi::scatterlist; 2]>::uninit();
        let first = list.as_mut_ptr().cast::<ffi::scatterlist>();
        // SAFETY: `self.raw` is a live handle of `self.pool` for `self.size` bytes, by the type
        // invariant. `list` has room for two entries, and an object is in two pages at most.
        unsafe {
            ffi::zs_obj_read_sg_begin(self.pool.raw.as_ptr(), self.raw.get(), first, self.size)
        };
        // INVARIANT: The read lock of `self` was taken by `zs_obj_read_sg_begin` above.
        let locked = ReadLock(self);
        // SAFETY: `zs_obj_read_sg_begin` has filled in the first entry, and the second if the
        // object does not end in the first page. The pages stay as long as the lock is held.
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

    /// Maps an object of a whole page, which never lies across two; returns `None` for any other.
    ///
    /// Holds the read lock like [`Object::read`].
    #[inline]
    pub fn read_huge(&self) -> Option<Reading<'_>> {
        if self.size != PAGE_SIZE {
            return None;
        }
        // SAFETY: `self.raw` is a live handle of `self.pool` for `PAGE_SIZE` bytes, by the type
        // invariant and the check above. Such an object lies in one page, so that no copy of it is
        // made.
        let bytes = unsafe {
            let copy = core::ptr::null_mut();
            ffi::zs_obj_read_begin(self.pool.raw.as_ptr(), self.raw.get(), PAGE_SIZE, copy)
        };
        // INVARIANT: `bytes` was returned by `zs_obj_read_begin` for `self`.
        Some(Reading {
            object: self,
            bytes: bytes.cast(),
            _copy: PhantomData,
        })
    }
}

/// The bytes of an object, as a whole.
///
/// # Invariants
///
/// `bytes` was returned by `zs_obj_read_begin` for `object`, and was not given back.
pub(crate) struct Reading<'a> {
    object: &'a Object<'a>,
    bytes: *const u8,
    _copy: PhantomData<&'a mut [u8; PAGE_SIZE]>,
}

impl Deref for Reading<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `self.bytes` points to the `size` bytes of `self.object` by the type invariant.
        // Only the owner of an object writes to it, and it is borrowed.
        unsafe { core::slice::from_raw_parts(self.bytes, self.object.size) }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let Object { pool, raw, size } = self.object;
        let bytes = self.bytes.cast_mut().cast();
        // SAFETY: `self.bytes` was returned by `zs_obj_read_begin` for this object, by the type
        // invariant.
        unsafe { ffi::zs_obj_read_end(pool.raw.as_ptr(), raw.get(), *size, bytes) }
    }
}

/// The bytes of an object, where they are.
pub(crate) struct Parts<'a> {
    tail: Option<Part<'a>>,
    head: Part<'a>,
    // Dropped last.
    _locked: ReadLock<'a>,
}

impl Parts<'_> {
    /// Returns the bytes in the first page, and those in the second, which may be none.
    #[inline]
    pub fn slices(&self) -> (&[u8], &[u8]) {
        let tail = self.tail.as_ref().map_or(&[][..], Part::bytes);
        (self.head.bytes(), tail)
    }
}

/// The part of an object that lies in one page.
///
/// # Invariants
///
/// The `len` bytes at `offset` of `page` belong to the object, which is locked for reading.
struct Part<'a> {
    page: KmapLocal<'a>,
    offset: usize,
    len: usize,
}

impl Part<'_> {
    /// Maps the part that `entry` describes.
    ///
    /// # Safety
    ///
    /// `entry` was filled in by `zs_obj_read_sg_begin`, which is not ended during the life of the
    /// result.
    #[inline]
    unsafe fn new(entry: *const ffi::scatterlist) -> Self {
        // SAFETY: `entry` was filled in, by the safety requirement of `new`.
        let entry = unsafe { &*entry };
        // The lowest bits say whether the entry is the last one.
        let page = entry.page_link & !((ffi::SG_CHAIN | ffi::SG_END) as usize);
        Self {
            // SAFETY: `page` is a page of the object, which stays while that is locked, by the
            // safety requirement of `new`.
            page: unsafe { KmapLocal::new(page as *mut ffi::page) },
            offset: entry.offset as usize,
            len: entry.length as usize,
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: The `len` bytes at `offset` of `self.page` belong to the object by the type
        // invariant. Only the owner of an object writes to it, and it is borrowed.
        unsafe { core::slice::from_raw_parts(self.page.as_ptr().add(self.offset), self.len) }
    }
}

/// The read lock of an object.
///
/// # Invariants
///
/// `zs_obj_read_sg_begin` has taken the read lock of the object in `0`.
struct ReadLock<'a>(&'a Object<'a>);

impl Drop for ReadLock<'_> {
    #[inline]
    fn drop(&mut self) {
        let Object { pool, raw, .. } = self.0;
        // SAFETY: `zs_obj_read_sg_begin` has taken the lock of this object by the type invariant.
        unsafe { ffi::zs_obj_read_sg_end(pool.raw.as_ptr(), raw.get()) }
    }
}
