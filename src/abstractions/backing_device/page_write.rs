// SPDX-License-Identifier: GPL-2.0-only

//! Writes of pages to a backing device.

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
    types::Opaque, //
};

/// A page to write to a backing device, again and again. A write that is under way when it is
/// dropped is waited for.
///
/// # Invariants
///
/// While `busy`, the bio of `inner` is under way; else it is not.
pub(crate) struct PageWrite {
    inner: Pin<KBox<Inner>>,
    busy: bool,
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

// SAFETY: Memory, and a bio that ends anywhere.
unsafe impl Send for Inner {}

impl PageWrite {
    /// Allocates a page. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // Where there is no memory it is this that fails, and nobody is killed for what follows.
        let page = PageBox::new_noio()?;
        let init = try_pin_init!(Inner {
            raw <- Opaque::zeroed(),
            vec: pin_init::zeroed(),
            done <- Opaque::ffi_init(|done: *mut ffi::completion| {
                // SAFETY: `done` is there to be initialised; the names are static.
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
        // INVARIANT: Nothing is under way.
        Ok(Self {
            inner: KBox::try_pin_init(init, GFP_KERNEL | __GFP_NOWARN)?,
            busy: false,
        })
    }

    /// The page, when the device does not read from it.
    pub(crate) fn page(&mut self) -> Option<&mut PageBuf> {
        if self.busy {
            return None;
        }
        Some(self.inner.as_mut().project().page)
    }

    /// Starts to write the page to block `index` of `device`; waits for the write before this.
    pub(crate) fn start(&mut self, device: &BackingDevice, index: usize) {
        let _ = self.wait();
        let inner = self.inner.as_mut().project();
        let raw = inner.raw.get();
        // SAFETY: By the type invariant the bio is ours, and `inner` stays until it has ended.
        unsafe {
            (*inner.done.get()).done = 0;
            ffi::bio_init(raw, device.bdev, inner.vec, 1, ffi::req_op_REQ_OP_WRITE);
            (*raw).bi_iter.bi_sector = super::sector(index);
            (*raw).bi_end_io = Some(Self::end);
            (*raw).bi_private = inner.done.get().cast();
            ffi::bio_add_virt_nofail(raw, (&raw mut **inner.page).cast(), super::PAGE_LEN);
            ffi::submit_bio(raw);
        }
        // INVARIANT: Submitted above.
        self.busy = true;
    }

    /// Waits until the device has written the page; nothing, if it was not asked to. Sleeps.
    pub(crate) fn wait(&mut self) -> Option<Result> {
        if !self.busy {
            return None;
        }
        let raw = self.inner.raw.get();
        // SAFETY: By the type invariant the bio is under way, and will end.
        let result = unsafe {
            ffi::wait_for_completion_io(self.inner.done.get());
            ffi::bio_uninit(raw);
            to_result(ffi::blk_status_to_errno((*raw).bi_status))
        };
        // INVARIANT: It has ended.
        self.busy = false;
        Some(result)
    }

    /// # Safety
    ///
    /// `raw` is the bio of a `Inner`, and has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: By the safety requirement; after this the bio may be gone.
        unsafe { ffi::complete((*raw).bi_private.cast()) };
    }
}

impl Drop for PageWrite {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
