// SPDX-License-Identifier: GPL-2.0-only

//! The files of the policy, which mainline does not have.

#![forbid(unsafe_code)]

use super::{
    Disk,
    Out, //
};
use crate::zram::{
    device::{
        Rule,
        State, //
    },
    interface::args, //
};
use kernel::{
    fmt::Write as _,
    prelude::*, //
};

/// Shows the rules of the policy, as they can be written to the file, or `off`.
pub(super) fn policy_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    let policy = match &*disk.state.read() {
        State::Blank(config) => config.policy,
        State::Live(_, live) => live.tiers.policy().0,
    };
    Ok(writeln!(out, "{policy}")?)
}

/// Takes the rules of a policy, which replaces the one before, or `off`: see [`args::policy`].
pub(super) fn policy_store(disk: Disk<'_>, arg: &[u8]) -> Result {
    let policy = args::policy(arg)?;
    disk.set_policy(disk.name(), policy)
}

/// Shows a line for each rule, with the pages that it has moved and the bytes of memory that they
/// left; how many pages were read within a minute of being recompressed, and of being written; how
/// many writes waited for room, and how many of these in vain; and for how many milliseconds the
/// worker was at work.
pub(super) fn policy_stat_show(disk: Disk<'_>, out: Out<'_, '_>) -> Result {
    disk.with_live(|live| {
        let Some(tiers) = live.map(|live| &live.tiers) else {
            return Ok(());
        };
        for (rule, name) in Rule::NAMES {
            let [pages, bytes] = tiers.moved(rule);
            writeln!(out, "{name} {pages} {bytes}")?;
        }
        let [recompressed, written] = tiers.refaults();
        writeln!(out, "refaults {recompressed} {written}")?;
        let [waits, failed] = tiers.room.waits();
        writeln!(out, "waits {waits} {failed}")?;
        Ok(writeln!(out, "busy_ms {}", tiers.busy() / 1000)?)
    })
}
