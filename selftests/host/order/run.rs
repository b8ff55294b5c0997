// SPDX-License-Identifier: GPL-2.0-only

//! The search through a scenario, as it is or with an ordering less.

use super::{
    memory::{
        Effect,
        Flaw,
        Memory, //
    },
    steps::{
        self,
        Reply,
        Site,
        Step, //
    },
    world::{
        Program,
        World, //
    },
};
use crate::model::{
    explore,
    rests,
    At,
    Model,
    Report, //
};
use std::{
    cell::RefCell,
    collections::BTreeSet, //
};

/// The most steps of a program.
const LIMIT: usize = 80;

/// A set of tasks that run at the same time, each one program.
pub struct Scenario {
    /// What was done before, by one task.
    pub before: &'static [Program],
    pub programs: &'static [Program],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    Acquire,
    Release,
}

/// An operation of the driver without one of its orderings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weakening {
    pub file: &'static str,
    pub function: &'static str,
    pub operation: &'static str,
    pub lost: Lost,
}

struct Run {
    scenario: &'static Scenario,
    world: &'static World,
    weakenings: &'static [Weakening],
    /// The lock in a slot's word.
    locked: u64,
    used: RefCell<BTreeSet<(Site, &'static str)>>,
}

/// Returns the bit of a slot's word that is its lock: the first exchange of a new one sets it.
fn locked_bit() -> u64 {
    steps::prepare(|| Box::leak(Box::new(World::new())).run(Program::WriteSame));
    let changes = steps::taken().into_iter().filter_map(|step| match step {
        Step::Exchange(Site { file: WORD, .. }, _, old, new) => Some(old ^ new),
        _ => None,
    });
    let first = changes.into_iter().next().expect("an exchange");
    assert!(first.is_power_of_two());
    first
}

/// The file that has all changes of a slot's word.
const WORD: &str = "store/word.rs";

/// Returns the name of the operation that `step` does at `site`.
///
/// All changes of a slot's word are one compare-and-exchange in the source: they are told apart by
/// what they do to the lock.
fn operation(site: Site, step: Step, locked: u64) -> &'static str {
    match step {
        Step::Exchange(_, _, old, new) if site.file == WORD => {
            match (old & locked != 0, new & locked != 0) {
                (false, true) => "lock",
                (true, false) => "unlock",
                (true, true) => "request",
                (false, false) => "take_same",
            }
        }
        _ => site.operation,
    }
}

impl Run {
    fn effect(&self, site: Site, step: Step) -> Effect {
        let operation = operation(site, step, self.locked);
        if site.effect != Effect::NONE {
            self.used.borrow_mut().insert((site, operation));
        }
        let mut effect = site.effect;
        for weakening in self.weakenings {
            let of = (weakening.file, weakening.function, weakening.operation);
            if of == (site.file, site.function, operation) {
                match weakening.lost {
                    Lost::Acquire => effect.acquire = false,
                    Lost::Release => effect.release = false,
                }
            }
        }
        effect
    }

    /// Checks the slot when all have ended: it is not locked, nobody has left a request, and it is
    /// empty if it was freed and not written to, or has content the other way round.
    fn check_end(&self, memory: &Memory) -> Result<(), Flaw> {
        let programs = self.scenario.programs;
        let some = |which: fn(&Program) -> bool| programs.iter().any(which);
        let freed = some(|program| matches!(program, Program::Free | Program::Discard));
        let written =
            some(|program| matches!(program, Program::WriteSame | Program::WriteObject(_)));
        match steps::afterwards(memory.clone(), || self.world.is_empty()) {
            None => Err(Flaw::Kept),
            Some(empty) if freed != written && empty != freed => Err(Flaw::Kept),
            Some(_) => Ok(()),
        }
    }
}

impl Model for Run {
    type Step = Step;
    type Reply = Reply;
    type State = Memory;
    type Flaw = Flaw;

    const STUCK: Flaw = Flaw::Stuck;
    const ENDLESS: Flaw = Flaw::Endless;

    fn actors(&self) -> Vec<String> {
        let programs = self.scenario.programs.iter();
        programs.map(|program| format!("{program:?}")).collect()
    }

    fn run(&self, actor: usize) {
        self.world.run(self.scenario.programs[actor]);
    }

    fn limit(&self, _: usize) -> Option<usize> {
        Some(LIMIT)
    }

    fn may_rest(&self, _: usize) -> bool {
        true
    }

    fn replies(
        &self,
        memory: &Memory,
        at: &At,
        actor: usize,
        step: Step,
        _: Option<Reply>,
    ) -> Vec<Reply> {
        if rests(at, actor) && memory.has_ended(actor) {
            return Vec::new();
        }
        steps::replies(memory, actor, step)
    }

    fn apply(
        &self,
        memory: &mut Memory,
        actor: usize,
        step: Step,
        reply: Reply,
        ended: bool,
    ) -> Result<(), Flaw> {
        steps::apply(memory, actor, step, reply, |site| self.effect(site, step))?;
        if ended {
            memory.end(actor);
        }
        memory.tidy(self.scenario.programs.len());
        Ok(())
    }

    /// Accesses to plain memory are races or not in whatever order they are tried, and a reader
    /// that ends late is waited for longer, which shows nothing new. If nobody waits for readers,
    /// it makes no difference when they begin, nor when memory is allocated.
    fn at_once(&self, step: Step) -> bool {
        let shrinks = |program: &Program| matches!(program, Program::Shrink);
        match step {
            Step::Read(_) | Step::Write(..) | Step::Free(_) | Step::Leave(_) => true,
            Step::Enter(_) | Step::Allocate(_) => !self.scenario.programs.iter().any(shrinks),
            _ => false,
        }
    }

    fn check(&self, memory: &Memory, _: &At) -> Result<(), Flaw> {
        let actors = self.scenario.programs.len();
        if memory.all_asleep(actors) {
            return Err(Flaw::Asleep);
        }
        if (0..actors).all(|actor| memory.has_ended(actor)) {
            return self.check_end(memory);
        }
        Ok(())
    }
}

/// What was found in a scenario, and the operations in it that have orderings.
pub struct Found {
    pub report: Report<Flaw>,
    pub used: BTreeSet<(Site, &'static str)>,
}

/// Explores `scenario` until there is a flaw, with operations weakened by `weakenings`.
pub fn search(scenario: &'static Scenario, weakenings: &'static [Weakening]) -> Found {
    let locked = locked_bit();
    let (memory, world) = steps::prepare(|| {
        // It is never dropped, as the memory of the model would be needed for that.
        let world: &'static World = Box::leak(Box::new(World::new()));
        for &program in scenario.before {
            world.run(program);
        }
        world
    });
    let run = Run {
        scenario,
        world,
        weakenings,
        locked,
        used: RefCell::default(),
    };
    let report = explore(&run, memory, |_| true);
    Found {
        report,
        used: run.used.take(),
    }
}
