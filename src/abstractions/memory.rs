// SPDX-License-Identifier: GPL-2.0-only

//! Memory for I/O: requests that wait for it, and requests that fail.
//!
//! Nothing that I/O allocates may start I/O: it could come back to the same disk. So each such
//! allocation says `GFP_NOIO`, or is made inside [`NoIo`].
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)
//!
//! Upstream [`NoIo`] would be `rust/kernel/alloc/scope.rs`, and [`Patience`] would stay with the
//! driver.

use super::ffi;
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::NotThreadSafe, //
};

/// Behaviour of a request for I/O when there is no memory.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{memory::{NoIo, Patience}, page::{PageBox, PageBuf}};
/// let page = Patience::Waits.allocate(PageBox::<PageBuf>::new_noio)?;
/// let no_io = NoIo::new();
/// // This starts no I/O either, in spite of its flags.
/// let copy = KBox::new(page.0[0], GFP_KERNEL)?;
/// drop(no_io);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The request fails: it is one of memory reclaim, and would have freed memory.
    Fails,
    /// The request waits until there is memory.
    Waits,
}

impl Patience {
    /// Milliseconds that a task sleeps before it tries again.
    const PAUSE: i64 = 20;

    /// Calls `attempt`; with [`Patience::Waits`], until it returns anything but `ENOMEM`.
    ///
    /// Context: Process context. May sleep. The caller holds nothing that memory reclaim, or
    /// another request, may need.
    ///
    /// # Errors
    ///
    /// Those of `attempt`; `ENOMEM` with [`Patience::Fails`] only.
    #[inline]
    pub fn allocate<R>(self, mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
        loop {
            match attempt() {
                Err(error) if error == ENOMEM && self == Self::Waits => pause(),
                result => return result,
            }
        }
    }
}

#[cold]
fn pause() {
    fsleep(Delta::from_millis(Patience::PAUSE));
}

/// Returns whether the current task is freeing memory.
///
/// Such a task may use all memory that is left, and must not wait for more.
#[inline]
pub(super) fn is_reclaiming() -> bool {
    // SAFETY: `get_current()` is the task that runs this, which is the only one to change its
    // flags.
    unsafe { (*ffi::get_current()).flags & ffi::PF_MEMALLOC != 0 }
}

/// Scope in which allocations of the current task start no I/O, whatever their flags.
///
/// Scopes must end in the reverse order of their beginning.
pub(crate) struct NoIo {
    /// The bit `PF_MEMALLOC_NOIO` as it was before.
    before: c_uint,
    _task: PhantomData<NotThreadSafe>,
}

impl NoIo {
    /// Begins the scope.
    pub fn new() -> Self {
        // SAFETY: `get_current()` is the task that runs this, which is the only one to change its
        // flags.
        let before = unsafe {
            let flags = &raw mut (*ffi::get_current()).flags;
            let before = *flags & ffi::PF_MEMALLOC_NOIO;
            *flags |= ffi::PF_MEMALLOC_NOIO;
            before
        };
        Self {
            before,
            _task: PhantomData,
        }
    }
}

impl Drop for NoIo {
    fn drop(&mut self) {
        // SAFETY: `get_current()` is the task that runs this, and the one that `new` was called by,
        // as the type is not `Send`. No other task changes its flags.
        unsafe {
            let flags = &raw mut (*ffi::get_current()).flags;
            *flags = *flags & !ffi::PF_MEMALLOC_NOIO | self.before;
        }
    }
}
