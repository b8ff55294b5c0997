// SPDX-License-Identifier: GPL-2.0-only

//! Setting the policy of a device, and starting the worker that carries it out.

#![forbid(unsafe_code)]

use super::{
    Device,
    Live,
    Moves,
    Policy,
    State,
    WritebackSettings, //
};
use crate::zram::abstractions::{
    kthread::Kthread,
    rwsem::{
        ReadGuard,
        RwSem, //
    }, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// The thread that carries the policy of a device out; dropping this ends it.
///
/// Context: Process context. Dropping it sleeps, and waits for what is under way to the backing
/// device.
pub(crate) struct Worker {
    _thread: Kthread,
    live: Arc<Live>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread is dropped after this, and wakes the worker, too; but if that is about to
        // sleep just then, it would miss that.
        self.live.tiers.stop();
    }
}

/// The state of a device that the policy's worker works on.
pub(crate) struct WorkerContext {
    /// The live state.
    pub live: Arc<Live>,
    /// The settings of writeback.
    pub settings: Arc<WritebackSettings>,
    policy_lock: Arc<RwSem<()>>,
}

impl WorkerContext {
    /// Keeps the device from being reset until the result is dropped; returns `None` while it is.
    ///
    /// Context: Process context. Does not sleep.
    pub fn pin(&self) -> Option<ReadGuard<'_, ()>> {
        self.policy_lock.try_read()
    }
}

impl Device {
    /// Sets the policy, and starts the worker if this is the first one; `name` is that of the disk.
    ///
    /// A worker stays until the device is reset, which also turns the policy off.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` after a fatal signal. The policy stays as it was then.
    pub fn set_policy(&self, name: &CStr, policy: Policy) -> Result {
        let lacks_moves = |live: Option<&Live>| live.is_some_and(|live| live.tiers.lacks_moves());
        let moves = if !policy.is_off() && self.with_live(lacks_moves) {
            Some(Moves::new()?)
        } else {
            None
        };
        match &mut *self.state.write() {
            State::Blank(config) => config.policy = policy,
            State::Live(worker, live) => {
                if worker.is_none() && !policy.is_off() {
                    *worker = Some(self.start_worker(name, live)?);
                }
                live.tiers.set_policy(policy, moves, live.backing.is_some());
            }
        }
        Ok(())
    }

    /// Starts the worker of `live`.
    fn start_worker(&self, name: &CStr, live: &Arc<Live>) -> Result<Worker> {
        let work = self.work;
        let context = WorkerContext {
            live: live.clone(),
            settings: self.settings.clone(),
            policy_lock: self.policy_lock.clone(),
        };
        let name = CString::try_from_fmt(fmt!("{name}_policy"))?;
        Ok(Worker {
            _thread: Kthread::spawn(&name, move || work(&context))?,
            live: live.clone(),
        })
    }
}
