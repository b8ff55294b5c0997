// SPDX-License-Identifier: GPL-2.0-only

//! The files of `/sys/block/zramN`.
//!
//! [`ATTRIBUTES`] lists them. A function `…_show` writes the text of a file to `out`, a function
//! `…_store` takes the argument `arg`. All of them are called in process context and may sleep.
//!
//! Document: [`zram.rst`](srctree/Documentation/admin-guide/blockdev/zram.rst); `doc/interface.md`
//! has all arguments and errors.

#![forbid(unsafe_code)]

mod algorithms;
mod jobs;
mod policy;

use super::args;
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        disk::DiskRef,
        sysfs::{
            Attribute,
            Text, //
        },
        zsmalloc::Pool, //
    },
    device::{
        Device,
        Live,
        State, //
    },
    store::Stat, //
};
use algorithms::*;
use jobs::*;
use kernel::{
    fmt::Write as _,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};
use policy::*;

/// A file of a device.
type File = Attribute<Device>;

/// The name, mode and functions of each file.
#[rustfmt::skip]
pub(super) static ATTRIBUTES: [File; 25] = [
    File::rw(c"disksize", disksize_show, disksize_store),
    File::ro(c"initstate", initstate_show),
    File::wo(c"reset", reset_store),
    File::wo(c"compact", compact_store),
    File::wo(c"mem_limit", mem_limit_store),
    File::wo(c"mem_used_max", mem_used_max_store),
    File::wo(c"idle", idle_store),
    File::rw(c"comp_algorithm", comp_algorithm_show, comp_algorithm_store),
    File::ro(c"bd_stat", bd_stat_show),
    File::ro(c"bd_pack_stat", bd_pack_stat_show),
    File::rw(c"backing_dev", backing_dev_show, backing_dev_store),
    File::wo(c"writeback", writeback_store),
    File::rw(c"writeback_limit", limit_show, limit_store),
    File::rw(c"writeback_limit_enable", limit_enable_show, limit_enable_store),
    File::rw(c"writeback_batch_size", batch_size_show, batch_size_store),
    File::rw(c"compressed_writeback", compressed_show, compressed_store),
    File::ro(c"io_stat", io_stat_show),
    File::ro(c"mm_stat", mm_stat_show),
    File::ro(c"debug_stat", debug_stat_show),
    File::rw(c"recomp_algorithm", recomp_algorithm_show, recomp_algorithm_store),
    File::ro(c"recomp_stat", recomp_stat_show),
    File::wo(c"recompress", recompress_store),
    File::wo(c"algorithm_params", algorithm_params_store),
    File::rw(c"policy", policy_show, policy_store),
    File::ro(c"policy_stat", policy_stat_show),
];

/// The number of 4 KiB in a page: files count the backing device's blocks in that unit, whatever
/// the size of a page.
const FOUR_K: u64 = PAGE_SIZE as u64 / 4096;

/// The disk that a file belongs to.
type Disk<'a> = DiskRef<'a, Device>;
/// The text of a file that is read.
type Out<'a, 'b> = &'a mut Text<'b>;

/// Shows the size of the disk in bytes, or 0 if the device is blank.
fn disksize_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let bytes = disk.with_live(|live| live.map_or(0, Live::disksize));
    Ok(writeln!(out, "{bytes}")?)
}

/// Takes the size of the disk, rounded up to a page, and makes the device live, or lets it grow.
fn disksize_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::memparse(arg)
        .filter(|&bytes| bytes > 0)
        .ok_or(EINVAL)?;
    Device::set_disksize(disk, bytes)
}

/// Shows 1 if the device is live, else 0.
fn initstate_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let live = disk.with_live(|live| live.is_some());
    Ok(writeln!(out, "{}", u8::from(live))?)
}

/// Takes any number but 0 and makes the device blank, without data and configuration.
fn reset_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::kstrtouint::<u16>(arg)? == 0 {
        return Err(EINVAL);
    }
    Device::reset(disk)
}

/// Takes anything and frees memory: that which is lost to fragmentation in the pool, and the empty
/// pages of the slot table.
fn compact_store(disk: Disk<'_>, _: &[u8]) -> Result {
    disk.with_live_pinned(|live| {
        live.store.pool().compact();
        live.store.shrink(disk.outside_io());
        Ok(())
    })
}

/// Takes the most memory that the pool may use, rounded up to a page, or 0 for no limit.
fn mem_limit_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::memparse(arg).ok_or(EINVAL)?;
    // Limited to what `mm_stat` can show in bytes.
    let pages = (bytes.div_ceil(PAGE_SIZE as u64) as usize).min(usize::MAX >> PAGE_SHIFT);
    match &mut *disk.state.write() {
        State::Blank(config) => config.limit_pages = pages,
        State::Live(_, live) => {
            live.limit_pages.store(pages, Ordering::Relaxed);
            live.tiers.settings_changed();
        }
    }
    Ok(())
}

/// Takes 0 and resets the peak of memory use in `mm_stat` to what is in use now.
fn mem_used_max_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::kstrtouint::<u64>(arg) != Ok(0) {
        return Err(EINVAL);
    }
    disk.with_live(|live| {
        if let Some(Live { store, .. }) = live {
            store.pool().free_waiting();
            let pages = store.pool().total_pages();
            store.stats().reset_max_used_pages(pages);
        }
    });
    Ok(())
}

/// Returns the value of a counter, or 0 if the device is blank.
fn stat(live: Option<&Live>, stat: Stat) -> u64 {
    live.map_or(0, |live| live.store.stats().get(stat))
}

/// Shows what is in use of the backing device, and what was read from it and written to it, in 4
/// KiB.
fn bd_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        let used = live.map_or(0, |live| live.store.blocks().used());
        Ok(writeln!(
            out,
            "{:>8} {:>8} {:>8}",
            (used as u64).wrapping_mul(FOUR_K),
            stat(live, Stat::BdReads).wrapping_mul(FOUR_K),
            stat(live, Stat::BdWrites).wrapping_mul(FOUR_K)
        )?)
    })
}

/// Shows the blocks of the backing device that are in use, the bytes that are stored in them, the
/// bytes that were written there, and how many of these had been there before.
fn bd_pack_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        let (used, stored) = live.map_or((0, 0), |live| {
            let blocks = live.store.blocks();
            let used = blocks.used();
            (used, blocks.stored().unwrap_or(used << PAGE_SHIFT))
        });
        Ok(writeln!(
            out,
            "{used:>8} {stored:>8} {:>8} {:>8}",
            stat(live, Stat::BdWrites) << PAGE_SHIFT,
            stat(live, Stat::BdRewritten)
        )?)
    })
}

/// Shows failed reads, failed writes, a 0 in the place of a counter that mainline has dropped, and
/// pages freed by swap or discard.
fn io_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        Ok(writeln!(
            out,
            "{:>8} {:>8} 0 {:>8}",
            stat(live, Stat::FailedReads),
            stat(live, Stat::FailedWrites),
            stat(live, Stat::NotifyFree)
        )?)
    })
}

/// Shows the use of memory; zram.rst explains the columns.
fn mm_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let state = disk.state.read();
    let (live, limit) = match &*state {
        State::Blank(config) => (None, config.limit_pages),
        State::Live(_, live) => (Some(&**live), live.limit_pages.load(Ordering::Relaxed)),
    };
    let pool = live.map(|live| live.store.pool());
    // The objects of freed swap slots that wait for the worker are not in use any more.
    pool.map(Pool::free_waiting);
    Ok(writeln!(
        out,
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        live.map_or(0, |live| live.store.stats().pages_stored()) << PAGE_SHIFT,
        stat(live, Stat::ComprDataSize),
        pool.map_or(0, |pool| pool.total_pages()) << PAGE_SHIFT,
        limit << PAGE_SHIFT,
        live.map_or(0, |live| live.store.stats().max_used_pages()) << PAGE_SHIFT,
        stat(live, Stat::SamePages),
        pool.map_or(0, |pool| pool.pages_compacted()),
        stat(live, Stat::HugePages),
        stat(live, Stat::HugePagesSince)
    )?)
}

/// Shows the version of the file, a 0 in the place of a counter that mainline has dropped, and the
/// number of swap slots that could not be freed, which is always 0 here.
fn debug_stat_show(_: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(out, "version: 1\n0 {:>8}", 0)?)
}
