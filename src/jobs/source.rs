// SPDX-License-Identifier: GPL-2.0-only

//! The pages that a job works on: where it takes them from, and who has it done.

#![forbid(unsafe_code)]

use super::BySize;
use crate::zram::{
    abstractions::signal,
    device::{
        Rule,
        Tiers, //
    },
    store::{
        Selector,
        Store, //
    }, //
};
use kernel::prelude::*;

/// Candidates to work on, which are marked in their slots.
///
/// A job takes them by one of the two ways. A slot may have lost its mark meanwhile, which the job
/// checks under the slot's lock. It unmarks those that it has taken, unless it changes them, which
/// also removes the mark.
///
/// All methods are called in process context, and may sleep.
pub(super) trait Source {
    /// Removes a candidate and returns its index, or `None` if none is left.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn pop(&mut self) -> Result<Option<usize>>;

    /// Puts candidates into `sizes`, until that has no more room or all were put there, and returns
    /// whether there were any.
    fn collect(&mut self, sizes: &mut BySize) -> bool;

    /// Takes it that no slot has the mark any more.
    fn forget(&mut self);
}

/// The one that has a job done.
#[derive(Clone, Copy)]
pub(super) enum Owner<'t> {
    /// A user, who has written to a file.
    User,
    /// The policy's worker, by a rule of the policy.
    Policy(&'t Tiers, Rule),
}

impl Owner<'_> {
    /// Returns what the candidates of the job are marked with.
    pub(super) fn selector(self) -> Selector {
        match self {
            Self::User => Selector::User,
            Self::Policy(..) => Selector::Policy,
        }
    }

    /// Returns whether the job is to end: after a signal, or where a reset waits for the worker.
    ///
    /// Context: Process context.
    pub(super) fn is_interrupted(self) -> bool {
        signal::is_interrupted() || matches!(self, Self::Policy(tiers, _) if tiers.reset_waits())
    }

    /// Removes the mark of slot `index`.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn unmark(self, store: &Store, index: usize) {
        if let Some(mut slot) = store.lock(index) {
            slot.set_candidate(self.selector(), false);
        }
    }

    /// Counts page `index`, which has left `freed` bytes of memory.
    ///
    /// Context: Any context.
    pub(super) fn count_moved(self, index: usize, freed: usize) {
        if let Self::Policy(tiers, rule) = self {
            tiers.count_moved(rule, index, freed);
        }
    }
}
