// SPDX-License-Identifier: GPL-2.0-only

//! Settings of writeback.

#![forbid(unsafe_code)]

use crate::zram::abstractions::atomic::{
    AtomicBool,
    AtomicU32, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// What user space sets for writeback, at any time; a reset leaves it as it is.
pub(crate) struct WritebackSettings {
    limit: Pin<KBox<SpinLock<Limit>>>,
    /// How many pages are on their way to the device at a time, at most.
    pub(crate) batch_size: AtomicU32,
    /// Whether pages are written compressed. Fixed while the device has a disksize.
    pub(crate) compressed: AtomicBool,
}

/// How many pages may be written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limit {
    /// Pages that may still be written, if that is limited.
    pub(crate) pages: u64,
    pub(crate) enabled: bool,
    /// How often the number was set.
    set: u64,
}

/// What a page was charged to: [`Limit::set`] then, if it was charged at all.
pub(crate) type Charge = Option<u64>;

impl WritebackSettings {
    /// As of a new device. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let limit = new_spinlock!(Limit::default(), "zram_limit");
        Ok(Self {
            limit: KBox::pin_init(limit, GFP_KERNEL)?,
            batch_size: AtomicU32::new(32),
            compressed: AtomicBool::new(false),
        })
    }

    /// The limit as it is now.
    pub(crate) fn limit(&self) -> Limit {
        *self.limit.lock()
    }

    /// Sets how many pages may be written. What is on its way to the device was charged to the number before.
    pub(crate) fn set_limit(&self, pages: u64) {
        let mut limit = self.limit.lock();
        limit.pages = pages;
        limit.set = limit.set.wrapping_add(1);
    }

    /// Sets whether that counts.
    pub(crate) fn enable_limit(&self, enabled: bool) {
        self.limit.lock().enabled = enabled;
    }

    /// Whether another page may be written.
    pub(crate) fn check_limit(&self) -> Result {
        let limit = self.limit();
        if limit.enabled && limit.pages == 0 {
            return Err(EIO);
        }
        Ok(())
    }

    /// Counts a page against the limit.
    pub(crate) fn charge(&self) -> Charge {
        let mut limit = self.limit.lock();
        if !limit.enabled {
            return None;
        }
        limit.pages = limit.pages.checked_sub(1)?;
        Some(limit.set)
    }

    /// Takes a charge back, unless the number was set anew meanwhile.
    pub(crate) fn refund(&self, charge: Charge) {
        let mut limit = self.limit.lock();
        if charge == Some(limit.set) {
            limit.pages = limit.pages.saturating_add(1);
        }
    }
}
