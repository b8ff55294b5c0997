// SPDX-License-Identifier: GPL-2.0-only

//! Atomics whose operations are steps.

use super::{
    addresses::{
        load,
        word, //
    },
    steps::{
        step,
        Change,
        Reply,
        Site,
        Step, //
    },
};
pub use std::sync::atomic::Ordering;
use std::{
    marker::PhantomData,
    panic::Location, //
};

fn value(reply: Reply) -> u64 {
    match reply {
        Reply::Value(value, _) => value,
        // Nobody looks at it any more.
        _ => 0,
    }
}

/// An atomic of eight bytes, which holds its first value only.
#[repr(transparent)]
pub struct Atomic<T>(u64, PhantomData<T>);

// SAFETY: The content is what steps say it is.
unsafe impl<T> Send for Atomic<T> {}
// SAFETY: The content is what steps say it is.
unsafe impl<T> Sync for Atomic<T> {}

pub type AtomicU64 = Atomic<u64>;
pub type AtomicUsize = Atomic<usize>;
pub type AtomicPtr<T> = Atomic<*mut T>;

/// A type that an atomic may hold.
pub trait Content: Copy {
    fn into_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! content {
    ($([$($of:tt)*] $type:ty,)+) => {
        $(
            impl $($of)* Content for $type {
                fn into_bits(self) -> u64 {
                    self as u64
                }

                fn from_bits(bits: u64) -> Self {
                    bits as Self
                }
            }
        )+
    };
}

content! {
    [] u64,
    [] usize,
    [<T>] *mut T,
}

impl<T> Atomic<T> {
    pub const fn new(initial: T) -> Self {
        const { assert!(size_of::<T>() == 8) };
        // SAFETY: A `T` has eight bytes.
        let bits = unsafe { std::mem::transmute_copy(&initial) };
        std::mem::forget(initial);
        Self(bits, PhantomData)
    }
}

impl<T: Content> Atomic<T> {
    #[track_caller]
    pub fn load(&self, order: Ordering) -> T {
        let site = Site::new("load", order, Location::caller());
        let word = word(self, self.0);
        load(word);
        T::from_bits(value(step(Step::Load(site, word))))
    }

    #[track_caller]
    pub fn store(&self, new: T, order: Ordering) {
        let site = Site::new("store", order, Location::caller());
        step(Step::Store(site, word(self, self.0), new.into_bits()));
    }

    #[track_caller]
    pub fn swap(&self, new: T, order: Ordering) -> T {
        self.change("swap", Change::Set(new.into_bits()), order)
    }

    #[track_caller]
    pub fn compare_exchange(
        &self,
        old: T,
        new: T,
        order: Ordering,
        failed: Ordering,
    ) -> Result<T, T> {
        assert!(failed == Ordering::Relaxed);
        let site = Site::new("compare_exchange", order, Location::caller());
        let (old, new) = (old.into_bits(), new.into_bits());
        match step(Step::Exchange(site, word(self, self.0), old, new)) {
            Reply::Exchanged(false, now, _) => Err(T::from_bits(now)),
            _ => Ok(T::from_bits(old)),
        }
    }

    #[track_caller]
    pub fn fetch_add(&self, delta: T, order: Ordering) -> T {
        self.change("fetch_add", Change::Add(delta.into_bits()), order)
    }

    #[track_caller]
    pub fn fetch_sub(&self, delta: T, order: Ordering) -> T {
        let delta = delta.into_bits().wrapping_neg();
        self.change("fetch_sub", Change::Add(delta), order)
    }

    #[track_caller]
    pub fn fetch_and(&self, mask: T, order: Ordering) -> T {
        self.change("fetch_and", Change::And(mask.into_bits()), order)
    }

    #[track_caller]
    pub fn fetch_or(&self, mask: T, order: Ordering) -> T {
        self.change("fetch_or", Change::Or(mask.into_bits()), order)
    }

    #[track_caller]
    pub fn fetch_min(&self, other: T, order: Ordering) -> T {
        self.change("fetch_min", Change::Min(other.into_bits()), order)
    }

    #[track_caller]
    pub fn fetch_max(&self, other: T, order: Ordering) -> T {
        self.change("fetch_max", Change::Max(other.into_bits()), order)
    }

    #[track_caller]
    fn change(&self, name: &'static str, change: Change, order: Ordering) -> T {
        let site = Site::new(name, order, Location::caller());
        T::from_bits(value(step(Step::Change(site, word(self, self.0), change))))
    }
}
