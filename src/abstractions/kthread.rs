// SPDX-License-Identifier: GPL-2.0-only

//! Kernel threads that run as long as their handle exists.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)
//!
//! Upstream this would be `rust/kernel/kthread.rs`, with threads that are bound to a CPU.

use super::{
    ffi,
    signal, //
};
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    time::msecs_to_jiffies,
    types::ForeignOwnable, //
};

/// A kernel thread, which the freezer stops while the system sleeps; dropping this stops it.
///
/// # Invariants
///
/// `task` was made by `kthread_create_on_node` to call `run` with `work`. It ends when it is asked
/// to, but not before. Unless it has called `run`, `work` is what `forget` expects.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{kthread::Kthread, signal};
/// # use kernel::time::{delay::fsleep, Delta};
/// let thread = Kthread::spawn(c"zram_example", || {
///     while !signal::is_interrupted() {
///         signal::freeze_if_asked();
///         fsleep(Delta::from_millis(100));
///     }
/// })?;
/// drop(thread);
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Kthread {
    task: NonNull<ffi::task_struct>,
    work: *mut c_void,
    /// Frees `work`, which is the foreign form of a box.
    forget: unsafe fn(*mut c_void),
}

// SAFETY: Any task may stop a thread, and `Kthread::spawn` demands that the work can be sent.
unsafe impl Send for Kthread {}
// SAFETY: There is nothing that can be done with a shared `Kthread`.
unsafe impl Sync for Kthread {}

impl Kthread {
    /// Starts a thread that is known as `name`, of which the first 15 bytes count, and that calls
    /// `work`.
    ///
    /// Dropping the result waits for `work`, which is asked to return: see
    /// [`signal::is_interrupted`]. It is woken for that, but as it may be about to sleep just then,
    /// a `work` that sleeps without a limit has to be told by other means before. If it returns
    /// earlier, the thread stays until then, and looks whether it is to stop every 10 ms.
    ///
    /// Context: Process context. May sleep; a fatal signal ends the wait for the new thread.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` after a fatal signal.
    pub fn spawn<W: FnOnce() + Send + 'static>(name: &CStr, work: W) -> Result<Self> {
        let work = KBox::new(work, GFP_KERNEL)?.into_foreign();
        // SAFETY: The format takes one string. `work` is the foreign form of a box of a `W`, which
        // `run` consumes.
        let task = from_err_ptr(unsafe {
            ffi::kthread_create_on_node(
                Some(run::<W>),
                work,
                ffi::NUMA_NO_NODE,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        });
        let task = match task.and_then(|task| NonNull::new(task).ok_or(ENOMEM)) {
            Ok(task) => task,
            Err(error) => {
                // SAFETY: There is no thread, so the box from above is still ours.
                unsafe { forget::<W>(work) };
                return Err(error);
            }
        };
        // SAFETY: `task` was created above, and waits to be woken for the first time.
        unsafe { ffi::wake_up_process(task.as_ptr()) };
        // INVARIANT: The thread was made above for `work`; `run` returns only when it is asked to.
        Ok(Self {
            task,
            work,
            forget: forget::<W>,
        })
    }
}

impl Drop for Kthread {
    fn drop(&mut self) {
        // SAFETY: The thread exists by the type invariant, and ends only now.
        let result = unsafe { ffi::kthread_stop(self.task.as_ptr()) };
        // `run` returns 0, and `kthread_stop()` an error if the thread was stopped before it could
        // call `run`.
        if result != 0 {
            // SAFETY: `run` was not called, so `work` is what `forget` expects, by the type
            // invariant.
            unsafe { (self.forget)(self.work) };
        }
    }
}

/// Calls the closure, and waits until the thread is to stop.
///
/// # Safety
///
/// `work` is the foreign form of a `KBox<W>`, which nobody else uses.
unsafe extern "C" fn run<W: FnOnce()>(work: *mut c_void) -> c_int {
    // SAFETY: The thread is the current task, which may freeze.
    unsafe { ffi::set_freezable() };
    // SAFETY: `work` is the foreign form of a box that is ours, by the safety requirement.
    let work = unsafe { KBox::<W>::from_foreign(work) };
    KBox::into_inner(work)();
    while !signal::is_interrupted() {
        signal::freeze_if_asked();
        // SAFETY: The call has no requirements. `kthread_stop()` wakes the thread, but it may do so
        // before this sleeps, hence the limit.
        unsafe { ffi::schedule_timeout_interruptible(msecs_to_jiffies(10) as c_long) };
    }
    0
}

/// Frees the closure of a thread that has not called it.
///
/// # Safety
///
/// `work` is the foreign form of a `KBox<W>`, which nobody else uses.
unsafe fn forget<W>(work: *mut c_void) {
    // SAFETY: `work` is the foreign form of a box that is ours, by the safety requirement.
    drop(unsafe { KBox::<W>::from_foreign(work) });
}

/// Gives the current thread the nice level `level`; one that is not from -20 to 19 is ignored.
///
/// Context: Process context.
pub(crate) fn set_nice(level: i8) {
    // SAFETY: `get_current()` is the task that runs this.
    unsafe { ffi::set_user_nice(ffi::get_current(), c_long::from(level)) };
}
