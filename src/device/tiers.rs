// SPDX-License-Identifier: GPL-2.0-only

//! What I/O, user space and the policy's worker tell each other.
//!
//! The worker is [`crate::zram::jobs::work_on_tiers`]. It sleeps until it is woken or a page has
//! become old enough. Writes find out that there is something for it to do from a single number,
//! [`Tiers::watched`], which they compare with the pool's size anyway.

#![forbid(unsafe_code)]

use super::{
    moves::Moves,
    room::{
        Room,
        RoomWait, //
    },
    Policy, //
};
use crate::zram::abstractions::{
    atomic::{
        AtomicBool,
        AtomicU64,
        AtomicUsize,
        Ordering, //
    },
    sched::boot_seconds, //
};
use kernel::{
    new_condvar,
    new_spinlock,
    prelude::*,
    sync::{
        CondVar,
        SetOnce,
        SpinLock, //
    },
    time::msecs_to_jiffies, //
};

/// A rule by which the worker moves pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Recompression by age.
    RecompressIdle,
    /// Recompression above the high watermark.
    RecompressHigh,
    /// Writeback by age.
    WritebackIdle,
    /// Writeback of huge and incompressible pages, by age.
    WritebackIncompressible,
    /// Writeback above the high watermark.
    WritebackHigh,
}

impl Rule {
    /// All rules, with the names that user space sees.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::RecompressIdle, "recompress_idle"),
        (Self::RecompressHigh, "recompress_high"),
        (Self::WritebackIdle, "writeback_idle"),
        (Self::WritebackIncompressible, "writeback_incompressible"),
        (Self::WritebackHigh, "writeback_high"),
    ];
}

/// The tier that a page was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Memory, where the page was compressed with a secondary algorithm.
    Recompressed,
    /// The backing device.
    Written,
}

/// The policy of a live device, and what it has done.
pub(crate) struct Tiers {
    shared: Pin<KBox<Shared>>,
    /// A write that finds more pages in the pool wakes the worker.
    watched: AtomicUsize,
    /// The writes that wait for room.
    pub room: Room,
    /// True while a reset waits for the worker.
    reset_waits: AtomicBool,
    moves: SetOnce<Moves>,
    /// The number of pages that each rule has moved, and the bytes of memory that they left.
    moved: [[AtomicU64; 2]; Rule::NAMES.len()],
    /// The number of pages that were read from each tier soon after they had been moved there.
    refaults: [AtomicU64; 2],
    /// The time that the worker was at work, in microseconds, without waits for the backing device.
    busy: AtomicU64,
}

#[pin_data]
struct Shared {
    #[pin]
    state: SpinLock<State>,
    #[pin]
    wake: CondVar,
}

/// The reasons for the worker to wake.
struct State {
    policy: Policy,
    /// The number of times that the policy was set, or something that it depends on.
    version: u32,
    /// Something has happened since the worker last slept.
    woken: bool,
    /// The worker is to stop.
    stopped: bool,
}

impl Tiers {
    /// Creates it for a policy that is off.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let state = State {
            policy: Policy::default(),
            version: 0,
            woken: false,
            stopped: false,
        };
        let shared = pin_init!(Shared {
            state <- new_spinlock!(state, "zram_policy"),
            wake <- new_condvar!("zram_policy"),
        });
        Ok(Self {
            shared: KBox::pin_init(shared, GFP_KERNEL)?,
            watched: AtomicUsize::new(usize::MAX),
            room: Room::new(),
            reset_waits: AtomicBool::new(false),
            moves: SetOnce::new(),
            moved: Default::default(),
            refaults: Default::default(),
            busy: AtomicU64::new(0),
        })
    }

    /// Returns the policy, and the number of times that it was set, or what it depends on.
    ///
    /// Context: Any context but interrupts.
    pub fn policy(&self) -> (Policy, u32) {
        let state = self.shared.state.lock();
        (state.policy, state.version)
    }

    /// Sets the policy, and wakes the worker.
    ///
    /// `moves` is memory to find out what is read soon after it was moved; what is there already
    /// stays. `has_backing` is true if the device has a backing device.
    ///
    /// Context: Any context but interrupts.
    pub(super) fn set_policy(&self, policy: Policy, moves: Option<Moves>, has_backing: bool) {
        if let Some(moves) = moves {
            self.moves.populate(moves);
        }
        self.room.set_made(has_backing && !policy.is_off());
        self.change(|state| state.policy = policy);
    }

    /// Returns whether there is no memory yet to find out what is read soon after it was moved.
    pub(super) fn lacks_moves(&self) -> bool {
        self.moves.as_ref().is_none()
    }

    /// Tells the worker that something has changed which the policy depends on: `mem_limit`, or the
    /// limit of writeback.
    ///
    /// Context: Any context but interrupts.
    pub fn settings_changed(&self) {
        self.change(|_| ());
    }

    /// Says whether a reset waits for the worker, which then ends what it does after the pages that
    /// are on their way to the backing device.
    ///
    /// Context: Any context.
    pub(super) fn set_reset_waits(&self, waits: bool) {
        self.reset_waits.store(waits, Ordering::Relaxed);
    }

    /// Returns whether a reset waits for the worker.
    ///
    /// Context: Any context.
    pub fn reset_waits(&self) -> bool {
        self.reset_waits.load(Ordering::Relaxed)
    }

    /// Tells the worker to stop.
    pub(super) fn stop(&self) {
        self.change(|state| state.stopped = true);
    }

    /// Returns whether the worker is to stop.
    ///
    /// Context: Any context but interrupts.
    pub fn is_stopped(&self) -> bool {
        self.shared.state.lock().stopped
    }

    /// Calls `f`, and has the worker begin anew.
    fn change(&self, f: impl FnOnce(&mut State)) {
        self.room.set_unstuck();
        self.signal(|state| {
            f(state);
            state.version = state.version.wrapping_add(1);
        });
    }

    /// Calls `f`, and wakes the worker.
    fn signal(&self, f: impl FnOnce(&mut State)) {
        let mut state = self.shared.state.lock();
        f(&mut state);
        state.woken = true;
        drop(state);
        self.shared.wake.notify_all();
    }

    /// Returns the number of pages of the pool above which a write calls [`Tiers::wake`].
    #[inline]
    pub fn watched(&self) -> usize {
        self.watched.load(Ordering::Relaxed)
    }

    /// Sets that number; the worker does so before it looks at the pool for the last time and
    /// sleeps.
    pub fn watch(&self, pages: usize) {
        self.watched.store(pages, Ordering::Relaxed);
    }

    /// Wakes the worker, since a write has found more pages in the pool than are watched for.
    ///
    /// No other write does so until the worker watches again.
    ///
    /// Context: Any context but interrupts.
    #[cold]
    pub fn wake(&self) {
        self.watch(usize::MAX);
        self.signal(|_| ());
    }

    /// Sleeps until somebody wakes the worker, or for `millis` if that is not `None`, and returns
    /// whether it was woken.
    ///
    /// Context: Process context. Sleeps, so that the task can be frozen.
    pub fn sleep(&self, millis: Option<u32>) -> bool {
        let jiffies = millis.map_or(c_ulong::MAX >> 1, msecs_to_jiffies);
        let mut state = self.shared.state.lock();
        if !state.woken {
            let _ = self
                .shared
                .wake
                .wait_interruptible_timeout(&mut state, jiffies);
        }
        core::mem::take(&mut state.woken)
    }

    /// Waits until `has_room` returns true, which the worker is asked to see to.
    ///
    /// See [`Room::wait`] for when it returns false.
    ///
    /// Context: Process context. Sleeps. The caller holds no slot and no stream.
    #[cold]
    pub fn wait_for_room(&self, wait: &mut RoomWait, has_room: impl Fn() -> bool) -> bool {
        self.room
            .wait(wait, has_room, || self.moved_by_all(), || self.wake())
    }

    /// Counts page `index`, which was moved by `rule` and has left `freed` bytes of memory.
    ///
    /// Context: Any context.
    pub fn count_moved(&self, rule: Rule, index: usize, freed: usize) {
        if let Some([pages, bytes]) = self.moved.get(rule as usize) {
            pages.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(freed as u64, Ordering::Relaxed);
        }
        if let Some(moves) = self.moves.as_ref() {
            moves.insert(index, boot_seconds());
        }
    }

    /// Counts page `index`, which was read from `tier` at `now`, if it was moved there within the
    /// last minute.
    ///
    /// Context: Any context.
    #[inline(never)] // Few reads come here, and others should not be larger for it.
    pub fn note_read(&self, index: usize, tier: Tier, now: u32) {
        let moved = self.moves.as_ref().and_then(|moves| moves.take(index));
        if moved.is_some_and(|moved| now.wrapping_sub(moved) <= Moves::SOON) {
            if let Some(count) = self.refaults.get(tier as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts `micros` microseconds in which the worker was at work.
    pub fn count_busy(&self, micros: u64) {
        self.busy.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns how many pages `rule` has moved, and how many bytes of memory they left.
    pub fn moved(&self, rule: Rule) -> [u64; 2] {
        self.moved.get(rule as usize).map_or([0; 2], loaded)
    }

    /// Returns how many pages all rules have moved.
    fn moved_by_all(&self) -> u64 {
        let moved = Rule::NAMES.iter().map(|&(rule, _)| self.moved(rule));
        moved.fold(0, |sum, [pages, _]| sum.wrapping_add(pages))
    }

    /// Returns how many pages were read within a minute after they were recompressed, and after
    /// they were written.
    pub fn refaults(&self) -> [u64; 2] {
        loaded(&self.refaults)
    }

    /// Returns the time that the worker was at work, in microseconds.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }
}

/// Returns the values of two counters.
fn loaded(counts: &[AtomicU64; 2]) -> [u64; 2] {
    let [first, second] = counts;
    [
        first.load(Ordering::Relaxed),
        second.load(Ordering::Relaxed),
    ]
}
