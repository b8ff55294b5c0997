// SPDX-License-Identifier: GPL-2.0-only

//! Chains of positions that have the same hash, in which matches are found.

#[cfg(doc)]
use super::LAST_START;
use super::PAGE;
use crate::zram::codecs::lz77::{
    matches::match_end,
    read,
    table::Table,
    MIN_MATCH, //
};

/// The number of positions of a chain that are tried.
const DEPTH: usize = 3;

/// The length from which on a match is taken without looking further.
pub(super) const GOOD: usize = 28;

/// For each position the one before it that has the same hash, or 0.
pub(super) type Links = [u16; PAGE];

/// A match.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub len: u16,
    pub distance: u16,
}

/// Finds matches.
pub(super) struct Finder<'a> {
    pub page: *const u8,
    /// The last position of each chain.
    table: &'a mut Table<PAGE>,
    links: &'a mut Links,
    /// The position from which on none is in a chain.
    next: usize,
    /// The matches that were found last, each longer than the one before.
    found: [Found; DEPTH + 1],
    count: usize,
}

impl<'a> Finder<'a> {
    /// Begins a page.
    pub(super) fn new(page: *const u8, table: &'a mut Table<PAGE>, links: &'a mut Links) -> Self {
        table.clear();
        Self {
            page,
            table,
            links,
            next: 1,
            found: [Found {
                len: 0,
                distance: 0,
            }; DEPTH + 1],
            count: 0,
        }
    }

    /// Forgets what was found.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Leaves the positions before `at` out.
    pub(super) fn skip(&mut self, at: usize) {
        self.next = self.next.max(at);
    }

    /// Returns the matches that were found last.
    #[inline(always)]
    pub(super) fn found(&self) -> &[Found] {
        self.found.get(..self.count).unwrap_or(&[])
    }

    /// Returns the longest match that was found last.
    #[inline(always)]
    pub(super) fn longest(&self) -> Option<Found> {
        self.found().last().copied()
    }

    /// Finds matches at `at`: one with the last distance, and longer ones with others.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, `at` is at most [`LAST_START`], and `distance` is from
    /// 1 to `at`.
    #[inline(always)]
    pub(super) unsafe fn find(&mut self, at: usize, distance: u16) {
        let page = self.page;
        while self.next < at {
            // SAFETY: `next` is before `at`.
            unsafe { self.insert(self.next) };
        }
        // SAFETY: `at` is at most `LAST_START`, which is followed by 16 bytes of the page.
        let word: u32 = unsafe { read(page.add(at)) };
        let mut best = MIN_MATCH - 1;
        self.count = 0;
        let same = at.wrapping_sub(usize::from(distance));
        // SAFETY: `same` is before `at`.
        if unsafe { read::<u32>(page.add(same)) } == word {
            // SAFETY: `at` is at most `LAST_START`, and `same` is before `at`.
            best = unsafe { match_end::<PAGE, PAGE>(page, at, same) }.wrapping_sub(at);
            self.found[0] = Found {
                len: best as u16,
                distance,
            };
            self.count = 1;
        }
        // SAFETY: `at` is at most `LAST_START`.
        let mut from = unsafe { self.insert(at) };
        for _ in 0..DEPTH {
            if from == 0 || best >= GOOD || at.wrapping_add(best) >= PAGE {
                break;
            }
            // A longer match has the byte after the best one, too, so the last four bytes up to it
            // are compared first.
            let tail = best.wrapping_sub(MIN_MATCH - 1);
            // SAFETY: `at + best` is in the page, as was just checked, and `from` is before `at`.
            let equal = unsafe {
                read::<u32>(page.add(from).add(tail)) == read(page.add(at).add(tail))
                    && read::<u32>(page.add(from)) == word
            };
            if equal {
                // SAFETY: `at` is at most `LAST_START`, and `from` is before `at`.
                let len = unsafe { match_end::<PAGE, PAGE>(page, at, from) }.wrapping_sub(at);
                if len > best {
                    best = len;
                    if let Some(to) = self.found.get_mut(self.count) {
                        *to = Found {
                            len: len as u16,
                            distance: at.wrapping_sub(from) as u16,
                        };
                        self.count = self.count.wrapping_add(1);
                    }
                }
            }
            from = usize::from(self.links[from % PAGE]);
        }
    }

    /// Adds `at` to its chain, and returns the position before it in there, or 0.
    ///
    /// # Safety
    ///
    /// `page` is valid for reads of a page, and `at` is at most [`LAST_START`].
    #[inline(always)]
    unsafe fn insert(&mut self, at: usize) -> usize {
        self.next = at.wrapping_add(1);
        // SAFETY: `at` is at most `LAST_START`.
        let from = unsafe { self.table.replace::<{ MIN_MATCH as u32 }>(self.page, at) };
        self.links[at % PAGE] = from;
        usize::from(from)
    }
}
