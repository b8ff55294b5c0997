// SPDX-License-Identifier: GPL-2.0-only

//! The files that choose algorithms and their parameters.

#![forbid(unsafe_code)]

use super::{
    Disk,
    Out, //
};
use crate::zram::{
    abstractions::files::Contents,
    codecs::{
        Algorithm,
        Params, //
    },
    device::{
        Config,
        State,
        ALGORITHMS, //
    },
    interface::args, //
};
use kernel::{
    fmt::Write as _,
    prelude::*,
    str::BStr, //
};

/// Writes the names of all available algorithms, with `chosen` in brackets.
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

/// Returns which algorithms are set, by priority.
fn algorithms(disk: Disk<'_>) -> [Option<Algorithm>; ALGORITHMS] {
    match &*disk.state.read() {
        State::Blank(config) => config.algorithms,
        State::Live(_, live) => live.algorithms(),
    }
}

/// Sets the algorithm of `priority` to the one called `name`, with default parameters.
fn set_algorithm(disk: Disk<'_>, priority: u8, name: &[u8]) -> Result {
    let name = args::algorithm(name)?;
    let mut all = Algorithm::ALL
        .iter()
        .filter(|algorithm| algorithm.is_available());
    let found = all.find(|algorithm| algorithm.name().as_bytes() == name);
    let &algorithm = found.ok_or(EINVAL)?;
    let _config_lock = disk.lock_config()?;
    disk.with_config(|config| {
        let priority = usize::from(priority);
        *config.algorithms.get_mut(priority).ok_or(EINVAL)? = Some(algorithm);
        *config.params.get_mut(priority).ok_or(EINVAL)? = Params::default();
        Ok(())
    })
    .inspect_err(|_| {
        pr_info!(
            "{}: Can't change algorithm for initialized device\n",
            disk.name()
        )
    })
}

/// Shows all algorithms, with the one that pages are written with in brackets.
pub(super) fn comp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let [primary, ..] = algorithms(disk);
    list(primary, out)
}

/// Takes the name of the algorithm to write pages with.
pub(super) fn comp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    set_algorithm(disk, 0, arg)
}

/// Shows a line for each algorithm to recompress pages with: its priority, and all algorithms with
/// this one in brackets.
pub(super) fn recomp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    for (priority, algorithm) in algorithms(disk).into_iter().enumerate().skip(1) {
        if algorithm.is_some() {
            write!(out, "#{priority}: ")?;
            list(algorithm, out)?;
        }
    }
    Ok(())
}

/// Takes an algorithm to recompress pages with: see [`args::recomp_algorithm`].
pub(super) fn recomp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::recomp_algorithm(arg)?;
    set_algorithm(disk, request.priority, request.name)
}

/// Returns the priority of the algorithm that the user chose by name, by priority, or by both.
///
/// Without either, this is `first`, the lowest priority that is allowed.
///
/// # Errors
///
/// `EINVAL` for a priority that is not allowed, a name that is not set, or the name of another
/// algorithm than that of the priority.
pub(super) fn priority_of(
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

/// Takes all parameters of one algorithm: see [`args::algorithm_params`].
///
/// They are back at their defaults while the dictionary is read, and stay so if that fails.
pub(super) fn algorithm_params_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::algorithm_params(arg)?;
    let _config_lock = disk.lock_config()?;
    let set = |new| {
        disk.with_config(|config| {
            let Config {
                algorithms, params, ..
            } = config;
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

/// Reads a dictionary, and logs an error.
///
/// This may wait for a file system, so the caller must not hold `state`.
fn read_dictionary(path: &[u8]) -> Result<Contents> {
    Contents::read(path).inspect_err(|error| {
        let (path, error) = (BStr::from_bytes(path), error.to_errno());
        pr_err!("failed to load dictionary {path} (err={error})\n");
    })
}
