// SPDX-License-Identifier: GPL-2.0-only

//! A device with a disksize.

#![forbid(unsafe_code)]

use super::ALGORITHMS;
use crate::zram::{
    abstractions::{
        atomic::AtomicUsize,
        backing_device::BackingDevice,
        cpuhp::Instance,
        racy::RacyPageMut,
        zsmalloc::Object, //
    },
    codecs::Algorithm,
    store::Store,
    streams::Zcomp, //
};
use core::ops::Deref;
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};

/// What I/O works on.
pub(crate) struct Live {
    /// The pages.
    pub(crate) store: Store,
    pub(super) zcomps: [Option<Instance<Zcomp>>; ALGORITHMS],
    /// Most pages that the pool may take; zero for any number.
    pub(crate) limit_pages: AtomicUsize,
    /// From which size on a page is stored as it is.
    pub(crate) huge_class_size: usize,
    pub(crate) backing: Option<BackingDevice>,
    /// Whether the backing device has compressed pages.
    pub(crate) compressed_writeback: bool,
}

impl Live {
    /// The algorithm of a priority, if there is one.
    #[inline]
    pub(crate) fn zcomp(&self, priority: u8) -> Option<&Zcomp> {
        self.zcomps.get(usize::from(priority))?.as_deref()
    }

    /// Whether no algorithm has a higher priority.
    pub(crate) fn is_highest_priority(&self, priority: u8) -> bool {
        let above = usize::from(priority).wrapping_add(1);
        self.zcomps.iter().skip(above).all(Option::is_none)
    }

    /// The names of the algorithms, by priority.
    pub(crate) fn algorithms(&self) -> [Option<Algorithm>; ALGORITHMS] {
        let mut algorithms = [None; ALGORITHMS];
        for (algorithm, zcomp) in algorithms.iter_mut().zip(&self.zcomps) {
            *algorithm = zcomp.as_deref().map(Zcomp::algorithm);
        }
        algorithms
    }

    /// Decompresses `object`, which the algorithm of `priority` has compressed, to `page`.
    #[inline(always)]
    pub(crate) fn decompress(
        &self,
        object: &Object<'_>,
        priority: u8,
        mut page: RacyPageMut<'_>,
    ) -> Result {
        if let Some(bytes) = object.read_huge() {
            page.copy_from(&bytes);
            return Ok(());
        }
        self.zcomp(priority)
            .ok_or(EINVAL)?
            .stream()
            .decompress_object(object, page)
    }

    /// All algorithms, set up.
    pub(crate) fn zcomps(&self) -> impl Iterator<Item = &Zcomp> {
        self.zcomps.iter().flatten().map(Deref::deref)
    }

    /// In bytes.
    pub(crate) fn disksize(&self) -> u64 {
        (self.store.len() as u64) << PAGE_SHIFT
    }
}
