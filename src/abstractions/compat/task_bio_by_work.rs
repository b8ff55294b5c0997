// SPDX-License-Identifier: GPL-2.0-only

//! A bio whose end may sleep, for 7.2, which has no flag for that.
//!
//! A bio may end in an interrupt there. It takes a work item along, which its end queues on a
//! workqueue of the module's own; nothing is allocated for that. Swap is read back through this
//! queue, so it has a thread of its own for when there is no memory to make another
//! (`WQ_MEM_RECLAIM`).
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::zram::abstractions::{
    atomic::{
        AtomicPtr,
        Ordering, //
    },
    ffi, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    container_of,
    prelude::*,
    types::Opaque, //
};

/// The queue of the one [`TaskBioQueue`] that there is, or null.
static QUEUE: AtomicPtr<ffi::workqueue_struct> = AtomicPtr::new(ptr::null_mut());

/// A bio of the driver's own, whose end is called in task context.
pub(in super::super) struct TaskBio {
    raw: Opaque<ffi::bio>,
    work: Opaque<ffi::work_struct>,
    end: unsafe extern "C" fn(*mut ffi::bio),
}

impl TaskBio {
    /// Makes a bio that is yet to be initialised with `bio_init()`.
    pub fn uninit() -> Self {
        Self {
            raw: Opaque::uninit(),
            work: Opaque::uninit(),
            end: Self::no_end,
        }
    }

    /// Returns the C bio.
    pub fn get(&self) -> *mut ffi::bio {
        self.raw.get()
    }

    /// Has `end` called when the bio has ended, in a context that may sleep.
    ///
    /// # Safety
    ///
    /// `this` is valid, its bio is initialised and not submitted yet, and `end` may be called with
    /// that bio. There is a [`TaskBioQueue`], and will be until `end` has returned.
    pub unsafe fn set_end(this: *mut Self, end: unsafe extern "C" fn(*mut ffi::bio)) {
        // SAFETY: `this` is valid and nobody else uses it yet, by the safety requirement. Name and
        // key of the lock are static.
        unsafe {
            (*this).end = end;
            (*(*this).get()).bi_end_io = Some(Self::queue);
            ffi::init_work_with_key(
                (*this).work.get(),
                Some(Self::run),
                false,
                c"zram_read".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
        }
    }

    /// Returns the `TaskBio` that a C bio is in.
    ///
    /// # Safety
    ///
    /// `raw` is what [`TaskBio::get`] has returned.
    pub unsafe fn from_raw(raw: *mut ffi::bio) -> *mut Self {
        // SAFETY: `raw` is the field of a `TaskBio` by the safety requirement.
        unsafe { container_of!(Opaque::cast_from(raw), Self, raw).cast_mut() }
    }

    /// Does nothing: no end was set.
    ///
    /// # Safety
    ///
    /// None.
    unsafe extern "C" fn no_end(_: *mut ffi::bio) {}

    /// Queues the work item of a bio that has ended.
    ///
    /// Context: Any context, such as an interrupt.
    ///
    /// # Safety
    ///
    /// `raw` is the bio of a `TaskBio` that [`TaskBio::set_end`] was called for, and has ended.
    unsafe extern "C" fn queue(raw: *mut ffi::bio) {
        // SAFETY: `raw` is in a `TaskBio` by the safety requirement. `set_end` has initialised its
        // work item, which is queued here only, once. There is a queue: `set_end` requires it.
        // As soon as the item is queued, `end` may free it.
        unsafe {
            ffi::queue_work_on(
                ffi::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                QUEUE.load(Ordering::Acquire),
                (*Self::from_raw(raw)).work.get(),
            )
        };
    }

    /// Calls the end of the bio that a work item is for.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Safety
    ///
    /// `work` is the work item of a `TaskBio` that [`TaskBio::queue`] has queued.
    unsafe extern "C" fn run(work: *mut ffi::work_struct) {
        // SAFETY: `work` is the field of a `TaskBio` whose bio has ended, by the safety
        // requirement. `end` may be called with that, once, as `set_end` requires; it may free the
        // `TaskBio`.
        unsafe {
            let this = container_of!(Opaque::cast_from(work), Self, work);
            ((*this).end)((*this).get());
        }
    }
}

/// The workqueue for the ends of all [`TaskBio`]s.
///
/// # Invariants
///
/// `0` is a workqueue that belongs to `self`. `QUEUE` holds it until `self` is dropped.
pub(in super::super) struct TaskBioQueue(NonNull<ffi::workqueue_struct>);

// SAFETY: Workqueues are bound to no thread.
unsafe impl Send for TaskBioQueue {}
// SAFETY: Nothing can be done with a `&TaskBioQueue`.
unsafe impl Sync for TaskBioQueue {}

impl TaskBioQueue {
    /// Makes the queue.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EBUSY` if there is one already.
    pub fn new() -> Result<Self> {
        let flags = ffi::wq_flags_WQ_MEM_RECLAIM | ffi::wq_flags_WQ_UNBOUND;
        // SAFETY: The name is a format without arguments.
        let queue = unsafe { ffi::alloc_workqueue_noprof(c"zram_read".as_char_ptr(), flags, 0) };
        let queue = NonNull::new(queue).ok_or(ENOMEM)?;
        let null = ptr::null_mut();
        let set =
            QUEUE.compare_exchange(null, queue.as_ptr(), Ordering::Release, Ordering::Relaxed);
        if set.is_err() {
            // SAFETY: The queue was made above, and nobody else knows of it.
            unsafe { ffi::destroy_workqueue(queue.as_ptr()) };
            return Err(EBUSY);
        }
        // INVARIANT: The queue was made and put into `QUEUE` above, where only `drop` replaces it.
        Ok(Self(queue))
    }
}

impl Drop for TaskBioQueue {
    /// Waits for the ends that are being carried out.
    fn drop(&mut self) {
        QUEUE.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: The queue belongs to `self` by the type invariant. Nothing is queued to it any
        // more, as `set_end` requires.
        unsafe { ffi::destroy_workqueue(self.0.as_ptr()) };
    }
}
