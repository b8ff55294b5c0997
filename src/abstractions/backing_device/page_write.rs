// SPDX-License-Identifier: GPL-2.0-only

//! Writes of pages to a backing device.
//!
//! Upstream this would be `rust/kernel/block/bdev/page_write.rs`. Waiting uses C's completion
//! directly: the `kernel` crate's `Completion` has `complete_all()` only, and can't be used for a
//! second write.

use super::BackingDevice;
use crate::zram::abstractions::{
    ffi,
    page::{
        PageBox,
        PageBuf, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// A page to write to a backing device, any number of times; a write that is under way when it is
/// dropped is waited for.
///
/// # Invariants
///
/// While `busy` is set, the bio in `inner` was submitted and not yet waited for; else it is not
/// under way.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::backing_device::{BackingDevice, PageWrite};
/// # use kernel::sync::Arc;
/// fn clear(device: &Arc<BackingDevice>) -> Result {
///     let mut write = PageWrite::new(device)?;
///     for index in 0..device.pages() {
///         write.start(index);
///         write.wait().unwrap_or(Ok(()))?;
///     }
///     Ok(())
/// }
/// ```
pub(crate) struct PageWrite {
    inner: Pin<KBox<Inner>>,
    busy: bool,
    // Keeps the device open while a write is under way.
    device: Arc<BackingDevice>,
}

#[pin_data]
struct Inner {
    #[pin]
    raw: Opaque<ffi::bio>,
    vec: ffi::bio_vec,
    #[pin]
    done: Opaque<ffi::completion>,
    page: PageBox<PageBuf>,
}

// SAFETY: All fields are memory that `Inner` owns, and the bio may end on any CPU.
unsafe impl Send for Inner {}

impl PageWrite {
    /// Allocates a zeroed page, and what writing it to `device` takes.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a message in the log.
    pub fn new(device: &Arc<BackingDevice>) -> Result<Self> {
        // Allocated first: this fails if there is no memory left, where the other allocation would
        // have a task killed.
        let page = PageBox::new_noio()?;
        let init = try_pin_init!(Inner {
            raw <- Opaque::zeroed(),
            vec: pin_init::zeroed(),
            done <- Opaque::ffi_init(|done: *mut ffi::completion| {
                // SAFETY: `done` is valid for writes, and is initialised here; name and key of the
                // lock are static.
                unsafe {
                    (*done).done = 0;
                    ffi::__init_swait_queue_head(
                        &raw mut (*done).wait,
                        c"zram_write".as_char_ptr(),
                        kernel::static_lock_class!().as_ptr(),
                    );
                }
            }),
            page,
        });
        // INVARIANT: `busy` is not set, and the bio was not submitted.
        Ok(Self {
            inner: KBox::try_pin_init(init, GFP_KERNEL | __GFP_NOWARN)?,
            busy: false,
            device: device.clone(),
        })
    }

    /// Returns the page, or `None` while the device may read from it.
    pub fn page(&mut self) -> Option<&mut PageBuf> {
        if self.busy {
            return None;
        }
        Some(self.inner.as_mut().project().page)
    }

    /// Starts to write the page to block `index` of the device.
    ///
    /// Waits for the last write, if that is still under way, and drops its result.
    ///
    /// Context: Process context. May sleep.
    pub fn start(&mut self, index: usize) {
        let _ = self.wait();
        let inner = self.inner.as_mut().project();
        let raw = inner.raw.get();
        // SAFETY: The bio is not under way, by the type invariant and since `wait` has returned.
        // `inner` is pinned, and dropping `self` waits for the bio before it frees it and lets go
        // of the device.
        unsafe {
            (*inner.done.get()).done = 0;
            ffi::bio_init(
                raw,
                self.device.bdev,
                inner.vec,
                1,
                ffi::req_op_REQ_OP_WRITE,
            );
            (*raw).bi_iter.bi_sector = super::sector(index);
            (*raw).bi_end_io = Some(Self::end);
            (*raw).bi_private = inner.done.get().cast();
            ffi::bio_add_virt_nofail(raw, (&raw mut **inner.page).cast(), super::PAGE_LEN);
            ffi::submit_bio(raw);
        }
        // INVARIANT: The bio was submitted above.
        self.busy = true;
    }

    /// Waits until the device has written the page, and returns the result; `None` if no write was
    /// started since the last wait.
    ///
    /// Context: Process context. Sleeps.
    pub fn wait(&mut self) -> Option<Result> {
        if !self.busy {
            return None;
        }
        let raw = self.inner.raw.get();
        // SAFETY: The bio was submitted, by the type invariant, so it will end and complete `done`;
        // after that nobody else uses it.
        let result = unsafe {
            ffi::wait_for_completion_io(self.inner.done.get());
            ffi::bio_uninit(raw);
            to_result(ffi::blk_status_to_errno((*raw).bi_status))
        };
        // INVARIANT: The bio has ended.
        self.busy = false;
        Some(result)
    }

    /// Wakes the task that waits for the write.
    ///
    /// # Safety
    ///
    /// `raw` is the bio of an `Inner`, and has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: `raw` is the bio of an `Inner`, whose `start` has set `bi_private` to its
        // completion. As soon as that is completed, the `Inner` may be freed.
        unsafe { ffi::complete((*raw).bi_private.cast()) };
    }
}

impl Drop for PageWrite {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
