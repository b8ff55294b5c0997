// SPDX-License-Identifier: GPL-2.0-only

//! Reads from a backing device to the memory of a bio, which does not end before they have.

use super::{
    sector,
    BackingDevice, //
};
use crate::zram::abstractions::{
    bio::{
        BioPage,
        Destination,
        Reading, //
    },
    disk::{
        live_of,
        Operations, //
    },
    ffi,
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
    types::Opaque, //
};

/// What a disk's driver does when a read from a backing device has ended.
pub(crate) trait ReadEnd<T: Operations>: Send {
    /// Makes of `page`, which is what the backing device had, what the bio is to read. `live` is the state of
    /// the disk that the bio was sent to. An error fails that bio.
    ///
    /// Context: Process context. May sleep.
    fn end(self, live: &T::Live, page: RacyPageMut<'_>) -> Result;
}

impl BackingDevice {
    /// Reads block `index` to the memory that `request` is for; then calls [`ReadEnd::end`] of `end`, unless the
    /// read failed. The bio that the memory belongs to does not end before. Does not wait for the device.
    pub(crate) fn read<T: Operations, E: ReadEnd<T>>(
        &self,
        index: usize,
        request: ReadRequest<T, E>,
        end: E,
    ) {
        let ReadRequest { room, destination } = request;
        let read = room.write(ChainedRead {
            raw: Opaque::uninit(),
            vec: pin_init::zeroed(),
            destination,
            end,
        });
        let (raw, flags) = (read.raw.get(), read.destination.bio().flags());
        let read = KBox::into_raw(read);
        // SAFETY: The request stays where it is until its bio has ended, and so does its destination.
        unsafe {
            ffi::bio_init(raw, self.bdev, &raw mut (*read).vec, 1, flags);
            (*raw).bi_iter.bi_sector = sector(index);
            (*raw).bi_end_io = Some(ChainedRead::<T, E>::end);
            // What there is to do then may sleep.
            (*raw).bi_flags |= 1 << ffi::BIO_COMPLETE_IN_TASK;
            (*read).destination.add_to(raw);
            ffi::submit_bio(raw);
        }
    }
}

/// Memory for a `T`, got as I/O under memory pressure may.
fn allocate_noio<T>() -> Result<KBox<MaybeUninit<T>>> {
    // SAFETY: The call has no requirements.
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
    // SAFETY: Allocated with kmalloc, for a `T`.
    Ok(unsafe { KBox::from_raw(raw.as_ptr().cast()) })
}

/// What a read from a backing device needs, had before it is known whether there is anything to read.
pub(crate) struct ReadRequest<T: Operations, E> {
    room: KBox<MaybeUninit<ChainedRead<T, E>>>,
    destination: Destination<T>,
}

impl<T: Operations, E: ReadEnd<T>> ReadRequest<T, E> {
    /// Allocates what it takes to read to `page`, whose bio does not end before the result is dropped, or the
    /// read is done. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(page: &BioPage<'_, T, Reading>) -> Result<Self> {
        Ok(Self {
            room: allocate_noio()?,
            destination: page.keep()?,
        })
    }
}

/// A read on its way.
struct ChainedRead<T: Operations, E> {
    raw: Opaque<ffi::bio>,
    vec: ffi::bio_vec,
    destination: Destination<T>,
    end: E,
}

impl<T: Operations, E: ReadEnd<T>> ChainedRead<T, E> {
    /// # Safety
    ///
    /// `raw` is the field of a `Self` from `KBox::into_raw`, whose bio has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: By the safety requirement.
        let (read, status) = unsafe {
            let read = KBox::from_raw(container_of!(Opaque::cast_from(raw), Self, raw).cast_mut());
            ffi::bio_uninit(raw);
            (read, (*raw).bi_status)
        };
        // SAFETY: The call has no requirements.
        let read_status = to_result(unsafe { ffi::blk_status_to_errno(status) });
        let Self {
            mut destination,
            end,
            ..
        } = KBox::into_inner(read);
        let result = read_status
            .and_then(|()| destination.finish(|bio, page| end.end(live_of(bio).ok_or(EIO)?, page)));
        if result.is_err() {
            destination.fail(status);
        }
        // The share in the bio goes last: after it, the opener that kept everything may be gone, too.
    }
}
