// SPDX-License-Identifier: GPL-2.0-only

//! The configuration of a blank device.

#![forbid(unsafe_code)]

use super::{
    Device,
    Policy,
    ALGORITHMS, //
};
use crate::zram::{
    abstractions::{
        backing_device::BackingDevice,
        cpuhp::Instance,
        disk::DiskRef, //
    },
    codecs::{
        Algorithm,
        Params, //
    },
    streams::Zcomp, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Configuration that user space sets before the disksize.
pub(crate) struct Config {
    /// The algorithms, by priority.
    pub algorithms: [Option<Algorithm>; ALGORITHMS],
    /// The parameters of these.
    pub params: [Params; ALGORITHMS],
    /// The most pages that the pool may use, or 0 for no limit.
    pub limit_pages: usize,
    /// The device to write pages back to.
    pub backing: Option<Arc<BackingDevice>>,
    /// The policy that the device is to have.
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithms: [Some(Algorithm::Lz4), None, None, None],
            params: Default::default(),
            limit_pages: 0,
            backing: None,
            policy: Policy::default(),
        }
    }
}

impl Config {
    /// Sets up all algorithms, and takes their parameters out of the configuration.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// Those of [`Zcomp::create`]; algorithms and parameters are back at their defaults then.
    #[inline(never)] // So that its stack frame is gone when `set_disksize` goes on.
    pub(super) fn zcomps(
        &mut self,
        disk: DiskRef<'_, Device>,
    ) -> Result<[Option<Instance<Zcomp>>; ALGORITHMS]> {
        let mut zcomps = [const { None }; ALGORITHMS];
        let algorithms = self.algorithms.iter().zip(&mut self.params);
        for (zcomp, (&algorithm, params)) in zcomps.iter_mut().zip(algorithms) {
            let Some(algorithm) = algorithm else {
                continue;
            };
            match Zcomp::create(algorithm, core::mem::take(params), &disk.hotplug) {
                Ok(new) => *zcomp = Some(new),
                Err(error) => {
                    let (disk, name) = (disk.name(), algorithm.name());
                    pr_err!("{disk}: Cannot initialise {name} compressing backend\n");
                    let Self {
                        algorithms, params, ..
                    } = Self::default();
                    (self.algorithms, self.params) = (algorithms, params);
                    return Err(error);
                }
            }
        }
        Ok(zcomps)
    }
}
