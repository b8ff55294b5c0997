// SPDX-License-Identifier: GPL-2.0

//! One zram device: what it is set up with, and what it is once it has a disksize.
//!
//! Lock order: index of devices → `state` → CPU hotplug → stream; and slot → stream → zsmalloc.
//! I/O takes no lock of the device: see [`crate::zram::abstractions::disk`].

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
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
        rwsem::RwSem,
        sysfs::Attribute,
    },
    attrs,
    comp::{
        Comp,
        Streams, //
    },
    table::Table,
};
use core::sync::atomic::AtomicUsize;
use kernel::{
    fmt,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::Arc,
};

/// What a device is at a time.
pub(crate) enum State {
    /// Without a disksize: everything can be set.
    Blank(Setup),
    /// With a disksize, until it is reset.
    Live(Arc<Live>),
}

/// What user space sets before the disksize.
pub(crate) struct Setup {
    /// The algorithm that pages are written with.
    pub(crate) algorithm: Algorithm,
    /// Most pages that the pool may take; zero for any number.
    pub(crate) limit_pages: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Lz4,
            limit_pages: 0,
        }
    }
}

/// What I/O works on.
pub(crate) struct Live {
    /// The pages.
    pub(crate) table: Table,
    comp: Comp,
    /// Most pages that the pool may take; zero for any number.
    pub(crate) limit_pages: AtomicUsize,
    /// From which size on a page is stored as it is.
    pub(crate) huge_class_size: usize,
}

impl Live {
    /// The algorithm that pages are written with.
    #[inline]
    pub(crate) fn primary(&self) -> &Comp {
        &self.comp
    }

    /// In bytes.
    pub(crate) fn disksize(&self) -> u64 {
        (self.table.len() as u64) << PAGE_SHIFT
    }
}

/// A device.
pub(crate) struct Device {
    /// Held for writing while the state is changed, and for reading by who looks at it.
    pub(crate) state: Pin<KBox<RwSem<State>>>,
    hotplug: Arc<cpuhp::State<Streams>>,
}

impl Device {
    /// A device without a disksize. May sleep.
    pub(crate) fn new(hotplug: &Arc<cpuhp::State<Streams>>) -> Result<Self> {
        let state = State::Blank(Setup::default());
        let state = RwSem::new(state, c"zram_state", kernel::static_lock_class!());
        Ok(Self {
            state: KBox::pin_init(state, GFP_KERNEL)?,
            hotplug: hotplug.clone(),
        })
    }

    /// The live state, if there is one. May sleep.
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        match &*self.state.read() {
            State::Blank(_) => None,
            State::Live(live) => Some(live.clone()),
        }
    }

    /// Gives the disk a size of `bytes`, rounded up to a page. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it has one; `EINVAL` if there is no such size; `ENOMEM`; that of the algorithm, and
    /// then the setup is as after a reset.
    pub(crate) fn set_disksize(disk: Handle<'_, Self>, bytes: u64) -> Result {
        let mut state = disk.state.write();
        let State::Blank(setup) = &mut *state else {
            pr_info!("{}: Cannot change disksize for initialized device\n", disk.name());
            return Err(EBUSY);
        };
        let bytes = bytes.checked_next_multiple_of(PAGE_SIZE as u64);
        let pages = (bytes.ok_or(EINVAL)? >> PAGE_SHIFT) as usize;
        let table = Table::new(disk.name(), pages)?;
        let comp = match Comp::new(setup.algorithm, Params::default(), &disk.hotplug) {
            Ok(comp) => comp,
            Err(error) => {
                let name = setup.algorithm.name();
                pr_err!("{}: Cannot initialise {name} compressing backend\n", disk.name());
                setup.algorithm = Setup::default().algorithm;
                return Err(error);
            }
        };
        let live = Live {
            huge_class_size: table.pool().huge_class_size(),
            table,
            comp,
            limit_pages: AtomicUsize::new(setup.limit_pages),
        };
        let live = Arc::new(live, GFP_KERNEL)?;
        disk.publish(live.clone(), pages)?;
        *state = State::Live(live);
        Ok(())
    }

    /// Forgets all data and all settings. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the disk is open, or being reset or removed.
    pub(crate) fn reset(disk: Handle<'_, Self>) -> Result {
        let claim = disk.claim()?;
        let mut state = disk.state.write();
        let live = claim.retire();
        let old = core::mem::replace(&mut *state, State::Blank(Setup::default()));
        // What it takes long to free is freed here, before anyone may open the disk again.
        drop((live, old));
        Ok(())
    }

    /// Writes the `streams` file: a line for each CPU and algorithm. May sleep.
    pub(crate) fn show_streams(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "cpu algorithm state takes contended retries")?;
        let Some(live) = self.live() else {
            return Ok(());
        };
        let name = live.primary().algorithm().name();
        for cpu in crate::zram::abstractions::percpu::possible_cpus() {
            let Some((present, counts)) = live.primary().counts(cpu) else {
                continue;
            };
            let state = if present { "present" } else { "absent" };
            writeln!(
                out,
                "{} {name} {state} {} {} {}",
                cpu.as_u32(),
                counts.takes,
                counts.contended,
                counts.retries
            )?;
        }
        Ok(())
    }
}

impl Operations for Device {
    type Live = Live;

    const ATTRIBUTES: &'static [Attribute<Self>] = &attrs::ATTRIBUTES;

    fn submit(live: &Live, bio: &mut Bio) {
        live.submit(bio);
    }

    fn swap_slot_free(live: &Live, index: usize) {
        live.swap_slot_free(index);
    }
}
