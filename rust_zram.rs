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
    mod args;
    mod attr;
    mod attrs;
    mod backing;
    mod candidates;
    mod cells;
    mod comp;
    pub(crate) mod control;
    #[cfg(CONFIG_FAULT_INJECTION)]
    mod corrupt;
    mod debugfs;
    mod device;
    mod io;
    mod recompress;
    mod stats;
    mod sw842;
    #[expect(unsafe_code)]
    mod table;
    mod writeback;
}

use zram::{
    abstractions::{
        disk::Exit,
        sysfs::Class, //
    },
    control::{
        Control,
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
    _control: Class<Control>,
    _exit: Exit,
}

impl kernel::Module for RustZram {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let exit = Exit::new();
        let coexist = module_parameters::coexist.value();
        let names = if coexist {
            &Names::COEXIST
        } else {
            &Names::MAINLINE
        };
        let devices = module_parameters::num_devices.value();
        Ok(Self {
            _control: Control::new(names, devices, coexist)?,
            _exit: exit,
        })
    }
}
