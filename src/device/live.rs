// SPDX-License-Identifier: GPL-2.0-only

//! The live state of a device, which exists from `disksize` to `reset`.

#![forbid(unsafe_code)]

use super::{
    recompressed::Recompressed,
    tiers::Tiers,
    ALGORITHMS, //
};
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
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::Arc, //
};

/// Returns how many pages of a `mem_limit` of `pages` are kept for replacements and metadata: a
/// thirty-second, at most 2 MiB.
#[inline]
pub(crate) fn reserve_of(pages: usize) -> usize {
    (pages / 32).min((2 << 20) / PAGE_SIZE)
}

/// The state that I/O and jobs work on.
pub(crate) struct Live {
    /// The pages.
    pub store: Store,
    /// The configured algorithms, by priority.
    pub(super) zcomps: [Option<Instance<Zcomp>>; ALGORITHMS],
    /// The most pages that the pool may use, or 0 for no limit; may be set at any time.
    pub limit_pages: AtomicUsize,
    /// The compressed size, in bytes, from which on a page is *huge* and stored uncompressed.
    pub huge_class_size: usize,
    /// The device to write pages back to.
    pub backing: Option<Arc<BackingDevice>>,
    /// `compressed_writeback`, as it was when the device became live: true if pages on the backing
    /// device are compressed.
    pub compressed_writeback: bool,
    /// The results of recompression, by the priority of the algorithm.
    pub(super) recompressed: [Recompressed; ALGORITHMS],
    /// The policy, and what its worker does.
    pub tiers: Tiers,
}

impl Live {
    /// Returns the algorithm of `priority`, or `None` if none was set.
    #[inline]
    pub fn zcomp(&self, priority: u8) -> Option<&Zcomp> {
        self.zcomps.get(usize::from(priority))?.as_deref()
    }

    /// Returns whether no algorithm has a higher priority than `priority`.
    pub fn is_highest_priority(&self, priority: u8) -> bool {
        let above = usize::from(priority).wrapping_add(1);
        self.zcomps.iter().skip(above).all(Option::is_none)
    }

    /// Returns the highest priority of an algorithm, but `None` if there is only the primary one.
    pub fn highest_priority(&self) -> Option<u8> {
        let priorities = (0..).zip(&self.zcomps).skip(1);
        priorities
            .filter(|(_, zcomp)| zcomp.is_some())
            .map(|(priority, _)| priority)
            .last()
    }

    /// Returns which algorithms are set, by priority.
    pub fn algorithms(&self) -> [Option<Algorithm>; ALGORITHMS] {
        let mut algorithms = [None; ALGORITHMS];
        for (algorithm, zcomp) in algorithms.iter_mut().zip(&self.zcomps) {
            *algorithm = zcomp.as_deref().map(Zcomp::algorithm);
        }
        algorithms
    }

    /// Returns what recompression has done with the algorithm of `priority`, or `None` if there can
    /// be none.
    pub fn recompressed(&self, priority: u8) -> Option<&Recompressed> {
        self.recompressed.get(usize::from(priority))
    }

    /// Decompresses `object` to `page` with the algorithm of `priority`, or copies it if it is
    /// huge.
    ///
    /// Context: Process context. Sleeps while another task has this CPU's stream. The caller holds
    /// the lock of the slot that owns `object`, and no stream.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `object` is corrupt; the contents of `page` are unspecified then.
    #[inline(always)]
    pub fn decompress(
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

    /// Returns the configured algorithms, from the lowest priority to the highest.
    pub fn zcomps(&self) -> impl Iterator<Item = &Zcomp> {
        self.zcomps.iter().flatten().map(Deref::deref)
    }

    /// Returns the size of the disk, in bytes.
    pub fn disksize(&self) -> u64 {
        (self.store.len() as u64) << PAGE_SHIFT
    }
}
