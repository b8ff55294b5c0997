// SPDX-License-Identifier: GPL-2.0-only

//! The files that choose algorithms, and their parameters.

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
        State::Blank(config) => config.algorithms,
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

/// All algorithms, the one that pages are written with in brackets.
pub(super) fn comp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let [primary, ..] = algorithms(disk);
    list(primary, out)
}

/// The name of the algorithm to write pages with.
pub(super) fn comp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    set_algorithm(disk, 0, arg)
}

/// For each algorithm to recompress with, its priority and the list.
pub(super) fn recomp_algorithm_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    for (priority, algorithm) in algorithms(disk).into_iter().enumerate().skip(1) {
        if algorithm.is_some() {
            write!(out, "#{priority}: ")?;
            list(algorithm, out)?;
        }
    }
    Ok(())
}

/// `algo=NAME priority=1..3`: an algorithm to recompress with.
pub(super) fn recomp_algorithm_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let request = args::recomp_algorithm(arg)?;
    set_algorithm(disk, request.priority, request.name)
}

/// The priority of an algorithm that is named, numbered, or both; from `first` on.
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

/// `algo= priority= level= dict= deflate.winbits=`: all the parameters of one algorithm.
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

/// Reads a dictionary, which may take its time.
fn read_dictionary(path: &[u8]) -> Result<Contents> {
    Contents::read(path).inspect_err(|error| {
        let (path, error) = (BStr::from_bytes(path), error.to_errno());
        pr_err!("failed to load dictionary {path} (err={error})\n");
    })
}
