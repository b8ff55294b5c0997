// SPDX-License-Identifier: GPL-2.0-only

//! Reads from a backing device for a bio that is a read itself, and does not end before.
//!
//! The block is read to the memory of the bio; or to a page of the driver's own, from which the
//! driver makes what the bio is to read.
//!
//! Upstream this would be `rust/kernel/block/bdev/chained_read.rs`.

use super::{
    sector,
    BackingDevice,
    PAGE_LEN, //
};
use crate::zram::abstractions::{
    bio::{
        BioPage,
        Destination,
        Reading, //
    },
    compat::TaskBio,
    disk::{
        live_of,
        Operations, //
    },
    ffi,
    memory::NoIo,
    page::{
        PageBox,
        PageBuf, //
    },
    racy::RacyPageMut, //
};
use core::{
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// A driver's part of a read from a backing device: called when the device has answered.
pub(crate) trait ReadEnd<T: Operations>: Send {
    /// The memory that the block is read to.
    type Buffer: Buffer;

    /// Makes `page` the one that the bio is to read.
    ///
    /// `block` is the block as the backing device had it; or `page` is, if `block` is `()`. `live`
    /// is the state of the disk that the bio was sent to.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Any error fails the bio, with `EIO` for user space.
    fn end(self, live: &T::Live, block: Self::Buffer, page: RacyPageMut<'_>) -> Result;
}

/// Memory that a block can be read to.
pub(crate) trait Buffer: Sized + Send {
    /// Allocates it.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a message in the log.
    fn new() -> Result<Self>;

    /// Adds it to `bio`, which is to read it for `destination`.
    ///
    /// # Safety
    ///
    /// `bio` is initialised, has room for one vector, and ends before `self` or `destination` is
    /// dropped or borrowed again.
    unsafe fn add_to<T: Operations>(
        &mut self,
        destination: &mut Destination<T>,
        bio: *mut ffi::bio,
    );
}

/// The memory of the bio that the block is read for.
impl Buffer for () {
    fn new() -> Result<Self> {
        Ok(())
    }

    unsafe fn add_to<T: Operations>(
        &mut self,
        destination: &mut Destination<T>,
        bio: *mut ffi::bio,
    ) {
        // SAFETY: `bio` is initialised, has room for one vector, and ends before `destination` is
        // used again, by the safety requirement.
        unsafe { destination.add_to(bio) };
    }
}

/// A page of the driver's own.
impl Buffer for UniqueArc<PageBox<PageBuf>> {
    fn new() -> Result<Self> {
        let page = PageBox::new_noio()?;
        let _no_io = NoIo::new();
        Ok(Self::new(page, GFP_KERNEL | __GFP_NOWARN)?)
    }

    unsafe fn add_to<T: Operations>(&mut self, _: &mut Destination<T>, bio: *mut ffi::bio) {
        // SAFETY: The page belongs to `self`, and there is room for a vector, by the safety
        // requirement.
        unsafe { ffi::bio_add_virt_nofail(bio, (&raw mut ***self).cast(), PAGE_LEN) };
    }
}

impl BackingDevice {
    /// Starts to read block `index` with `request`, and returns without waiting for the device.
    ///
    /// When the block was read, [`ReadEnd::end`] of `end` is called; if reading it failed, `end` is
    /// dropped and the bio fails. The bio that the request was made for does not end before that,
    /// and the device stays open.
    ///
    /// Context: Process context. May sleep.
    pub fn read<T: Operations, E: ReadEnd<T>>(
        self: &Arc<Self>,
        index: usize,
        request: ReadRequest<T, E>,
        end: E,
    ) {
        let ReadRequest {
            place,
            buffer,
            destination,
        } = request;
        let read = place.write(ChainedRead {
            bio: TaskBio::uninit(),
            vec: pin_init::zeroed(),
            device: self.clone(),
            buffer,
            end,
            destination,
        });
        let (raw, flags) = (read.bio.get(), read.destination.bio().flags());
        let read = KBox::into_raw(read);
        // SAFETY: `raw` and `vec` are in `read`, which stays in its own allocation until `end`
        // takes it back. `self.bdev` is open by the type invariant, and stays open until `read`
        // lets go of the device, after the bio has ended. The bio has room for one vector; `buffer`
        // and `destination` are not touched before it has ended. Until then there is a disk, so
        // there is a `ModuleExit`, too.
        unsafe {
            ffi::bio_init(raw, self.bdev, &raw mut (*read).vec, 1, flags);
            (*raw).bi_iter.bi_sector = sector(index);
            TaskBio::set_end(&raw mut (*read).bio, ChainedRead::<T, E>::end);
            (*read).buffer.add_to(&mut (*read).destination, raw);
            ffi::submit_bio(raw);
        }
    }
}

/// Allocates memory for a `T`, with the flags that I/O uses; see [`super::super::memory`].
///
/// Context: Process context. May sleep and reclaim memory, but starts no I/O.
///
/// # Errors
///
/// `ENOMEM`, without a message in the log.
pub(super) fn allocate_noio<T>() -> Result<KBox<MaybeUninit<T>>> {
    // SAFETY: A null pointer makes the call allocate, which has no requirements.
    let raw = unsafe {
        ffi::krealloc_node_align_noprof(
            ptr::null(),
            size_of::<T>(),
            align_of::<T>(),
            ffi::ZRAM_GFP_TABLE,
            ffi::NUMA_NO_NODE,
        )
    };
    let raw = NonNull::new(raw).ok_or(ENOMEM)?;
    // SAFETY: `raw` was allocated with kmalloc, as `KBox` does it, with the size and the alignment
    // of a `T`.
    Ok(unsafe { KBox::from_raw(raw.as_ptr().cast()) })
}

/// The memory that a read from a backing device needs.
///
/// It is allocated before the caller locks a slot and learns whether there is anything to read.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{bio::{BioPage, Reading}, disk::Operations, racy::RacyPageMut};
/// # use crate::zram::abstractions::backing_device::{BackingDevice, ReadEnd, ReadRequest};
/// # use kernel::sync::Arc;
/// struct AsItIs;
///
/// impl<T: Operations> ReadEnd<T> for AsItIs {
///     type Buffer = ();
///
///     fn end(self, _live: &T::Live, _block: (), _page: RacyPageMut<'_>) -> Result {
///         Ok(())
///     }
/// }
///
/// fn read<T: Operations>(device: &Arc<BackingDevice>, page: &BioPage<'_, T, Reading>) -> Result {
///     device.read(0, ReadRequest::new(page)?, AsItIs);
///     Ok(())
/// }
/// ```
pub(crate) struct ReadRequest<T: Operations, E: ReadEnd<T>> {
    place: KBox<MaybeUninit<ChainedRead<T, E>>>,
    buffer: E::Buffer,
    destination: Destination<T>,
}

impl<T: Operations, E: ReadEnd<T>> ReadRequest<T, E> {
    /// Allocates a request to read for `page`, whose bio does not end before the request is dropped
    /// or the read is done.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(page: &BioPage<'_, T, Reading>) -> Result<Self> {
        Ok(Self {
            buffer: E::Buffer::new()?,
            place: allocate_noio()?,
            destination: page.keep()?,
        })
    }
}

/// A read that is under way.
struct ChainedRead<T: Operations, E: ReadEnd<T>> {
    bio: TaskBio,
    vec: ffi::bio_vec,
    // Keeps the device open for the bio. Two atomic operations for each read, which are little
    // beside a request to a device.
    device: Arc<BackingDevice>,
    buffer: E::Buffer,
    end: E,
    destination: Destination<T>,
}

impl<T: Operations, E: ReadEnd<T>> ChainedRead<T, E> {
    /// Finishes the read, and drops the share in the parent bio.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Safety
    ///
    /// `raw` is that of the `bio` of a `Self` that `KBox::into_raw` returned, and has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: `raw` is in a `Self` from `KBox::into_raw`, and has ended, by the safety
        // requirement of `end`: so nobody else uses either.
        let (read, status) = unsafe {
            let read = KBox::from_raw(container_of!(TaskBio::from_raw(raw), Self, bio));
            ffi::bio_uninit(raw);
            (read, (*raw).bi_status)
        };
        // SAFETY: The call has no requirements.
        let read_status = to_result(unsafe { ffi::blk_status_to_errno(status) });
        let Self {
            mut destination,
            buffer,
            end,
            device,
            ..
        } = KBox::into_inner(read);
        // The bio has ended, and needs the device no more.
        drop(device);
        let result = read_status.and_then(|()| {
            destination.finish(|bio, page| end.end(live_of(bio).ok_or(EIO)?, buffer, page))
        });
        if result.is_err() {
            destination.fail(status);
        }
        // `destination` goes last, and with it the share in the parent bio: after that, the opener
        // that keeps the disk may be gone, too.
    }
}
