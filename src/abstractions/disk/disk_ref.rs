// SPDX-License-Identifier: GPL-2.0-only

//! References to a disk.
//!
//! Upstream this would be a part of `rust/kernel/block/gen_disk.rs`.

use super::{
    Operations,
    Private, //
};
use crate::zram::abstractions::{
    bio::Bio,
    ffi,
    sysfs::Owner, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    container_of,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    types::NotThreadSafe, //
};

/// A reference to a disk that exists during `'a`.
///
/// # Invariants
///
/// `raw` is a live gendisk made by [`Disk::new`](super::Disk::new) for `T`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::disk::{DiskRef, Operations};
/// fn set_size<T: Operations>(disk: DiskRef<'_, T>, live: Arc<T::Live>, pages: usize) -> Result {
///     disk.publish(live, pages)
/// }
/// ```
pub(crate) struct DiskRef<'a, T> {
    pub(super) raw: NonNull<ffi::gendisk>,
    pub(super) _disk: PhantomData<&'a T>,
}

impl<T> Clone for DiskRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for DiskRef<'_, T> {}

impl<'a, T: Operations> DiskRef<'a, T> {
    /// Returns the driver data of the gendisk.
    pub(super) fn private(self) -> &'a Private<T> {
        // SAFETY: `self.raw` is a live gendisk made for `T`, by the type invariant. Its
        // `private_data` is set once, to a `Private<T>`, and freed with it.
        unsafe { &*(*self.raw.as_ptr()).private_data.cast() }
    }

    /// Returns the data that the driver gave to [`Disk::new`](super::Disk::new).
    pub(in super::super) fn data(self) -> &'a T {
        &self.private().data
    }

    /// Returns the name, such as `zram0`.
    pub fn name(self) -> &'a CStr {
        // SAFETY: `self.raw` is a live gendisk by the type invariant; its name is set once, before
        // it is added, and ends with a NUL.
        unsafe { CStr::from_char_ptr((*self.raw.as_ptr()).disk_name.as_ptr()) }
    }

    /// Returns a witness that the caller carries out no bio of the disk.
    ///
    /// That is so since `submit` gets no reference to the disk; only files in sysfs and the like
    /// do.
    pub fn outside_io(self) -> OutsideIo<'a> {
        OutsideIo(PhantomData)
    }

    /// Gives the disk its live state and a capacity of `pages`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk has a live state already.
    pub fn publish(self, live: Arc<T::Live>, pages: usize) -> Result {
        self.private()
            .live
            .publish(live, || self.set_capacity(pages))
    }

    /// Sets the capacity to `pages`, and tells user space.
    ///
    /// The live state has as many. Whoever has the disk open may send bios for them from now on.
    ///
    /// Context: Process context. May sleep.
    pub fn set_capacity(self, pages: usize) {
        let sectors = pages as u64 * (PAGE_SIZE / 512) as u64;
        // SAFETY: `self.raw` is a live gendisk by the type invariant.
        unsafe { ffi::set_capacity_and_notify(self.raw.as_ptr(), sectors) };
    }
}

impl<T: Operations> Deref for DiskRef<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data()
    }
}

/// The driver of a disk owns the files below the disk's device.
impl<T: Operations> Owner for T {
    type Ref<'a> = DiskRef<'a, T>;

    unsafe fn from_device<'a>(dev: *mut ffi::device) -> DiskRef<'a, T> {
        // SAFETY: `dev` is the device of a live disk of `T`, by the safety requirement of
        // `from_device`. A disk's device is the `bd_device` of its whole-disk block device.
        let raw = unsafe { (*container_of!(dev, ffi::block_device, bd_device)).bd_disk };
        DiskRef {
            // SAFETY: A block device always has a disk. INVARIANT: The disk is one of `T` and alive
            // during `'a`, by the safety requirement of `from_device`.
            raw: unsafe { NonNull::new_unchecked(raw) },
            _disk: PhantomData,
        }
    }
}

/// Returns the live state of the disk that `bio` was sent to, or `None` if there is none.
#[inline]
pub(in super::super) fn live_of<T: Operations>(bio: &Bio<T>) -> Option<&T::Live> {
    // SAFETY: `bio` was sent to a disk of `T` by the type invariant of `Bio`. Its sender has the
    // disk open until the bio has ended, which keeps the live state.
    unsafe {
        let disk = (*(*bio.as_ptr()).bi_bdev).bd_disk;
        (*(*disk).private_data.cast::<Private<T>>()).live.get()
    }
}

/// Witness that the caller may wait for bios that are being carried out, since it carries out none.
#[derive(Clone, Copy)]
pub(crate) struct OutsideIo<'a>(PhantomData<(&'a (), NotThreadSafe)>);
