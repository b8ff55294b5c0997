// SPDX-License-Identifier: GPL-2.0-only

//! Reads from a backing device to a page of the driver's own, a part of which a bio then writes.
//!
//! Upstream this would be `rust/kernel/block/bdev/part_read.rs`.

use super::{
    chained_read::allocate_noio,
    sector,
    BackingDevice,
    PAGE_LEN, //
};
use crate::zram::abstractions::{
    bio::KeptPart,
    compat::TaskBio,
    disk::{
        live_of,
        Operations, //
    },
    ffi,
    memory::Patience,
    page::{
        PageBox,
        PageBuf, //
    }, //
};
use core::mem::MaybeUninit;
use kernel::{
    container_of,
    error::to_result,
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Queue,
        Work,
        WorkItem, //
    }, //
};

/// A driver's part of a read to a page of its own: called when the device has answered.
pub(crate) trait PartEnd<T: Operations>: Send + 'static {
    /// Returns whether [`PartEnd::end`] waits for memory.
    fn patience(&self) -> Patience;

    /// Goes on with the write of `part`, now that the device has read `page`.
    ///
    /// `live` is the state of the disk that the bio was sent to.
    ///
    /// Context: Process context. May sleep. May wait for memory only if [`PartEnd::patience`] says
    /// so, since it may be called by whoever ends the device's bios.
    ///
    /// # Errors
    ///
    /// Any error fails the bio, with `EIO` for user space.
    fn end(self, live: &T::Live, part: &KeptPart<T>, page: Result<PageBox<PageBuf>>) -> Result;
}

/// The memory that a read to a page of the driver's own needs, without the page.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::backing_device::{BackingDevice, PartEnd, PartRequest};
/// # use crate::zram::abstractions::bio::{KeptPart, Pieces, Writing};
/// # use crate::zram::abstractions::{disk::Operations, memory::Patience, page::{PageBox, PageBuf}};
/// # use kernel::sync::Arc;
/// struct Look;
///
/// impl<T: Operations> PartEnd<T> for Look {
///     fn patience(&self) -> Patience {
///         Patience::Waits
///     }
///
///     fn end(self, _: &T::Live, part: &KeptPart<T>, page: Result<PageBox<PageBuf>>) -> Result {
///         let mut page = page?;
///         part.pieces().gather(&mut page);
///         Ok(pr_info!("the page begins with {}\n", page.0[0]))
///     }
/// }
///
/// fn look<T>(device: &Arc<BackingDevice>, part: &Pieces<'_, T, Writing>) -> Result
/// where
///     T: Operations,
/// {
///     let (request, page) = (PartRequest::new()?, PageBox::new_noio()?);
///     device.read_for_part(0, request, page, part.keep(), Look);
///     Ok(())
/// }
/// ```
pub(crate) struct PartRequest<T: Operations, E>(KBox<MaybeUninit<PartRead<T, E>>>);

impl<T: Operations, E: PartEnd<T>> PartRequest<T, E> {
    /// Allocates the memory.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        allocate_noio().map(Self)
    }
}

impl BackingDevice {
    /// Starts to read block `index` to `page`, and returns without waiting for the device.
    ///
    /// When the device has answered, [`PartEnd::end`] of `end` is called. The bio that `part`
    /// belongs to does not end before that, and the device stays open.
    ///
    /// Context: Process context. May sleep.
    pub fn read_for_part<T: Operations, E: PartEnd<T>>(
        self: &Arc<Self>,
        index: usize,
        request: PartRequest<T, E>,
        mut page: PageBox<PageBuf>,
        part: KeptPart<T>,
        end: E,
    ) {
        let to = (&raw mut *page).cast();
        let init = pin_init!(PartRead {
            bio: TaskBio::uninit(),
            vec: pin_init::zeroed(),
            work <- new_work!("zram_part"),
            device: self.clone(),
            page,
            end,
            part,
        });
        let Ok(read) = request.0.write_pin_init::<core::convert::Infallible>(init);
        // SAFETY: Nothing is moved out of `read`, which stays in its own allocation until the bio
        // has ended.
        let read = KBox::into_raw(unsafe { Pin::into_inner_unchecked(read) });
        // SAFETY: `bio`, `vec` and `page` are fields of `read`, which stays until `ended` takes it
        // back. `self.bdev` is open by the type invariant, and stays open until `read` lets go of
        // the device, after the bio has ended. The bio has room for one vector. Until then there is
        // a disk, so that there is a `ModuleExit`, too.
        unsafe {
            let raw = (*read).bio.get();
            let op = ffi::req_op_REQ_OP_READ;
            ffi::bio_init(raw, self.bdev, &raw mut (*read).vec, 1, op);
            (*raw).bi_iter.bi_sector = sector(index);
            TaskBio::set_end(&raw mut (*read).bio, PartRead::<T, E>::ended);
            ffi::bio_add_virt_nofail(raw, to, PAGE_LEN);
            ffi::submit_bio(raw);
        }
    }
}

/// A read that is under way, or has ended.
#[pin_data]
struct PartRead<T: Operations, E> {
    bio: TaskBio,
    vec: ffi::bio_vec,
    #[pin]
    work: Work<Self>,
    // Keeps the device open for the bio.
    device: Arc<BackingDevice>,
    page: PageBox<PageBuf>,
    end: E,
    // Dropped last: after it, the opener that keeps the disk may be gone, too.
    part: KeptPart<T>,
}

impl_has_work! {
    impl{T: Operations, E: PartEnd<T>} HasWork<Self> for PartRead<T, E> { self.work }
}

// SAFETY: All that C has of a `PartRead` is the bio, which may end on any CPU. The other fields are
// `Send`.
unsafe impl<T: Operations, E: PartEnd<T>> Send for PartRead<T, E> {}

impl<T: Operations, E: PartEnd<T>> PartRead<T, E> {
    /// Goes on after the read: here, or where it may wait for memory.
    ///
    /// A task that ends bios of a device may be the one that others get memory from, so it must not
    /// wait for memory itself.
    ///
    /// # Safety
    ///
    /// `raw` is that of the `bio` of a `Self` that `read_for_part` has given up, and has ended.
    unsafe extern "C" fn ended(raw: *mut ffi::bio) {
        // SAFETY: `raw` is in a `Self` from `KBox::into_raw`, and has ended, by the safety
        // requirement of `ended`: so nobody else uses either. The box was pinned, and is again.
        let read = unsafe {
            let read = container_of!(TaskBio::from_raw(raw), Self, bio);
            ffi::bio_uninit(raw);
            Pin::new_unchecked(KBox::from_raw(read))
        };
        match read.end.patience() {
            Patience::Fails => Self::run(read),
            // SAFETY: `system_dfl_wq` is a queue that exists as long as the kernel runs.
            Patience::Waits => unsafe { Queue::from_raw(ffi::system_dfl_wq) }.enqueue(read),
        }
    }
}

impl<T: Operations, E: PartEnd<T>> WorkItem for PartRead<T, E> {
    type Pointer = Pin<KBox<Self>>;

    fn run(this: Pin<KBox<Self>>) {
        // SAFETY: The bio has ended, and the work is not queued, so nobody has their addresses.
        let this = KBox::into_inner(unsafe { Pin::into_inner_unchecked(this) });
        let Self {
            bio,
            device,
            page,
            end,
            part,
            ..
        } = this;
        // The bio has ended, and needs the device no more.
        drop(device);
        // SAFETY: `bio` was initialised, and has ended.
        let read = to_result(unsafe { ffi::blk_status_to_errno((*bio.get()).bi_status) });
        let page = read.map(|()| page);
        let done = live_of(part.bio())
            .ok_or(EIO)
            .and_then(|live| end.end(live, &part, page));
        if done.is_err() {
            part.fail();
        }
        // With the share in the bio, the opener that keeps the disk may go, too.
        drop(part);
    }
}
