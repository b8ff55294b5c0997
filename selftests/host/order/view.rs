// SPDX-License-Identifier: GPL-2.0-only

//! What an actor knows of.

use super::memory::WORDS;
use crate::model::ACTORS;

/// The number of values of each word that are too old to be seen, and how far each actor got.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct View {
    pub seen: [u8; WORDS],
    pub clock: [u8; ACTORS],
}

impl View {
    /// Calls `f` with each number and the same one of `other`.
    fn zip(&mut self, other: &Self, f: impl Fn(&mut u8, u8)) {
        let mine = self.seen.iter_mut().chain(&mut self.clock);
        let others = other.seen.iter().chain(&other.clock);
        mine.zip(others).for_each(|(mine, &other)| f(mine, other));
    }

    /// Adds what is known in `other`.
    pub fn join(&mut self, other: &Self) {
        self.zip(other, |mine, other| *mine = (*mine).max(other));
    }

    /// Takes away what is not known in `other`.
    pub fn meet(&mut self, other: &Self) {
        self.zip(other, |mine, other| *mine = (*mine).min(other));
    }

    /// Forgets what is known in `other`.
    pub fn forget(&mut self, other: &Self) {
        self.zip(other, |mine, other| {
            if *mine <= other {
                *mine = 0;
            }
        });
    }

    /// Counts from `start` on.
    pub fn count_from(&mut self, start: &Self) {
        self.zip(start, |mine, start| *mine = mine.saturating_sub(start));
    }
}
