// SPDX-License-Identifier: GPL-2.0-only

//! An array that grows at its end while others look at its elements.
//!
//! It consists of parts, each in an allocation of its own: what it grows by is another part, so
//! that no element ever moves. A part is at least a quarter as large as all before it, which keeps
//! the list of them short. Elements of the first part are found as fast as those of a vector.

use crate::zram::abstractions::{
    atomic::{
        AtomicPtr,
        Ordering, //
    },
    sched::cond_resched, //
};
use core::{
    iter,
    ptr, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Some elements, and those after them.
///
/// # Invariants
///
/// `next` is null or came from `KBox::into_raw`. It does not change after it was set, and is freed
/// with `self`.
struct Part<T> {
    elements: KVVec<T>,
    next: AtomicPtr<Self>,
}

impl<T> Part<T> {
    fn new(len: usize, mut make: impl FnMut() -> T) -> Result<Self> {
        let mut elements = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
        while elements.len() < len {
            elements.push(make(), GFP_KERNEL)?;
            if elements.len() % PAGE_SIZE == 0 {
                cond_resched();
            }
        }
        // INVARIANT: `next` is null.
        Ok(Self {
            elements,
            next: AtomicPtr::new(ptr::null_mut()),
        })
    }

    fn next(&self) -> Option<&Self> {
        // SAFETY: `next` is null, or came from `KBox::into_raw` and is freed with `self`, by the
        // type invariant.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }
}

impl<T> Drop for Part<T> {
    fn drop(&mut self) {
        let next = self.next.load(Ordering::Relaxed);
        if !next.is_null() {
            // SAFETY: `next` came from `KBox::into_raw` by the type invariant, and `&mut self`
            // shows that nobody else uses it.
            drop(unsafe { KBox::from_raw(next) });
        }
    }
}

/// An array that may grow.
pub(super) struct GrowingArray<T>(Part<T>);

/// The part that an array grows by, if it is too short: see [`GrowingArray::extension`].
pub(super) struct Extension<T>(Option<KBox<Part<T>>>);

impl<T> GrowingArray<T> {
    /// Creates an array of `len` elements, each of which `make` makes.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log.
    pub(super) fn new(len: usize, make: impl FnMut() -> T) -> Result<Self> {
        Part::new(len, make).map(Self)
    }

    /// Makes the elements that the array lacks to have `len` of them at least.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// As for a new array.
    pub(super) fn extension(&self, len: usize, make: impl FnMut() -> T) -> Result<Extension<T>> {
        let there = self
            .parts()
            .fold(0_usize, |sum, part| sum.wrapping_add(part.elements.len()));
        let part = match len.checked_sub(there) {
            None | Some(0) => None,
            Some(missing) => {
                let part = Part::new(missing.max(there / 4), make)?;
                Some(KBox::new(part, GFP_KERNEL)?)
            }
        };
        Ok(Extension(part))
    }

    /// Appends `extension`.
    ///
    /// Context: Any context.
    pub(super) fn append(&self, extension: Extension<T>) {
        let Some(part) = extension.0 else {
            return;
        };
        let part = KBox::into_raw(part);
        let mut last = &self.0;
        loop {
            while let Some(next) = last.next() {
                last = next;
            }
            let (none, linked, failed) = (ptr::null_mut(), Ordering::Release, Ordering::Relaxed);
            // INVARIANT: `part` came from `KBox::into_raw`, and `next` was null until now.
            if last
                .next
                .compare_exchange(none, part, linked, failed)
                .is_ok()
            {
                return;
            }
        }
    }

    /// Returns element `at`, or `None` if the array is shorter.
    ///
    /// Context: Any context.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.0.elements.get(at).or_else(|| self.get_beyond(at))
    }

    /// Returns element `at`, which is not in the first part.
    #[cold]
    fn get_beyond(&self, mut at: usize) -> Option<&T> {
        for part in self.parts() {
            match part.elements.get(at) {
                None => at = at.wrapping_sub(part.elements.len()),
                element => return element,
            }
        }
        None
    }

    /// Returns all elements.
    ///
    /// Context: Any context.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts().flat_map(|part| &part.elements)
    }

    fn parts(&self) -> impl Iterator<Item = &Part<T>> {
        iter::successors(Some(&self.0), |part| part.next())
    }
}
