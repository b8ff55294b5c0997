// SPDX-License-Identifier: GPL-2.0-only

//! A model checker for source that is written as a few actors and the steps they take.
//!
//! Between two steps an actor's code depends on nothing but the replies to its earlier steps. So
//! the next step is found by running the code again with these replies, and stopping it at the
//! first step that has none yet. [`explore`] searches breadth-first through all states that some
//! order of the actors' steps leads to.

use std::{
    any::Any,
    cell::RefCell,
    collections::{
        BTreeMap,
        HashMap, //
    },
    fmt::{
        Debug,
        Display,
        Formatter,
        Result as FmtResult, //
    },
    hash::Hash,
    iter,
    panic::{
        catch_unwind,
        resume_unwind,
        AssertUnwindSafe, //
    },
    rc::Rc,
    thread::panicking, //
};

/// The most actors that a model may have.
pub const ACTORS: usize = 4;

/// The position of each actor; an actor's own number is the position where its program begins.
pub type At = [usize; ACTORS];

/// A protocol to be checked, with its environment.
pub trait Model {
    type Step: Copy + Debug + Send + 'static;
    type Reply: Copy + Debug + Eq + Hash + 'static;
    type State: Clone + Eq + Hash;
    type Flaw: Copy + Debug + Ord;

    /// The flaw of an actor that can never end its program.
    const STUCK: Self::Flaw;
    /// The flaw of a program that takes too many steps.
    const ENDLESS: Self::Flaw;

    /// Returns a name for each actor.
    fn actors(&self) -> Vec<String>;

    /// Runs the program of `actor` from its beginning to its end.
    fn run(&self, actor: usize);

    /// Returns the most steps that a program of `actor` may take, or `None` if it is not limited.
    fn limit(&self, actor: usize) -> Option<usize>;

    /// Returns whether `actor` may rest for ever.
    fn may_rest(&self, actor: usize) -> bool;

    /// Returns the possible replies to `step`, or none if the actor has to wait.
    ///
    /// `first` is the reply to the first step of the program that the actor is running.
    fn replies(
        &self,
        state: &Self::State,
        at: &At,
        actor: usize,
        step: Self::Step,
        first: Option<Self::Reply>,
    ) -> Vec<Self::Reply>;

    /// Applies `step` to the state; `ended` says that the program ends with it.
    fn apply(
        &self,
        state: &mut Self::State,
        actor: usize,
        step: Self::Step,
        reply: Self::Reply,
        ended: bool,
    ) -> Result<(), Self::Flaw>;

    /// Returns whether `step` may be taken at once, before any step of another actor.
    ///
    /// The search does not try other orders then. That loses no flaw if the step changes nothing
    /// that another actor's step depends on, and is never waited for.
    fn at_once(&self, _step: Self::Step) -> bool {
        false
    }

    /// Checks a state between two steps.
    fn check(&self, state: &Self::State, at: &At) -> Result<(), Self::Flaw>;
}

/// Returns whether `actor` is not running its program.
pub fn rests(at: &At, actor: usize) -> bool {
    at[actor] == actor
}

thread_local! {
    /// The replies for the program that runs, last first.
    static REPLIES: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Takes a step: returns the reply to it, or stops the program if that is not known yet.
///
/// Returns `None` in destructors that run because the program was stopped.
pub fn take<S: Send + 'static, R: Copy + 'static>(step: S) -> Option<R> {
    if panicking() {
        return None;
    }
    match REPLIES.with_borrow_mut(Vec::pop) {
        Some(reply) => Some(*reply.downcast_ref().expect("a reply of this model")),
        None => resume_unwind(Box::new(step)),
    }
}

/// A program that has been run up to some step.
struct Position<M: Model> {
    actor: usize,
    /// The replies to its steps since it began.
    replies: Vec<M::Reply>,
    /// The step that it takes next.
    step: M::Step,
    /// The next position for each reply to that step.
    next: HashMap<M::Reply, usize>,
}

/// All positions that were reached, beginning with the first one of each actor.
struct Positions<'m, M: Model> {
    model: &'m M,
    positions: Vec<Position<M>>,
}

impl<M: Model> Positions<'_, M> {
    /// Runs the program of `actor` with `replies`; returns its position, or `None` if it has ended.
    fn add(&mut self, actor: usize, replies: Vec<M::Reply>) -> Option<usize> {
        let boxed = |&reply: &M::Reply| -> Box<dyn Any> { Box::new(reply) };
        REPLIES.set(replies.iter().rev().map(boxed).collect());
        let run = || self.model.run(actor);
        let stopped: Box<dyn Any + Send> = catch_unwind(AssertUnwindSafe(run)).err()?;
        let step = *stopped
            .downcast()
            .unwrap_or_else(|panic| resume_unwind(panic));
        self.positions.push(Position {
            actor,
            replies,
            step,
            next: HashMap::new(),
        });
        Some(self.positions.len() - 1)
    }

    /// Returns the position that follows `at` after `reply`.
    fn advance(&mut self, at: usize, reply: M::Reply) -> usize {
        let position = &self.positions[at];
        if let Some(&next) = position.next.get(&reply) {
            return next;
        }
        let actor = position.actor;
        let replies = position.replies.iter().copied().chain([reply]).collect();
        let next = self.add(actor, replies).unwrap_or(actor);
        self.positions[at].next.insert(reply, next);
        next
    }
}

/// The result of a search.
pub struct Report<F> {
    pub states: usize,
    pub steps: usize,
    /// The number of steps of the longest program that has a limit.
    pub longest: usize,
    /// The flaws, each with the shortest way to it.
    pub flaws: BTreeMap<F, String>,
}

impl<F> Display for Report<F> {
    fn fmt(&self, out: &mut Formatter<'_>) -> FmtResult {
        let Self {
            states,
            steps,
            longest,
            ..
        } = self;
        write!(
            out,
            "{states} states, {steps} steps between them, {longest} at most for one program"
        )
    }
}

type Reached<M> = (usize, usize, <M as Model>::Step, <M as Model>::Reply);

/// Explores all states that can be reached from `first`, until `enough` is found.
pub fn explore<M: Model>(
    model: &M,
    first: M::State,
    enough: impl Fn(&M::Flaw) -> bool,
) -> Report<M::Flaw> {
    let names = model.actors();
    let actors = names.len();
    let mut positions = Positions {
        model,
        positions: Vec::new(),
    };
    for actor in 0..actors {
        positions.add(actor, Vec::new());
    }
    let first = (first, std::array::from_fn(|actor| actor));
    // Bit `actor` is set where that actor can still end its program, or need not.
    let can_end_now = |at: &At| -> u8 {
        let ends = |&actor: &usize| model.may_rest(actor) && rests(at, actor);
        (0..actors).filter(ends).map(|actor| 1 << actor).sum()
    };
    let mut can_end = vec![can_end_now(&first.1)];
    let first = Rc::new(first);
    let mut states = vec![first.clone()];
    let mut numbers = HashMap::from([(first, 0)]);
    // How each state was first reached: from which, by whose step.
    let mut found: Vec<Option<Reached<M>>> = vec![None];
    let mut steps = Vec::new();
    let mut flaws = BTreeMap::new();
    let mut longest = 0;

    let mut from = 0;
    while from < states.len() && !flaws.keys().any(&enough) {
        let now = states[from].clone();
        let (state, at) = &*now;
        let replies = |actor: usize| {
            let position = &positions.positions[at[actor]];
            let first = position.replies.first().copied();
            model.replies(state, at, actor, position.step, first)
        };
        let at_once = |&actor: &usize| {
            model.at_once(positions.positions[at[actor]].step) && !replies(actor).is_empty()
        };
        let only = (0..actors).find(at_once);
        for actor in only.map_or(0..actors, |only| only..only + 1) {
            let Position {
                step, ref replies, ..
            } = positions.positions[at[actor]];
            let limit = model.limit(actor);
            if limit.is_some() {
                longest = longest.max(replies.len() + 1);
            }
            let endless = limit.is_some_and(|limit| replies.len() >= limit);
            let first = replies.first().copied();
            for reply in model.replies(state, at, actor, step, first) {
                let mut next = (state.clone(), *at);
                next.1[actor] = positions.advance(at[actor], reply);
                let ended = rests(&next.1, actor);
                let checked = match model.apply(&mut next.0, actor, step, reply, ended) {
                    Ok(()) if endless => Err(M::ENDLESS),
                    Ok(()) => model.check(&next.0, &next.1),
                    flaw => flaw,
                };
                let last = (from, actor, step, reply);
                if let Err(flaw) = checked {
                    let way = || way::<M>(&names, &found, last);
                    flaws.entry(flaw).or_insert_with(way);
                    continue;
                }
                let next = Rc::new(next);
                let to = *numbers.entry(next.clone()).or_insert_with(|| {
                    can_end.push(can_end_now(&next.1));
                    states.push(next);
                    found.push(Some(last));
                    states.len() - 1
                });
                steps.push((from, to));
                can_end[from] |= u8::from(ended) << actor;
            }
        }
        from += 1;
    }

    // A state from which an actor cannot go on is of interest only if all others were reached.
    if flaws.is_empty() {
        let mut changed = true;
        while changed {
            changed = false;
            for &(from, to) in steps.iter().rev() {
                changed |= can_end[to] & !can_end[from] != 0;
                can_end[from] |= can_end[to];
            }
        }
        let all = (1 << actors) - 1;
        if let Some(stuck) = can_end.iter().position(|&can_end| can_end != all) {
            let way = found[stuck].map_or(String::new(), |last| way::<M>(&names, &found, last));
            flaws.insert(M::STUCK, way);
        }
    }
    Report {
        states: states.len(),
        steps: steps.len(),
        longest,
        flaws,
    }
}

/// Returns the steps from the beginning up to `last`, a line each.
fn way<M: Model>(names: &[String], found: &[Option<Reached<M>>], last: Reached<M>) -> String {
    let back = |&(from, ..): &Reached<M>| found[from];
    let mut steps: Vec<_> = iter::successors(Some(last), back)
        .map(|(_, actor, step, reply)| format!("{} {actor}: {step:?}: {reply:?}\n", names[actor]))
        .collect();
    steps.reverse();
    steps.concat()
}
