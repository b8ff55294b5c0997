// SPDX-License-Identifier: GPL-2.0-only

//! Memory as C11 describes it, with locks and RCU: what each actor has seen, and may still see.
//!
//! An atomic word is the list of the values that were stored to it. An actor that loads it may get
//! any of them but those that are older than one it knows of. A store with [`Effect::release`]
//! hands all that the actor knows to whoever loads the value with [`Effect::acquire`]. An access to
//! memory that is not atomic must know of all those before it, or else it is a race.
//!
//! A value is never loaded before it is stored, and stores to one word happen in the order of the
//! steps; see `doc/atomics.md` for what is missed by that.

mod locks;

use super::view::View;
use crate::model::ACTORS;

/// The most atomic words, pieces of plain memory and spinlocks of a scenario.
pub const WORDS: usize = 16;
pub const AREAS: usize = 12;
pub const LOCKS: usize = 4;

/// The first areas are pages, the next ones objects, the others words of the driver.
pub const PAGES: usize = 4;
pub const OBJECTS: usize = 3;

/// The kinds of readers: those of RCU and those of SRCU.
pub const DOMAINS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// Two accesses to plain memory, or one and its being freed, are not in order.
    Race,
    /// Memory is used that was freed.
    Freed,
    /// An actor finds what must not be.
    Wrong,
    /// In the end the slot is locked, somebody has left a request, or the content is not what was
    /// stored last.
    Kept,
    /// All actors that have not ended sleep.
    Asleep,
    /// A program takes too many steps.
    Endless,
    /// An actor can never go on.
    Stuck,
}

/// How an operation orders the accesses around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    pub acquire: bool,
    pub release: bool,
}

impl Effect {
    pub const NONE: Self = Self {
        acquire: false,
        release: false,
    };
}

/// A value of a word, and what is known to whoever loads it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Message {
    value: u64,
    view: View,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Actor {
    view: View,
    /// What was loaded without acquire, which a barrier makes known.
    loaded: View,
    /// What stores without release hand on: what was known at the last barrier.
    fenced: View,
    /// There were accesses to plain memory since the clock was last set forward.
    accessed: bool,
}

/// Plain memory.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Area {
    freed: bool,
    value: u64,
    /// For each actor its clock at the last read and the last write; 0 if all know of it.
    reads: [u8; ACTORS],
    writes: [u8; ACTORS],
    /// What is known to whoever allocates it.
    view: View,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Lock {
    held: bool,
    asleep: u8,
    view: View,
}

/// RCU or SRCU.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Domain {
    readers: u8,
    /// For each actor the readers that it waits for.
    waited: [u8; ACTORS],
    /// What is known to readers that begin, and to those who have waited.
    begun: View,
    ended: View,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    words: [Vec<Message>; WORDS],
    areas: [Area; AREAS],
    locks: [Lock; LOCKS],
    domains: [Domain; DOMAINS],
    actors: [Actor; ACTORS],
    ended: u8,
}

impl Memory {
    pub fn new() -> Self {
        let mut memory = Self {
            words: Default::default(),
            areas: Default::default(),
            locks: Default::default(),
            domains: Default::default(),
            actors: Default::default(),
            ended: 0,
        };
        for area in &mut memory.areas[..PAGES + OBJECTS] {
            area.freed = true;
        }
        memory.forget();
        memory
    }

    /// Has all actors know of everything: before they begin.
    pub fn forget(&mut self) {
        for word in &mut self.words {
            word.drain(..word.len().saturating_sub(1));
            for message in word {
                message.view = View::default();
            }
        }
        for area in &mut self.areas {
            (area.reads, area.writes, area.view) = Default::default();
        }
        for lock in &mut self.locks {
            lock.view = View::default();
        }
        for domain in &mut self.domains {
            (domain.begun, domain.ended) = Default::default();
        }
        for (number, actor) in self.actors.iter_mut().enumerate() {
            *actor = Actor::default();
            actor.view.clock[number] = 1;
        }
    }

    // ---- atomic words --------------------------------------------------------------------------

    /// Makes sure that `word` exists, with `initial` as its first value.
    pub fn touch(&mut self, word: usize, initial: u64) {
        if self.words[word].is_empty() {
            self.words[word].push(Message {
                value: initial,
                view: View::default(),
            });
        }
    }

    /// Returns whether `word` was touched yet.
    pub fn exists(&self, word: usize) -> bool {
        !self.words[word].is_empty()
    }

    /// Has `actor` see a newer value of `word` than it did, as it will if it looks long enough.
    pub fn skip(&mut self, actor: usize, word: usize) {
        self.actors[actor].view.seen[word] += 1;
    }

    /// Returns the values that `actor` may load from `word`, by number, the newest one last.
    pub fn loadable(&self, actor: usize, word: usize) -> impl Iterator<Item = (u8, u64)> + '_ {
        let seen = self.actors[actor].view.seen[word];
        let values = self.words[word].iter().map(|message| message.value);
        (0..).zip(values).skip(seen.into())
    }

    pub fn newest(&self, word: usize) -> (u8, u64) {
        let number = self.words[word].len() - 1;
        (number as u8, self.words[word][number].value)
    }

    pub fn load(&mut self, actor: usize, word: usize, number: u8, effect: Effect) {
        let view = self.words[word][usize::from(number)].view;
        let actor = &mut self.actors[actor];
        let seen = &mut actor.view.seen[word];
        *seen = (*seen).max(number);
        actor.loaded.join(&view);
        if effect.acquire {
            actor.view.join(&view);
        }
    }

    /// Stores `value`; if `replaces`, in one with the load of the newest value.
    pub fn store(&mut self, actor: usize, word: usize, value: u64, effect: Effect, replaces: bool) {
        let number = self.words[word].len() as u8;
        let mut view = self.actors[actor].fenced;
        if replaces {
            view.join(&self.words[word][usize::from(number) - 1].view);
        }
        if effect.release {
            view.join(&self.known(actor));
        }
        view.seen[word] = number;
        self.actors[actor].view.seen[word] = number;
        self.words[word].push(Message { value, view });
    }

    /// A barrier: what was loaded before it is known after it, or what is known before it is handed
    /// on by stores after it.
    pub fn fence(&mut self, actor: usize, effect: Effect) {
        if effect.acquire {
            let loaded = self.actors[actor].loaded;
            self.actors[actor].view.join(&loaded);
        }
        if effect.release {
            self.actors[actor].fenced = self.known(actor);
        }
    }

    /// Returns what `actor` knows, for others, and sets its clock forward.
    fn known(&mut self, actor: usize) -> View {
        let this = &mut self.actors[actor];
        let mut view = this.view;
        if this.accessed {
            this.view.clock[actor] += 1;
            this.accessed = false;
        } else {
            view.clock[actor] -= 1;
        }
        view
    }

    // ---- plain memory --------------------------------------------------------------------------

    /// Accesses `area`, and returns its value.
    pub fn access(&mut self, actor: usize, area: usize, write: bool) -> Result<u64, Flaw> {
        let view = self.actors[actor].view;
        let area = &mut self.areas[area];
        let known = |clocks: &[u8; ACTORS]| {
            let mut others = clocks.iter().zip(&view.clock).enumerate();
            others.all(|(other, (clock, known))| other == actor || clock <= known)
        };
        if !known(&area.writes) || write && !known(&area.reads) {
            return Err(Flaw::Race);
        }
        if area.freed {
            return Err(Flaw::Freed);
        }
        let clocks = match write {
            true => &mut area.writes,
            false => &mut area.reads,
        };
        clocks[actor] = view.clock[actor];
        self.actors[actor].accessed = true;
        Ok(area.value)
    }

    pub fn write(&mut self, actor: usize, area: usize, value: u64) -> Result<(), Flaw> {
        self.access(actor, area, true)?;
        self.areas[area].value = value;
        Ok(())
    }

    pub fn value(&self, area: usize) -> u64 {
        self.areas[area].value
    }

    /// Returns the first of the areas from `first` to `end` that may be allocated.
    pub fn unused(&self, first: usize, end: usize) -> Option<usize> {
        (first..end).find(|&area| self.areas[area].freed)
    }

    /// Allocates `area`, which is all zeroes then.
    pub fn allocate(&mut self, actor: usize, area: usize) -> Result<(), Flaw> {
        let view = self.areas[area].view;
        self.actors[actor].view.join(&view);
        self.areas[area].freed = false;
        self.write(actor, area, 0)
    }

    pub fn free(&mut self, actor: usize, area: usize) -> Result<(), Flaw> {
        self.access(actor, area, true)?;
        self.areas[area].view = self.known(actor);
        self.areas[area].freed = true;
        Ok(())
    }

    /// Sets a word to zero that lies in a page that `actor` has allocated.
    pub fn clear_word(&mut self, word: usize) {
        self.words[word].clear();
        self.touch(word, 0);
        for view in self.views() {
            view.seen[word] = 0;
        }
    }

    /// As [`Memory::clear_word`], for plain memory.
    pub fn clear_area(&mut self, area: usize) {
        self.areas[area] = Area::default();
    }

    // ---- the end of actors ---------------------------------------------------------------------

    pub fn end(&mut self, actor: usize) {
        self.ended |= 1 << actor;
    }

    pub fn has_ended(&self, actor: usize) -> bool {
        self.ended & 1 << actor != 0
    }

    /// Returns whether some of `actors` actors have not ended, and all of these sleep.
    pub fn all_asleep(&self, actors: usize) -> bool {
        let asleep = self
            .locks
            .iter()
            .fold(0, |asleep, lock| asleep | lock.asleep);
        let left = ((1 << actors) - 1) & !self.ended;
        left != 0 && left & !asleep == 0
    }

    fn views(&mut self) -> impl Iterator<Item = &mut View> {
        let messages = self.words.iter_mut().flatten();
        let actors = self.actors.iter_mut();
        let domains = self.domains.iter_mut();
        messages
            .map(|message| &mut message.view)
            .chain(self.areas.iter_mut().map(|area| &mut area.view))
            .chain(self.locks.iter_mut().map(|lock| &mut lock.view))
            .chain(domains.flat_map(|domain| [&mut domain.begun, &mut domain.ended]))
            .chain(actors.flat_map(|actor| [&mut actor.view, &mut actor.loaded, &mut actor.fenced]))
    }

    /// Drops what makes no difference any more, so that states that do not differ are equal.
    pub fn tidy(&mut self, actors: usize) {
        let mut known: Option<View> = None;
        for number in 0..actors {
            if self.has_ended(number) {
                self.actors[number] = Actor::default();
                continue;
            }
            let Actor { view, loaded, .. } = &mut self.actors[number];
            loaded.forget(view);
            // Of accesses since the clock was last set forward nobody else can know.
            let mut view = *view;
            view.clock[number] -= 1;
            known.get_or_insert(view).meet(&view);
        }
        let Some(known) = known else {
            self.forget();
            return;
        };
        for (word, &old) in self.words.iter_mut().zip(&known.seen) {
            word.drain(..usize::from(old));
        }
        for view in self.views() {
            view.count_from(&known);
        }
        for area in &mut self.areas {
            for clocks in [&mut area.reads, &mut area.writes] {
                for (clock, known) in clocks.iter_mut().zip(&known.clock) {
                    *clock = clock.saturating_sub(*known);
                }
            }
        }
    }
}
