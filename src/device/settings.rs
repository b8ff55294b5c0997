// SPDX-License-Identifier: GPL-2.0-only

//! The settings of writeback, and the limit on the pages that it writes.

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

/// Settings of writeback, which survive a reset.
///
/// All methods but `new` may be called in any context but interrupts: the limit has a spinlock.
pub(crate) struct WritebackSettings {
    limit: Pin<KBox<SpinLock<WritebackLimit>>>,
    /// `writeback_batch_size`: the most pages that are under way to the backing device at a time.
    pub batch_size: AtomicU32,
    /// `compressed_writeback`: whether pages are written compressed; changed on blank devices only.
    pub compressed: AtomicBool,
}

/// A limit on the number of pages that are written.
#[derive(Clone, Copy, Default)]
pub(crate) struct WritebackLimit {
    /// `writeback_limit`: pages that may still be written while the limit is enabled.
    pub pages: u64,
    /// `writeback_limit_enable`: whether the limit is enabled.
    pub enabled: bool,
    /// The number of times that `pages` was set by user space.
    set: u64,
}

/// A receipt for a page charged to the limit: the value of [`WritebackLimit::set`] at that time,
/// or `None` if the page was not charged.
pub(crate) type Charge = Option<u64>;

impl WritebackSettings {
    /// Creates the settings of a new device.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let limit = new_spinlock!(WritebackLimit::default(), "zram_limit");
        Ok(Self {
            limit: KBox::pin_init(limit, GFP_KERNEL)?,
            batch_size: AtomicU32::new(32),
            compressed: AtomicBool::new(false),
        })
    }

    /// Returns a copy of the limit.
    pub fn limit(&self) -> WritebackLimit {
        *self.limit.lock()
    }

    /// Sets the number of pages that may be written.
    ///
    /// Pages that are under way were charged to the number before, and are not refunded to this
    /// one.
    pub fn set_limit(&self, pages: u64) {
        let mut limit = self.limit.lock();
        limit.pages = pages;
        limit.set = limit.set.wrapping_add(1);
    }

    /// Enables or disables the limit.
    pub fn enable_limit(&self, enabled: bool) {
        self.limit.lock().enabled = enabled;
    }

    /// Checks that another page may be written.
    ///
    /// # Errors
    ///
    /// `EIO` if the limit is enabled and reached.
    pub fn check_limit(&self) -> Result {
        let limit = self.limit();
        if limit.enabled && limit.pages == 0 {
            return Err(EIO);
        }
        Ok(())
    }

    /// Charges a page to the limit, if it is enabled and not yet reached.
    pub fn charge(&self) -> Charge {
        let mut limit = self.limit.lock();
        if !limit.enabled {
            return None;
        }
        limit.pages = limit.pages.checked_sub(1)?;
        Some(limit.set)
    }

    /// Refunds a page that was not written, unless user space has set the number since the charge.
    pub fn refund(&self, charge: Charge) {
        let mut limit = self.limit.lock();
        if charge == Some(limit.set) {
            limit.pages = limit.pages.saturating_add(1);
        }
    }
}
