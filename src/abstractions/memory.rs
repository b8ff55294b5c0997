// SPDX-License-Identifier: GPL-2.0-only

//! Memory for I/O: who waits for it, and who fails.
//!
//! Nothing that I/O allocates may start I/O: it could come back to the same disk. So each such
//! allocation says `GFP_NOIO`, or is made inside [`NoIo`].
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

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

/// What a request for I/O does when there is no memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It fails: the request is reclaim's own, and memory would be freed by it.
    Fails,
    /// It waits until there is memory.
    Waits,
}

impl Patience {
    /// How long a task that waits sleeps before it looks again, in milliseconds.
    const PAUSE: i64 = 20;

    /// Calls `attempt` again while there is no memory, if this waits; the caller holds nothing that
    /// memory reclaim, or another request, may need. May sleep.
    ///
    /// # Errors
    ///
    /// Those of `attempt`; `ENOMEM` only if this fails.
    #[inline]
    pub(crate) fn allocate<R>(self, mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
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

/// Whether the current task is freeing memory: it may use all that is left, and must not wait for more.
#[inline]
pub(super) fn is_reclaiming() -> bool {
    // SAFETY: A task's flags are changed by that task only.
    unsafe { (*ffi::get_current()).flags & ffi::PF_MEMALLOC != 0 }
}

/// While this lives, what the current task allocates starts no I/O, whatever flags it passes.
pub(crate) struct NoIo {
    before: c_uint,
    _task: PhantomData<NotThreadSafe>,
}

impl NoIo {
    /// Begins.
    pub(crate) fn new() -> Self {
        // SAFETY: A task's flags are changed by that task only.
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
        // SAFETY: As above; the type is bound to its task.
        unsafe {
            let flags = &raw mut (*ffi::get_current()).flags;
            *flags = *flags & !ffi::PF_MEMALLOC_NOIO | self.before;
        }
    }
}
