// SPDX-License-Identifier: GPL-2.0

//! Every file of `/sys/block/zramN`: what it shows, and what it takes.
//!
//! Document: [`Documentation/admin-guide/blockdev/zram.rst`](srctree/Documentation/admin-guide/blockdev/zram.rst)

#![forbid(unsafe_code)]

use super::args;
use crate::zram::{
    abstractions::{
        backing_device::BackingDevice,
        disk::DiskRef,
        files::Contents,
        sched::boot_seconds,
        sysfs::{
            Attribute,
            Text, //
        }, //
    },
    codecs::{
        Algorithm,
        Params, //
    },
    device::{
        Config,
        Device,
        Live,
        State,
        ALGORITHMS, //
    },
    jobs::{
        mark_idle,
        Recompression,
        Writeback, //
    },
    store::Stat, //
};
use core::sync::atomic::Ordering;
use kernel::{
    fmt::Write as _,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    str::BStr, //
};

/// Name, mode and functions of each file.
#[rustfmt::skip]
pub(crate) static ATTRIBUTES: [Attribute<Device>; 21] = [
    Attribute::rw(c"disksize", disksize_show, disksize_store),
    Attribute::ro(c"initstate", initstate_show),
    Attribute::wo(c"reset", reset_store),
    Attribute::wo(c"compact", compact_store),
    Attribute::wo(c"mem_limit", mem_limit_store),
    Attribute::wo(c"mem_used_max", mem_used_max_store),
    Attribute::wo(c"idle", idle_store),
    Attribute::rw(c"comp_algorithm", comp_algorithm_show, comp_algorithm_store),
    Attribute::ro(c"bd_stat", bd_stat_show),
    Attribute::rw(c"backing_dev", backing_dev_show, backing_dev_store),
    Attribute::wo(c"writeback", writeback_store),
    Attribute::rw(c"writeback_limit", limit_show, limit_store),
    Attribute::rw(c"writeback_limit_enable", limit_enable_show, limit_enable_store),
    Attribute::rw(c"writeback_batch_size", batch_size_show, batch_size_store),
    Attribute::rw(c"compressed_writeback", compressed_show, compressed_store),
    Attribute::ro(c"io_stat", io_stat_show),
    Attribute::ro(c"mm_stat", mm_stat_show),
    Attribute::ro(c"debug_stat", debug_stat_show),
    Attribute::rw(c"recomp_algorithm", recomp_algorithm_show, recomp_algorithm_store),
    Attribute::wo(c"recompress", recompress_store),
    Attribute::wo(c"algorithm_params", algorithm_params_store),
];

type Disk<'a> = DiskRef<'a, Device>;
type Out<'a, 'b> = &'a mut Text<'b>;

/// RacyBytes; 0 without a disksize.
fn disksize_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let bytes = disk.with_live(|live| live.map_or(0, Live::disksize));
    Ok(writeln!(out, "{bytes}")?)
}

/// A size, rounded up to a page: the device begins its life with it.
fn disksize_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::memparse(arg)
        .filter(|&bytes| bytes > 0)
        .ok_or(EINVAL)?;
    Device::set_disksize(disk, bytes)
}

/// 1 with a disksize, else 0.
fn initstate_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let live = disk.with_live(|live| live.is_some());
    Ok(writeln!(out, "{}", u8::from(live))?)
}

/// Any number but 0: forgets all data, and the settings.
fn reset_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::kstrtouint::<u16>(arg)? == 0 {
        return Err(EINVAL);
    }
    Device::reset(disk)
}

/// Anything: gives memory back that fragmentation holds, and that of empty parts of the table.
fn compact_store(disk: Disk<'_>, _: &[u8]) -> Result {
    disk.with_live_pinned(|live| {
        live.store.pool().compact();
        live.store.shrink(disk.outside_io());
        Ok(())
    })
}

/// A size, rounded up to a page: the most that compressed data may take; 0 for no limit.
fn mem_limit_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let bytes = args::memparse(arg).ok_or(EINVAL)?;
    // No more than can be shown in bytes.
    let pages = (bytes.div_ceil(PAGE_SIZE as u64) as usize).min(usize::MAX >> PAGE_SHIFT);
    match &mut *disk.state.write() {
        State::Blank(setup) => setup.limit_pages = pages,
        State::Live(live) => live.limit_pages.store(pages, Ordering::Relaxed),
    }
    Ok(())
}

/// 0: the maximum in `mm_stat` begins again at what is in use.
fn mem_used_max_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    if args::kstrtouint::<u64>(arg) != Ok(0) {
        return Err(EINVAL);
    }
    disk.with_live(|live| {
        if let Some(Live { store, .. }) = live {
            let pages = store.pool().total_pages();
            store.stats().reset_max_used_pages(pages);
        }
    });
    Ok(())
}

/// `all`, or seconds: marks pages as idle that were not accessed for so long, and no others.
fn idle_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    // Pages last accessed before this second are idle.
    let cutoff = match args::idle(arg)? {
        args::Idle::All => None,
        args::Idle::Age(age) => match boot_seconds().checked_sub(age) {
            // No page is as old as the system.
            None | Some(0) => return Ok(()),
            cutoff => cutoff,
        },
    };
    disk.with_live_pinned(|live| {
        mark_idle(&live.store, cutoff);
        Ok(())
    })
}

/// The algorithms there are, the chosen one in brackets.
fn list(chosen: Option<Algorithm>, out: Out<'_, '_>) -> Result {
    for &algorithm in Algorithm::ALL
        .iter()
        .filter(|algorithm| algorithm.is_available())
    {
        match algorithm.name() {
            name if Some(algorithm) == chosen => write!(out, "[{name}] ")?,
            name => write!(out, "{name} ")?,
        }
    }
    Ok(writeln!(out)?)
}

fn algorithms(disk: Disk<'_>) -> [Option<Algorithm>; ALGORITHMS] {
    match &*disk.state.read() {
        State::Blank(setup) => setup.algorithms,
        State::Live(live) => live.algorithms(),
    }
}

/// Sets the algorithm of a priority, without parameters.
fn set_algorithm(disk: Disk<'_>, priority: u8, name: &[u8]) -> Result {
    let name = args::algorithm(name)?;
    let mut all = Algorithm::ALL
        .iter()
        .filter(|algorithm| algorithm.is_available());
    let found = all.find(|algorithm| algorithm.name().as_bytes() == name);
    let &algorithm = found.ok_or(EINVAL)?;
    let _changes = disk.change()?;
    disk.set_up(|setup| {
        let priority = usize::from(priority);
        *setup.algorithms.get_mut(priority).ok_or(EINVAL)? = Some(algorithm);
        *setup.params.get_mut(priority).ok_or(EINVAL)? = Params::default();
        Ok(())
    })
    .inspect_err(|_| {
        pr_info!(
            "{}: Can't change algorithm for initialized device\n",
            disk.name()
        )
    })
}

/// All algorithms, the one that pages are written with in brackets.
fn comp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let [primary, ..] = algorithms(disk);
    list(primary, out)
}

/// The name of the algorithm to write pages with.
fn comp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    set_algorithm(disk, 0, arg)
}

/// For each algorithm to recompress with, its priority and the list.
fn recomp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    for (priority, algorithm) in algorithms(disk).into_iter().enumerate().skip(1) {
        if algorithm.is_some() {
            write!(out, "#{priority}: ")?;
            list(algorithm, out)?;
        }
    }
    Ok(())
}

/// `algo=NAME priority=1..3`: an algorithm to recompress with.
fn recomp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::recomp_algorithm(arg)?;
    set_algorithm(disk, request.priority, request.name)
}

/// The priority of an algorithm that is named, numbered, or both; from `first` on.
fn priority_of(
    algorithms: &[Option<Algorithm>; ALGORITHMS],
    name: Option<&[u8]>,
    priority: Option<i32>,
    first: u8,
) -> Result<usize> {
    let is_named = |algorithm: &Option<Algorithm>| {
        algorithm.is_some_and(|algorithm| Some(algorithm.name().as_bytes()) == name)
    };
    let Some(priority) = priority else {
        let first = usize::from(first);
        let Some(_) = name else {
            return Ok(first);
        };
        let mut from_first = algorithms.iter().enumerate().skip(first);
        return from_first
            .find(|(_, algorithm)| is_named(algorithm))
            .map(|(at, _)| at)
            .ok_or(EINVAL);
    };
    let priority = u8::try_from(priority)
        .ok()
        .filter(|&priority| priority >= first);
    let priority = usize::from(priority.ok_or(EINVAL)?);
    match algorithms.get(priority) {
        Some(algorithm) if name.is_none() || is_named(algorithm) => Ok(priority),
        _ => Err(EINVAL),
    }
}

/// `algo= priority= level= dict= deflate.winbits=`: all the parameters of one algorithm.
fn algorithm_params_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::algorithm_params(arg)?;
    let _changes = disk.change()?;
    let set = |new| {
        disk.set_up(|setup| {
            let Config {
                algorithms, params, ..
            } = setup;
            let priority = priority_of(algorithms, request.algorithm, request.priority, 0)?;
            *params.get_mut(priority).ok_or(EINVAL)? = new;
            Ok(())
        })
    };
    set(Params::default())?;
    let dict = request.dict.map(read_dictionary).transpose()?;
    set(Params {
        level: request.level,
        dict: dict.unwrap_or_default(),
        winbits: request.winbits,
    })
}

/// Reads a dictionary, which may take its time.
fn read_dictionary(path: &[u8]) -> Result<Contents> {
    Contents::read(path).inspect_err(|error| {
        let (path, error) = (BStr::from_bytes(path), error.to_errno());
        pr_err!("failed to load dictionary {path} (err={error})\n");
    })
}

/// `type= max_pages= threshold= algo= priority=`: compresses stored pages anew.
fn recompress_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::recompress(arg)?;
    disk.run_job(|live| {
        if request.threshold >= live.huge_class_size {
            return Err(EINVAL);
        }
        let algorithms = live.algorithms();
        let priority = priority_of(&algorithms, request.algorithm, request.priority, 1)?;
        if algorithms.get(priority).is_none_or(Option::is_none) {
            return Err(EINVAL);
        }
        let job = Recompression {
            live,
            filter: request.filter,
            max_pages: request.max_pages,
            threshold: request.threshold,
            priority: priority as u8,
        };
        job.run()
    })
}

/// The path of the backing device, or `none`.
fn backing_dev_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let state = disk.state.read();
    let backing = match &*state {
        State::Blank(setup) => &setup.backing,
        State::Live(live) => &live.backing,
    };
    match backing {
        Some(backing) => backing.show_path(out)?,
        None => out.write_str("none")?,
    }
    Ok(writeln!(out)?)
}

/// The path of a block device, which replaces the one before.
fn backing_dev_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let _changes = disk.change()?;
    disk.set_up(|_| Ok(())).inspect_err(|_| {
        pr_info!(
            "{}: Can't setup backing device for initialized device\n",
            disk.name()
        )
    })?;
    let path = args::path(arg);
    let backing = BackingDevice::open(path)?;
    let old = disk.set_up(|setup| Ok(setup.backing.replace(backing)))?;
    drop(old);
    pr_info!(
        "{}: setup backing device {}\n",
        disk.name(),
        BStr::from_bytes(path)
    );
    Ok(())
}

/// What to write to the backing device: see [`args::WritebackArgs`].
fn writeback_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    disk.run_job(|live| {
        let mut job = Writeback::new(live, &disk.settings)?;
        let mut args = args::WritebackArgs::new(arg, live.store.len());
        while let Some(selection) = args.next()? {
            job.select(&selection)?;
        }
        job.run()
    })
}

/// Pages that may still be written back.
fn limit_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(out, "{}", disk.settings.limit().pages)?)
}

/// A number of pages.
fn limit_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let limit = args::kstrtouint(arg).map_err(|_| EINVAL)?;
    disk.settings.set_limit(limit);
    Ok(())
}

/// Whether writeback is limited.
fn limit_enable_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let enabled = disk.settings.limit().enabled;
    Ok(writeln!(out, "{}", u8::from(enabled))?)
}

/// A number; any but 0 means yes.
fn limit_enable_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let enable: u64 = args::kstrtouint(arg).map_err(|_| EINVAL)?;
    disk.settings.enable_limit(enable != 0);
    Ok(())
}

/// How many pages are written at a time.
fn batch_size_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(
        out,
        "{}",
        disk.settings.batch_size.load(Ordering::Relaxed)
    )?)
}

/// A number from 1 on.
fn batch_size_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    match args::kstrtouint(arg) {
        Ok(size) if size > 0 => disk.settings.batch_size.store(size, Ordering::Relaxed),
        _ => return Err(EINVAL),
    }
    Ok(())
}

/// Whether pages are written back compressed.
fn compressed_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let compressed = disk.settings.compressed.load(Ordering::Relaxed);
    Ok(writeln!(out, "{}", u8::from(compressed))?)
}

/// Yes or no, before the disksize.
fn compressed_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let compressed = args::kstrtobool(arg)?;
    disk.set_up(|_| {
        let setting = &disk.settings.compressed;
        setting.store(compressed, Ordering::Relaxed);
        Ok(())
    })
}

/// The value of a counter; 0 without a disksize.
fn count(live: Option<&Live>, stat: Stat) -> u64 {
    live.map_or(0, |live| live.store.stats().get(stat))
}

/// Blocks in use on the backing device, pages read from it, pages written to it.
fn bd_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        Ok(writeln!(
            out,
            "{:>8} {:>8} {:>8}",
            live.map_or(0, |live| live.store.blocks().used()),
            count(live, Stat::BdReads),
            count(live, Stat::BdWrites)
        )?)
    })
}

/// Failed reads, failed writes, a constant, freed swap slots with discarded pages.
fn io_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        Ok(writeln!(
            out,
            "{:>8} {:>8} 0 {:>8}",
            count(live, Stat::FailedReads),
            count(live, Stat::FailedWrites),
            count(live, Stat::NotifyFree)
        )?)
    })
}

/// Memory: see zram.rst for the columns.
fn mm_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let state = disk.state.read();
    let (live, limit) = match &*state {
        State::Blank(setup) => (None, setup.limit_pages),
        State::Live(live) => (Some(&**live), live.limit_pages.load(Ordering::Relaxed)),
    };
    let pool = live.map(|live| live.store.pool());
    Ok(writeln!(
        out,
        "{:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        live.map_or(0, |live| live.store.stats().pages_stored()) << PAGE_SHIFT,
        count(live, Stat::ComprDataSize),
        pool.map_or(0, |pool| pool.total_pages()) << PAGE_SHIFT,
        limit << PAGE_SHIFT,
        live.map_or(0, |live| live.store.stats().max_used_pages()) << PAGE_SHIFT,
        count(live, Stat::SamePages),
        pool.map_or(0, |pool| pool.pages_compacted()),
        count(live, Stat::HugePages),
        count(live, Stat::HugePagesSince)
    )?)
}

/// The version of the file, a constant, and swap slots that could not be freed: there are none.
fn debug_stat_show(_: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(out, "version: 1\n0 {:>8}", 0)?)
}
