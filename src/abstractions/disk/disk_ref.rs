// SPDX-License-Identifier: GPL-2.0-only

//! References to a disk.

use super::{
    Operations,
    Private, //
};
use crate::zram::abstractions::{
    atomic::Ordering,
    bio::Bio,
    ffi,
    sysfs::Owner, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    container_of,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        barrier::{
            smp_mb,
            Write, //
        },
        Arc, //
    },
    types::NotThreadSafe, //
};

/// A reference to a disk that exists during `'a`.
///
/// # Invariants
///
/// `raw` is a live gendisk made by [`Disk::new`] for `T`.
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
    pub(super) fn private(self) -> &'a Private<T> {
        // SAFETY: By the type invariant; `private_data` is set once and freed with the disk.
        unsafe { &*(*self.raw.as_ptr()).private_data.cast() }
    }

    /// The driver's data.
    pub(in super::super) fn data(self) -> &'a T {
        &self.private().data
    }

    /// The name, such as `zram0`.
    pub(crate) fn name(self) -> &'a CStr {
        // SAFETY: By the type invariant; the name is set once, and terminated.
        unsafe { CStr::from_char_ptr((*self.raw.as_ptr()).disk_name.as_ptr()) }
    }

    /// Proof that the caller carries out no bio of the disk: only files and the like have a handle.
    pub(crate) fn outside_io(self) -> OutsideIo<'a> {
        OutsideIo(PhantomData)
    }

    /// Gives the disk its live state and a capacity of `pages`. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it has one already.
    pub(crate) fn publish(self, live: Arc<T::Live>, pages: usize) -> Result {
        let live = Arc::into_raw(live).cast_mut();
        let slot = &self.private().live;
        let none = ptr::null_mut();
        if slot
            .compare_exchange(none, live, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            // SAFETY: Given up above, and not published.
            drop(unsafe { Arc::from_raw(live) });
            return Err(EBUSY);
        }
        // The capacity is stored and read without a barrier. With this one, who sees it sees the state,
        // if not at once, then in `Private::live_again`.
        smp_mb(Write);
        self.set_capacity(pages);
        Ok(())
    }

    pub(super) fn set_capacity(self, pages: usize) {
        let sectors = pages as u64 * (PAGE_SIZE / 512) as u64;
        // SAFETY: By the type invariant.
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
        // SAFETY: A disk's device is the `bd_device` of its whole-disk block device.
        let raw = unsafe { (*container_of!(dev, ffi::block_device, bd_device)).bd_disk };
        DiskRef {
            // SAFETY: As above. INVARIANT: By the safety requirement.
            raw: unsafe { NonNull::new_unchecked(raw) },
            _disk: PhantomData,
        }
    }
}

/// The live state of the disk that `bio` was sent to.
#[inline]
pub(in super::super) fn live_of<T: Operations>(bio: &Bio<T>) -> Option<&T::Live> {
    // SAFETY: By the invariants of `Bio` the disk is one of `T`; its sender has the disk open until the bio has
    // ended (see the top).
    unsafe {
        let disk = (*(*bio.as_ptr()).bi_bdev).bd_disk;
        (*(*disk).private_data.cast::<Private<T>>()).live()
    }
}

/// Proof that the caller may wait for bios that are being carried out, since it carries out none.
#[derive(Clone, Copy)]
pub(crate) struct OutsideIo<'a>(PhantomData<(&'a (), NotThreadSafe)>);
