// SPDX-License-Identifier: GPL-2.0-only

//! Compressed RAM block device, in Rust.
//!
//! A disk whose pages are kept compressed in memory, with the interface of mainline's zram.
//! README.md says what it does and how it is built, doc/design.md how it works. A request goes down
//! through the rooms below, from `interface` to `abstractions`, and so do imports.

#![deny(unsafe_code)]
// A member's `pub` reaches as far as its type does, and qemu/rooms sees to it that nothing else is
// `pub`.
#![expect(unreachable_pub)]

use kernel::prelude::*;

/// The driver.
///
/// `unsafe` may be written only in the rooms that expect it below, and in two files of `store`.
#[path = "src"]
mod zram {
    /// Safe interfaces to C APIs.
    #[expect(unsafe_code)]
    mod abstractions;
    /// Compression algorithms.
    #[expect(unsafe_code)]
    mod codecs;
    /// One device and its states.
    mod device;
    /// The interface to user space and the block layer.
    mod interface;
    /// Reads and writes.
    mod io;
    /// Jobs: work over many pages.
    mod jobs;
    /// Storage of pages: slots, objects and blocks.
    mod store;
    /// Compression streams.
    mod streams;

    pub(crate) use abstractions::{
        class::Class,
        disk::ModuleExit,
        module_param, //
    };
    pub(crate) use interface::devices::{
        Devices,
        Names, //
    };
}

use zram::{
    module_param::module_parameters,
    Class,
    Devices,
    ModuleExit,
    Names, //
};

module! {
    type: RustZram,
    name: "rust_zram",
    authors: ["The rust_zram authors"],
    description: "Compressed RAM Block Device",
    license: "GPL",
}

module_parameters! {
    num_devices: c_uint = 1, "Number of pre-created zram devices";
    coexist: bool = false, "Take names that begin with rzram, to be loaded beside mainline's zram";
}

/// The module.
///
/// Fields are dropped from the first to the last: `_exit` waits until the last gendisk is gone and
/// no task is in the module's text any more, so it is the last.
struct RustZram {
    _devices: Class<Devices>,
    _exit: ModuleExit,
}

impl kernel::Module for RustZram {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let exit = ModuleExit::new()?;
        let coexist = parameters::coexist.value();
        let names = if coexist {
            &Names::COEXIST
        } else {
            &Names::MAINLINE
        };
        let devices = parameters::num_devices.value();
        Ok(Self {
            _devices: Devices::new(names, devices, coexist)?,
            _exit: exit,
        })
    }
}
