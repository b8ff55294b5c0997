// SPDX-License-Identifier: GPL-2.0-only

//! Workqueues of the driver's own, and work that is put off.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! Upstream this would be a part of `rust/kernel/workqueue.rs`, whose work items are counted
//! references: the work here ends with its owner, who waits for it.

use super::ffi;
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    container_of,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// A workqueue that has a thread for when there is no memory to make another (`WQ_MEM_RECLAIM`),
/// and whose work may run on any CPU.
///
/// # Invariants
///
/// `0` is a workqueue that belongs to `self`.
pub(crate) struct Workqueue(NonNull<ffi::workqueue_struct>);

// SAFETY: Workqueues are bound to no thread.
unsafe impl Send for Workqueue {}
// SAFETY: Workqueues have locks of their own.
unsafe impl Sync for Workqueue {}

impl Workqueue {
    /// Makes a queue, which shows in the system as `name`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &'static CStr) -> Result<Self> {
        let flags = ffi::wq_flags_WQ_MEM_RECLAIM | ffi::wq_flags_WQ_UNBOUND;
        // SAFETY: The format takes one argument, which is a C string.
        let queue = unsafe {
            ffi::alloc_workqueue_noprof(c"%s".as_char_ptr(), flags, 0, name.as_char_ptr())
        };
        // INVARIANT: A pointer that is not null is a new queue, which nobody else has.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Returns the C queue.
    pub(super) fn as_ptr(&self) -> *mut ffi::workqueue_struct {
        self.0.as_ptr()
    }
}

impl Drop for Workqueue {
    /// Waits for the work that is queued.
    fn drop(&mut self) {
        // SAFETY: The queue belongs to `self` by the type invariant, and nobody can queue anything
        // any more.
        unsafe { ffi::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// Work that a worker does when it is asked to.
pub(crate) trait Work: Send + Sync {
    /// Does the work.
    ///
    /// Context: Process context. May sleep.
    fn run(&self);
}

/// A `T` and the work on it, which may be put off; dropping it waits for the work.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::atomic::{AtomicUsize, Ordering};
/// # use crate::zram::abstractions::workqueue::{Deferred, Work, Workqueue};
/// # use kernel::sync::Arc;
/// struct Letters(AtomicUsize);
///
/// impl Work for Letters {
///     fn run(&self) {
///         pr_info!("{} letters\n", self.0.swap(0, Ordering::Relaxed));
///     }
/// }
///
/// let queue = Arc::new(Workqueue::new(c"postman")?, GFP_KERNEL)?;
/// let letters = Deferred::new(&queue, Letters(AtomicUsize::new(0)))?;
/// letters.0.fetch_add(1, Ordering::Relaxed);
/// letters.run_soon();
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Deferred<T: Work>(Pin<KBox<Inner<T>>>);

#[pin_data]
struct Inner<T> {
    #[pin]
    work: Opaque<ffi::delayed_work>,
    queue: Arc<Workqueue>,
    content: T,
}

// SAFETY: Work items are bound to no thread; the other fields are `Send` if `T` is.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: Work items have locks of their own; of the other fields only `&T` is given out.
unsafe impl<T: Sync> Sync for Inner<T> {}

impl<T: Work> Deferred<T> {
    /// Makes the value, for work on `queue`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(queue: &Arc<Workqueue>, content: T) -> Result<Self> {
        let init = try_pin_init!(Inner {
            work <- Opaque::ffi_init(|work: *mut ffi::delayed_work| {
                // SAFETY: `work` is valid for writes, and is initialised here as C's macro for it
                // does that; names and keys of the locks are static.
                unsafe {
                    ffi::init_work_with_key(
                        &raw mut (*work).work,
                        Some(Self::run),
                        false,
                        c"zram_work".as_char_ptr(),
                        kernel::static_lock_class!().as_ptr(),
                    );
                    ffi::timer_init_key(
                        &raw mut (*work).timer,
                        Some(ffi::delayed_work_timer_fn),
                        ffi::TIMER_IRQSAFE,
                        c"zram_work_timer".as_char_ptr(),
                        kernel::static_lock_class!().as_ptr(),
                    );
                }
            }),
            queue: queue.clone(),
            content,
        });
        KBox::try_pin_init(init, GFP_KERNEL).map(Self)
    }

    /// Has the work done from the next tick of the clock on, unless it is to be done earlier.
    ///
    /// Context: Any context.
    pub fn run_soon(&self) {
        let cpu = ffi::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        // SAFETY: The item was initialised by `new`, and stays until `drop` has waited for it.
        unsafe { ffi::queue_delayed_work_on(cpu, self.0.queue.as_ptr(), self.0.work.get(), 1) };
    }

    /// Has the work done as soon as there is a worker for it.
    ///
    /// Context: Any context.
    pub fn run_now(&self) {
        let cpu = ffi::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        // SAFETY: The item was initialised by `new`, and stays until `drop` has waited for it.
        unsafe { ffi::mod_delayed_work_on(cpu, self.0.queue.as_ptr(), self.0.work.get(), 0) };
    }

    /// Does the work that an item is for.
    ///
    /// # Safety
    ///
    /// `work` is in an `Inner<T>` whose owner has queued it.
    unsafe extern "C" fn run(work: *mut ffi::work_struct) {
        // SAFETY: `work` is the first field of a `delayed_work` in an `Inner`, which stays until
        // its owner has waited for the work.
        let inner = unsafe {
            let work = container_of!(work, ffi::delayed_work, work);
            &*container_of!(Opaque::cast_from(work), Inner<T>, work)
        };
        inner.content.run();
    }
}

impl<T: Work> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.content
    }
}

impl<T: Work> Drop for Deferred<T> {
    fn drop(&mut self) {
        // SAFETY: The item was initialised by `new`. Nobody queues it any more, as `&mut self`
        // shows; what is queued is taken back, and what runs is waited for.
        unsafe { ffi::cancel_delayed_work_sync(self.0.work.get()) };
    }
}
