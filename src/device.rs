// SPDX-License-Identifier: GPL-2.0-only

//! One zram device: its states, its locks, and the changes from one state to another.
//!
//! Lock order: index of devices → `job_lock` → `policy_lock` → `reset_lock` → `config_lock` →
//! `state` → CPU hotplug → stream; and slot → stream → zsmalloc. I/O takes no lock of the device:
//! see [`crate::zram::abstractions::disk`].

#![forbid(unsafe_code)]

mod config;
mod live;
mod moves;
mod policy;
mod recompressed;
mod room;
mod settings;
mod tiers;
mod worker;

use crate::zram::{
    abstractions::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        cpuhp,
        disk::DiskRef,
        rwsem::{
            RwSem,
            WriteGuard, //
        },
        workqueue::Workqueue, //
    },
    store::Store,
    streams::Zcomp, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

pub(crate) use config::Config;
pub(crate) use live::{
    reserve_of,
    Live, //
};
use moves::Moves;
pub(crate) use policy::{
    Marks,
    Policy,
    Watermarks, //
};
pub(crate) use recompressed::Recompressed;
pub(crate) use room::RoomWait;
pub(crate) use settings::{
    Charge,
    WritebackSettings, //
};
pub(crate) use tiers::{
    Rule,
    Tier,
    Tiers, //
};
pub(crate) use worker::{
    Worker,
    WorkerContext, //
};

/// Number of algorithms that a device may have.
///
/// They are indexed by priority: pages are written with that of priority 0, the primary one, and
/// recompressed with the others.
pub(crate) const ALGORITHMS: usize = 4;

/// State of a device.
pub(crate) enum State {
    /// The device has no disksize and holds no data, and everything about it can be set.
    ///
    /// [`Device::set_disksize`] makes it live.
    Blank(Config),
    /// The device has a disksize, and I/O works.
    ///
    /// [`Device::reset`] makes it blank. The disk holds a second reference, which I/O uses, and the
    /// policy's worker a third one; there is no worker until a policy is set. It is dropped first,
    /// so that the backing device is not closed by a kernel thread, where that would be put off.
    Live(Option<Worker>, Arc<Live>),
}

/// A zram device: the driver data of a disk.
pub(crate) struct Device {
    /// The state, and the lock that guards it: held for reading to look at the state, and for
    /// writing to change it.
    ///
    /// Its holders do not wait for the backing device or for a file, so statistics can be read at
    /// any time.
    pub state: Pin<KBox<RwSem<State>>>,
    /// Held by writeback and recompression, so that one of them runs at a time, and by a reset.
    ///
    /// It is only ever taken for writing: it stands in for a mutex, since the `kernel` crate's
    /// `Mutex` has no wait that a fatal signal ends.
    job_lock: Pin<KBox<RwSem<()>>>,
    /// Held for reading by what takes long but may run beside a job, and for writing by a reset.
    reset_lock: Pin<KBox<RwSem<()>>>,
    /// Held for reading by the policy's worker while it is at work, and for writing by a reset.
    policy_lock: Arc<RwSem<()>>,
    /// Held by whatever changes the device from blank to live or back, or the configuration in more
    /// than one step.
    ///
    /// While it is held, no other task changes the device from blank to live or back, so `state`
    /// may be released between two steps. It is only ever taken for writing, like `job_lock`.
    config_lock: Pin<KBox<RwSem<()>>>,
    /// Settings that outlive a reset.
    pub settings: Arc<WritebackSettings>,
    /// The work of the policy's worker.
    work: fn(&WorkerContext),
    hotplug: Arc<cpuhp::HotplugState<Zcomp>>,
    queue: Arc<Workqueue>,
}

impl Device {
    /// Creates a blank device, with the settings of mainline's new devices.
    ///
    /// `work` is called in a thread of its own, once a policy is set.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(
        hotplug: &Arc<cpuhp::HotplugState<Zcomp>>,
        queue: &Arc<Workqueue>,
        work: fn(&WorkerContext),
    ) -> Result<Self> {
        let state = State::Blank(Config::default());
        let state = RwSem::new(state, c"zram_state", kernel::static_lock_class!());
        let job_lock = RwSem::new((), c"zram_job", kernel::static_lock_class!());
        let reset_lock = RwSem::new((), c"zram_reset", kernel::static_lock_class!());
        let policy_lock = RwSem::new((), c"zram_tiers", kernel::static_lock_class!());
        let config_lock = RwSem::new((), c"zram_config", kernel::static_lock_class!());
        Ok(Self {
            state: KBox::pin_init(state, GFP_KERNEL)?,
            job_lock: KBox::pin_init(job_lock, GFP_KERNEL)?,
            reset_lock: KBox::pin_init(reset_lock, GFP_KERNEL)?,
            policy_lock: Arc::pin_init(policy_lock, GFP_KERNEL)?,
            config_lock: KBox::pin_init(config_lock, GFP_KERNEL)?,
            settings: Arc::new(WritebackSettings::new()?, GFP_KERNEL)?,
            work,
            hotplug: hotplug.clone(),
            queue: queue.clone(),
        })
    }

    /// Calls `f` with the live state, or with `None` if the device is blank.
    ///
    /// `state` is held meanwhile, so `f` must not take long, or wait for a device or a file.
    ///
    /// Context: Process context. May sleep.
    pub fn with_live<R>(&self, f: impl FnOnce(Option<&Live>) -> R) -> R {
        match &*self.state.read() {
            State::Blank(_) => f(None),
            State::Live(_, live) => f(Some(live)),
        }
    }

    /// Calls `f` with the live state, under `reset_lock`, so that a reset waits for `f`.
    ///
    /// `f` may take long: it runs beside jobs, and others can look at the state meanwhile.
    ///
    /// Context: Process context. May sleep; waits for a reset.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device is blank; those of `f`.
    pub fn with_live_pinned<R>(&self, f: impl FnOnce(&Live) -> Result<R>) -> Result<R> {
        let _reset_lock = self.reset_lock.read();
        f(&*self.live()?)
    }

    /// Calls `f` with the live state, under `job_lock`, so that one job runs at a time and a reset
    /// waits for it.
    ///
    /// Context: Process context. May sleep; a fatal signal ends the wait for another job.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal; `EINVAL` if the device is blank; those of `f`.
    pub fn run_job(&self, f: impl FnOnce(&Live) -> Result) -> Result {
        let _job_lock = self.job_lock.write_killable()?;
        f(&*self.live()?)
    }

    /// Takes `config_lock`, which keeps other tasks from making the device live or blank, and from
    /// changing the configuration in several steps, until the guard is dropped.
    ///
    /// Context: Process context. May sleep; a fatal signal ends the wait for another holder.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal.
    pub fn lock_config(&self) -> Result<WriteGuard<'_, ()>> {
        self.config_lock.write_killable()
    }

    /// Calls `f` with the configuration, if the device is blank.
    ///
    /// `state` is held for writing meanwhile, so `f` must not wait for a device or a file.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the device is live; those of `f`.
    pub fn with_config<R>(&self, f: impl FnOnce(&mut Config) -> Result<R>) -> Result<R> {
        match &mut *self.state.write() {
            State::Blank(config) => f(config),
            State::Live(..) => Err(EBUSY),
        }
    }

    /// Returns a reference to the live state, or `EINVAL` if the device is blank.
    fn live(&self) -> Result<Arc<Live>> {
        match &*self.state.read() {
            State::Blank(_) => Err(EINVAL),
            State::Live(_, live) => Ok(live.clone()),
        }
    }

    /// Makes the device live, with a size of `bytes`, rounded up to a page; or lets it grow to that
    /// size, if it is live already.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the device is live and not smaller; `EINVAL` if the size can't be rounded up;
    /// `ENOMEM`; those of [`Zcomp::create`]; `EINTR` after a fatal signal. The device stays as it
    /// was then.
    pub fn set_disksize(disk: DiskRef<'_, Self>, bytes: u64) -> Result {
        let _config_lock = disk.lock_config()?;
        let bytes = bytes.checked_next_multiple_of(PAGE_SIZE as u64);
        let pages = bytes.map(|bytes| (bytes >> PAGE_SHIFT) as usize);
        let live = disk.live();
        match live {
            Ok(live) => Self::grow(disk, &live, pages),
            Err(_) => Self::start(disk, pages.ok_or(EINVAL)?),
        }
    }

    /// Lets the device grow to `pages`, which is `None` if there can't be so many.
    ///
    /// The caller holds `config_lock`.
    fn grow(disk: DiskRef<'_, Self>, live: &Live, pages: Option<usize>) -> Result {
        if pages.is_some_and(|pages| pages <= live.store.len()) {
            pr_info!(
                "{}: Cannot change disksize for initialized device\n",
                disk.name()
            );
            return Err(EBUSY);
        }
        let pages = pages.ok_or(EINVAL)?;
        live.store.grow(live.store.growth(pages)?);
        disk.set_capacity(pages);
        Ok(())
    }

    /// Makes the blank device live, with a size of `pages`.
    ///
    /// The caller holds `config_lock`.
    fn start(disk: DiskRef<'_, Self>, pages: usize) -> Result {
        let blocks =
            |config: &mut Config| Ok(config.backing.as_ref().map_or(0, |backing| backing.pages()));
        let blocks = disk.with_config(blocks)?;
        // These come first, since they may fail: after `zcomps` has taken the parameters, an error
        // would lose them.
        let place = UniqueArc::new_uninit(GFP_KERNEL)?;
        // Nobody changes it now: that takes `config_lock`.
        let compressed = disk.settings.compressed.load(Ordering::Relaxed);
        let store = Store::new(disk.name(), pages, blocks, compressed, &disk.queue)?;
        let tiers = Tiers::new()?;
        let mut state = disk.state.write();
        let State::Blank(config) = &mut *state else {
            return Err(EBUSY);
        };
        let live = place.write(Live {
            huge_class_size: store.pool().huge_class_size(),
            store,
            zcomps: config.zcomps(disk)?,
            limit_pages: AtomicUsize::new(config.limit_pages),
            backing: config.backing.take(),
            compressed_writeback: compressed,
            recompressed: Default::default(),
            tiers,
        });
        let live = Arc::from(live);
        let policy = config.policy;
        disk.publish(live.clone(), pages)?;
        *state = State::Live(None, live);
        drop(state);
        // The disk is there by now, and stays. Memory that is too short for a thread can be got
        // later.
        if disk.set_policy(disk.name(), policy).is_err() {
            pr_warn!("{}: No memory for the policy: set it again\n", disk.name());
        }
        Ok(())
    }

    /// Makes the device blank: frees all data, closes the backing device, and forgets the
    /// configuration, but not the [`WritebackSettings`].
    ///
    /// Context: Process context. May sleep; waits for openers of the disk for a moment, and for
    /// jobs and other holders of the device's locks.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk is held exclusively, open for longer than a moment, or being removed;
    /// `EINTR` after a fatal signal.
    pub fn reset(disk: DiskRef<'_, Self>) -> Result {
        let claim = disk.claim()?;
        let _job_lock = disk.job_lock.write_killable()?;
        // The worker may wait for its device, and others take `reset_lock` and can't be killed
        // then. It lets go of `policy_lock` after the pages that are on their way.
        let set_waits = |waits| {
            disk.with_live(|live| live.map(|live| live.tiers.set_reset_waits(waits)));
        };
        set_waits(true);
        let policy_lock = disk.policy_lock.write_killable();
        set_waits(false);
        let _policy_lock = policy_lock?;
        let _reset_lock = disk.reset_lock.write_killable()?;
        let _config_lock = disk.lock_config()?;
        let mut state = disk.state.write();
        let live = claim.take_live();
        let old = core::mem::replace(&mut *state, State::Blank(Config::default()));
        drop(state);
        // Both references to the live state, that of the disk and that of `state`, or the old
        // configuration. They are dropped here, which may take long: outside of `state`, and while
        // the claim and the other locks still keep openers and `set_disksize` out.
        drop((live, old));
        Ok(())
    }
}
