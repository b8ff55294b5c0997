// SPDX-License-Identifier: GPL-2.0-only

//! The devices there are, and `/sys/class/zram-control` to add and remove them.

#![forbid(unsafe_code)]

use super::{
    args,
    debugfs, //
};
use crate::zram::{
    abstractions::{
        cpuhp::{
            self,
            StateId, //
        },
        debugfs::Dir,
        disk::Disk,
        major::Major,
        sysfs::{
            Class,
            ClassAttribute,
            Text, //
        }, //
    },
    device::Device,
    streams::Zcomp, //
};
use kernel::{
    fmt::Write as _,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    },
};

/// What the module goes by. Mainline's names, or others to be loaded beside it.
pub(crate) struct Names {
    /// Of the disks, before their number; of the major number; in debugfs.
    disk: &'static CStr,
    class: &'static CStr,
    hotplug: &'static CStr,
}

impl Names {
    pub(crate) const MAINLINE: Self = Self {
        disk: c"zram",
        class: c"zram-control",
        hotplug: c"block/zram:prepare",
    };

    pub(crate) const COEXIST: Self = Self {
        disk: c"rzram",
        class: c"rzram-control",
        hotplug: c"block/rzram:prepare",
    };
}

/// All of the module. Fields are dropped from the first to the last: devices before what they use.
#[pin_data]
pub(crate) struct Devices {
    /// By number. Adding and removing is done under the lock.
    #[pin]
    devices: Mutex<KVec<Option<AddedDevice>>>,
    debugfs: Dir,
    major: Major,
    hotplug: Arc<cpuhp::State<Zcomp>>,
    names: &'static Names,
}

/// A device that user space sees.
struct AddedDevice {
    _debugfs: debugfs::Files,
    disk: Disk<Device>,
}

static FILES: [ClassAttribute<Devices>; 2] = [
    ClassAttribute::ro(c"hot_add", hot_add_show),
    ClassAttribute::wo(c"hot_remove", hot_remove_store),
];

impl Devices {
    /// Registers everything, and adds `devices` devices. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if mainline's zram has the names; whatever adding a device may fail with.
    pub(crate) fn new(names: &'static Names, devices: u32, coexist: bool) -> Result<Class<Self>> {
        let state = if coexist {
            StateId::PrepareDyn
        } else {
            StateId::ZcompPrepare
        };
        let hotplug = cpuhp::State::new(names.hotplug, state).inspect_err(|&error| {
            if error == EBUSY {
                pr_err!("another zram is there: unload it, or load this one with coexist=1\n");
            }
        })?;
        let hotplug = Arc::new(hotplug, GFP_KERNEL)?;
        let major = Major::new(names.disk)?;
        let init = try_pin_init!(Self {
            devices <- new_mutex!(KVec::new(), "zram_index"),
            debugfs: Dir::new(names.disk)?,
            major,
            hotplug,
            names,
        });
        let class = Class::new(names.class, &FILES, init)?;
        for _ in 0..devices {
            class.add()?;
        }
        Ok(class)
    }

    /// Adds a device with the lowest free number, which is the result. May sleep.
    fn add(&self) -> Result<usize> {
        let mut devices = self.devices.lock();
        let free = devices.iter().position(Option::is_none);
        let id = free.unwrap_or(devices.len());
        if free.is_none() {
            devices.push(None, GFP_KERNEL)?;
        }
        let minor = u32::try_from(id).map_err(|_| ENOSPC)?;
        let place = devices.get_mut(id).ok_or(ENOSPC)?;
        *place = Some(self.create(minor)?);
        Ok(id)
    }

    fn create(&self, minor: u32) -> Result<AddedDevice> {
        let device = Arc::new(Device::new(&self.hotplug)?, GFP_KERNEL)?;
        let prefix = self.names.disk;
        let name = CString::try_from_fmt(fmt!("{prefix}{minor}"))?;
        // The disk comes last: once it is there, somebody may have it open.
        let debugfs = debugfs::Files::new(&self.debugfs, &name, &device)?;
        let disk = Disk::new(&self.major, minor, &name, device)?;
        pr_info!("Added device: {}\n", &*name);
        Ok(AddedDevice {
            _debugfs: debugfs,
            disk,
        })
    }

    /// Removes device `id`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is none; `EBUSY` if it is open for longer than a moment; `EINTR`.
    fn remove(&self, id: usize) -> Result {
        let mut devices = self.devices.lock();
        let place = devices.get_mut(id).ok_or(ENODEV)?;
        let added = place.as_ref().ok_or(ENODEV)?;
        added.disk.claim_for_removal()?;
        pr_info!("Removed device: {}\n", added.disk.disk_ref().name());
        *place = None;
        Ok(())
    }
}

/// Adds a device by being read: the number of it.
fn hot_add_show(control: &Devices, out: &mut Text<'_>) -> Result {
    let id = control.add()?;
    Ok(writeln!(out, "{id}")?)
}

/// The number of a device.
fn hot_remove_store(control: &Devices, arg: &[u8]) -> Result {
    let id = args::kstrtoint(arg)?;
    control.remove(usize::try_from(id).map_err(|_| EINVAL)?)
}
