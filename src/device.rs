// SPDX-License-Identifier: GPL-2.0

//! One zram device: what it is set up with, and what it is once it has a disksize.
//!
//! Lock order: index of devices → `jobs` → `users` → `changes` → `state` → CPU hotplug → stream; and slot → stream → zsmalloc.
//! I/O takes no lock of the device: see [`crate::zram::abstractions::disk`].

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        bdev::BackingDevice,
        bio::Bio,
        codec::{
            Algorithm,
            Params, //
        },
        cpuhp,
        disk::{
            Handle,
            Operations, //
        },
        page::Target,
        rwsem::{
            RwSem,
            WriteGuard, //
        },
        sched::Atomic,
        sysfs::Attribute, //
    },
    attrs,
    comp::{
        Comp,
        Streams, //
    },
    io::Ticket,
    table::Table,
    writeback::Settings, //
};
use core::sync::atomic::{
    AtomicUsize,
    Ordering, //
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

/// Algorithms of a device: the primary one, which pages are written with, and those to recompress
/// with, by priority.
pub(crate) const ALGORITHMS: usize = 4;

/// What a device is at a time.
pub(crate) enum State {
    /// Without a disksize: everything can be set.
    Blank(Setup),
    /// With a disksize, until it is reset.
    Live(Arc<Live>),
}

/// What user space sets before the disksize.
pub(crate) struct Setup {
    pub(crate) algorithms: [Option<Algorithm>; ALGORITHMS],
    pub(crate) params: [Params; ALGORITHMS],
    /// Most pages that the pool may take; zero for any number.
    pub(crate) limit_pages: usize,
    pub(crate) backing: Option<BackingDevice>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            algorithms: [Some(Algorithm::Lz4), None, None, None],
            params: Default::default(),
            limit_pages: 0,
            backing: None,
        }
    }
}

impl Setup {
    /// Sets up all algorithms. Takes the parameters; after an error everything is as after a reset,
    /// but for limit and backing device.
    #[inline(never)] // What it needs of the stack is not needed with that of its caller.
    fn comps(&mut self, disk: Handle<'_, Device>) -> Result<[Option<Comp>; ALGORITHMS]> {
        let mut comps = [const { None }; ALGORITHMS];
        let algorithms = self.algorithms.iter().zip(&mut self.params);
        for (comp, (&algorithm, params)) in comps.iter_mut().zip(algorithms) {
            let Some(algorithm) = algorithm else {
                continue;
            };
            match Comp::new(algorithm, core::mem::take(params), &disk.hotplug) {
                Ok(new) => *comp = Some(new),
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
        Ok(comps)
    }
}

/// What I/O works on.
pub(crate) struct Live {
    /// The pages.
    pub(crate) table: Table,
    comps: [Option<Comp>; ALGORITHMS],
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
    pub(crate) fn comp(&self, priority: u8) -> Option<&Comp> {
        self.comps.get(usize::from(priority))?.as_ref()
    }

    /// Whether no algorithm has a higher priority.
    pub(crate) fn is_best(&self, priority: u8) -> bool {
        let above = usize::from(priority).wrapping_add(1);
        self.comps.iter().skip(above).all(Option::is_none)
    }

    /// The names of the algorithms, by priority.
    pub(crate) fn algorithms(&self) -> [Option<Algorithm>; ALGORITHMS] {
        let mut algorithms = [None; ALGORITHMS];
        for (algorithm, comp) in algorithms.iter_mut().zip(&self.comps) {
            *algorithm = comp.as_ref().map(Comp::algorithm);
        }
        algorithms
    }

    /// All algorithms, set up.
    pub(crate) fn comps(&self) -> impl Iterator<Item = &Comp> {
        self.comps.iter().flatten()
    }

    /// In bytes.
    pub(crate) fn disksize(&self) -> u64 {
        (self.table.len() as u64) << PAGE_SHIFT
    }
}

/// A device.
pub(crate) struct Device {
    /// Held for writing while the state is changed, and for reading by who looks at it; never while
    /// anyone waits for a device or a file.
    pub(crate) state: Pin<KBox<RwSem<State>>>,
    /// Held by writeback and recompression, one at a time, and by a reset. It is only ever taken for
    /// writing: unlike `Mutex` it lets a fatal signal end the wait.
    jobs: Pin<KBox<RwSem<()>>>,
    /// Held for reading by what takes long but may run beside a job, and for writing by a reset.
    users: Pin<KBox<RwSem<()>>>,
    /// Held by what changes from blank to live or back, or the setup in more than one step; only ever for
    /// writing, as `jobs`. Who holds it finds the state as he left it.
    changes: Pin<KBox<RwSem<()>>>,
    /// What outlives a reset.
    pub(crate) settings: Settings,
    hotplug: Arc<cpuhp::State<Streams>>,
}

impl Device {
    /// A device without a disksize. May sleep.
    pub(crate) fn new(hotplug: &Arc<cpuhp::State<Streams>>) -> Result<Self> {
        let state = State::Blank(Setup::default());
        let state = RwSem::new(state, c"zram_state", kernel::static_lock_class!());
        let jobs = RwSem::new((), c"zram_jobs", kernel::static_lock_class!());
        let users = RwSem::new((), c"zram_users", kernel::static_lock_class!());
        let changes = RwSem::new((), c"zram_changes", kernel::static_lock_class!());
        Ok(Self {
            state: KBox::pin_init(state, GFP_KERNEL)?,
            jobs: KBox::pin_init(jobs, GFP_KERNEL)?,
            users: KBox::pin_init(users, GFP_KERNEL)?,
            changes: KBox::pin_init(changes, GFP_KERNEL)?,
            settings: Settings::new()?,
            hotplug: hotplug.clone(),
        })
    }

    /// Calls `f` with the live state, if there is one. Not for what takes long; may sleep.
    pub(crate) fn look<R>(&self, f: impl FnOnce(Option<&Live>) -> R) -> R {
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
    pub(crate) fn work<R>(&self, f: impl FnOnce(&Live) -> Result<R>) -> Result<R> {
        let _users = self.users.read();
        f(&*self.live()?)
    }

    /// Like [`Device::work`], alone but for such work. A fatal signal ends the wait for others.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal; those of [`Device::work`].
    pub(crate) fn job(&self, f: impl FnOnce(&Live) -> Result) -> Result {
        let _jobs = self.jobs.write_killable()?;
        f(&*self.live()?)
    }

    /// Lets nobody else change the setup, or the state from blank to live or back, until the result is
    /// dropped. A fatal signal ends the wait for others.
    ///
    /// # Errors
    ///
    /// `EINTR` after a fatal signal.
    pub(crate) fn change(&self) -> Result<WriteGuard<'_, ()>> {
        self.changes.write_killable()
    }

    /// Calls `f` with the setup. May sleep; not for what waits for a device or a file.
    ///
    /// # Errors
    ///
    /// `EBUSY` with a disksize; those of `f`.
    pub(crate) fn set_up<R>(&self, f: impl FnOnce(&mut Setup) -> Result<R>) -> Result<R> {
        match &mut *self.state.write() {
            State::Blank(setup) => f(setup),
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
    pub(crate) fn set_disksize(disk: Handle<'_, Self>, bytes: u64) -> Result {
        let _changes = disk.change()?;
        let blocks = |setup: &mut Setup| Ok(setup.backing.as_ref().map_or(0, BackingDevice::pages));
        let blocks = disk.set_up(blocks).inspect_err(|_| {
            pr_info!(
                "{}: Cannot change disksize for initialized device\n",
                disk.name()
            )
        })?;
        let bytes = bytes.checked_next_multiple_of(PAGE_SIZE as u64);
        let pages = (bytes.ok_or(EINVAL)? >> PAGE_SHIFT) as usize;
        // First of all: what fails after the setup was taken would lose it.
        let place = UniqueArc::new_uninit(GFP_KERNEL)?;
        let table = Table::new(disk.name(), pages, blocks)?;
        let mut state = disk.state.write();
        let State::Blank(setup) = &mut *state else {
            return Err(EBUSY);
        };
        let live = place.write(Live {
            huge_class_size: table.pool().huge_class_size(),
            table,
            comps: setup.comps(disk)?,
            limit_pages: AtomicUsize::new(setup.limit_pages),
            backing: setup.backing.take(),
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
    pub(crate) fn reset(disk: Handle<'_, Self>) -> Result {
        let claim = disk.claim()?;
        let _jobs = disk.jobs.write_killable()?;
        let _users = disk.users.write_killable()?;
        let _changes = disk.change()?;
        let mut state = disk.state.write();
        let live = claim.retire();
        let old = core::mem::replace(&mut *state, State::Blank(Setup::default()));
        drop(state);
        // What it takes long to free is freed here, before anyone may open the disk again, or set it up.
        drop((live, old));
        Ok(())
    }
}

impl Operations for Device {
    type Live = Live;
    type Ticket = Ticket;

    const ATTRIBUTES: &'static [Attribute<Self>] = &attrs::ATTRIBUTES;

    fn submit(live: &Live, bio: &mut Bio<Self>) {
        live.submit(bio);
    }

    #[inline]
    fn swap_slot_free(live: &Live, index: usize, atomic: &Atomic) {
        live.swap_slot_free(index, atomic);
    }

    fn read_done(live: &Live, ticket: Ticket, page: Target<'_>) -> Result {
        live.read_done(ticket, page)
    }
}
