// SPDX-License-Identifier: GPL-2.0

//! Compressed RAM block device, in Rust.
//!
//! A disk whose pages are kept compressed in memory, with the interface of mainline's zram. See
//! README.md for what it does and how it is built, `src/cells.rs` for the compression streams at the
//! heart of it, and `src/abstractions/disk.rs` for what keeps I/O and reset apart.

#![deny(unsafe_code)]

use kernel::prelude::*;

/// The driver. Only the two modules marked below may say `unsafe`.
#[path = "src"]
mod zram {
    #[expect(unsafe_code)]
    pub(crate) mod abstractions;
    #[expect(unsafe_code)]
    mod codecs;
    mod device;
    pub(crate) mod interface;
    mod io;
    mod jobs;
    mod store;
    mod streams;
}

use zram::{
    abstractions::{
        disk::ModuleExit,
        sysfs::Class, //
    },
    interface::devices::{
        Devices,
        Names, //
    }, //
};

module! {
    type: RustZram,
    name: "rust_zram",
    authors: ["The rust_zram authors"],
    description: "Compressed RAM Block Device",
    license: "Dual BSD/GPL",
    params: {
        num_devices: u32 {
            default: 1,
            description: "Number of pre-created zram devices",
        },
        coexist: bool {
            default: false,
            description: "Take names that begin with rzram, to be loaded beside mainline's zram",
        },
    },
}

/// Fields are dropped from the first to the last.
struct RustZram {
    _devices: Class<Devices>,
    _exit: ModuleExit,
}

impl kernel::Module for RustZram {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let exit = ModuleExit::new();
        let coexist = module_parameters::coexist.value();
        let names = if coexist {
            &Names::COEXIST
        } else {
            &Names::MAINLINE
        };
        let devices = module_parameters::num_devices.value();
        Ok(Self {
            _devices: Devices::new(names, devices, coexist)?,
            _exit: exit,
        })
    }
}
