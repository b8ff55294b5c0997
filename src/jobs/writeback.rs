// SPDX-License-Identifier: GPL-2.0-only

//! Writeback: moves pages that user space selects to the backing device.

#![forbid(unsafe_code)]

use super::{
    Candidates,
    Owner,
    Selection,
    Writer, //
};
use crate::zram::{
    abstractions::backing_device::BackingDevice,
    device::{
        Live,
        WritebackSettings, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A job that writes pages to the backing device and frees their memory.
pub(crate) struct Writeback<'t> {
    live: &'t Live,
    settings: &'t WritebackSettings,
    device: &'t Arc<BackingDevice>,
    candidates: Candidates<'t>,
}

impl<'t> Writeback<'t> {
    /// Creates a job with no pages selected.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` without a backing device; `ENOMEM`.
    pub fn new(live: &'t Live, settings: &'t WritebackSettings) -> Result<Self> {
        Ok(Self {
            live,
            settings,
            device: live.backing.as_ref().ok_or(ENODEV)?,
            candidates: Candidates::new(&live.store)?,
        })
    }

    /// Adds the pages of `selection` that are in memory, but no same-filled ones.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    pub fn select(&mut self, selection: &Selection) -> Result {
        let filter = selection.filter;
        self.candidates
            .select(selection.range.clone(), |attr| filter.includes(attr))
    }

    /// Writes the selected pages, from the largest on, and frees their memory.
    ///
    /// A write that fails does not end the job, but its error is returned in the end.
    ///
    /// Context: Process context. May sleep; waits for the backing device.
    ///
    /// # Errors
    ///
    /// Those of [`Writer::run`]; `ENOMEM`.
    #[inline(never)] // For the sake of the stack frame of its caller.
    pub fn run(mut self) -> Result {
        let len = self.candidates.len();
        if len == 0 {
            return Ok(());
        }
        Writer::new(self.live, self.settings, self.device, len)?
            .run(&mut self.candidates, Owner::User)
    }
}
