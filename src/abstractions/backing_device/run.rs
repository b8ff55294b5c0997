// SPDX-License-Identifier: GPL-2.0-only

//! Writes of several pages to neighbouring blocks of a backing device, and reads of such.
//!
//! Upstream this would be `rust/kernel/block/bdev/run.rs`. Waiting uses C's completion directly,
//! since the `kernel` crate's `Completion` has `complete_all()` only, and can't be used a second
//! time.

use super::{
    BackingDevice,
    PAGE_LEN, //
};
use crate::zram::abstractions::{
    ffi,
    memory::NoIo,
    page::{
        PageBox,
        PageBuf, //
    }, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// The most pages of a run, which are 128 KiB.
const MOST: usize = (128 << 10) / PAGE_SIZE;

/// Pages to write to a backing device, or to read from it, any number of times; what is under way
/// when it is dropped is waited for.
///
/// # Invariants
///
/// While `busy` is set, the bio in `inner` was submitted and not yet waited for; else it is not
/// under way.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::backing_device::{BackingDevice, Run};
/// # use kernel::sync::Arc;
/// fn copy(device: &Arc<BackingDevice>) -> Result {
///     let mut run = Run::new(device, 2)?;
///     run.read(0, 2);
///     run.wait().unwrap_or(Ok(()))?;
///     run.write(2, 2);
///     run.wait().unwrap_or(Ok(()))
/// }
/// ```
pub(crate) struct Run {
    inner: Pin<KBox<Inner>>,
    busy: bool,
    // Keeps the device open while something is under way.
    device: Arc<BackingDevice>,
}

#[pin_data]
struct Inner {
    #[pin]
    raw: Opaque<ffi::bio>,
    // One for each page.
    vecs: KVec<ffi::bio_vec>,
    #[pin]
    done: Opaque<ffi::completion>,
    pages: KVec<PageBox<PageBuf>>,
}

// SAFETY: All fields are memory that `Inner` owns, and the bio may end on any CPU.
unsafe impl Send for Inner {}

impl Run {
    /// The most pages of a run.
    pub const MOST: usize = MOST;

    /// Allocates `count` zeroed pages, or as many as there is memory for, and what writing them to
    /// `device` takes.
    ///
    /// Context: Process context. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is not even one page, without a message in the log.
    pub fn new(device: &Arc<BackingDevice>, count: usize) -> Result<Self> {
        let mut pages = KVec::new();
        for _ in 0..count.clamp(1, MOST) {
            let added = PageBox::new_noio().and_then(|page| {
                let _no_io = NoIo::new();
                Ok(pages.push(page, GFP_KERNEL | __GFP_NOWARN)?)
            });
            match added {
                Err(error) if pages.is_empty() => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let _no_io = NoIo::new();
        let vec = pin_init::zeroed();
        let vecs = KVec::from_elem(vec, pages.len(), GFP_KERNEL | __GFP_NOWARN)?;
        let init = try_pin_init!(Inner {
            raw <- Opaque::zeroed(),
            vecs,
            done <- Opaque::ffi_init(|done: *mut ffi::completion| {
                // SAFETY: `done` is valid for writes, and is initialised here; name and key of the
                // lock are static.
                unsafe {
                    (*done).done = 0;
                    ffi::__init_swait_queue_head(
                        &raw mut (*done).wait,
                        c"zram_run".as_char_ptr(),
                        kernel::static_lock_class!().as_ptr(),
                    );
                }
            }),
            pages,
        });
        // INVARIANT: `busy` is not set, and the bio was not submitted.
        Ok(Self {
            inner: KBox::try_pin_init(init, GFP_KERNEL | __GFP_NOWARN)?,
            busy: false,
            device: device.clone(),
        })
    }

    /// Returns the number of pages.
    pub fn len(&self) -> usize {
        self.inner.pages.len()
    }

    /// Returns page `at`, or `None` if there is no such page, or while the device may use them.
    pub fn page(&mut self, at: usize) -> Option<&mut PageBuf> {
        if self.busy {
            return None;
        }
        let page = self.inner.as_mut().project().pages.get_mut(at)?;
        Some(page)
    }

    /// Starts to write the first `count` pages to the blocks from `index` on.
    ///
    /// Waits for what is still under way, and drops its result.
    ///
    /// Context: Process context. May sleep.
    pub fn write(&mut self, index: usize, count: usize) {
        self.start(index, count, ffi::req_op_REQ_OP_WRITE);
    }

    /// Starts to read the blocks from `index` on to the first `count` pages.
    ///
    /// Waits for what is still under way, and drops its result.
    ///
    /// Context: Process context. May sleep.
    pub fn read(&mut self, index: usize, count: usize) {
        self.start(index, count, ffi::req_op_REQ_OP_READ);
    }

    fn start(&mut self, index: usize, count: usize, operation: ffi::req_op) {
        let _ = self.wait();
        let inner = self.inner.as_mut().project();
        let raw = inner.raw.get();
        // SAFETY: The bio is not under way, by the type invariant and since `wait` has returned.
        // `inner` is pinned, and dropping `self` waits for the bio before it frees it and lets go
        // of the device. There is a vector for each page.
        unsafe {
            (*inner.done.get()).done = 0;
            let (vecs, len) = (inner.vecs.as_mut_ptr(), inner.vecs.len() as u16);
            ffi::bio_init(raw, self.device.bdev, vecs, len, operation);
            (*raw).bi_iter.bi_sector = super::sector(index);
            (*raw).bi_end_io = Some(Self::end);
            (*raw).bi_private = inner.done.get().cast();
            for page in inner.pages.iter_mut().take(count) {
                ffi::bio_add_virt_nofail(raw, (&raw mut **page).cast(), PAGE_LEN);
            }
            ffi::submit_bio(raw);
        }
        // INVARIANT: The bio was submitted above.
        self.busy = true;
    }

    /// Waits until the device is done, and returns the result; `None` if nothing was started since
    /// the last wait.
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

    /// Wakes the task that waits.
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

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
