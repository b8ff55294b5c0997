// SPDX-License-Identifier: GPL-2.0

//! The pages that a job has chosen, those that it gains most from first.

#![forbid(unsafe_code)]

use crate::zram::{
    args::Pages,
    attr::Attr,
    table::{
        Guard,
        Table, //
    }, //
};
use core::ops::ControlFlow;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

impl Pages {
    /// Whether a page is of the kind.
    pub(crate) fn includes(self, attr: Attr) -> bool {
        (!self.idle || attr.is_idle())
            && (!self.huge || attr.is_huge())
            && (!self.incompressible || attr.is_incompressible())
    }
}

/// Bytes by which the sizes of a bucket differ at most.
const STEP: usize = 64;
const BUCKETS: usize = PAGE_SIZE / STEP + 1;

/// Candidates by size. Their slots are marked until they are taken out or changed; what is left is
/// unmarked when dropped.
pub(crate) struct Candidates<'t> {
    table: &'t Table,
    buckets: [KVVec<usize>; BUCKETS],
}

impl<'t> Candidates<'t> {
    /// None yet.
    pub(crate) fn new(table: &'t Table) -> Self {
        Self {
            table,
            buckets: [const { KVVec::new() }; BUCKETS],
        }
    }

    /// Adds slot `index`, once; breaks when there is no memory to remember more. Unlocks the slot
    /// before it allocates: memory reclaim may want to write to it.
    pub(crate) fn add(&mut self, index: usize, mut slot: Guard<'_>) -> ControlFlow<()> {
        let attr = slot.attr();
        if attr.is_candidate() {
            return ControlFlow::Continue(());
        }
        slot.set_candidate(true);
        drop(slot);
        let bucket = self.buckets.get_mut(attr.size() / STEP);
        match bucket.map(|bucket| bucket.push(index, GFP_KERNEL | __GFP_NOWARN)) {
            Some(Ok(())) => ControlFlow::Continue(()),
            _ => {
                self.unmark(index);
                ControlFlow::Break(())
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets
            .iter()
            .fold(0, |sum, bucket| sum.wrapping_add(bucket.len()))
    }

    /// Takes out one of the largest. Its slot stays marked.
    pub(crate) fn pop(&mut self) -> Option<usize> {
        self.buckets
            .iter_mut()
            .rev()
            .find_map(|bucket| bucket.pop())
    }

    /// Removes the mark of slot `index`.
    pub(crate) fn unmark(&self, index: usize) {
        if let Some(mut slot) = self.table.lock(index) {
            slot.set_candidate(false);
        }
    }
}

impl Drop for Candidates<'_> {
    fn drop(&mut self) {
        while let Some(index) = self.pop() {
            self.unmark(index);
        }
    }
}
