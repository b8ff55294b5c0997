// SPDX-License-Identifier: GPL-2.0-only

//! What the driver's files use of `src/abstractions`, where it needs the kernel. Operations on
//! atomics and on memory that others use are steps.

use crate::order::steps::{
    step,
    Step, //
};

pub use super::atomic;

pub mod guarded {
    use super::*;
    use crate::order::{
        addresses::area,
        steps::Reply, //
    };
    use std::marker::PhantomData;

    /// Plain memory, which is zero at first.
    #[repr(transparent)]
    pub struct Guarded<T>(u64, PhantomData<T>);

    // SAFETY: The content is what steps say it is.
    unsafe impl<T> Send for Guarded<T> {}
    // SAFETY: The content is what steps say it is.
    unsafe impl<T> Sync for Guarded<T> {}

    impl Guarded<usize> {
        pub fn zero() -> Self {
            Self(0, PhantomData)
        }

        /// Frees the memory.
        pub fn free(&self) {
            step(Step::Free(area(self)));
        }

        /// # Safety
        ///
        /// None: a race is found.
        pub unsafe fn get(&self) -> usize {
            match step(Step::Read(area(self))) {
                Reply::Value(value, _) => value as usize,
                _ => 0,
            }
        }

        /// # Safety
        ///
        /// None: a race is found.
        pub unsafe fn replace(&self, new: usize) -> usize {
            match step(Step::Write(area(self), new as u64)) {
                Reply::Value(value, _) => value as usize,
                _ => 0,
            }
        }
    }
}

pub mod compat {
    use super::*;
    pub use crate::sync::{
        rcu::synchronize_rcu,
        srcu, //
    };
    use crate::{
        order::steps::Site,
        prelude::Result, //
    };
    use std::{
        panic::Location,
        sync::atomic::Ordering, //
    };

    #[track_caller]
    pub fn smp_rmb() {
        let site = Site::new("smp_rmb", Ordering::Acquire, Location::caller());
        step(Step::Fence(site));
    }

    #[track_caller]
    pub fn smp_wmb() {
        let site = Site::new("smp_wmb", Ordering::Release, Location::caller());
        step(Step::Fence(site));
    }

    pub struct TaskBioQueue;

    impl TaskBioQueue {
        pub fn new() -> Result<Self> {
            Ok(Self)
        }
    }
}

pub mod lockdep {
    use crate::prelude::*;

    pub struct Map;

    impl Map {
        pub fn new(_: &CStr, _: ()) -> Result<Self> {
            Ok(Self)
        }

        pub fn acquire(&self, _: bool) {}

        pub fn release(&self) {}
    }
}

pub mod racy {
    use std::marker::PhantomData;

    pub struct RacyBytes<'a>(usize, PhantomData<&'a ()>);

    impl RacyBytes<'_> {
        pub fn of(len: usize) -> Self {
            Self(len, PhantomData)
        }

        pub fn len(&self) -> usize {
            self.0
        }
    }
}

pub mod workqueue {
    /// A queue of work, which nothing uses here.
    pub struct Workqueue;
}

pub mod zsmalloc {
    use super::{
        racy::RacyBytes,
        workqueue::Workqueue,
        *, //
    };
    use crate::{
        order::{
            addresses::object,
            memory::PAGES,
            steps::{
                Class,
                Reply, //
            },
        },
        prelude::*,
    };
    use std::{
        mem::ManuallyDrop,
        num::NonZero,
        ptr,
        sync::Arc, //
    };

    pub struct Pool(());

    impl Pool {
        pub fn new(_: &CStr, _: &Arc<Workqueue>) -> Result<Self> {
            Ok(Self(()))
        }

        pub fn alloc(&self, size: usize) -> Object<'_> {
            let raw = match step(Step::Allocate(Class::Object)) {
                Reply::Value(area, _) => area as usize + 1 - PAGES,
                _ => 1,
            };
            Object {
                pool: self,
                raw: NonZero::new(raw).expect("a handle"),
                size,
            }
        }
    }

    /// An object, whose bytes are one piece of plain memory.
    pub struct Object<'p> {
        pool: &'p Pool,
        raw: NonZero<usize>,
        size: usize,
    }

    impl<'p> Object<'p> {
        pub fn size(&self) -> usize {
            self.size
        }

        pub fn read(&self) {
            step(Step::Read(object(self.raw.get())));
        }

        pub fn write(&mut self, bytes: RacyBytes<'_>) {
            step(Step::Write(object(self.raw.get()), bytes.len() as u64));
        }

        /// Frees the object at once, which is the earliest that a worker could do it.
        pub fn free_later(self) {
            drop(self);
        }

        pub fn is_of(&self, pool: &Pool) -> bool {
            ptr::eq(self.pool, pool)
        }

        pub fn into_raw(self) -> NonZero<usize> {
            ManuallyDrop::new(self).raw
        }

        /// # Safety
        ///
        /// `raw` came from `into_raw` of an object of `pool`.
        pub unsafe fn from_raw(pool: &'p Pool, raw: NonZero<usize>, size: usize) -> Self {
            Self { pool, raw, size }
        }
    }

    impl Drop for Object<'_> {
        fn drop(&mut self) {
            step(Step::Free(object(self.raw.get())));
        }
    }
}

/// Counters, which nobody looks at.
pub mod percpu {
    use crate::prelude::Result;
    use std::marker::PhantomData;

    pub struct Counters<const N: usize>;

    impl<const N: usize> Counters<N> {
        pub fn new() -> Result<Self> {
            Ok(Self)
        }

        pub fn this_cpu(&self) -> LocalCounters<'_, N> {
            LocalCounters(PhantomData)
        }

        pub fn sum(&self, _: usize) -> i64 {
            0
        }
    }

    #[derive(Clone, Copy)]
    pub struct LocalCounters<'c, const N: usize>(PhantomData<&'c Counters<N>>);

    impl<const N: usize> LocalCounters<'_, N> {
        pub fn add<const WHICH: usize>(self, _: i64) {}

        pub fn add_const<const WHICH: usize, const DELTA: i64>(self) {}
    }
}

pub mod memory {
    use crate::prelude::Result;

    pub struct NoIo;

    impl NoIo {
        pub fn new() -> Self {
            Self
        }
    }

    /// How a request waits for memory, of which there is enough.
    pub struct Patience;

    impl Patience {
        pub fn allocate<R>(&self, attempt: impl FnOnce() -> Result<R>) -> Result<R> {
            attempt()
        }
    }
}

pub mod page {
    use super::*;
    use crate::{
        order::{
            addresses::{
                page,
                page_at,
                PAGE, //
            },
            steps::{
                Class,
                Reply, //
            },
        },
        prelude::*,
    };
    use std::{
        mem::ManuallyDrop,
        ops::Deref,
        ptr::NonNull, //
    };

    /// What a block holds: no scenario reads from the backing device.
    pub struct PageBuf;

    pub struct PageBox<T>(NonNull<T>);

    impl<T: Zeroable> PageBox<T> {
        pub fn new_noio() -> Result<Self> {
            const { assert!(size_of::<T>() == PAGE) };
            let page = match step(Step::Allocate(Class::Page)) {
                Reply::Value(page, _) => page,
                _ => 0,
            };
            Ok(Self(NonNull::new(page_at(page)).expect("a page")))
        }
    }

    impl<T> PageBox<T> {
        pub fn into_raw(self) -> NonNull<T> {
            ManuallyDrop::new(self).0
        }

        /// # Safety
        ///
        /// `raw` came from `into_raw`.
        pub unsafe fn from_raw(raw: NonNull<T>) -> Self {
            Self(raw)
        }
    }

    impl<T> Deref for PageBox<T> {
        type Target = T;

        fn deref(&self) -> &T {
            // SAFETY: Pages stay for ever, and their atomics have no content.
            unsafe { self.0.as_ref() }
        }
    }

    impl<T> Drop for PageBox<T> {
        fn drop(&mut self) {
            step(Step::Free(page(self.0.as_ptr())));
        }
    }
}

pub mod sched {
    use super::*;

    pub fn cond_resched() {}

    pub fn wait_for_tasks() {}

    /// A spinlock, which makes a reader of RCU.
    pub struct AtomicContext(());

    impl AtomicContext {
        pub fn new() -> Self {
            step(Step::Enter(0));
            Self(())
        }
    }

    impl Drop for AtomicContext {
        fn drop(&mut self) {
            step(Step::Leave(0));
        }
    }
}
