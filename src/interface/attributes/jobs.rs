// SPDX-License-Identifier: GPL-2.0-only

//! The files that start jobs, and those of the backing device and its settings.

#![forbid(unsafe_code)]

use super::{
    algorithms::priority_of,
    Disk,
    Out,
    FOUR_K, //
};
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        backing_device::BackingDevice,
        sched::boot_seconds, //
    },
    device::State,
    interface::args,
    jobs::{
        mark_idle,
        Recompression,
        Selection,
        Writeback, //
    }, //
};
use kernel::{
    fmt::Write as _,
    prelude::*,
    str::BStr,
    sync::Arc, //
};

/// Takes `all`, or an age in seconds, and marks pages as idle that were not accessed for that long,
/// and all others as not idle.
pub(super) fn idle_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    // Pages last accessed before this second are idle.
    let cutoff = match args::idle(arg)? {
        args::Idle::All => None,
        args::Idle::Age(age) => match boot_seconds().checked_sub(age) {
            // The last access of no page lies before the system's boot.
            None | Some(0) => return Ok(()),
            cutoff => cutoff,
        },
    };
    disk.with_live_pinned(|live| {
        mark_idle(&live.store, cutoff);
        Ok(())
    })
}

/// Takes the arguments of a recompression, and runs it: see [`args::recompress`] and
/// [`args::PageRanges`].
pub(super) fn recompress_store(disk: Disk<'_>, arg: &[u8]) -> Result {
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
        let mut job = Recompression::new(live, request.threshold, priority as u8)?;
        let mut ranges = args::PageRanges::new(arg, live.store.len());
        let mut range = ranges.next()?.unwrap_or(0..live.store.len());
        loop {
            let filter = request.filter;
            job.select(&Selection { filter, range })?;
            match ranges.next()? {
                Some(next) => range = next,
                None => break,
            }
        }
        job.run(request.max_pages)
    })
}

/// Shows a line for each algorithm to recompress pages with: its priority and name, how many pages
/// got smaller by it, what they took before and after, in bytes, and how many pages stay as they
/// were, and failed.
pub(super) fn recomp_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        let Some(live) = live else {
            return Ok(());
        };
        for (priority, algorithm) in (0..).zip(live.algorithms()).skip(1) {
            if let (Some(algorithm), Some(done)) = (algorithm, live.recompressed(priority)) {
                let [pages, before, after, unchanged, failed] = done.counts();
                writeln!(
                    out,
                    "#{priority}: {} {pages:>8} {before:>8} {after:>8} {unchanged:>8} {failed:>8}",
                    algorithm.name()
                )?;
            }
        }
        Ok(())
    })
}

/// Shows the path of the backing device, or `none`.
pub(super) fn backing_dev_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let state = disk.state.read();
    let backing = match &*state {
        State::Blank(config) => &config.backing,
        State::Live(_, live) => &live.backing,
    };
    match backing {
        Some(backing) => backing.show_path(out)?,
        None => out.write_str("none")?,
    }
    Ok(writeln!(out)?)
}

/// Takes the path of a block device, which replaces the backing device before.
pub(super) fn backing_dev_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let _config_lock = disk.lock_config()?;
    disk.with_config(|_| Ok(())).inspect_err(|_| {
        pr_info!(
            "{}: Can't setup backing device for initialized device\n",
            disk.name()
        )
    })?;
    let path = args::path(arg);
    let backing = Arc::new(BackingDevice::open(path)?, GFP_KERNEL)?;
    let old = disk.with_config(|config| Ok(config.backing.replace(backing)))?;
    drop(old);
    pr_info!(
        "{}: setup backing device {}\n",
        disk.name(),
        BStr::from_bytes(path)
    );
    Ok(())
}

/// Takes the selections of a writeback, and runs it: see [`args::WritebackArgs`].
pub(super) fn writeback_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    disk.run_job(|live| {
        let mut job = Writeback::new(live, &disk.settings)?;
        let mut args = args::WritebackArgs::new(arg, live.store.len());
        while let Some(selection) = args.next()? {
            job.select(&selection)?;
        }
        job.run()
    })
}

/// Shows how much may still be written back, in 4 KiB.
pub(super) fn limit_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let pages = disk.settings.limit().pages;
    Ok(writeln!(out, "{}", pages.saturating_mul(FOUR_K))?)
}

/// Takes how much may be written back from now on, in 4 KiB; what is less than a page is left out.
pub(super) fn limit_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let limit: u64 = args::kstrtouint(arg).map_err(|_| EINVAL)?;
    disk.settings.set_limit(limit / FOUR_K);
    tell_worker(disk);
    Ok(())
}

/// Tells the policy's worker that the limit has changed.
fn tell_worker(disk: Disk<'_>) {
    disk.with_live(|live| {
        if let Some(live) = live {
            live.tiers.settings_changed();
        }
    });
}

/// Shows 1 if the limit is enabled, else 0.
pub(super) fn limit_enable_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let enabled = disk.settings.limit().enabled;
    Ok(writeln!(out, "{}", u8::from(enabled))?)
}

/// Takes a number: 0 disables the limit, any other one enables it.
pub(super) fn limit_enable_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let enable: u64 = args::kstrtouint(arg).map_err(|_| EINVAL)?;
    disk.settings.enable_limit(enable != 0);
    tell_worker(disk);
    Ok(())
}

/// Shows the most pages that are under way to the backing device at a time.
pub(super) fn batch_size_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    Ok(writeln!(
        out,
        "{}",
        disk.settings.batch_size.load(Ordering::Relaxed)
    )?)
}

/// Takes that number, which is at least 1; a writeback that is running keeps the one before.
pub(super) fn batch_size_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    match args::kstrtouint(arg) {
        Ok(size) if size > 0 => disk.settings.batch_size.store(size, Ordering::Relaxed),
        _ => return Err(EINVAL),
    }
    Ok(())
}

/// Shows 1 if pages are written back compressed, else 0.
pub(super) fn compressed_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let compressed = disk.settings.compressed.load(Ordering::Relaxed);
    Ok(writeln!(out, "{}", u8::from(compressed))?)
}

/// Takes a boolean, as long as the device is blank.
pub(super) fn compressed_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let compressed = args::kstrtobool(arg)?;
    let _config_lock = disk.lock_config()?;
    disk.with_config(|_| {
        let setting = &disk.settings.compressed;
        setting.store(compressed, Ordering::Relaxed);
        Ok(())
    })
}
