// SPDX-License-Identifier: GPL-2.0-only

//! Model check of the streams' protocol, on the source itself: `rustc -O --test --edition 2021
//! selftests/host/streams.rs`; `--show-output` tells how much was explored.
//!
//! Two tasks take and release streams for ever, a reader looks at the counters, and CPU hotplug
//! creates the cells, takes two CPUs down and up, and destroys the cells. Every order of their steps
//! is explored. A step is what others can see or disturb: a task learns on which CPU it is, tries a
//! mutex, locks it, unlocks it; a stream is used, or freed; a CPU goes or comes. A task may migrate
//! before each of its steps: it is told any CPU that is up at that moment.
//!
//! What `src/streams/per_cpu.rs` stands on, mutexes, CPU numbers and streams, is replaced by steps. Between
//! two steps that code depends on nothing but what its steps have returned; so the step it takes
//! next is found by running it again with these results, and stopping it at the first step that
//! has none yet. The rest is a breadth-first search through the states of all actors together.

extern crate self as kernel;

use std::{
    any::Any,
    cell::RefCell,
    collections::{
        BTreeMap,
        HashMap, //
    },
    fmt,
    iter,
    panic::{
        catch_unwind,
        resume_unwind,
        AssertUnwindSafe, //
    },
    sync::OnceLock,
    thread::panicking, //
};
use zram::streams::per_cpu::{
    PerCpuStreams,
    StreamCell, //
};

const CPUS: usize = 2;

/// How many times a CPU goes or comes between creation and destruction.
const EVENTS: u8 = 4;

/// The steps of the longest take, use and release: four for each look at a cell, one to use the
/// stream. A task looks again only if a CPU went down, which at most every other event is.
const LONGEST: usize = 4 * (1 + EVENTS as usize / 2) + 1;

// ---- the kernel, as steps ----------------------------------------------------------------------

pub mod cpu {
    #[derive(Clone, Copy)]
    pub struct CpuId(pub usize);
}

pub mod prelude {
    #[derive(Debug)]
    pub struct Errno;
    pub const ENODEV: Errno = Errno;
    pub type Result<T = (), E = Errno> = core::result::Result<T, E>;
}

#[macro_export]
macro_rules! new_mutex {
    ($content:expr, $name:literal) => {
        $crate::sync::Mutex::new($content)
    };
}

pub mod sync {
    use super::*;
    use lock::{
        mutex::MutexBackend,
        Guard, //
    };
    use std::marker::PhantomData;

    pub struct Mutex<T> {
        cpu: usize,
        _content: PhantomData<T>,
    }

    impl<T: Content> Mutex<T> {
        pub fn new(_content: T) -> Self {
            Self {
                cpu: 0,
                _content: PhantomData,
            }
        }

        pub fn of(self, cpu: usize) -> Self {
            Self { cpu, ..self }
        }

        pub fn try_lock(&self) -> Option<Guard<'_, T, MutexBackend>> {
            match step(Step::TryLock(self.cpu)) {
                Reply::Busy => None,
                reply => Some(Guard::new(self.cpu, reply)),
            }
        }

        pub fn lock(&self) -> Guard<'_, T, MutexBackend> {
            Guard::new(self.cpu, step(Step::Lock(self.cpu)))
        }
    }

    pub mod lock {
        use super::*;
        use std::{
            mem::ManuallyDrop,
            ops::{
                Deref,
                DerefMut, //
            },
        };

        pub mod mutex {
            pub struct MutexBackend;
        }

        /// Holds a copy of what the mutex protects. When it is dropped, the cell is what the copy is.
        pub struct Guard<'a, T: Content, B> {
            cpu: usize,
            locked: bool,
            content: ManuallyDrop<T>,
            _mutex: PhantomData<(&'a T, B)>,
        }

        impl<T: Content, B> Guard<'_, T, B> {
            pub(super) fn new(cpu: usize, reply: Reply) -> Self {
                let (locked, stream) = match reply {
                    Reply::Locked(stream) => (true, stream),
                    Reply::NotLocked(stream) => (false, stream),
                    _ => unreachable!("{reply:?}"),
                };
                Self {
                    cpu,
                    locked,
                    content: ManuallyDrop::new(T::new(stream.then(|| Stream(cpu)))),
                    _mutex: PhantomData,
                }
            }
        }

        impl<T: Content, B> Deref for Guard<'_, T, B> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.content
            }
        }

        impl<T: Content, B> DerefMut for Guard<'_, T, B> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.content
            }
        }

        impl<T: Content, B> Drop for Guard<'_, T, B> {
            fn drop(&mut self) {
                let (cpu, stream) = (self.cpu, self.content.has_stream());
                step(if self.locked {
                    Step::Unlock(cpu, stream)
                } else {
                    Step::Write(cpu, stream)
                });
            }
        }
    }
}

/// What a cell is, as far as it matters.
pub trait Content {
    fn new(stream: Option<Stream>) -> Self;
    fn has_stream(&self) -> bool;
}

/// The streams under test know nothing of their kind, which is always [`Stream`].
impl<S: Send + Unpin + 'static> Content for StreamCell<S> {
    fn new(stream: Option<Stream>) -> Self {
        let same = |stream: Stream| -> S {
            let any: Box<dyn Any> = Box::new(stream);
            *any.downcast().expect("a stream is a Stream")
        };
        Self {
            stream: stream.map(same),
            counts: Default::default(),
        }
    }

    fn has_stream(&self) -> bool {
        self.stream.is_some()
    }
}

/// The stream of a CPU.
pub struct Stream(usize);

impl Stream {
    fn allocate(cpu: usize) -> Self {
        step(Step::Allocate);
        Self(cpu)
    }

    fn work(&mut self) {
        step(Step::Use(self.0));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        step(Step::Free(self.0));
    }
}

#[path = "../../src"]
mod zram {
    pub mod abstractions {
        pub mod percpu {
            use crate::*;
            use cpu::CpuId;
            use sync::Mutex;

            pub struct PerCpu<T>([T; CPUS]);

            impl<T: Content> PerCpu<Mutex<T>> {
                pub fn new(init: impl Fn() -> Mutex<T>) -> prelude::Result<Self> {
                    Ok(Self(std::array::from_fn(|cpu| init().of(cpu))))
                }

                pub fn this(&self) -> &Mutex<T> {
                    match step(Step::This) {
                        Reply::Cpu(cpu) => &self.0[cpu],
                        reply => unreachable!("{reply:?}"),
                    }
                }

                pub fn get(&self, cpu: CpuId) -> Option<&Mutex<T>> {
                    self.0.get(cpu.0)
                }
            }
        }
    }

    pub mod streams {
        pub mod per_cpu;
    }
}

// ---- actors ------------------------------------------------------------------------------------

/// What an actor is about to do.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Learn the number of the CPU that it runs on.
    This,
    TryLock(usize),
    Lock(usize),
    /// Unlock the cell, which then has a stream or not.
    Unlock(usize, bool),
    /// Set what the cell has without holding its mutex.
    Write(usize, bool),
    /// Use the stream of that CPU.
    Use(usize),
    /// Use a stream that is not there.
    UseNothing,
    Allocate,
    Free(usize),
    /// Wait for something to do.
    Event,
    /// Let tasks run on the CPU, or no more.
    Online(usize, bool),
    /// Let tasks use the cells.
    Publish,
}

/// What that came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Done,
    Busy,
    /// The mutex is locked, and its cell has a stream or not.
    Locked(bool),
    /// A seeded bug: the same, without the mutex.
    NotLocked(bool),
    Cpu(usize),
    Event(Event),
}

/// What the CPU hotplug core tells the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Create([bool; CPUS]),
    /// One of the CPUs has no memory for a stream: those that were prepared are dead again.
    CreateInVain([bool; CPUS]),
    Up(usize),
    /// It was prepared, and does not come up, because something else failed.
    UpInVain(usize),
    Down(usize),
    Destroy([bool; CPUS]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Task,
    Reader,
    Hotplug,
}

const ACTORS: [Program; 4] = [
    Program::Task,
    Program::Task,
    Program::Reader,
    Program::Hotplug,
];

const HOTPLUG: usize = 3;

impl Program {
    fn run(self, cells: &PerCpuStreams<Stream>, bug: Bug) {
        let id = cpu::CpuId;
        let prepare = |cpu| {
            cells
                .prepare(id(cpu), Stream::allocate(cpu))
                .expect("a possible CPU")
        };
        let dead = |cpu| cells.dead(id(cpu));
        let each = |cpus: [bool; CPUS]| (0..CPUS).filter(move |&cpu| cpus[cpu]);
        match self {
            Self::Task => {
                let mut taken = cells.take();
                match taken.stream() {
                    Ok(stream) => stream.work(),
                    Err(_) => {
                        step(Step::UseNothing);
                    }
                }
            }
            Self::Reader => {
                if let Reply::Cpu(cpu) = step(Step::Event) {
                    cells.counts(id(cpu)).expect("a possible CPU");
                }
            }
            Self::Hotplug => match step(Step::Event) {
                Reply::Event(Event::Create(cpus)) => {
                    each(cpus).for_each(prepare);
                    step(Step::Publish);
                }
                Reply::Event(Event::CreateInVain(cpus)) => {
                    each(cpus).for_each(prepare);
                    each(cpus).for_each(dead);
                }
                Reply::Event(Event::Up(cpu)) => {
                    if bug == Bug::UpBeforePrepare {
                        step(Step::Online(cpu, true));
                    }
                    prepare(cpu);
                    step(Step::Online(cpu, true));
                }
                Reply::Event(Event::UpInVain(cpu)) => {
                    prepare(cpu);
                    dead(cpu);
                }
                Reply::Event(Event::Down(cpu)) => {
                    step(Step::Online(cpu, false));
                    if bug != Bug::DownWithoutDead {
                        dead(cpu);
                    }
                }
                Reply::Event(Event::Destroy(cpus)) => each(cpus).for_each(dead),
                reply => unreachable!("{reply:?}"),
            },
        }
    }
}

thread_local! {
    /// What the steps of the program that runs return, last first.
    static REPLIES: RefCell<Vec<Reply>> = const { RefCell::new(Vec::new()) };
}

/// Takes a step: returns what it came to, or stops the program if that is not known yet.
fn step(step: Step) -> Reply {
    if panicking() {
        return Reply::Done;
    }
    match REPLIES.with_borrow_mut(Vec::pop) {
        Some(reply) => reply,
        None => resume_unwind(Box::new(step)),
    }
}

/// A program that has come somewhere.
struct Position {
    program: Program,
    /// What its steps have returned since it began.
    replies: Vec<Reply>,
    /// Its next.
    step: Step,
    /// Where each reply to that leads.
    next: HashMap<Reply, usize>,
}

/// All positions; those at which programs begin come first, as in `ACTORS`.
struct Positions {
    bug: Bug,
    cells: PerCpuStreams<Stream>,
    positions: Vec<Position>,
}

impl Positions {
    fn new(bug: Bug) -> Self {
        let mut positions = Self {
            bug,
            cells: PerCpuStreams::new().unwrap(),
            positions: Vec::new(),
        };
        for program in ACTORS {
            positions.add(program, Vec::new());
        }
        positions
    }

    /// Where `program` is after `replies`; nothing if it has ended.
    fn add(&mut self, program: Program, replies: Vec<Reply>) -> Option<usize> {
        REPLIES.set(replies.iter().rev().copied().collect());
        let run = || program.run(&self.cells, self.bug);
        let stopped: Box<dyn Any + Send> = catch_unwind(AssertUnwindSafe(run)).err()?;
        let step = *stopped
            .downcast()
            .unwrap_or_else(|panic| resume_unwind(panic));
        self.positions.push(Position {
            program,
            replies,
            step,
            next: HashMap::new(),
        });
        Some(self.positions.len() - 1)
    }

    /// Where `actor` comes from position `at` with `reply`.
    fn advance(&mut self, actor: usize, at: usize, reply: Reply) -> usize {
        let position = &self.positions[at];
        if let Some(&next) = position.next.get(&reply) {
            return next;
        }
        let program = position.program;
        let replies = position.replies.iter().copied().chain([reply]).collect();
        let next = self.add(program, replies).unwrap_or(actor);
        self.positions[at].next.insert(reply, next);
        next
    }
}

// ---- states ------------------------------------------------------------------------------------

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    /// A stream is used that is not there, or freed while somebody has it.
    Freed,
    /// A cell is touched while somebody else has locked it.
    Shared,
    /// There is a stream that no CPU that is up has.
    Lost,
    /// A CPU is up and has no stream.
    Missing,
    /// A take goes on for ever.
    Endless,
    /// An actor can't ever go on.
    Stuck,
}

/// What is seeded, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    DeadWithoutLock,
    PrepareWithoutLock,
    /// A task does not look whether the cell that it has locked has a stream.
    NoRecheck,
    DeadWithoutUnlock,
    DownWithoutDead,
    UpBeforePrepare,
    /// Tasks run on CPUs that are down.
    DownButRunning,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct CellState {
    holder: Option<u8>,
    stream: bool,
}

/// All that there is between two steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// Tasks may use the cells.
    published: bool,
    /// CPUs still go and come so often.
    events: u8,
    online: [bool; CPUS],
    cells: [CellState; CPUS],
    /// Streams allocated and not freed.
    streams: u8,
    at: [usize; ACTORS.len()],
}

impl State {
    /// Whether that actor has nothing under way.
    fn rests(&self, actor: usize) -> bool {
        self.at[actor] == actor
    }

    /// What `step` of `actor` can come to; nothing if it has to wait.
    fn replies(&self, actor: usize, step: Step, bug: Bug, event: Option<Reply>) -> Vec<Reply> {
        let cpus = (0..CPUS).filter(|&cpu| self.online[cpu] || bug == Bug::DownButRunning);
        let lock = |cpu: usize| {
            let CellState { holder, stream } = self.cells[cpu];
            let unlocked = match event {
                Some(Reply::Event(Event::Down(_))) => bug == Bug::DeadWithoutLock,
                Some(Reply::Event(Event::Up(_))) => bug == Bug::PrepareWithoutLock,
                _ => false,
            };
            if unlocked {
                return Some(Reply::NotLocked(stream));
            }
            let seen = stream || bug == Bug::NoRecheck && ACTORS[actor] == Program::Task;
            holder.is_none().then_some(Reply::Locked(seen))
        };
        match step {
            Step::This if self.published => cpus.map(Reply::Cpu).collect(),
            Step::This => Vec::new(),
            // It may fail without a reason, as that of the kernel does while a mutex is handed over.
            Step::TryLock(cpu) => [Reply::Busy].into_iter().chain(lock(cpu)).collect(),
            Step::Lock(cpu) => lock(cpu).into_iter().collect(),
            Step::Event if ACTORS[actor] == Program::Hotplug => self.events(),
            Step::Event if self.published => (0..CPUS).map(Reply::Cpu).collect(),
            Step::Event => Vec::new(),
            _ => vec![Reply::Done],
        }
    }

    /// What the hotplug core may do next. At least one CPU stays up.
    fn events(&self) -> Vec<Reply> {
        let mut events = Vec::new();
        if !self.published {
            events.extend([Event::Create(self.online), Event::CreateInVain(self.online)]);
        } else if (0..ACTORS.len()).all(|actor| self.rests(actor)) {
            events.push(Event::Destroy(self.online));
        }
        if self.events > 0 && self.published {
            for cpu in 0..CPUS {
                if !self.online[cpu] {
                    events.extend([Event::Up(cpu), Event::UpInVain(cpu)]);
                } else if self.online.iter().filter(|&&online| online).count() > 1 {
                    events.push(Event::Down(cpu));
                }
            }
        }
        events.into_iter().map(Reply::Event).collect()
    }

    /// Lets `actor` take `step`, which comes to `reply`.
    fn apply(&mut self, actor: usize, step: Step, reply: Reply, bug: Bug) -> Result<(), Flaw> {
        let others = |cell: &CellState| cell.holder.is_some_and(|holder| holder != actor as u8);
        match (step, reply) {
            (Step::TryLock(cpu) | Step::Lock(cpu), Reply::Locked(_)) => {
                self.cells[cpu].holder = Some(actor as u8);
            }
            (Step::Unlock(cpu, stream), _) => {
                self.cells[cpu].stream = stream;
                if bug != Bug::DeadWithoutUnlock || ACTORS[actor] != Program::Hotplug || stream {
                    self.cells[cpu].holder = None;
                }
            }
            (Step::Write(cpu, stream), _) => {
                self.cells[cpu].stream = stream;
                if others(&self.cells[cpu]) {
                    return Err(Flaw::Shared);
                }
            }
            (Step::Use(cpu), _) => {
                if !self.cells[cpu].stream {
                    return Err(Flaw::Freed);
                }
                if self.cells[cpu].holder != Some(actor as u8) {
                    return Err(Flaw::Shared);
                }
            }
            (Step::UseNothing, _) => return Err(Flaw::Freed),
            (Step::Allocate, _) => self.streams += 1,
            (Step::Free(cpu), _) => {
                self.streams -= 1;
                if others(&self.cells[cpu]) {
                    return Err(Flaw::Freed);
                }
            }
            (Step::Online(cpu, online), _) => self.online[cpu] = online,
            (Step::Publish, _) => self.published = true,
            (Step::Event, Reply::Event(Event::Destroy(_))) => self.published = false,
            (Step::Event, Reply::Event(Event::Up(_) | Event::UpInVain(_) | Event::Down(_))) => {
                self.events -= 1;
            }
            _ => (),
        }
        Ok(())
    }

    /// What must be so between any two steps.
    fn check(&self) -> Result<(), Flaw> {
        let streams = self.cells.map(|cell| cell.stream);
        if self.published && (0..CPUS).any(|cpu| self.online[cpu] && !streams[cpu]) {
            return Err(Flaw::Missing);
        }
        let expected = self.online.map(|online| online && self.published);
        let count = streams.iter().filter(|&&stream| stream).count();
        if self.rests(HOTPLUG) && (streams != expected || self.streams as usize != count) {
            return Err(Flaw::Lost);
        }
        Ok(())
    }
}

// ---- the search --------------------------------------------------------------------------------

/// What was found.
struct Report {
    bug: Bug,
    states: usize,
    steps: usize,
    /// How many steps of its own the longest take, use and release of a stream had.
    longest: usize,
    /// The flaws, each with the shortest way there.
    flaws: BTreeMap<Flaw, String>,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bug,
            states,
            steps,
            longest,
            ..
        } = self;
        write!(
            out,
            "bug {bug:?}: {states} states, {steps} steps between them, {longest} at most for one take"
        )
    }
}

fn explore(bug: Bug) -> Report {
    let mut positions = Positions::new(bug);
    let first = State {
        published: false,
        events: EVENTS,
        online: [true; CPUS],
        cells: [CellState::default(); CPUS],
        streams: 0,
        at: std::array::from_fn(|actor| actor),
    };
    let mut states = vec![first];
    let mut numbers = HashMap::from([(first, 0)]);
    // How each state was first reached: from which, by whose step.
    let mut found = vec![None];
    let mut steps = Vec::new();
    // From which states each actor can still end what it is about: a bit for each.
    let mut can_end = vec![0_u8];
    let mut flaws = BTreeMap::new();
    let mut longest = 0;

    let mut from = 0;
    while from < states.len() && !flaws.contains_key(&Flaw::Endless) {
        let state = states[from];
        for actor in 0..ACTORS.len() {
            let at = state.at[actor];
            let Position {
                step, ref replies, ..
            } = positions.positions[at];
            if ACTORS[actor] == Program::Task {
                longest = longest.max(replies.len() + 1);
            }
            let event = replies.first().copied();
            let endless = ACTORS[actor] == Program::Task && replies.len() >= LONGEST;
            for reply in state.replies(actor, step, bug, event) {
                let mut next = state;
                next.at[actor] = positions.advance(actor, at, reply);
                let checked = match next.apply(actor, step, reply, bug) {
                    Ok(()) if endless => Err(Flaw::Endless),
                    Ok(()) => next.check(),
                    flaw => flaw,
                };
                let last = (from, actor, step, reply);
                if let Err(flaw) = checked {
                    flaws.entry(flaw).or_insert_with(|| way(&found, last));
                    continue;
                }
                let to = *numbers.entry(next).or_insert_with(|| {
                    states.push(next);
                    found.push(Some(last));
                    can_end.push(0);
                    states.len() - 1
                });
                steps.push((from, to));
                can_end[from] |= u8::from(next.rests(actor)) << actor;
            }
        }
        from += 1;
    }

    // A state from which somebody can't go on is worth a look only if all others are reached.
    if flaws.is_empty() {
        let mut changed = true;
        while changed {
            changed = false;
            for &(from, to) in steps.iter().rev() {
                changed |= can_end[to] & !can_end[from] != 0;
                can_end[from] |= can_end[to];
            }
        }
        let all = (1 << ACTORS.len()) - 1;
        if let Some(stuck) = can_end.iter().position(|&can_end| can_end != all) {
            let way = found[stuck].map_or(String::new(), |last| way(&found, last));
            flaws.insert(Flaw::Stuck, way);
        }
    }
    Report {
        bug,
        states: states.len(),
        steps: steps.len(),
        longest,
        flaws,
    }
}

type Reached = (usize, usize, Step, Reply);

/// The steps from the beginning up to `last`, a line each.
fn way(found: &[Option<Reached>], last: Reached) -> String {
    let back = |&(from, ..): &Reached| found[from];
    let mut steps: Vec<_> = iter::successors(Some(last), back)
        .map(|(_, actor, step, reply)| {
            format!("{:?} {actor}: {step:?}: {reply:?}\n", ACTORS[actor])
        })
        .collect();
    steps.reverse();
    steps.concat()
}

// ---- the tests ---------------------------------------------------------------------------------

/// Fails if the source as it is has `flaw`.
fn never(flaw: Flaw) {
    static REPORT: OnceLock<Report> = OnceLock::new();
    let report = REPORT.get_or_init(|| explore(Bug::None));
    println!("# {report}");
    if let Some(way) = report.flaws.get(&flaw) {
        panic!("{flaw:?}:\n{way}");
    }
}

#[test]
fn no_freed_stream_is_used() {
    never(Flaw::Freed);
}

#[test]
fn a_taken_stream_is_exclusive() {
    never(Flaw::Shared);
}

#[test]
fn no_stream_is_lost() {
    never(Flaw::Lost);
}

#[test]
fn a_cpu_that_is_up_has_a_stream() {
    never(Flaw::Missing);
}

#[test]
fn a_take_ends() {
    never(Flaw::Endless);
}

#[test]
fn no_one_is_stuck() {
    never(Flaw::Stuck);
}

/// Fails unless `flaw` is found where `bug` was seeded.
fn found(bug: Bug, flaw: Flaw) {
    let report = explore(bug);
    println!("# {report}");
    let found: Vec<_> = report.flaws.keys().collect();
    let way = report.flaws.get(&flaw);
    println!(
        "{}",
        way.unwrap_or_else(|| panic!("{flaw:?} is not in {found:?}"))
    );
}

#[test]
fn found_dead_without_the_lock() {
    found(Bug::DeadWithoutLock, Flaw::Freed);
}

#[test]
fn found_prepare_without_the_lock() {
    found(Bug::PrepareWithoutLock, Flaw::Shared);
}

#[test]
fn found_no_recheck_after_the_lock() {
    found(Bug::NoRecheck, Flaw::Freed);
}

#[test]
fn found_dead_without_unlock() {
    found(Bug::DeadWithoutUnlock, Flaw::Stuck);
}

#[test]
fn found_a_cpu_that_goes_without_dead() {
    found(Bug::DownWithoutDead, Flaw::Lost);
}

#[test]
fn found_a_cpu_that_is_up_before_prepare() {
    found(Bug::UpBeforePrepare, Flaw::Missing);
}

#[test]
fn found_a_task_on_a_cpu_that_is_down() {
    found(Bug::DownButRunning, Flaw::Endless);
}
