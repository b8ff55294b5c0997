// SPDX-License-Identifier: GPL-2.0-only

//! Writes at `mem_limit`, which wait until the policy's worker has made room.

#![forbid(unsafe_code)]

use crate::zram::abstractions::{
    atomic::{
        AtomicBool,
        AtomicU32,
        AtomicU64,
        AtomicUsize,
        Ordering, //
    },
    sched::boot_seconds, //
};
use kernel::time::{
    delay::fsleep,
    Delta,
    Instant,
    Monotonic, //
};

/// The writes that wait for room, and whether it is worth while.
pub(crate) struct Room {
    /// True if there is a worker that can make room.
    is_made: AtomicBool,
    /// The second since boot up to which nobody waits, since there was no room to be made.
    stuck_until: AtomicU32,
    /// The number of writes that wait.
    waiting: AtomicUsize,
    /// The number of writes that have waited, and of those that did so in vain.
    waits: [AtomicU64; 2],
}

/// The time since which the write of one page has waited for room, if it has.
///
/// Others may take the room before the write does, so that it waits again.
#[derive(Default)]
pub(crate) struct RoomWait(Option<Instant<Monotonic>>);

impl Room {
    /// Milliseconds in which the worker has to move a page, so that a write goes on to wait.
    const PATIENCE: i64 = 5_000;
    /// Milliseconds that the write of a page waits at most, from when it first did.
    const LONGEST: i64 = 20_000;
    /// Seconds for which nobody waits after that was in vain.
    const IMPATIENCE: u32 = 10;

    /// Creates it for a policy that is off.
    pub(super) fn new() -> Self {
        Self {
            is_made: AtomicBool::new(false),
            stuck_until: AtomicU32::new(0),
            waiting: AtomicUsize::new(0),
            waits: Default::default(),
        }
    }

    /// Sets whether there is a worker that can make room.
    pub(super) fn set_made(&self, is_made: bool) {
        self.is_made.store(is_made, Ordering::Relaxed);
    }

    /// Waits until `has_room` returns true, and returns true.
    ///
    /// Returns false if no room can be made, if `moved`, the number of pages that the worker has
    /// moved, stays the same for five seconds, and in any case twenty seconds after the write first
    /// waited. `wake` wakes the worker.
    ///
    /// Context: Process context. Sleeps. The caller holds no slot and no stream.
    pub(super) fn wait(
        &self,
        RoomWait(since): &mut RoomWait,
        has_room: impl Fn() -> bool,
        moved: impl Fn() -> u64,
        wake: impl Fn(),
    ) -> bool {
        /// Milliseconds between two looks.
        const PAUSE: i64 = 2;
        if !self.is_made.load(Ordering::Relaxed) {
            return false;
        }
        let [waits, failed] = &self.waits;
        if since.is_none() {
            waits.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let first = *since.get_or_insert(start);
        let longest = Delta::from_millis(Self::LONGEST);
        let (mut before, mut moved_at) = (moved(), start);
        let found = loop {
            if first.elapsed() > longest {
                break false;
            }
            if has_room() {
                break true;
            }
            if self.is_stuck() {
                break false;
            }
            let now = moved();
            if now != before {
                (before, moved_at) = (now, Instant::now());
            } else if moved_at.elapsed() > Delta::from_millis(Self::PATIENCE) {
                self.set_stuck();
                break false;
            }
            wake();
            fsleep(Delta::from_millis(PAUSE));
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if !found {
            failed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Returns whether a write waits.
    pub fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Has no write wait for a while, since there is no room to be made.
    pub fn set_stuck(&self) {
        let until = boot_seconds().saturating_add(Self::IMPATIENCE);
        self.stuck_until.store(until, Ordering::Relaxed);
    }

    /// Takes that back, since there is some again.
    pub fn set_unstuck(&self) {
        self.stuck_until.store(0, Ordering::Relaxed);
    }

    /// Returns whether nobody waits.
    fn is_stuck(&self) -> bool {
        boot_seconds() < self.stuck_until.load(Ordering::Relaxed)
    }

    /// Returns how many writes have waited, and how many of them in vain.
    pub fn waits(&self) -> [u64; 2] {
        self.waits.each_ref().map(|n| n.load(Ordering::Relaxed))
    }
}
