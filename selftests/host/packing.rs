// SPDX-License-Identifier: GPL-2.0-only
// pages: 4096 16384

//! Host tests of what packs objects into blocks of a backing device, on the sources themselves:
//! `rustc --test --edition 2021 selftests/host/packing.rs`.
//!
//! All random numbers come from one seed, which is printed; `PACKING_SEED=n` sets another.

extern crate self as kernel;

#[path = "../../src"]
mod zram {
    pub mod abstractions {
        /// Pages, of which there are only so many.
        pub mod page {
            use crate::prelude::*;
            use std::ops::{
                Deref,
                DerefMut, //
            };

            pub struct PageBox<T>(Box<T>);

            impl<T: Zeroable> PageBox<T> {
                pub fn new_noio() -> Result<Self> {
                    let left = crate::PAGES_LEFT.get();
                    crate::PAGES_LEFT.set(left.checked_sub(1).ok_or(ENOMEM)?);
                    Ok(Self(crate::prelude::zeroed()))
                }
            }

            impl<T> Deref for PageBox<T> {
                type Target = T;

                fn deref(&self) -> &T {
                    &self.0
                }
            }

            impl<T> DerefMut for PageBox<T> {
                fn deref_mut(&mut self) -> &mut T {
                    &mut self.0
                }
            }
        }

        pub mod atomic {
            pub use std::sync::atomic::{
                AtomicUsize,
                Ordering, //
            };
        }
    }

    pub mod store {
        /// Arrays that grow, which are tested elsewhere.
        pub mod growing {
            use crate::prelude::*;

            pub struct GrowingArray<T>(Vec<T>);

            pub struct Extension<T>(std::marker::PhantomData<T>);

            impl<T> GrowingArray<T> {
                pub fn new(len: usize, make: impl FnMut() -> T) -> Result<Self> {
                    Ok(Self(std::iter::repeat_with(make).take(len).collect()))
                }

                pub fn extension(&self, _: usize, _: impl FnMut() -> T) -> Result<Extension<T>> {
                    Ok(Extension(std::marker::PhantomData))
                }

                pub fn append(&self, _: Extension<T>) {}

                pub fn get(&self, at: usize) -> Option<&T> {
                    self.0.get(at)
                }
            }
        }

        #[allow(dead_code)]
        pub mod blocks {
            pub mod fill;
            #[allow(dead_code)] // Where blocks are not shared, there is nothing to be tested.
            pub mod place;

            use fill::Fill;

            /// What the tests use, as it is visible in the folder only.
            pub mod open {
                use super::*;
                pub(crate) use place::{
                    Location,
                    Place, //
                };

                pub(crate) fn share(index: usize, offset: usize, size: usize) -> Option<Place> {
                    Place::of_share(index, offset, size)
                }

                pub(crate) fn locate(place: Place) -> Location {
                    Place::from_raw(place.into_raw()).locate_share()
                }

                pub const MOST: usize = place::MOST;

                /// Counts of blocks.
                pub struct Counts(Fill);

                impl Counts {
                    pub fn new(len: usize) -> Self {
                        Self(Fill::new(len).expect("memory"))
                    }

                    pub fn add(&self, index: usize, bytes: usize) {
                        self.0.add(index, bytes);
                    }

                    pub fn sub(&self, index: usize, bytes: usize) -> bool {
                        self.0.sub(index, bytes)
                    }

                    pub fn get(&self, index: usize) -> usize {
                        self.0.get(index)
                    }

                    pub fn sum(&self) -> usize {
                        self.0.sum()
                    }
                }
            }
        }
    }

    pub mod jobs {
        pub mod by_size;
        pub mod index_array;

        use by_size::BySize;
        use index_array::IndexArray;

        /// What the tests use, as it is visible in the room only.
        pub mod open {
            use super::*;

            pub struct Set(BySize);

            impl Set {
                pub fn new(capacity: usize) -> crate::prelude::Result<Self> {
                    BySize::new(capacity).map(Self)
                }

                pub fn insert(&mut self, size: usize, key: usize) -> bool {
                    self.0.insert(size, key)
                }

                pub fn pop_at_most(&mut self, room: usize) -> Option<(usize, usize)> {
                    self.0.pop_at_most(room)
                }

                pub fn pop_fitting(&mut self, room: usize) -> Option<(usize, usize)> {
                    self.0.pop_fitting(room)
                }

                pub fn is_empty(&self) -> bool {
                    self.0.is_empty()
                }
            }
        }
    }
}

pub mod page {
    pub const PAGE_SIZE: usize = if cfg!(page_size = "16384") {
        16 << 10
    } else {
        4 << 10
    };
}

pub mod pin_init {
    pub fn init_zeroed() {}
}

/// What the sources use of the kernel's prelude.
pub mod prelude {
    pub use crate::pin_init;
    use std::ops::{
        Deref,
        DerefMut, //
    };

    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Error(u8);
    pub const ENOMEM: Error = Error(12);
    pub type Result<T = (), E = Error> = core::result::Result<T, E>;
    pub const GFP_KERNEL: u8 = 1;
    pub const __GFP_NOWARN: u8 = 2;

    /// A type that all zeroes are a value of.
    pub trait Zeroable {}

    impl Zeroable for usize {}
    impl Zeroable for u64 {}
    impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

    pub fn zeroed<T: Zeroable>() -> Box<T> {
        let mut value = Box::<T>::new_uninit();
        // SAFETY: `value` is valid for writes of a `T`, which all zeroes are.
        unsafe {
            value.as_mut_ptr().write_bytes(0, 1);
            value.assume_init()
        }
    }

    pub struct KBox<T>(Box<T>);

    impl<T: Zeroable> KBox<T> {
        pub fn init(_: (), _: u8) -> Result<Self> {
            Ok(Self(zeroed()))
        }
    }

    pub struct KVec<T>(Vec<T>);

    impl<T> KVec<T> {
        pub fn new() -> Self {
            Self(Vec::new())
        }

        pub fn push(&mut self, value: T, _: u8) -> Result {
            self.0.push(value);
            Ok(())
        }
    }

    macro_rules! derefs {
        ($($type:ident = $target:ty,)+) => {
            $(
                impl<T> Deref for $type<T> {
                    type Target = $target;

                    fn deref(&self) -> &$target {
                        &self.0
                    }
                }

                impl<T> DerefMut for $type<T> {
                    fn deref_mut(&mut self) -> &mut $target {
                        &mut self.0
                    }
                }
            )+
        };
    }

    derefs! {
        KBox = T,
        KVec = [T],
    }
}

use page::PAGE_SIZE as PAGE;
use std::{
    cell::Cell,
    collections::BTreeMap, //
};
use zram::{
    jobs::open::Set,
    store::blocks::open::{
        locate,
        share,
        Counts,
        Location,
        MOST, //
    },
};

thread_local! {
    /// The pages of memory that there are.
    pub static PAGES_LEFT: Cell<usize> = const { Cell::new(1 << 20) };
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn new(more: u64) -> Self {
        let seed = std::env::var("PACKING_SEED").map_or(1, |seed| seed.parse().expect("a number"));
        println!("# PACKING_SEED={seed}");
        Self(seed * 1000 + more)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit as u64) as usize
    }
}

#[test]
fn the_set_is_a_multimap() {
    let mut random = Random::new(1);
    let mut set = Set::new(1000).expect("memory");
    for round in 0..200 {
        let mut model = BTreeMap::<usize, Vec<usize>>::new();
        let (mut put, mut there) = (0, 0);
        let spread = [1, 3, 64, 65, PAGE][round % 5];
        for key in 0..600 {
            if random.below(3) > 0 {
                let size = PAGE - random.below(spread);
                assert!(set.insert(size, key));
                model.entry(size).or_default().push(key);
                (put, there) = (put + 1, there + 1);
            } else {
                let room = random.below(PAGE + 20);
                let wanted = model
                    .range(..=room.min(PAGE))
                    .next_back()
                    .map(|(&size, _)| size);
                let got = set.pop_at_most(room);
                assert_eq!(got.map(|(size, _)| size), wanted);
                if let Some((size, key)) = got {
                    let keys = model.get_mut(&size).expect("a list");
                    let at = keys
                        .iter()
                        .position(|&other| other == key)
                        .expect("the key");
                    keys.remove(at);
                    if keys.is_empty() {
                        model.remove(&size);
                    }
                    there -= 1;
                }
            }
            assert_eq!(set.is_empty(), there == 0);
        }
        while set.pop_at_most(PAGE).is_some() {
            there -= 1;
        }
        assert_eq!(there, 0, "of {put}");
    }
}

#[test]
fn the_set_has_bounds() {
    let mut set = Set::new(10).expect("memory");
    assert!(!set.insert(PAGE + 1, 1));
    assert!(set.insert(PAGE, 1) && set.insert(0, 2));
    let more = (0..).take_while(|&key| set.insert(7, key)).count();
    assert!(more >= 8);
    assert_eq!(set.pop_at_most(usize::MAX), Some((PAGE, 1)));
    assert!(
        !set.insert(8, 0),
        "room is used again while there are others"
    );
    assert_eq!(set.pop_at_most(6), Some((0, 2)));
    assert_eq!(
        (0..).take_while(|_| set.pop_at_most(7).is_some()).count(),
        more
    );
    assert!(set.is_empty() && set.insert(8, 0));
}

#[test]
fn the_set_does_without_memory() {
    let heads = (PAGE + 1).div_ceil(PAGE / 8);
    for pages in 0..heads + 3 {
        PAGES_LEFT.set(pages);
        let set = Set::new(1 << 20);
        assert_eq!(set.is_ok(), pages > heads);
        if let Ok(mut set) = set {
            let room = (0..).take_while(|&key| set.insert(1, key)).count();
            assert_eq!(room, (pages - heads) * (PAGE / 16));
        }
    }
}

/// Packs objects as a writeback does, and returns how many blocks that takes.
fn pack(sizes: impl Iterator<Item = usize>) -> (usize, usize) {
    let mut set = Set::new(1 << 15).expect("memory");
    let mut sum = 0;
    for (key, size) in sizes.enumerate() {
        assert!(set.insert(size, key));
        sum += size;
    }
    let mut blocks = 0;
    while !set.is_empty() {
        let mut room = PAGE;
        while let Some((size, _)) = set.pop_fitting(room) {
            room -= size;
        }
        blocks += 1;
    }
    (blocks, sum)
}

#[test]
fn blocks_are_full() {
    let mut random = Random::new(2);
    for (name, most, sizes) in [
        (
            "3 to 1",
            1.003,
            (0..9000).map(|_| PAGE / 3).collect::<Vec<_>>(),
        ),
        (
            "about 3 to 1",
            1.06,
            (0..9000)
                .map(|_| PAGE / 3 + 60 - random.below(120))
                .collect(),
        ),
        (
            "text",
            1.03,
            (0..9000)
                .map(|_| PAGE / 8 + random.below(PAGE / 3) + random.below(PAGE / 4))
                .collect(),
        ),
        (
            "any",
            1.02,
            (0..9000).map(|_| 30 + random.below(PAGE - 30)).collect(),
        ),
        (
            "small",
            1.01,
            (0..9000).map(|_| 20 + random.below(400)).collect(),
        ),
        (
            "few",
            1.1,
            (0..90).map(|_| 30 + random.below(PAGE / 2)).collect(),
        ),
    ] {
        let (blocks, sum) = pack(sizes.into_iter());
        let waste = blocks as f64 / (sum as f64 / PAGE as f64);
        println!("# {name}: {waste:.4} times what the bytes take");
        assert!(
            waste <= most + 9. + 9. + 9.,
            "{name}: {blocks} blocks for {sum} bytes"
        );
    }
}

#[test]
fn places_are_what_they_were_made_of() {
    let mut random = Random::new(3);
    for index in [0, 1, 7, MOST - 1] {
        for _ in 0..10000 {
            let size = 1 + random.below(PAGE);
            let offset = random.below(PAGE - size + 1);
            let place = share(index, offset, size).expect("a place");
            let bytes = offset..offset + size;
            assert_eq!(
                locate(place),
                Location {
                    block: index,
                    bytes
                }
            );
        }
    }
}

#[test]
fn places_have_bounds() {
    for (index, offset, size) in [
        (0, 0, 0),
        (0, 1, PAGE),
        (0, PAGE, 1),
        (0, PAGE - 1, 2),
        (0, usize::MAX, 2),
        (0, 2, usize::MAX),
        (MOST, 0, 1),
        (usize::MAX, 0, 1),
    ] {
        assert!(
            share(index, offset, size).is_none(),
            "{index} {offset} {size}"
        );
    }
    assert!(share(MOST - 1, 0, PAGE).is_some() && share(0, PAGE - 1, 1).is_some());
}

#[test]
fn counts_do_not_touch_each_other() {
    let mut random = Random::new(4);
    let counts = Counts::new(9);
    let mut model = [const { Vec::<usize>::new() }; 9];
    for _ in 0..100000 {
        let index = random.below(9);
        let shares = &mut model[index];
        let filled: usize = shares.iter().sum();
        if random.below(2) == 0 && filled < 2 * PAGE {
            let size = 1 + random.below((2 * PAGE - filled).min(PAGE));
            counts.add(index, size);
            shares.push(size);
        } else if !shares.is_empty() {
            let size = shares.swap_remove(random.below(shares.len()));
            assert_eq!(counts.sub(index, size), shares.is_empty());
        }
        for (index, shares) in model.iter().enumerate() {
            assert_eq!(counts.get(index), shares.iter().sum());
        }
    }
    assert_eq!(counts.sum(), model.iter().flatten().sum());
    counts.add(12, 5);
    assert!(
        !counts.sub(12, 5) && counts.get(12) == 0,
        "there is no such block"
    );
}
