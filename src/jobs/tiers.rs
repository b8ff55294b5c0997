// SPDX-License-Identifier: GPL-2.0-only

//! The worker of a device's policy: moves pages that were not accessed for long to where they take
//! less memory.
//!
//! It runs in a thread of its own, in steps of at most a few hundred pages. Between two steps it
//! looks whether it is to stop, whether the policy was changed, and whether memory has become
//! short. Nobody waits for it but a reset. While memory is short it moves the coldest pages, as
//! fast as it can; otherwise those that a rule by age applies to, with a share of a CPU. When
//! nothing is left to do it sleeps until a page becomes old enough; and if there is no such page,
//! until one is stored.

#![forbid(unsafe_code)]

mod ages;
mod by_age;
mod coldest;
mod picks;
mod regions;

use super::{
    Owner,
    Recompressor,
    Writer, //
};
use crate::zram::{
    abstractions::{
        atomic::Ordering,
        backing_device::BackingDevice,
        kthread,
        memory::NoIo,
        sched::{
            boot_seconds,
            run_time, //
        },
        signal, //
    },
    device::{
        reserve_of,
        Live,
        Marks,
        Policy,
        Rule,
        WorkerContext,
        WritebackSettings, //
    }, //
};
use ages::Ages;
use coldest::Plan;
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        Instant,
        Monotonic, //
    }, //
};
use picks::Picks;
use regions::Regions;

/// Works on the tiers of a device until the thread is to stop.
///
/// Context: Process context, in a kernel thread. Sleeps.
pub(crate) fn work_on_tiers(context: &WorkerContext) {
    /// Milliseconds after which a device that is being reset is looked at again.
    const RETRY: u32 = 50;
    let _no_io = NoIo::new();
    kthread::set_nice(Worker::NICE);
    let mut worker = Worker::new(&context.live, &context.settings);
    let mut woken = true;
    while !signal::is_interrupted() && !context.live.tiers.is_stopped() {
        signal::freeze_if_asked();
        let pause = match context.pin() {
            Some(_pin) => worker.step(woken),
            None => Some(RETRY),
        };
        woken = match pause {
            Some(0) => woken,
            pause => context.live.tiers.sleep(pause),
        };
    }
}

/// The most pages that are written in a step.
const WRITE: usize = 256;
/// The most pages that are recompressed in a step: fewer, since a write that waits for room, and a
/// worker that is to get a higher priority, wait for the step to end.
const RECOMPRESS: usize = 32;

/// The state of the worker.
struct Worker<'t> {
    live: &'t Live,
    settings: &'t WritebackSettings,
    policy: Policy,
    /// The version of `policy`.
    version: Option<u32>,
    tools: Option<KBox<Tools<'t>>>,
    /// The number of times that all pages are still to be looked at, since some were stored.
    looks: u8,
    /// The second since boot at which that is done next.
    look_at: u32,
    /// True while room is being made, since the high watermark was passed.
    relieving: bool,
    /// The pages that are moved then.
    plan: Option<Plan>,
    /// True if that has come to nothing.
    stuck: bool,
    /// The seconds since boot before which nothing is tried again after it has failed: making room,
    /// writing, and recompressing.
    relieve_from: u32,
    write_from: u32,
    recompress_from: u32,
    clock: Clock,
}

/// The memory that the worker needs, which is allocated at once, since it may be short later.
struct Tools<'t> {
    regions: Regions,
    ages: Ages,
    to_recompress: Picks<'t>,
    to_write: Picks<'t>,
    incompressible: Picks<'t>,
    /// To recompress pages with the algorithm of the highest priority, which is that one.
    recompressor: Option<(u8, Recompressor<'t>)>,
    writer: Option<KBox<Writer<'t>>>,
}

/// The time that the worker has used, and the time that it must rest for that.
struct Clock {
    /// When the rest was last brought up to date.
    now: Instant<Monotonic>,
    /// The time that the thread had run then, in nanoseconds.
    ran: i64,
    /// The time that the worker must rest, in nanoseconds.
    rest: i64,
}

impl<'t> Tools<'t> {
    #[inline(never)] // Its stack frame is large, and so for the functions below.
    fn new(live: &'t Live, settings: &'t WritebackSettings) -> Result<KBox<Self>> {
        let recompressor = live.highest_priority().map(|priority| {
            let recompressor = Recompressor::new(live, 0, priority)?;
            Ok::<_, Error>((priority, recompressor))
        });
        let writer = live.backing.as_ref();
        let writer = writer.map(|device| new_writer(live, settings, device));
        let tools = Self {
            regions: Regions::new(live.store.len())?,
            ages: Ages::new()?,
            to_recompress: Picks::new(&live.store, RECOMPRESS)?,
            to_write: Picks::new(&live.store, WRITE)?,
            incompressible: Picks::new(&live.store, WRITE)?,
            recompressor: recompressor.transpose()?,
            writer: writer.transpose()?,
        };
        Ok(KBox::new(tools, GFP_KERNEL)?)
    }
}

/// Allocates what it takes to write as many pages as a list of picks has to `device`.
#[inline(never)]
fn new_writer<'t>(
    live: &'t Live,
    settings: &'t WritebackSettings,
    device: &'t Arc<BackingDevice>,
) -> Result<KBox<Writer<'t>>> {
    let writer = Writer::new(live, settings, device, WRITE)?;
    Ok(KBox::new(writer, GFP_KERNEL)?)
}

impl Clock {
    fn new() -> Self {
        Self {
            now: Instant::now(),
            ran: run_time().as_nanos(),
            rest: 0,
        }
    }

    /// Brings the clock up to date, and returns how many microseconds the thread has run since.
    ///
    /// With a `share` of a CPU in percent, the worker must rest for that.
    fn update(&mut self, share: Option<u8>) -> u64 {
        let (now, ran) = (Instant::now(), run_time().as_nanos());
        let passed = (now - self.now).as_nanos();
        let used = ran.wrapping_sub(self.ran).max(0);
        let owed = match share {
            Some(share) => used.saturating_mul(100) / i64::from(share.max(1)),
            None => 0,
        };
        self.rest = self.rest.saturating_add(owed).saturating_sub(passed).max(0);
        (self.now, self.ran) = (now, ran);
        (used / 1_000) as u64
    }

    /// Returns how many milliseconds the worker must rest.
    fn rest(&self) -> u32 {
        (self.rest / 1_000_000).min(60_000) as u32
    }
}

impl<'t> Worker<'t> {
    /// The nice level of the thread while memory is not short.
    const NICE: i8 = 19;

    fn new(live: &'t Live, settings: &'t WritebackSettings) -> Self {
        Self {
            live,
            settings,
            policy: Policy::default(),
            version: None,
            tools: None,
            looks: 0,
            look_at: 0,
            relieving: false,
            plan: None,
            stuck: false,
            relieve_from: 0,
            write_from: 0,
            recompress_from: 0,
            clock: Clock::new(),
        }
    }

    /// Does a part of what is to be done, and returns for how many milliseconds there is nothing
    /// more to do; `None` if that is until somebody wakes the worker, as happened if it was
    /// `woken`.
    #[inline(never)]
    fn step(&mut self, woken: bool) -> Option<u32> {
        /// Milliseconds after which memory for the tools is asked for again.
        const RETRY: u32 = 1_000;
        let tiers = &self.live.tiers;
        let (policy, version) = tiers.policy();
        let now = boot_seconds();
        if self.version != Some(version) {
            self.begin(policy, version, now);
        }
        if policy.is_off() {
            tiers.watch(usize::MAX);
            return None;
        }
        let mut tools = match self.tools.take() {
            Some(tools) => tools,
            None => match Tools::new(self.live, self.settings) {
                Ok(tools) => tools,
                Err(_) => return Some(RETRY),
            },
        };
        tools.regions.resize(self.live.store.len());
        let pause = match self.relieve(&mut tools, woken, now) {
            true => Some(0),
            false => self.step_by_age(&mut tools, woken, now),
        };
        self.tools = Some(tools);
        pause
    }

    /// Begins with a policy that was set, or for which something has changed.
    fn begin(&mut self, policy: Policy, version: u32, now: u32) {
        (self.policy, self.version) = (policy, Some(version));
        if let Some(tools) = &mut self.tools {
            tools.regions.forget();
        }
        (self.relieve_from, self.write_from, self.recompress_from) = (0, 0, 0);
        (self.relieving, self.plan, self.stuck) = (false, None, false);
        self.look_again(now);
    }

    /// Returns `mem_limit` in pages, if there is one, and what it leaves for new pages.
    fn limits(&self) -> (Option<usize>, usize) {
        let limit = self.live.limit_pages.load(Ordering::Relaxed);
        let new_pages = limit.saturating_sub(reserve_of(limit));
        ((limit > 0).then_some(limit), new_pages)
    }

    /// Returns the watermarks of the pool, if there are any.
    fn marks(&self) -> Option<Marks> {
        let (limit, new_pages) = self.limits();
        self.policy
            .marks(limit, new_pages, self.live.backing.is_some())
    }

    /// Recompresses `picks` by `rule`.
    #[inline(never)]
    fn recompress(
        &mut self,
        recompressor: &mut Option<(u8, Recompressor<'t>)>,
        picks: &mut Picks<'t>,
        rule: Rule,
    ) {
        /// Seconds for which memory was too short for new objects, at least.
        const PAUSE: u32 = 10;
        let owner = Owner::Policy(&self.live.tiers, rule);
        if let Some((_, recompressor)) = recompressor {
            while picks.len() > 0 {
                match recompressor.run(picks, owner, u64::MAX) {
                    // A page that can't be decompressed does not keep others from being tried.
                    Err(error) if error == EINVAL => {}
                    Err(error) if error == ENOMEM => {
                        self.recompress_from = boot_seconds().saturating_add(PAUSE);
                        break;
                    }
                    _ => break,
                }
            }
        }
        picks.clear();
    }

    /// Writes `picks` to the backing device by `rule`.
    #[inline(never)]
    fn write(&mut self, writer: &mut Option<KBox<Writer<'t>>>, picks: &mut Picks<'t>, rule: Rule) {
        /// Seconds for which nothing is written after a write has failed, at least.
        const PAUSE: u32 = 60;
        let owner = Owner::Policy(&self.live.tiers, rule);
        if let Some(writer) = writer {
            match writer.run(picks, owner) {
                Err(error) if error != EINTR => {
                    self.write_from = boot_seconds().saturating_add(PAUSE);
                }
                _ => {}
            }
        }
        picks.clear();
    }
}
