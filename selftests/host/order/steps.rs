// SPDX-License-Identifier: GPL-2.0-only

//! The steps that the driver's files take, and what they do to the [`Memory`].

use super::{
    addresses::{
        self,
        initial,
        Area,
        Word, //
    },
    list,
    memory::{
        Effect,
        Flaw,
        Memory,
        OBJECTS,
        PAGES, //
    }, //
};
use crate::model;
use std::{
    cell::RefCell,
    hash::{
        Hash,
        Hasher, //
    },
    panic::{
        catch_unwind,
        resume_unwind,
        AssertUnwindSafe,
        Location, //
    },
    sync::atomic::Ordering,
    thread::panicking,
};

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Load(Site, Word),
    /// Replace the first value by the second one.
    Exchange(Site, Word, u64, u64),
    /// Replace whatever is there.
    Change(Site, Word, Change),
    Store(Site, Word, u64),
    Fence(Site),
    Read(Area),
    Write(Area, u64),
    Allocate(Class),
    Free(Area),
    Lock(usize),
    Unlock(usize),
    /// Enqueue the actor and release the lock.
    Sleep(usize, usize),
    /// Take the lock again, after the actor was woken.
    Wake(usize, usize),
    NotifyAll(usize),
    Enter(usize),
    Leave(usize),
    BeginGrace(usize),
    EndGrace(usize),
    /// Wait until there is something new to be seen of the word.
    Await(Word),
    /// Something is wrong.
    Wrong,
}

/// A class of memory that can be allocated.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    Page,
    Object,
}

#[derive(Clone, Copy, Debug)]
pub enum Change {
    Set(u64),
    Add(u64),
    And(u64),
    Or(u64),
    Min(u64),
    Max(u64),
}

impl Change {
    fn apply(self, value: u64) -> u64 {
        match self {
            Self::Set(to) => to,
            Self::Add(delta) => value.wrapping_add(delta),
            Self::And(mask) => value & mask,
            Self::Or(mask) => value | mask,
            Self::Min(other) => value.min(other),
            Self::Max(other) => value.max(other),
        }
    }
}

/// An atomic operation, by its place in the source, with what its ordering asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The file in `src/`, or that of a test.
    pub file: &'static str,
    pub function: &'static str,
    pub operation: &'static str,
    pub effect: Effect,
}

impl Site {
    pub fn new(operation: &'static str, order: Ordering, at: &'static Location<'static>) -> Self {
        let (file, function) = list::function_at(at);
        let effect = Effect {
            acquire: matches!(
                order,
                Ordering::Acquire | Ordering::AcqRel | Ordering::SeqCst
            ),
            release: matches!(
                order,
                Ordering::Release | Ordering::AcqRel | Ordering::SeqCst
            ),
        };
        Self {
            file,
            function,
            operation,
            effect,
        }
    }
}

/// The number of the value that was loaded.
///
/// What a program does next depends on the value only, so all numbers are equal.
#[derive(Clone, Copy, Debug)]
pub struct Number(u8);

impl PartialEq for Number {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Done,
    Value(u64, Number),
    /// The exchange succeeded or not; the word as it was.
    Exchanged(bool, u64, Number),
}

thread_local! {
    /// While a scenario is made, or checked at its end, its memory: steps are taken at once.
    static NOW: RefCell<Option<Memory>> = const { RefCell::new(None) };
    /// The steps that were taken at once.
    static TAKEN: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
}

/// Makes a scenario by `make`, whose steps are taken at once, and returns its memory with that.
pub fn prepare<R>(make: impl FnOnce() -> R) -> (Memory, R) {
    addresses::forget();
    TAKEN.take();
    NOW.set(Some(Memory::new()));
    let made = make();
    let mut memory = NOW.take().expect("a memory");
    memory.forget();
    (memory, made)
}

/// Returns the steps in which the last scenario was made.
pub fn taken() -> Vec<Step> {
    TAKEN.take()
}

/// Does `check`, whose steps are taken at once, after all else has ended with `memory`; returns
/// `None` if that has a flaw, or waits for anybody.
pub fn afterwards<R>(memory: Memory, check: impl FnOnce() -> R) -> Option<R> {
    NOW.set(Some(memory));
    let result = catch_unwind(AssertUnwindSafe(check)).ok();
    NOW.set(None);
    TAKEN.take();
    result
}

/// Takes a step, and returns the reply, or what is of no importance where nobody takes it.
pub fn step(step: Step) -> Reply {
    if panicking() {
        return Reply::Done;
    }
    let Some(mut memory) = NOW.take() else {
        return model::take(step).unwrap_or(Reply::Done);
    };
    TAKEN.with_borrow_mut(|taken| taken.push(step));
    let newest = replies(&memory, 0, step).pop();
    let Some(newest) = newest else {
        resume_unwind(Box::new("there is nobody to wait for"));
    };
    if let Err(flaw) = apply(&mut memory, 0, step, newest, |site| site.effect) {
        resume_unwind(Box::new(flaw));
    }
    NOW.set(Some(memory));
    newest
}

/// Returns the possible replies to `step`, the newest value last, or none if the actor has to wait.
pub fn replies(memory: &Memory, actor: usize, step: Step) -> Vec<Reply> {
    let value = |(number, value): (u8, u64)| Reply::Value(value, Number(number));
    let done = |ready: bool| Vec::from_iter(ready.then_some(Reply::Done));
    match step {
        Step::Load(_, Word(word, _)) => match memory.exists(word) {
            true => memory.loadable(actor, word).map(value).collect(),
            false => vec![value((0, initial(word)))],
        },
        Step::Change(_, Word(word, _), _) => match memory.exists(word) {
            true => vec![value(memory.newest(word))],
            false => vec![value((0, initial(word)))],
        },
        Step::Exchange(_, Word(word, _), old, _) => {
            let (values, newest) = match memory.exists(word) {
                true => (memory.loadable(actor, word).collect(), memory.newest(word)),
                false => (vec![(0, initial(word))], (0, initial(word))),
            };
            let others = values.into_iter().filter(|&(_, value)| value != old);
            let mut replies: Vec<_> = others
                .map(|(number, value)| Reply::Exchanged(false, value, Number(number)))
                .collect();
            if newest.1 == old {
                replies.push(Reply::Exchanged(true, old, Number(newest.0)));
            }
            replies
        }
        Step::Read(Area(area, _)) | Step::Write(Area(area, _), _) => {
            vec![value((0, memory.value(area)))]
        }
        Step::Allocate(class) => {
            let (first, end) = match class {
                Class::Page => (0, PAGES),
                Class::Object => (PAGES, PAGES + OBJECTS),
            };
            let area = memory.unused(first, end).expect("enough memory");
            vec![value((0, area as u64))]
        }
        Step::Lock(lock) => done(!memory.is_held(lock)),
        Step::Wake(lock, queue) => done(!memory.is_held(lock) && !memory.is_asleep(actor, queue)),
        Step::EndGrace(domain) => done(memory.grace_has_passed(actor, domain)),
        Step::Await(Word(word, _)) => done(memory.loadable(actor, word).count() > 1),
        _ => vec![Reply::Done],
    }
}

/// Applies `step`; `effect` says how far an operation orders what is around it.
pub fn apply(
    memory: &mut Memory,
    actor: usize,
    step: Step,
    reply: Reply,
    effect: impl Fn(Site) -> Effect,
) -> Result<(), Flaw> {
    if let Step::Load(_, Word(word, page))
    | Step::Exchange(_, Word(word, page), ..)
    | Step::Change(_, Word(word, page), _)
    | Step::Store(_, Word(word, page), _) = step
    {
        if let Some(page) = page {
            memory.access(actor, page, false)?;
        }
        memory.touch(word, initial(word));
    }
    if let Step::Read(Area(_, Some(page))) | Step::Write(Area(_, Some(page)), _) = step {
        memory.access(actor, page, false)?;
    }
    match (step, reply) {
        (Step::Load(site, Word(word, _)), Reply::Value(_, Number(number))) => {
            memory.load(actor, word, number, effect(site));
        }
        (Step::Exchange(site, Word(word, _), _, new), Reply::Exchanged(true, _, number)) => {
            memory.load(actor, word, number.0, effect(site));
            memory.store(actor, word, new, effect(site), true);
        }
        (Step::Exchange(_, Word(word, _), ..), Reply::Exchanged(false, _, number)) => {
            // All failures of the driver are relaxed, see `abstractions.rs`.
            memory.load(actor, word, number.0, Effect::NONE);
        }
        (Step::Change(site, Word(word, _), change), Reply::Value(value, Number(number))) => {
            memory.load(actor, word, number, effect(site));
            memory.store(actor, word, change.apply(value), effect(site), true);
        }
        (Step::Store(site, Word(word, _), new), _) => {
            memory.store(actor, word, new, effect(site), false);
        }
        (Step::Fence(site), _) => memory.fence(actor, effect(site)),
        (Step::Read(Area(area, _)), _) => {
            memory.access(actor, area, false)?;
        }
        (Step::Write(Area(area, _), value), _) => memory.write(actor, area, value)?,
        (Step::Allocate(class), Reply::Value(area, _)) => {
            memory.allocate(actor, area as usize)?;
            if let Class::Page = class {
                let (words, areas) = addresses::in_page(area as usize);
                words.into_iter().for_each(|word| memory.clear_word(word));
                areas.into_iter().for_each(|area| memory.clear_area(area));
            }
        }
        (Step::Free(Area(area, _)), _) => memory.free(actor, area)?,
        (Step::Lock(lock) | Step::Wake(lock, _), _) => memory.lock(actor, lock),
        (Step::Unlock(lock), _) => memory.unlock(actor, lock),
        (Step::Sleep(lock, queue), _) => memory.sleep(actor, lock, queue),
        (Step::NotifyAll(queue), _) => memory.notify_all(queue),
        (Step::Enter(domain), _) => memory.enter(actor, domain),
        (Step::Leave(domain), _) => memory.leave(actor, domain),
        (Step::BeginGrace(domain), _) => memory.begin_grace(actor, domain),
        (Step::EndGrace(domain), _) => memory.end_grace(actor, domain),
        (Step::Await(Word(word, _)), _) => memory.skip(actor, word),
        (Step::Wrong, _) => return Err(Flaw::Wrong),
        (step, reply) => unreachable!("{step:?}: {reply:?}"),
    }
    Ok(())
}
