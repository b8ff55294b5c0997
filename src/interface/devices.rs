// SPDX-License-Identifier: GPL-2.0-only

//! The index of devices, and `/sys/class/zram-control` to add and remove them.

#![forbid(unsafe_code)]

use super::{
    args,
    debugfs, //
};
use crate::zram::{
    abstractions::{
        class::{
            Class,
            ClassAttribute, //
        },
        cpuhp::{
            self,
            StateId, //
        },
        debugfs::Dir,
        disk::Disk,
        major::Major,
        sysfs::Text,
        workqueue::Workqueue, //
    },
    device::Device,
    jobs::work_on_tiers,
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

/// The most devices that are made when the module is loaded.
///
/// A device takes some 40 KB, so that a number with a digit too many would take all memory. Nobody
/// needs more than a device for each CPU, and Debian's kernels have `CONFIG_NR_CPUS` 8192 at most.
/// Mainline's only limit is the 2^20 minor numbers: beyond it fails with `EINVAL` as well, after it
/// has made that many devices.
const MOST_DEVICES: u32 = 8192;

/// The names that the module registers.
pub(crate) struct Names {
    /// The prefix of the disks' names, the name of the major number, and the directory in debugfs.
    disk: &'static CStr,
    /// The class in sysfs.
    class: &'static CStr,
    /// The CPU hotplug state.
    hotplug: &'static CStr,
}

impl Names {
    /// The names of mainline's zram.
    pub const MAINLINE: Self = Self {
        disk: c"zram",
        class: c"zram-control",
        hotplug: c"block/zram:prepare",
    };

    /// Names that allow the module to be loaded beside mainline's zram.
    pub const COEXIST: Self = Self {
        disk: c"rzram",
        class: c"rzram-control",
        hotplug: c"block/rzram:prepare",
    };
}

/// All devices of the module, and what they share.
///
/// Fields are dropped from the first to the last, so the devices go before what they use.
#[pin_data]
pub(crate) struct Devices {
    /// The devices by number; adding and removing one holds the lock throughout.
    #[pin]
    devices: Mutex<KVec<Option<AddedDevice>>>,
    debugfs: Dir,
    major: Major,
    hotplug: Arc<cpuhp::HotplugState<Zcomp>>,
    /// The queue of work for all devices.
    queue: Arc<Workqueue>,
    names: &'static Names,
}

/// A device that user space sees; removed when dropped.
struct AddedDevice {
    _debugfs: debugfs::DebugfsFiles,
    disk: Disk<Device>,
}

static FILES: [ClassAttribute<Devices>; 2] = [
    ClassAttribute::ro(c"hot_add", hot_add_show),
    ClassAttribute::wo(c"hot_remove", hot_remove_store),
];

impl Devices {
    /// Registers the module's names, and adds `devices` devices.
    ///
    /// With `coexist` the CPU hotplug state is not the one that the kernel reserves for zram, which
    /// has a single user.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `devices` is above [`MOST_DEVICES`]; `EBUSY` if another zram has that hotplug
    /// state; `ENOMEM`; those of registering the major number and the class, and of adding a disk.
    /// Nothing stays registered then.
    pub fn new(names: &'static Names, devices: u32, coexist: bool) -> Result<Class<Self>> {
        if devices > MOST_DEVICES {
            pr_err!("num_devices={devices} is above {MOST_DEVICES}: hot_add can make more later\n");
            return Err(EINVAL);
        }
        let state = if coexist {
            StateId::PrepareDyn
        } else {
            StateId::ZcompPrepare
        };
        let hotplug = cpuhp::HotplugState::new(names.hotplug, state).inspect_err(|&error| {
            if error == EBUSY {
                pr_err!("another zram is there: unload it, or load this one with coexist=1\n");
            }
        })?;
        let hotplug = Arc::new(hotplug, GFP_KERNEL)?;
        let queue = Arc::new(Workqueue::new(names.disk)?, GFP_KERNEL)?;
        let major = Major::new(names.disk)?;
        let init = try_pin_init!(Self {
            devices <- new_mutex!(KVec::new(), "zram_index"),
            debugfs: Dir::new(names.disk)?,
            major,
            hotplug,
            queue,
            names,
        });
        let class = Class::new(names.class, &FILES, init)?;
        for _ in 0..devices {
            class.add()?;
        }
        Ok(class)
    }

    /// Adds a device with the lowest free number, and returns that number.
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

    /// Creates device `minor`, which nobody sees before its disk is added.
    fn create(&self, minor: u32) -> Result<AddedDevice> {
        let device = Device::new(&self.hotplug, &self.queue, work_on_tiers)?;
        let device = Arc::new(device, GFP_KERNEL)?;
        let prefix = self.names.disk;
        let name = CString::try_from_fmt(fmt!("{prefix}{minor}"))?;
        // The disk comes last: once it is added, somebody may have opened it, so that dropping it
        // after an error would remove it under its user.
        let debugfs = debugfs::DebugfsFiles::new(&self.debugfs, &name, &device)?;
        let disk = Disk::new(&self.major, minor, &name, device)?;
        pr_info!("Added device: {}\n", &*name);
        Ok(AddedDevice {
            _debugfs: debugfs,
            disk,
        })
    }

    /// Removes device `id`.
    ///
    /// Waits for openers of the disk for a moment, and keeps new ones out.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no such device; `EBUSY` if it is held exclusively, or open for longer
    /// than a moment; `EINTR` after a fatal signal.
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

/// Adds a device each time the file is read, and shows its number.
fn hot_add_show(control: &Devices, out: &mut Text<'_>) -> Result {
    let id = control.add()?;
    Ok(writeln!(out, "{id}")?)
}

/// Takes the number of a device, and removes that device.
fn hot_remove_store(control: &Devices, arg: &[u8]) -> Result {
    let id = args::kstrtoint(arg)?;
    control.remove(usize::try_from(id).map_err(|_| EINVAL)?)
}
