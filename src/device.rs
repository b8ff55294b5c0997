// SPDX-License-Identifier: GPL-2.0-only

//! One zram device: what it is set up with, and what it is once it has a disksize.
//!
//! Lock order: index of devices → `job_lock` → `reset_lock` → `config_lock` → `state` → CPU hotplug → stream; and slot → stream → zsmalloc.
//! I/O takes no lock of the device: see [`crate::zram::abstractions::disk`].

#![forbid(unsafe_code)]

mod live;
mod settings;

use crate::zram::{
    abstractions::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        backing_device::BackingDevice,
        cpuhp::{
            self,
            Instance, //
        },
        disk::DiskRef,
        rwsem::{
            RwSem,
            WriteGuard, //
        }, //
    },
    codecs::{
        Algorithm,
        Params, //
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

pub(crate) use live::Live;
pub(crate) use settings::{
    Charge,
    WritebackSettings, //
};

/// Algorithms of a device: the primary one, which pages are written with, and those to recompress
/// with, by priority.
pub(crate) const ALGORITHMS: usize = 4;

/// What a device is at a time.
pub(crate) enum State {
    /// Without a disksize: everything can be set.
    Blank(Config),
    /// With a disksize, until it is reset.
    Live(Arc<Live>),
}

/// What user space sets before the disksize.
pub(crate) struct Config {
    pub(crate) algorithms: [Option<Algorithm>; ALGORITHMS],
    pub(crate) params: [Params; ALGORITHMS],
    /// Most pages that the pool may take; zero for any number.
    pub(crate) limit_pages: usize,
    pub(crate) backing: Option<BackingDevice>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithms: [Some(Algorithm::Lz4), None, None, None],
            params: Default::default(),
            limit_pages: 0,
            backing: None,
        }
    }
}

impl Config {
    /// Sets up all algorithms. Takes the parameters; after an error everything is as after a reset,
    /// but for limit and backing device.
    #[inline(never)] // What it needs of the stack is not needed with that of its caller.
    fn zcomps(
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

/// A device.
pub(crate) struct Device {
    /// Held for writing while the state is changed, and for reading by who looks at it; never while
    /// anyone waits for a device or a file.
    pub(crate) state: Pin<KBox<RwSem<State>>>,
    /// Held by writeback and recompression, one at a time, and by a reset. It is only ever taken for
    /// writing: unlike `Mutex` it lets a fatal signal end the wait.
    job_lock: Pin<KBox<RwSem<()>>>,
    /// Held for reading by what takes long but may run beside a job, and for writing by a reset.
    reset_lock: Pin<KBox<RwSem<()>>>,
    /// Held by what changes from blank to live or back, or the setup in more than one step; only ever for
    /// writing, as `job_lock`. Who holds it finds the state as he left it.
    config_lock: Pin<KBox<RwSem<()>>>,
    /// What outlives a reset.
    pub(crate) settings: WritebackSettings,
    hotplug: Arc<cpuhp::State<Zcomp>>,
}

impl Device {
    /// A device without a disksize. May sleep.
    pub(crate) fn new(hotplug: &Arc<cpuhp::State<Zcomp>>) -> Result<Self> {
        let state = State::Blank(Config::default());
        let state = RwSem::new(state, c"zram_state", kernel::static_lock_class!());
        let job_lock = RwSem::new((), c"zram_job", kernel::static_lock_class!());
        let reset_lock = RwSem::new((), c"zram_reset", kernel::static_lock_class!());
        let config_lock = RwSem::new((), c"zram_config", kernel::static_lock_class!());
        Ok(Self {
            state: KBox::pin_init(state, GFP_KERNEL)?,
            job_lock: KBox::pin_init(job_lock, GFP_KERNEL)?,
            reset_lock: KBox::pin_init(reset_lock, GFP_KERNEL)?,
            config_lock: KBox::pin_init(config_lock, GFP_KERNEL)?,
            settings: WritebackSettings::new()?,
            hotplug: hotplug.clone(),
        })
    }

    /// Calls `f` with the live state, if there is one. Not for what takes long; may sleep.
    pub(crate) fn with_live<R>(&self, f: impl FnOnce(Option<&Live>) -> R) -> R {
        match &*self.state.read() {
            State::Blank(_) => f(None),
            State::Live(live) => f(Some(live)),
        }
    }

    /// Calls `f` with the live state, which a reset waits for. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a disksize; those of `f`.
    pub(crate) fn with_live_pinned<R>(&self, f: impl FnOnce(&Live) -> Result<R>) -> Result<R> {
        let _reset_lock = self.reset_lock.read();
        f(&*self.live()?)
    }

    /// Like [`Device::with_live_pinned`], alone but for such work. A fatal signal ends the wait for others.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal; those of [`Device::with_live_pinned`].
    pub(crate) fn run_job(&self, f: impl FnOnce(&Live) -> Result) -> Result {
        let _job_lock = self.job_lock.write_killable()?;
        f(&*self.live()?)
    }

    /// Lets nobody else change the setup, or the state from blank to live or back, until the result is
    /// dropped. A fatal signal ends the wait for others.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal.
    pub(crate) fn lock_config(&self) -> Result<WriteGuard<'_, ()>> {
        self.config_lock.write_killable()
    }

    /// Calls `f` with the setup. May sleep; not for what waits for a device or a file.
    ///
    /// # Errors
    ///
    /// `EBUSY` with a disksize; those of `f`.
    pub(crate) fn with_config<R>(&self, f: impl FnOnce(&mut Config) -> Result<R>) -> Result<R> {
        match &mut *self.state.write() {
            State::Blank(config) => f(config),
            State::Live(_) => Err(EBUSY),
        }
    }

    fn live(&self) -> Result<Arc<Live>> {
        match &*self.state.read() {
            State::Blank(_) => Err(EINVAL),
            State::Live(live) => Ok(live.clone()),
        }
    }

    /// Gives the disk a size of `bytes`, rounded up to a page. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it has one; `EINVAL` if there is no such size; `ENOMEM`; that of an algorithm; `EINTR`
    /// after a fatal signal.
    pub(crate) fn set_disksize(disk: DiskRef<'_, Self>, bytes: u64) -> Result {
        let _config_lock = disk.lock_config()?;
        let blocks =
            |config: &mut Config| Ok(config.backing.as_ref().map_or(0, BackingDevice::pages));
        let blocks = disk.with_config(blocks).inspect_err(|_| {
            pr_info!(
                "{}: Cannot change disksize for initialized device\n",
                disk.name()
            )
        })?;
        let bytes = bytes.checked_next_multiple_of(PAGE_SIZE as u64);
        let pages = (bytes.ok_or(EINVAL)? >> PAGE_SHIFT) as usize;
        // First of all: what fails after the setup was taken would lose it.
        let place = UniqueArc::new_uninit(GFP_KERNEL)?;
        let store = Store::new(disk.name(), pages, blocks)?;
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
            compressed_writeback: disk.settings.compressed.load(Ordering::Relaxed),
        });
        let live = Arc::from(live);
        disk.publish(live.clone(), pages)?;
        *state = State::Live(live);
        Ok(())
    }

    /// Forgets all data, the backing device, and all settings but those of writeback. Waits for a job,
    /// and for who changes the setup; may sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk is open for longer than a moment, or being removed; `EINTR` after a fatal
    /// signal.
    pub(crate) fn reset(disk: DiskRef<'_, Self>) -> Result {
        let claim = disk.claim()?;
        let _job_lock = disk.job_lock.write_killable()?;
        let _reset_lock = disk.reset_lock.write_killable()?;
        let _config_lock = disk.lock_config()?;
        let mut state = disk.state.write();
        let live = claim.take_live();
        let old = core::mem::replace(&mut *state, State::Blank(Config::default()));
        drop(state);
        // What it takes long to free is freed here, before anyone may open the disk again, or set it up.
        drop((live, old));
        Ok(())
    }
}
