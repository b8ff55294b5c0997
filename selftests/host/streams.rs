// SPDX-License-Identifier: GPL-2.0-only

//! Model check of the per-CPU streams, on the source itself: `rustc -O --test --edition 2021
//! selftests/host/streams.rs`; `--show-output` tells how much was explored.
//!
//! Two tasks take and release streams for ever, a reader reads the counters, and CPU hotplug
//! creates the cells, takes CPUs down and up, and destroys the cells. Every interleaving of their
//! steps is explored. A step is an action that other actors can see or disturb: a task learns which
//! CPU it runs on, tries, takes or releases a mutex; a stream is used or freed; a CPU goes down or
//! comes up. A task may migrate before each of its steps: it is told any CPU that is up then.
//!
//! The mutexes, CPU numbers and streams that `src/streams/per_cpu.rs` uses are replaced by steps;
//! `model` searches through them.

extern crate self as kernel;

mod model;

use model::{
    explore,
    rests,
    At,
    Model,
    Report, //
};
use std::{
    any::Any,
    sync::OnceLock, //
};
use zram::streams::per_cpu::{
    PerCpuStreams,
    StreamCell, //
};

const CPUS: usize = 2;

/// Number of times that a CPU goes down or comes up between creation and destruction.
const EVENTS: u8 = 4;

/// Number of steps of the longest take, use and release of a stream.
///
/// These are four for each cell that the task tries, and one to use the stream. A task tries again
/// only if a CPU went down, and at most every other event is that.
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

        /// A guard with a copy of the data, which is stored in the cell when the guard is dropped.
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

/// The data that a mutex of the model protects: a stream or none.
pub trait Content {
    fn new(stream: Option<Stream>) -> Self;
    fn has_stream(&self) -> bool;
}

// `per_cpu.rs` is generic over the type of the stream, which is always `Stream` here.
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

/// An action of one actor that others can see or disturb.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Learn which CPU the task runs on.
    This,
    TryLock(usize),
    Lock(usize),
    /// Store a stream or none in the cell, and unlock it.
    Unlock(usize, bool),
    /// Store a stream or none in the cell without holding its mutex.
    Write(usize, bool),
    /// Use the stream of that CPU.
    Use(usize),
    /// Use the stream of a cell that has none.
    UseNothing,
    Allocate,
    Free(usize),
    /// Wait for something to do.
    Event,
    /// Allow tasks to run on the CPU, or forbid it.
    Online(usize, bool),
    /// Allow tasks to use the cells.
    Publish,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reply {
    Done,
    Busy,
    /// The mutex is locked, and its cell has a stream or not.
    Locked(bool),
    /// The same without the mutex, which is a seeded bug.
    NotLocked(bool),
    Cpu(usize),
    Event(Event),
}

/// An action of the CPU hotplug core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Create([bool; CPUS]),
    /// Creation fails: the CPUs that were prepared get `dead` called.
    CreateInVain([bool; CPUS]),
    Up(usize),
    /// The CPU is prepared, and does not come up because a later callback failed.
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

/// Takes a step and returns the reply to it.
fn step(step: Step) -> Reply {
    model::take(step).unwrap_or(Reply::Done)
}

// ---- states ------------------------------------------------------------------------------------

/// A property that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    /// A stream is used that does not exist, or freed while another actor holds its cell.
    Freed,
    /// A cell is accessed while another actor holds its mutex.
    Shared,
    /// A stream outlives its cell's CPU, or is in no cell.
    Lost,
    /// A CPU is up and has no stream.
    Missing,
    /// Taking a stream needs too many steps.
    Endless,
    /// An actor can never go on.
    Stuck,
}

/// A bug that is seeded, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    DeadWithoutLock,
    PrepareWithoutLock,
    /// A task does not check that the cell it has locked has a stream.
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

/// The state of the model between two steps, besides the positions of the actors.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// Tasks may use the cells.
    published: bool,
    /// Number of times that a CPU will still go down or come up.
    events: u8,
    online: [bool; CPUS],
    cells: [CellState; CPUS],
    /// Number of streams that are allocated.
    streams: u8,
}

/// The model: the cells, and the bug that is seeded.
struct Streams {
    bug: Bug,
    cells: PerCpuStreams<Stream>,
}

impl Model for Streams {
    type Step = Step;
    type Reply = Reply;
    type State = State;
    type Flaw = Flaw;

    const STUCK: Flaw = Flaw::Stuck;
    const ENDLESS: Flaw = Flaw::Endless;

    fn actors(&self) -> Vec<String> {
        ACTORS.map(|program| format!("{program:?}")).to_vec()
    }

    fn run(&self, actor: usize) {
        ACTORS[actor].run(&self.cells, self.bug);
    }

    fn limit(&self, actor: usize) -> Option<usize> {
        (ACTORS[actor] == Program::Task).then_some(LONGEST)
    }

    fn may_rest(&self, _: usize) -> bool {
        false
    }

    fn replies(
        &self,
        state: &State,
        at: &At,
        actor: usize,
        step: Step,
        event: Option<Reply>,
    ) -> Vec<Reply> {
        let bug = self.bug;
        let cpus = (0..CPUS).filter(|&cpu| state.online[cpu] || bug == Bug::DownButRunning);
        let lock = |cpu: usize| {
            let CellState { holder, stream } = state.cells[cpu];
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
            Step::This if state.published => cpus.map(Reply::Cpu).collect(),
            Step::This => Vec::new(),
            // It may fail though the mutex is free: the kernel's does while one is handed over.
            Step::TryLock(cpu) => [Reply::Busy].into_iter().chain(lock(cpu)).collect(),
            Step::Lock(cpu) => lock(cpu).into_iter().collect(),
            Step::Event if ACTORS[actor] == Program::Hotplug => state.events(at),
            Step::Event if state.published => (0..CPUS).map(Reply::Cpu).collect(),
            Step::Event => Vec::new(),
            _ => vec![Reply::Done],
        }
    }

    fn apply(
        &self,
        state: &mut State,
        actor: usize,
        step: Step,
        reply: Reply,
        _: bool,
    ) -> Result<(), Flaw> {
        let bug = self.bug;
        let others = |cell: &CellState| cell.holder.is_some_and(|holder| holder != actor as u8);
        match (step, reply) {
            (Step::TryLock(cpu) | Step::Lock(cpu), Reply::Locked(_)) => {
                state.cells[cpu].holder = Some(actor as u8);
            }
            (Step::Unlock(cpu, stream), _) => {
                state.cells[cpu].stream = stream;
                if bug != Bug::DeadWithoutUnlock || ACTORS[actor] != Program::Hotplug || stream {
                    state.cells[cpu].holder = None;
                }
            }
            (Step::Write(cpu, stream), _) => {
                state.cells[cpu].stream = stream;
                if others(&state.cells[cpu]) {
                    return Err(Flaw::Shared);
                }
            }
            (Step::Use(cpu), _) => {
                if !state.cells[cpu].stream {
                    return Err(Flaw::Freed);
                }
                if state.cells[cpu].holder != Some(actor as u8) {
                    return Err(Flaw::Shared);
                }
            }
            (Step::UseNothing, _) => return Err(Flaw::Freed),
            (Step::Allocate, _) => state.streams += 1,
            (Step::Free(cpu), _) => {
                state.streams -= 1;
                if others(&state.cells[cpu]) {
                    return Err(Flaw::Freed);
                }
            }
            (Step::Online(cpu, online), _) => state.online[cpu] = online,
            (Step::Publish, _) => state.published = true,
            (Step::Event, Reply::Event(Event::Destroy(_))) => state.published = false,
            (Step::Event, Reply::Event(Event::Up(_) | Event::UpInVain(_) | Event::Down(_))) => {
                state.events -= 1;
            }
            _ => (),
        }
        Ok(())
    }

    fn check(&self, state: &State, at: &At) -> Result<(), Flaw> {
        let streams = state.cells.map(|cell| cell.stream);
        if state.published && (0..CPUS).any(|cpu| state.online[cpu] && !streams[cpu]) {
            return Err(Flaw::Missing);
        }
        let expected = state.online.map(|online| online && state.published);
        let count = streams.iter().filter(|&&stream| stream).count();
        if rests(at, HOTPLUG) && (streams != expected || state.streams as usize != count) {
            return Err(Flaw::Lost);
        }
        Ok(())
    }
}

impl State {
    /// Returns the possible actions of the hotplug core, which keeps at least one CPU up.
    fn events(&self, at: &At) -> Vec<Reply> {
        let mut events = Vec::new();
        if !self.published {
            events.extend([Event::Create(self.online), Event::CreateInVain(self.online)]);
        } else if (0..ACTORS.len()).all(|actor| rests(at, actor)) {
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
}

// ---- the tests ---------------------------------------------------------------------------------

/// Explores all states with `bug` seeded.
fn search(bug: Bug) -> Report<Flaw> {
    let first = State {
        published: false,
        events: EVENTS,
        online: [true; CPUS],
        cells: [CellState::default(); CPUS],
        streams: 0,
    };
    let cells = PerCpuStreams::new().unwrap();
    let report = explore(&Streams { bug, cells }, first, |flaw| {
        *flaw == Flaw::Endless
    });
    println!("# bug {bug:?}: {report}");
    report
}

/// Fails if the source as it is has `flaw`.
fn never(flaw: Flaw) {
    static REPORT: OnceLock<Report<Flaw>> = OnceLock::new();
    let report = REPORT.get_or_init(|| search(Bug::None));
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

/// Fails unless `flaw` is found where `bug` is seeded.
fn found(bug: Bug, flaw: Flaw) {
    let report = search(bug);
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
