// SPDX-License-Identifier: GPL-2.0-only

//! Reads from a backing device to a page of the driver's own, from which the driver makes a page
//! that a bio is to read.
//!
//! Upstream this would be `rust/kernel/block/bdev/block_read.rs`.

use super::{
    chained_read::allocate_noio,
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
use core::mem::MaybeUninit;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// A driver's part of a read of a block: called when the device has answered.
pub(crate) trait BlockEnd<T: Operations>: Send {
    /// Makes `page`, which the bio is to read, of `block`, as the device had it.
    ///
    /// `live` is the state of the disk that the bio was sent to.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Any error fails the bio, with `EIO` for user space.
    fn end(self, live: &T::Live, block: Arc<PageBox<PageBuf>>, page: RacyPageMut<'_>) -> Result;
}

impl BackingDevice {
    /// Starts to read block `index` to the page in `request`, and returns without waiting for the
    /// device.
    ///
    /// When the block was read, [`BlockEnd::end`] of `end` is called; if reading it failed, `end`
    /// is dropped and the bio fails. The bio that the request was made for does not end before
    /// that, and the device stays open.
    ///
    /// Context: Process context. May sleep.
    pub fn read_block<T: Operations, E: BlockEnd<T>>(
        self: &Arc<Self>,
        index: usize,
        request: BlockRequest<T, E>,
        end: E,
    ) {
        let BlockRequest {
            place,
            mut block,
            destination,
        } = request;
        let to = (&raw mut **block).cast();
        let read = place.write(BlockRead {
            bio: TaskBio::uninit(),
            vec: pin_init::zeroed(),
            device: self.clone(),
            block,
            end,
            destination,
        });
        let raw = read.bio.get();
        let flags = read.destination.bio().flags();
        let read = KBox::into_raw(read);
        // SAFETY: `raw` and `vec` are in `read`, which stays in its own allocation until `end`
        // takes it back, and so does the page that it owns. `self.bdev` is open by the type
        // invariant, and stays open until `read` lets go of the device, after the bio has ended.
        // The bio has room for one vector. `destination` is dropped after it has ended; until then
        // there is a disk, so that there is a `ModuleExit`, too.
        unsafe {
            ffi::bio_init(raw, self.bdev, &raw mut (*read).vec, 1, flags);
            (*raw).bi_iter.bi_sector = sector(index);
            TaskBio::set_end(&raw mut (*read).bio, BlockRead::<T, E>::end);
            ffi::bio_add_virt_nofail(raw, to, PAGE_LEN);
            ffi::submit_bio(raw);
        }
    }
}

/// The memory that a read of a block needs.
///
/// It is allocated before the caller locks a slot and learns whether there is anything to read.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{bio::{BioPage, Reading}, disk::Operations, racy::RacyPageMut};
/// # use crate::zram::abstractions::backing_device::{BackingDevice, BlockEnd, BlockRequest};
/// # use crate::zram::abstractions::page::{PageBox, PageBuf};
/// # use kernel::sync::Arc;
/// # type Page<'p> = RacyPageMut<'p>;
/// struct Whole;
///
/// impl<T: Operations> BlockEnd<T> for Whole {
///     fn end(self, _: &T::Live, block: Arc<PageBox<PageBuf>>, mut page: Page<'_>) -> Result {
///         page.copy_from(&block.0);
///         Ok(())
///     }
/// }
///
/// fn read<T: Operations>(device: &Arc<BackingDevice>, page: &BioPage<'_, T, Reading>) -> Result {
///     device.read_block(0, BlockRequest::new(page)?, Whole);
///     Ok(())
/// }
/// ```
pub(crate) struct BlockRequest<T: Operations, E> {
    place: KBox<MaybeUninit<BlockRead<T, E>>>,
    block: UniqueArc<PageBox<PageBuf>>,
    destination: Destination<T>,
}

impl<T: Operations, E: BlockEnd<T>> BlockRequest<T, E> {
    /// Allocates a request for `page`, whose bio does not end before the request is dropped or the
    /// read is done.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(page: &BioPage<'_, T, Reading>) -> Result<Self> {
        let block = PageBox::new_noio()?;
        let place = allocate_noio()?;
        let no_io = NoIo::new();
        let block = UniqueArc::new(block, GFP_KERNEL | __GFP_NOWARN)?;
        drop(no_io);
        Ok(Self {
            place,
            block,
            destination: page.keep()?,
        })
    }
}

/// A read that is under way.
struct BlockRead<T: Operations, E> {
    bio: TaskBio,
    vec: ffi::bio_vec,
    // Keeps the device open for the bio.
    device: Arc<BackingDevice>,
    block: UniqueArc<PageBox<PageBuf>>,
    end: E,
    destination: Destination<T>,
}

impl<T: Operations, E: BlockEnd<T>> BlockRead<T, E> {
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
            block,
            end,
            device,
            ..
        } = KBox::into_inner(read);
        // The bio has ended, and needs the device no more.
        drop(device);
        let result = read_status.and_then(|()| {
            destination
                .finish(|bio, page| end.end(live_of(bio).ok_or(EIO)?, Arc::from(block), page))
        });
        if result.is_err() {
            destination.fail(status);
        }
        // `destination` goes last, and with it the share in the parent bio: after that, the opener
        // that keeps the disk may be gone, too.
    }
}
