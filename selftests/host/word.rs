// SPDX-License-Identifier: GPL-2.0-only
// pages: 4096 16384

//! Model check of the slot's word, on the source itself: `rustc -O --test --edition 2021
//! selftests/host/word.rs`; `--show-output` tells how much was explored. With `--cfg
//! page_size="16384"` or `"65536"` it is the word for pages of that size.
//!
//! `src/store/word.rs` is compiled with atomics whose operations are steps. Its users in `slot.rs`,
//! `slot/lookup.rs`, `table.rs`, `bio_slots.rs` and `waiters.rs` need the kernel, so that what they
//! do with the word is written again here, in `users`: a change there belongs here, too. Every
//! interleaving of the steps is explored, for a few tasks at a time; see [`SCENARIOS`].
//!
//! The steps are sequentially consistent: the orderings of the atomics are checked by `order.rs`.

extern crate self as kernel;

mod model;

use model::{
    explore,
    rests,
    At,
    Model, //
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    sync::OnceLock, //
};

// Bits of the word, as in `src/store/word.rs`.
const LOCKED: u64 = page::PAGE_SIZE as u64 * 2;
const WAITED: u64 = LOCKED << 1;
const FREED: u64 = LOCKED << 2;
const SAME: u64 = LOCKED << 3;
const CONTENT: u64 = (1 << 32) - 1;
const TIME: u32 = 32;

/// Returns the attributes of the content in `word`, without the time.
fn content(word: u64) -> u64 {
    word & CONTENT & !(LOCKED | WAITED | FREED)
}

/// The most steps of one operation.
const LIMIT: usize = 32;

/// A set of tasks that run at the same time, and the slot's first content.
///
/// Each task runs its program once; the search ends, because a program that has ended stays so and
/// one that goes on takes at most [`LIMIT`] steps. Two larger sets were explored once and are left
/// out for their size: two stores, a mark and a free (9 million states), and a store, a mark, a
/// discard and a free (19 million). They have no flaw either.
struct Scenario {
    content: u8,
    programs: &'static [Program],
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        content: 0,
        programs: &[Program::Store(2), Program::Store(3), Program::Mark],
    },
    Scenario {
        content: 4,
        programs: &[Program::Store(2), Program::Mark, Program::Free],
    },
    Scenario {
        content: 4,
        programs: &[Program::Mark, Program::Free, Program::Free],
    },
    Scenario {
        content: 5,
        programs: &[Program::Store(3), Program::Discard, Program::Free],
    },
    Scenario {
        content: 5,
        programs: &[Program::Store(2), Program::Discard, Program::Mark],
    },
    Scenario {
        content: 0,
        programs: &[Program::Store(2), Program::Mark, Program::Shrink],
    },
    Scenario {
        content: 4,
        programs: &[Program::Mark, Program::Free, Program::Shrink],
    },
    Scenario {
        content: 5,
        programs: &[Program::Mark, Program::Discard, Program::Shrink],
    },
    Scenario {
        content: 0,
        programs: &[
            Program::Store(2),
            Program::Mark,
            Program::Free,
            Program::Shrink,
        ],
    },
];

/// An operation on the slot.
///
/// Content is a number: 0 for none, an odd number for a same-filled page, an even one for an object
/// of that size. It is also the slot's value, and the time of the last access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// Stores this content: `BioSlots::store`.
    Store(u8),
    /// Marks the page as idle: `Store::lock` in a job.
    Mark,
    /// Frees the slot: `Store::free`, called by swap.
    Free,
    /// Discards the page: `Store::free_range`.
    Discard,
    /// Locks the slot for good if it is empty, and frees it: `Store::shrink`.
    Shrink,
}

/// The method of `SlotWord` that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Other,
    TryLock,
    LockOr,
    TakeSame,
    Unlock,
    UnlockRequested,
}

/// A value of the slot's word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Word(u64);

impl fmt::Debug for Word {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:#x}", self.0 & !(LOCKED | WAITED | FREED))?;
        for (bit, name) in [(LOCKED, "LOCKED"), (WAITED, "WAITED"), (FREED, "FREED")] {
            if self.0 & bit != 0 {
                write!(out, "|{name}")?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Look the slot up and enter a read-side critical section, which lasts until the task's next
    /// step that is not on the word.
    Find,
    Load(Call),
    CompareExchange(Call, Word, Word),
    /// Read the slot's value.
    Read,
    /// Write the slot's value.
    Write(u8),
    /// The attributes do not belong to the value.
    Mismatch,
    SpinLock,
    SpinUnlock,
    /// Enqueue the task and release the spinlock.
    Sleep,
    /// Take the spinlock again, after the task was woken.
    Wake,
    NotifyAll,
    /// Learn whether the other slots of the chunk are empty.
    Others,
    /// Unlink the slot, so that no look-up finds it.
    Unlink,
    /// Wait for a grace period, and free the slot.
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Done,
    Found(bool),
    Word(Word),
    /// The comparison succeeded or not; the word as it was.
    Exchanged(bool, Word),
    Value(u8),
    Empty(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    /// A task uses or unlocks a slot without holding its lock.
    Shared,
    /// A task sleeps, and all tasks that could wake it have ended.
    Asleep,
    /// The slot was freed, and has content that was stored before.
    NotFreed,
    /// A slot with content is unlinked.
    Lost,
    /// A holder finds attributes that do not belong to the value.
    Torn,
    /// A task touches the word after it has unlocked it, or after the slot was freed.
    Touched,
    /// The word is locked, or has a request, when all tasks have ended.
    Kept,
    /// Swap's free sleeps.
    Slept,
    /// An operation takes too many steps.
    Endless,
    /// A task can never go on.
    Stuck,
}

/// A bug that is seeded, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// `try_lock` stores where it should compare and exchange.
    LockWithoutCas,
    /// `lock_or` sets its bit whether the word is still locked or not.
    RequestWithoutCas,
    /// `lock_or` stores the word that it has seen, with its bit.
    RequestStored,
    TakeSameIgnoresLocked,
    UnlockIgnoresFreed,
    UnlockIgnoresWaited,
    /// `unlock` stores where it should compare and exchange.
    UnlockStores,
    /// Unlocking keeps the requests in the word.
    RequestKept,
    WakeWithoutLock,
    /// The holder does not wake the tasks that wait for the lock.
    NoWake,
    /// The holder looks at the word once more after it has unlocked it.
    LookAfterUnlock,
    ShrinkWithoutWake,
    /// The slot is freed without a grace period.
    NoGracePeriod,
    /// `shrink` does not look whether the slot that it has locked is empty.
    ShrinkNoRecheck,
}

thread_local! {
    static CALL: Cell<Call> = const { Cell::new(Call::Other) };
}

/// Runs `f` with each step on the word naming `call`.
fn calling<R>(call: Call, f: impl FnOnce() -> R) -> R {
    CALL.set(call);
    f()
}

fn step(step: Step) -> Reply {
    model::take(step).unwrap_or(Reply::Done)
}

pub mod page {
    pub const PAGE_SIZE: usize = if cfg!(page_size = "16384") {
        16384
    } else if cfg!(page_size = "65536") {
        65536
    } else {
        4096
    };
}

#[path = "../../src"]
mod zram {
    pub mod abstractions {
        /// Atomics whose operations are steps on the one word of the model.
        pub mod atomic {
            use crate::*;
            pub use std::sync::atomic::Ordering;

            pub struct AtomicU64;

            impl AtomicU64 {
                pub fn load(&self, _: Ordering) -> u64 {
                    match step(Step::Load(CALL.get())) {
                        Reply::Word(Word(word)) => word,
                        reply => unreachable!("{reply:?}"),
                    }
                }

                pub fn compare_exchange(
                    &self,
                    old: u64,
                    new: u64,
                    _: Ordering,
                    _: Ordering,
                ) -> Result<u64, u64> {
                    match step(Step::CompareExchange(CALL.get(), Word(old), Word(new))) {
                        Reply::Exchanged(true, Word(word)) => Ok(word),
                        Reply::Exchanged(false, Word(word)) => Err(word),
                        reply => unreachable!("{reply:?}"),
                    }
                }
            }
        }
    }

    pub mod store {
        #[allow(dead_code)]
        pub mod word;

        /// The users of the word, as in `src/store`.
        pub mod users {
            use super::word::{
                Held,
                Request,
                Selector,
                SlotAttr,
                SlotWord, //
            };
            use crate::*;

            /// `Waiters`, of which there is one queue.
            struct Waiters(Bug);

            impl Waiters {
                fn wait<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> R {
                    step(Step::SpinLock);
                    loop {
                        if let Some(result) = attempt() {
                            step(Step::SpinUnlock);
                            return result;
                        }
                        step(Step::Sleep);
                        step(Step::Wake);
                    }
                }

                fn wake(&self) {
                    if self.0 != Bug::WakeWithoutLock {
                        step(Step::SpinLock);
                        step(Step::SpinUnlock);
                    }
                    step(Step::NotifyAll);
                }
            }

            /// `Store`, with one slot.
            pub struct Slots {
                word: SlotWord,
                waiters: Waiters,
                bug: Bug,
            }

            /// `SlotGuard`, unlocked by [`Guard::unlock`].
            ///
            /// It has no `Drop`, because a program that is stopped drops its guards.
            struct Guard<'t> {
                slots: &'t Slots,
                held: Held,
            }

            impl<'t> Guard<'t> {
                fn new(slots: &'t Slots, held: Held) -> Self {
                    let guard = Self { slots, held };
                    guard.look();
                    guard
                }

                /// Reads the value, which must belong to the attributes.
                fn look(&self) {
                    let Reply::Value(value) = step(Step::Read) else {
                        unreachable!("no value");
                    };
                    let attr = self.held.attr();
                    let same = attr.is_same() == (value % 2 == 1);
                    let size = attr.is_same() || attr.size() == usize::from(value);
                    let time = attr.time() == u32::from(value);
                    if !attr.is_empty() && !(same && size && time) {
                        step(Step::Mismatch);
                    }
                }

                fn store(&mut self, content: u8) {
                    self.held.set_content(match content {
                        0 => SlotAttr::EMPTY,
                        content if content % 2 == 1 => SlotAttr::SAME,
                        content => SlotAttr::of_object(content.into(), 0),
                    });
                    step(Step::Write(content));
                }

                fn unlock(self) {
                    let word = &self.slots.word;
                    if let Err(held) = calling(Call::Unlock, || word.unlock(&self.held)) {
                        Self { held, ..self }.unlock_requested();
                    } else if self.slots.bug == Bug::LookAfterUnlock {
                        word.attr();
                    }
                }

                fn unlock_requested(self) {
                    let Self { slots, held } = self;
                    let empty = |held: &mut Held| {
                        let mut guard = Self { slots, held: *held };
                        guard.store(0);
                        *held = guard.held;
                    };
                    let waited = calling(Call::UnlockRequested, || {
                        slots.word.unlock_requested(held, empty)
                    });
                    if waited && slots.bug != Bug::NoWake {
                        slots.waiters.wake();
                    }
                }
            }

            /// Checks that attributes come out of a word as they were put in, for a whole page as
            /// well, and that none changes another.
            pub fn check_layout() {
                let sizes = [
                    1,
                    page::PAGE_SIZE / 2 + 1,
                    page::PAGE_SIZE - 1,
                    page::PAGE_SIZE,
                ];
                let times = [0, 1, 1 << 31, u32::MAX];
                let flags = || [false, true];
                for (size, time) in sizes.into_iter().flat_map(|s| times.map(|t| (s, t))) {
                    for priority in 0..4 {
                        let (selector, other) = if priority % 2 == 0 {
                            (Selector::User, Selector::Policy)
                        } else {
                            (Selector::Policy, Selector::User)
                        };
                        for (idle, job, worse) in flags()
                            .into_iter()
                            .flat_map(|i| flags().map(|c| (i, c)))
                            .flat_map(|(i, c)| flags().map(|w| (i, c, w)))
                        {
                            let mut held = Held::of_empty();
                            held.set_content(SlotAttr::of_object(size, priority));
                            held.touch(time);
                            held.set_idle(idle);
                            held.set_candidate(selector, job);
                            if worse {
                                held.set_incompressible();
                            }
                            let attr = held.attr();
                            assert_eq!((attr.size(), attr.priority()), (size, priority));
                            assert_eq!(attr.is_huge(), size == page::PAGE_SIZE);
                            assert_eq!((attr.is_idle(), attr.is_candidate()), (idle, job));
                            assert_eq!(attr.is_candidate_of(selector), job);
                            assert!(!attr.is_candidate_of(other));
                            assert_eq!(attr.is_incompressible(), worse);
                            assert_eq!(attr.time(), time);
                            assert!(attr.is_object() && !attr.is_same() && !attr.is_written());
                            held.set_content(attr.on_backing_device());
                            let attr = held.attr();
                            assert_eq!((attr.size(), attr.priority()), (size, priority));
                            assert_eq!(attr.is_incompressible(), worse);
                            assert_eq!(attr.time(), time);
                            assert!(attr.is_written() && !attr.is_object() && !attr.is_same());
                            assert!(!attr.is_idle() && !attr.is_candidate());
                            held.set_content(SlotAttr::SAME);
                            let attr = held.attr();
                            assert_eq!((attr.size(), attr.priority()), (0, 0));
                            assert_eq!(attr.time(), time);
                            assert!(attr.is_same() && !attr.is_object() && !attr.is_written());
                        }
                    }
                }
            }

            impl Slots {
                pub fn new(bug: Bug) -> Self {
                    // SAFETY: `SlotWord` is one of the atomics above, which has no bytes.
                    let word = unsafe { std::mem::zeroed() };
                    Self {
                        word,
                        waiters: Waiters(bug),
                        bug,
                    }
                }

                fn find(&self) -> Option<&SlotWord> {
                    (step(Step::Find) == Reply::Found(true)).then_some(&self.word)
                }

                fn try_lock(&self, word: &SlotWord) -> Option<Guard<'_>> {
                    let held = calling(Call::TryLock, || word.try_lock())?;
                    Some(Guard::new(self, held))
                }

                fn lock_or(&self, word: &SlotWord, request: Request) -> Option<Held> {
                    calling(Call::LockOr, || word.lock_or(request))
                }

                fn lock(&self) -> Option<Guard<'_>> {
                    let word = self.find()?;
                    self.try_lock(word).or_else(|| self.wait())
                }

                fn wait(&self) -> Option<Guard<'_>> {
                    let held = self.waiters.wait(|| {
                        let Some(word) = self.find() else {
                            return Some(None);
                        };
                        self.lock_or(word, Request::Wake).map(Some)
                    })?;
                    Some(Guard::new(self, held))
                }

                pub fn store(&self, content: u8) {
                    if let Some(mut guard) = self.lock() {
                        guard.store(content);
                        guard.held.touch(content.into());
                        guard.unlock();
                    }
                }

                pub fn mark(&self) {
                    if let Some(mut guard) = self.lock() {
                        if !guard.held.attr().is_empty() {
                            guard.held.set_idle(true);
                        }
                        guard.unlock();
                    }
                }

                pub fn free(&self) {
                    let Some(word) = self.find() else {
                        return;
                    };
                    let guard = self.try_lock(word).or_else(|| {
                        let held = self.lock_or(word, Request::Free)?;
                        Some(Guard::new(self, held))
                    });
                    if let Some(mut guard) = guard {
                        guard.store(0);
                        guard.unlock();
                    }
                }

                pub fn discard(&self) {
                    let Some(word) = self.find() else {
                        return;
                    };
                    if calling(Call::Other, || word.seems_unused()) {
                        return;
                    }
                    if calling(Call::TakeSame, || word.take_same()).is_some() {
                        return;
                    }
                    if let Some(mut guard) = self.try_lock(word).or_else(|| self.wait()) {
                        guard.store(0);
                        guard.unlock();
                    }
                }

                pub fn shrink(&self) {
                    let Some(word) = self.find() else {
                        return;
                    };
                    if !calling(Call::Other, || word.seems_unused()) {
                        return;
                    }
                    let Some(guard) = self.try_lock(word) else {
                        return;
                    };
                    if !guard.held.attr().is_empty() && self.bug != Bug::ShrinkNoRecheck {
                        return guard.unlock();
                    }
                    if step(Step::Others) != Reply::Empty(true) {
                        // `SlotRef::unlock_kept`.
                        let held = Held::of_empty();
                        return Guard { held, ..guard }.unlock();
                    }
                    step(Step::Unlink);
                    if self.bug != Bug::ShrinkWithoutWake {
                        self.waiters.wake();
                    }
                    step(Step::Release);
                }
            }
        }
    }
}

// ---- states ------------------------------------------------------------------------------------

/// The state of the model between two steps, besides the positions of the tasks.
///
/// `asleep`, `reading`, `unlocked` and `ended` are sets of tasks, with a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    word: u64,
    value: u8,
    /// The task that has set `LOCKED`.
    holder: Option<usize>,
    /// The holder of the queue's spinlock.
    spin: Option<usize>,
    asleep: u8,
    /// The tasks in a read-side critical section.
    reading: u8,
    /// The tasks that have unlocked the word.
    unlocked: u8,
    ended: u8,
    /// The slot was freed, and no store has locked it since.
    owed: bool,
    linked: bool,
    released: bool,
}

struct Slot {
    scenario: &'static Scenario,
    slots: zram::store::users::Slots,
    bug: Bug,
}

impl Slot {
    fn first(&self) -> State {
        let content = self.scenario.content;
        let attr = if content % 2 == 1 {
            SAME
        } else {
            u64::from(content)
        };
        State {
            word: u64::from(content) << TIME | attr,
            value: content,
            holder: None,
            spin: None,
            asleep: 0,
            reading: 0,
            unlocked: 0,
            ended: 0,
            owed: false,
            linked: true,
            released: false,
        }
    }

    /// Returns what the word becomes if a compare-and-exchange succeeds, or `None` if it fails.
    fn exchange(&self, word: u64, call: Call, old: u64, new: u64) -> Option<u64> {
        let unlock = matches!(call, Call::Unlock | Call::UnlockRequested);
        let request = call == Call::LockOr && old & LOCKED != 0;
        let ignored = match self.bug {
            Bug::UnlockIgnoresFreed if unlock => FREED,
            Bug::UnlockIgnoresWaited if unlock => WAITED,
            Bug::TakeSameIgnoresLocked if call == Call::TakeSame => LOCKED,
            Bug::UnlockStores if unlock => u64::MAX,
            Bug::LockWithoutCas if call == Call::TryLock => u64::MAX,
            Bug::RequestStored if request => u64::MAX,
            Bug::RequestWithoutCas if request => return Some(word | (new & !old)),
            Bug::RequestKept if unlock => {
                return (word == old).then_some(new | old & (WAITED | FREED));
            }
            _ => 0,
        };
        ((word ^ old) & !ignored == 0).then_some(new)
    }
}

impl Model for Slot {
    type Step = Step;
    type Reply = Reply;
    type State = State;
    type Flaw = Flaw;

    const STUCK: Flaw = Flaw::Stuck;
    const ENDLESS: Flaw = Flaw::Endless;

    fn actors(&self) -> Vec<String> {
        let programs = self.scenario.programs.iter();
        programs.map(|program| format!("{program:?}")).collect()
    }

    fn run(&self, actor: usize) {
        match self.scenario.programs[actor] {
            Program::Store(content) => self.slots.store(content),
            Program::Mark => self.slots.mark(),
            Program::Free => self.slots.free(),
            Program::Discard => self.slots.discard(),
            Program::Shrink => self.slots.shrink(),
        }
    }

    fn limit(&self, _: usize) -> Option<usize> {
        Some(LIMIT)
    }

    fn may_rest(&self, _: usize) -> bool {
        true
    }

    fn replies(
        &self,
        state: &State,
        at: &At,
        actor: usize,
        step: Step,
        _: Option<Reply>,
    ) -> Vec<Reply> {
        let bit = 1 << actor;
        if rests(at, actor) && state.ended & bit != 0 {
            return Vec::new();
        }
        let hidden = match (self.bug, step) {
            (Bug::TakeSameIgnoresLocked, Step::Load(Call::TakeSame)) => LOCKED,
            _ => 0,
        };
        let ready = match step {
            Step::SpinLock => state.spin.is_none(),
            Step::Wake => state.spin.is_none() && state.asleep & bit == 0,
            Step::Release => state.reading & !bit == 0 || self.bug == Bug::NoGracePeriod,
            _ => true,
        };
        match step {
            _ if !ready => vec![],
            Step::Find => vec![Reply::Found(state.linked)],
            Step::Load(_) => vec![Reply::Word(Word(state.word & !hidden))],
            Step::CompareExchange(call, Word(old), Word(new)) => {
                let succeeds = self.exchange(state.word, call, old, new).is_some();
                vec![Reply::Exchanged(succeeds, Word(state.word))]
            }
            Step::Read => vec![Reply::Value(state.value)],
            Step::Others => vec![Reply::Empty(true), Reply::Empty(false)],
            _ => vec![Reply::Done],
        }
    }

    fn apply(
        &self,
        state: &mut State,
        actor: usize,
        step: Step,
        reply: Reply,
        ended: bool,
    ) -> Result<(), Flaw> {
        let bit = 1_u8 << actor;
        let program = self.scenario.programs[actor];
        if !matches!(step, Step::Load(_) | Step::CompareExchange(..)) {
            state.reading &= !bit;
        } else if state.released || state.unlocked & bit != 0 {
            return Err(Flaw::Touched);
        }
        match step {
            Step::Find if state.linked => state.reading |= bit,
            Step::CompareExchange(call, Word(old), Word(new))
                if matches!(reply, Reply::Exchanged(true, _)) =>
            {
                let before = state.word;
                let after = self.exchange(before, call, old, new).expect("it succeeds");
                state.word = after;
                let empties = matches!(program, Program::Free | Program::Discard);
                match (before & LOCKED != 0, after & LOCKED != 0) {
                    (false, true) => {
                        state.holder = Some(actor);
                        state.owed |= empties;
                        state.owed &= !matches!(program, Program::Store(_));
                    }
                    (true, false) => {
                        if state.holder != Some(actor) {
                            return Err(Flaw::Shared);
                        }
                        state.holder = None;
                        state.unlocked |= bit;
                    }
                    // A request was left, or the slot emptied at once.
                    (true, true) => state.owed |= after & !before & FREED != 0,
                    (false, false) => state.owed |= empties,
                }
            }
            Step::Read | Step::Write(_) if state.holder != Some(actor) => {
                return Err(Flaw::Shared);
            }
            Step::Write(value) => state.value = value,
            Step::Mismatch => return Err(Flaw::Torn),
            Step::SpinLock | Step::Wake => state.spin = Some(actor),
            Step::SpinUnlock => state.spin = None,
            Step::Sleep => {
                if program == Program::Free {
                    return Err(Flaw::Slept);
                }
                state.spin = None;
                state.asleep |= bit;
            }
            Step::NotifyAll => state.asleep = 0,
            Step::Unlink => {
                state.linked = false;
                if content(state.word) != 0 {
                    return Err(Flaw::Lost);
                }
            }
            Step::Release => state.released = true,
            _ => (),
        }
        if ended {
            state.ended |= bit;
            state.reading &= !bit;
        }
        Ok(())
    }

    fn check(&self, state: &State, _: &At) -> Result<(), Flaw> {
        let actors = self.scenario.programs.len();
        let under_way = |actor: usize| state.ended & 1 << actor == 0;
        if (0..actors).any(|actor| under_way(actor) && state.asleep & 1 << actor == 0) {
            return Ok(());
        }
        if state.asleep != 0 {
            return Err(Flaw::Asleep);
        }
        if state.linked && state.word & (LOCKED | WAITED | FREED) != 0 {
            return Err(Flaw::Kept);
        }
        if state.owed && content(state.word) != 0 {
            return Err(Flaw::NotFreed);
        }
        Ok(())
    }
}

// ---- the tests ---------------------------------------------------------------------------------

/// Explores all scenarios with `bug`, until `wanted` is found; returns the flaws.
fn search(bug: Bug, wanted: Option<Flaw>) -> BTreeMap<Flaw, String> {
    let mut flaws = BTreeMap::new();
    let (mut states, mut steps, mut longest) = (0, 0, 0);
    for scenario in SCENARIOS {
        let slots = zram::store::users::Slots::new(bug);
        let slot = Slot {
            scenario,
            slots,
            bug,
        };
        let report = explore(&slot, slot.first(), |flaw| {
            *flaw == Flaw::Endless || Some(*flaw) == wanted
        });
        println!("# {:?}: {report}", scenario.programs);
        states += report.states;
        steps += report.steps;
        longest = longest.max(report.longest);
        for (flaw, way) in report.flaws {
            flaws.entry(flaw).or_insert(way);
        }
        if wanted.is_some_and(|wanted| flaws.contains_key(&wanted)) {
            break;
        }
    }
    println!(
        "# bug {bug:?}: {states} states, {steps} steps between them, \
         {longest} at most for one operation"
    );
    flaws
}

/// Fails if the source as it is has `flaw`.
fn never(flaw: Flaw) {
    static FLAWS: OnceLock<BTreeMap<Flaw, String>> = OnceLock::new();
    let flaws = FLAWS.get_or_init(|| search(Bug::None, None));
    if let Some(way) = flaws.get(&flaw) {
        panic!("{flaw:?}:\n{way}");
    }
}

/// Fails unless `flaw` is found where `bug` is seeded.
fn found(bug: Bug, flaw: Flaw) {
    let flaws = search(bug, Some(flaw));
    let others: Vec<_> = flaws.keys().collect();
    let way = flaws.get(&flaw);
    println!(
        "{}",
        way.unwrap_or_else(|| panic!("{flaw:?} is not in {others:?}"))
    );
}

#[test]
fn attributes_come_out_as_they_were_put_in() {
    zram::store::users::check_layout();
}

macro_rules! tests {
    ($($check:ident($($argument:expr),+): $name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                $check($($argument),+);
            }
        )+
    };
}

tests! {
    never(Flaw::Shared): only_the_holder_uses_a_slot,
    never(Flaw::Asleep): no_wakeup_is_lost,
    never(Flaw::NotFreed): no_free_is_lost,
    never(Flaw::Lost): no_content_is_lost,
    never(Flaw::Torn): attributes_belong_to_the_value,
    never(Flaw::Touched): the_word_is_left_alone_after_unlocking,
    never(Flaw::Kept): the_word_ends_unlocked,
    never(Flaw::Slept): a_free_never_sleeps,
    never(Flaw::Endless): each_operation_ends,
    never(Flaw::Stuck): nobody_is_stuck,
    found(Bug::LockWithoutCas, Flaw::Shared): found_lock_without_cas,
    found(Bug::RequestWithoutCas, Flaw::Asleep): found_request_without_cas,
    found(Bug::RequestStored, Flaw::Asleep): found_request_stored,
    found(Bug::TakeSameIgnoresLocked, Flaw::Shared): found_take_same_of_a_locked_slot,
    found(Bug::UnlockIgnoresFreed, Flaw::NotFreed): found_unlock_that_ignores_freed,
    found(Bug::UnlockIgnoresWaited, Flaw::Asleep): found_unlock_that_ignores_waited,
    found(Bug::UnlockStores, Flaw::NotFreed): found_unlock_that_stores,
    found(Bug::RequestKept, Flaw::Kept): found_request_kept_after_unlock,
    found(Bug::WakeWithoutLock, Flaw::Asleep): found_wake_without_the_lock,
    found(Bug::NoWake, Flaw::Asleep): found_no_wake,
    found(Bug::LookAfterUnlock, Flaw::Touched): found_a_look_after_unlock,
    found(Bug::ShrinkWithoutWake, Flaw::Asleep): found_shrink_without_wake,
    found(Bug::NoGracePeriod, Flaw::Touched): found_free_without_a_grace_period,
    found(Bug::ShrinkNoRecheck, Flaw::Lost): found_shrink_of_a_slot_in_use,
}
