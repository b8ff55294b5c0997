// SPDX-License-Identifier: GPL-2.0-only

//! What the driver's files use of the `kernel` crate, locks and RCU apart.
//!
//! Memory that only its owner uses is the host's.

#[macro_export]
macro_rules! new_spinlock {
    ($content:expr, $name:literal) => {
        $crate::sync::SpinLock::new($content)
    };
}

#[macro_export]
macro_rules! new_condvar {
    ($name:literal) => {
        $crate::sync::CondVar::new()
    };
}

#[macro_export]
macro_rules! static_lock_class {
    () => {
        ()
    };
}

/// Makes a value where it is, since nothing is pinned here.
#[macro_export]
macro_rules! pin_init {
    ($type:ident { $($fields:tt)* }) => {
        $crate::pin_init!(@ $type [] $($fields)*)
    };
    (@ $type:ident [$($done:tt)*]) => {
        $type { $($done)* }
    };
    (@ $type:ident [$($done:tt)*] $field:ident <- $value:expr $(, $($rest:tt)*)?) => {
        $crate::pin_init!(@ $type [$($done)* $field: $value,] $($($rest)*)?)
    };
    (@ $type:ident [$($done:tt)*] $field:ident: $value:expr $(, $($rest:tt)*)?) => {
        $crate::pin_init!(@ $type [$($done)* $field: $value,] $($($rest)*)?)
    };
    (@ $type:ident [$($done:tt)*] $field:ident $(, $($rest:tt)*)?) => {
        $crate::pin_init!(@ $type [$($done)* $field,] $($($rest)*)?)
    };
}

pub mod pin_init {
    use super::prelude::PinInit;
    use std::cell::Cell;

    thread_local! {
        /// The locks and wait queues that are made have no users.
        pub static UNUSED: Cell<bool> = const { Cell::new(false) };
    }

    /// Makes an array of queues, of which only the first one has users: a page of the model has one
    /// slot, whose number is 0.
    pub fn pin_init_array_from_fn<T, const N: usize>(make: impl Fn(usize) -> T) -> [T; N] {
        let array = std::array::from_fn(|at| {
            UNUSED.set(at > 0);
            make(at)
        });
        UNUSED.set(false);
        array
    }

    impl<T> PinInit<T> for T {
        fn make(self) -> T {
            self
        }
    }
}

pub mod page {
    pub const PAGE_SIZE: usize = crate::order::addresses::PAGE;
}

pub mod prelude {
    use crate::order::{
        addresses::area,
        steps::{
            step,
            Step, //
        }, //
    };
    pub use crate::pin_init;
    pub use macros::pin_data;
    use std::{
        cell::Cell,
        mem::ManuallyDrop,
        ops::Deref,
        slice,
        sync::Arc, //
    };
    pub use std::{
        ffi::CStr,
        pin::Pin, //
    };

    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Error(u8);
    pub const ENOMEM: Error = Error(0);
    pub const EINVAL: Error = Error(1);
    pub const EBUSY: Error = Error(2);
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;

    pub const GFP_KERNEL: u8 = 1;
    pub const __GFP_NOWARN: u8 = 2;

    /// # Safety
    ///
    /// All zeroes is a value of the type.
    pub unsafe trait Zeroable {}

    pub trait PinInit<T> {
        fn make(self) -> T;
    }

    /// The allocation of a pinned value.
    pub trait InPlaceInit<T> {
        fn pin_init(init: impl PinInit<T>, _: u8) -> Result<Self>
        where
            Self: Sized;
    }

    impl<T> InPlaceInit<T> for Arc<T> {
        fn pin_init(init: impl PinInit<T>, _: u8) -> Result<Self> {
            Ok(Self::new(init.make()))
        }
    }

    /// A box that is not freed: a program that is given up in its middle runs again, and finds what
    /// was allocated before.
    pub struct KBox<T>(ManuallyDrop<Box<T>>);

    impl<T> KBox<T> {
        pub fn new(value: T, _: u8) -> Result<Self> {
            Ok(Self(ManuallyDrop::new(Box::new(value))))
        }

        pub fn into_raw(this: Self) -> *mut T {
            Box::into_raw(ManuallyDrop::into_inner(this.0))
        }

        /// # Safety
        ///
        /// `raw` came from `into_raw`.
        pub unsafe fn from_raw(raw: *mut T) -> Self {
            // SAFETY: See above.
            Self(ManuallyDrop::new(unsafe { Box::from_raw(raw) }))
        }

        pub fn pin_init(init: impl PinInit<T>, _: u8) -> Result<Pin<Self>> {
            // SAFETY: Nothing here moves out of a `KBox`.
            Ok(unsafe { Pin::new_unchecked(Self::new(init.make(), 0)?) })
        }
    }

    impl<T> Deref for KBox<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    thread_local! {
        static CONTENTS: Cell<Option<&'static u64>> = const { Cell::new(None) };
    }

    /// Makes something with one vector in it, to be published later: each look at what is in the
    /// vector reads `contents`, the model's memory that stands for it.
    pub fn with_contents<T>(contents: &'static u64, make: impl FnOnce() -> T) -> T {
        CONTENTS.set(Some(contents));
        let made = make();
        CONTENTS.set(None);
        made
    }

    pub struct KVVec<T>(Vec<T>, Option<&'static u64>);

    impl<T> KVVec<T> {
        pub fn new() -> Self {
            Self(Vec::new(), None)
        }

        pub fn with_capacity(len: usize, _: u8) -> Result<Self> {
            Ok(Self(Vec::with_capacity(len), CONTENTS.get()))
        }

        fn look(&self) {
            if let Some(contents) = self.1 {
                step(Step::Read(area(contents)));
            }
        }

        pub fn push(&mut self, value: T, _: u8) -> Result {
            self.0.push(value);
            Ok(())
        }

        pub fn reserve(&mut self, more: usize, _: u8) -> Result {
            self.0.reserve(more);
            Ok(())
        }

        pub fn clear(&mut self) {
            self.0.clear();
        }
    }

    impl<T> Deref for KVVec<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            self.look();
            &self.0
        }
    }

    impl<'a, T> IntoIterator for &'a KVVec<T> {
        type Item = &'a T;
        type IntoIter = slice::Iter<'a, T>;

        fn into_iter(self) -> Self::IntoIter {
            self.look();
            self.0.iter()
        }
    }
}

pub mod rbtree {
    use super::prelude::Result;
    use std::marker::PhantomData;

    /// A tree that is empty: no scenario reads from the backing device.
    pub struct RBTree<K, V>(PhantomData<(K, V)>);

    pub struct RBTreeNode<K, V>(PhantomData<(K, V)>);

    pub struct RBTreeNodeReservation<K, V>(PhantomData<(K, V)>);

    impl<K, V> RBTree<K, V> {
        pub fn new() -> Self {
            Self(PhantomData)
        }

        pub fn get_mut(&mut self, _: &K) -> Option<&mut V> {
            None
        }

        pub fn insert(&mut self, _: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
            unreachable!("no scenario reads from the backing device");
        }

        pub fn remove_node(&mut self, _: &K) -> Option<RBTreeNode<K, V>> {
            None
        }
    }

    impl<K, V> RBTreeNodeReservation<K, V> {
        pub fn new(_: u8) -> Result<Self> {
            Ok(Self(PhantomData))
        }

        pub fn into_node(self, _: K, _: V) -> RBTreeNode<K, V> {
            RBTreeNode(PhantomData)
        }
    }
}

pub mod time {
    pub struct Delta;

    impl Delta {
        pub fn from_millis(_: i64) -> Self {
            Self
        }
    }

    pub mod delay {
        use super::Delta;
        use crate::order::{
            addresses::loaded_last,
            steps::{
                step,
                Step, //
            },
        };

        /// Sleeps until the word that was loaded last has changed.
        pub fn fsleep(_: Delta) {
            step(Step::Await(loaded_last()));
        }
    }
}
