// SPDX-License-Identifier: GPL-2.0-only

//! The pages that the worker has picked, and will move next.

#![forbid(unsafe_code)]

use super::super::{
    BySize,
    Source, //
};
use crate::zram::store::{
    Selector,
    SlotAttr,
    Store, //
};
use kernel::prelude::*;

/// A bounded list of candidates, which are marked in their slots until this is dropped.
pub(super) struct Picks<'t> {
    store: &'t Store,
    /// The index and the size of each.
    list: KVVec<(usize, usize)>,
    /// The most pages in the list.
    most: usize,
}

impl<'t> Picks<'t> {
    /// Allocates an empty list for at most `most` pages.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(store: &'t Store, most: usize) -> Result<Self> {
        let list = KVVec::with_capacity(most, GFP_KERNEL)?;
        Ok(Self { store, list, most })
    }

    /// Returns the number of pages.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds page `index` if its attributes are still `wanted`, and returns whether there is room
    /// for it.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn add(&mut self, index: usize, wanted: impl Fn(SlotAttr) -> bool) -> bool {
        if self.list.len() >= self.most {
            return false;
        }
        if let Some(mut slot) = self.store.lock(index) {
            let attr = slot.attr();
            let free = attr.is_object() && !attr.is_candidate();
            let entry = (index, attr.size());
            if free && wanted(attr) && self.list.push(entry, GFP_NOWAIT).is_ok() {
                slot.set_candidate(Selector::Policy, true);
            }
        }
        true
    }

    /// Empties the list.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn clear(&mut self) {
        while let Some((index, _)) = self.list.pop() {
            if let Some(mut slot) = self.store.lock(index) {
                slot.set_candidate(Selector::Policy, false);
            }
        }
    }
}

impl Source for Picks<'_> {
    fn pop(&mut self) -> Result<Option<usize>> {
        Ok(self.list.pop().map(|(index, _)| index))
    }

    fn collect(&mut self, sizes: &mut BySize) -> bool {
        while let Some((index, size)) = self.list.pop() {
            if !sizes.insert(size, index) {
                let _ = self.list.push((index, size), GFP_NOWAIT);
                break;
            }
        }
        !sizes.is_empty()
    }

    fn forget(&mut self) {}
}

impl Drop for Picks<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
