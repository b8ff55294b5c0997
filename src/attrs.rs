// SPDX-License-Identifier: GPL-2.0

//! Every file of `/sys/block/zramN`.
//!
//! Document: [`Documentation/admin-guide/blockdev/zram.rst`](srctree/Documentation/admin-guide/blockdev/zram.rst)

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        codec::Algorithm,
        disk::Handle,
        sysfs::Attribute, //
    },
    args,
    device::{
        Device,
        State, //
    },
    stats::Stat,
};
use core::sync::atomic::Ordering;
use kernel::{
    fmt::Write as _,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    str::Formatter,
};

/// Name, mode and functions of each file, in the order of a directory listing of mainline's.
pub(crate) static ATTRIBUTES: [Attribute<Device>; 10] = [
    Attribute::rw(c"disksize", disksize_show, disksize_store),
    Attribute::ro(c"initstate", initstate_show),
    Attribute::wo(c"reset", reset_store),
    Attribute::wo(c"compact", compact_store),
    Attribute::wo(c"mem_limit", mem_limit_store),
    Attribute::wo(c"mem_used_max", mem_used_max_store),
    Attribute::rw(c"comp_algorithm", comp_algorithm_show, comp_algorithm_store),
    Attribute::ro(c"io_stat", io_stat_show),
    Attribute::ro(c"mm_stat", mm_stat_show),
    Attribute::ro(c"debug_stat", debug_stat_show),
];

type Disk<'a> = Handle<'a, Device>;
type Out<'a, 'b> = &'a mut Formatter<'b>;

/// Bytes; 0 without a disksize.
fn disksize_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let bytes = disk.live().map_or(0, |live| live.disksize());
    Ok(writeln!(out, "{bytes}")?)
}

/// A size, rounded up to a page: the device begins its life with it.
fn disksize_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::size(arg).filter(|&bytes| bytes > 0).ok_or(EINVAL)?;
    Device::set_disksize(disk, bytes)
}

/// 1 with a disksize, else 0.
fn initstate_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(out, "{}", u8::from(disk.live().is_some()))?)
}

/// Any number but 0: forgets all data and all settings.
fn reset_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::unsigned::<u16>(arg)? == 0 {
        return Err(EINVAL);
    }
    Device::reset(disk)
}

/// Anything: gives memory back that fragmentation holds, and that of empty parts of the table.
fn compact_store(disk: Disk<'_>, _: &[u8]) -> Result {
    let live = disk.live().ok_or(EINVAL)?;
    live.table.pool().compact();
    live.table.shrink();
    Ok(())
}

/// A size, rounded up to a page: the most that compressed data may take; 0 for no limit.
fn mem_limit_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::size(arg).ok_or(EINVAL)?;
    let pages = bytes.div_ceil(PAGE_SIZE as u64) as usize;
    match &mut *disk.state.write() {
        State::Blank(setup) => setup.limit_pages = pages,
        State::Live(live) => live.limit_pages.store(pages, Ordering::Relaxed),
    }
    Ok(())
}

/// 0: the maximum in `mm_stat` begins again at what is in use.
fn mem_used_max_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::unsigned::<u64>(arg) != Ok(0) {
        return Err(EINVAL);
    }
    if let Some(live) = disk.live() {
        let pages = live.table.pool().total_pages();
        live.table.stats().reset_max_used_pages(pages);
    }
    Ok(())
}

/// All algorithms, the one in use in brackets.
fn comp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let chosen = match &*disk.state.read() {
        State::Blank(setup) => setup.algorithm,
        State::Live(live) => live.primary().algorithm(),
    };
    for &algorithm in Algorithm::ALL.iter().filter(|algorithm| algorithm.is_available()) {
        match algorithm.name() {
            name if algorithm == chosen => write!(out, "[{name}] ")?,
            name => write!(out, "{name} ")?,
        }
    }
    Ok(writeln!(out)?)
}

/// The name of an algorithm.
fn comp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let name = args::algorithm(arg)?;
    let mut all = Algorithm::ALL.iter().filter(|algorithm| algorithm.is_available());
    let found = all.find(|algorithm| algorithm.name().as_bytes() == name);
    let &algorithm = found.ok_or(EINVAL)?;
    let State::Blank(setup) = &mut *disk.state.write() else {
        pr_info!("{}: Can't change algorithm for initialized device\n", disk.name());
        return Err(EBUSY);
    };
    setup.algorithm = algorithm;
    Ok(())
}

/// Failed reads, failed writes, a constant, freed swap slots with discarded pages.
fn io_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let live = disk.live();
    let get = |stat| live.as_ref().map_or(0, |live| live.table.stats().get(stat));
    Ok(writeln!(
        out,
        "{:>8} {:>8} 0 {:>8}",
        get(Stat::FailedReads),
        get(Stat::FailedWrites),
        get(Stat::NotifyFree)
    )?)
}

/// Memory: see zram.rst for the columns.
fn mm_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let state = disk.state.read();
    let (table, limit) = match &*state {
        State::Blank(setup) => (None, setup.limit_pages),
        State::Live(live) => (Some(&live.table), live.limit_pages.load(Ordering::Relaxed)),
    };
    let get = |stat| table.map_or(0, |table| table.stats().get(stat));
    Ok(writeln!(
        out,
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        get(Stat::PagesStored) << PAGE_SHIFT,
        get(Stat::ComprDataSize),
        table.map_or(0, |table| table.pool().total_pages()) << PAGE_SHIFT,
        limit << PAGE_SHIFT,
        table.map_or(0, |table| table.stats().max_used_pages()) << PAGE_SHIFT,
        get(Stat::SamePages),
        table.map_or(0, |table| table.pool().pages_compacted()),
        get(Stat::HugePages),
        get(Stat::HugePagesSince)
    )?)
}

/// The version of the file, a constant, and swap slots that could not be freed: there are none.
fn debug_stat_show(_: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(out, "version: 1\n0 {:>8}", 0)?)
}
