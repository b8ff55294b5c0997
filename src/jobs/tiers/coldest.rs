// SPDX-License-Identifier: GPL-2.0-only

//! Making room when memory is short: the coldest pages go first.
//!
//! At first those of the colder half are recompressed, as long as there are any that were not.
//! After that the coldest are written to the backing device. While a write waits for room, or the
//! pool is at its limit, they are written at once.

#![forbid(unsafe_code)]

use super::{
    regions::Bounds,
    Tools,
    Worker, //
};
use crate::zram::{
    abstractions::{
        kthread,
        sched::boot_seconds, //
    },
    device::{
        Marks,
        Rule, //
    },
    store::SlotAttr, //
};
use core::ops::ControlFlow;
use kernel::page::PAGE_SHIFT;

/// Pages to be moved next.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// The rule that they are moved by.
    rule: Rule,
    /// The second since boot after which they were not accessed.
    until: u32,
    /// The region to go on with.
    region: usize,
}

/// Returns whether recompression with the algorithm of `priority` may make a page smaller.
fn may_shrink(attr: SlotAttr, priority: u8) -> bool {
    !attr.is_incompressible() && attr.priority() < priority
}

impl<'t> Worker<'t> {
    /// Makes some room if the pool has more pages than it should, and returns whether there is more
    /// to do.
    ///
    /// Where nothing can be done, it is tried again for a write some seconds later, which has
    /// `woken` the worker.
    pub(super) fn relieve(&mut self, tools: &mut Tools<'t>, woken: bool, now: u32) -> bool {
        /// Seconds after which making room is tried again.
        const PAUSE: u32 = 10;
        let tiers = &self.live.tiers;
        let pool = self.live.store.pool();
        let marks = self.marks();
        // No page has to be moved for memory that swap has freed already.
        if marks.is_some_and(|marks| pool.total_pages() > marks.low) {
            pool.free_waiting();
        }
        let used = pool.total_pages();
        let marks = marks.filter(|marks| {
            used > marks.high || used > marks.low && (self.relieving || tiers.room.is_waited_for())
        });
        let rests = self.stuck && (!woken || now < self.relieve_from);
        let Some(marks) = marks.filter(|_| !rests) else {
            if self.relieving {
                kthread::set_nice(Self::NICE);
            }
            (self.relieving, self.plan) = (false, None);
            return false;
        };
        if !self.relieving {
            kthread::set_nice(0);
        }
        (self.relieving, self.stuck) = (true, false);
        let done = self.make_room(tools, marks, used, now);
        let micros = self.clock.update(None);
        tiers.count_busy(micros);
        if done {
            tiers.room.set_unstuck();
            return true;
        }
        kthread::set_nice(Self::NICE);
        (self.relieving, self.plan, self.stuck) = (false, None, true);
        self.relieve_from = now.saturating_add(PAUSE);
        tiers.room.set_stuck();
        false
    }

    /// Moves some pages, and returns false if there are none that can be moved.
    #[inline(never)] // For the sake of the stack frame of its caller.
    fn make_room(&mut self, tools: &mut Tools<'t>, marks: Marks, used: usize, now: u32) -> bool {
        let store = &self.live.store;
        // What was planned may be done, so that a second plan is made; and pages that could not be
        // moved before are older than what is known of their regions, hence a third one.
        for attempt in 0..3 {
            // Where nothing can be written, recompression is all there is to make room by.
            let can_write = tools.writer.is_some() && now >= self.write_from;
            let urgent = can_write && self.at_limit(used);
            let plan = self.plan.take();
            let plan = match plan.filter(|plan| !urgent || plan.rule == Rule::WritebackHigh) {
                Some(plan) => plan,
                None => match self.make_plan(tools, marks, used, urgent, now) {
                    Some(plan) => plan,
                    None => break,
                },
            };
            let next = self.pick(tools, plan);
            let Tools {
                regions,
                to_write,
                to_recompress,
                recompressor,
                writer,
                ..
            } = tools;
            if to_write.len() == 0 && to_recompress.len() == 0 {
                if attempt == 1 {
                    regions.forget();
                }
                continue;
            }
            let priority = recompressor.as_ref().map(|(priority, _)| *priority);
            let before = self.progress(priority, plan.rule);
            if plan.rule == Rule::RecompressHigh {
                self.recompress(recompressor, to_recompress, plan.rule);
            } else {
                self.write(writer, to_write, plan.rule);
            }
            let after = self.progress(priority, plan.rule);
            let freed = after.1.saturating_sub(before.1) >> PAGE_SHIFT;
            let gone = used.saturating_sub(store.pool().total_pages()) as u64;
            // Pages of the pool become free when they have lost all of their objects.
            if gone < freed / 2 {
                store.pool().compact();
            }
            if after.0 > before.0 {
                self.plan = next;
                return true;
            }
            // These pages stay where they were.
            regions.forget();
        }
        false
    }

    /// Returns whether a write waits for room, or would, with `used` pages in the pool.
    fn at_limit(&self, used: usize) -> bool {
        let (limit, new_pages) = self.limits();
        limit.is_some() && used > new_pages || self.live.tiers.room.is_waited_for()
    }

    /// Returns how many pages `rule` has moved, or tried to, and how many bytes they left.
    ///
    /// `priority` is that of recompression.
    fn progress(&self, priority: Option<u8>, rule: Rule) -> (u64, u64) {
        let [moved, bytes] = self.live.tiers.moved(rule);
        let counts = priority.and_then(|priority| self.live.recompressed(priority));
        let unchanged = match counts.filter(|_| rule == Rule::RecompressHigh) {
            Some(counts) => {
                let [.., unchanged, _] = counts.counts();
                unchanged
            }
            None => 0,
        };
        (moved.wrapping_add(unchanged), bytes)
    }

    /// Returns the pages to move, at second `now`, or `None` if there are none.
    #[inline(never)] // For the same reason.
    fn make_plan(
        &self,
        tools: &mut Tools<'t>,
        marks: Marks,
        used: usize,
        urgent: bool,
        now: u32,
    ) -> Option<Plan> {
        /// The saving by recompression is a part of what a page takes: one of so many, about.
        const SAVING: u64 = 4;
        let wanted = (used.saturating_sub(marks.low) as u64) << PAGE_SHIFT;
        let recompressor = tools.recompressor.as_ref();
        let priority = recompressor.map(|(priority, _)| *priority);
        let priority = priority.filter(|_| now >= self.recompress_from && !urgent);
        let ages = &mut tools.ages;
        ages.sample(&self.live.store, now, |attr| {
            priority.is_some_and(|priority| may_shrink(attr, priority))
        });
        let plan = |rule, age: u32| Plan {
            rule,
            until: now.saturating_sub(age),
            region: 0,
        };
        let half = ages.age_of_coldest(ages.sum() / 2);
        let wanted_first = wanted.saturating_mul(SAVING);
        if let Some(age) = ages
            .age_of_asked_for(wanted_first, half)
            .filter(|_| priority.is_some())
        {
            return Some(plan(Rule::RecompressHigh, age));
        }
        let can_write = tools.writer.is_some() && now >= self.write_from;
        (can_write && ages.sum() > 0)
            .then(|| plan(Rule::WritebackHigh, ages.age_of_coldest(wanted)))
    }

    /// Picks pages of `plan`, and returns what is left of it.
    #[inline(never)] // For the same reason.
    fn pick(&self, tools: &mut Tools<'t>, mut plan: Plan) -> Option<Plan> {
        let priority = tools.recompressor.as_ref().map(|(priority, _)| *priority);
        let wanted = |attr: SlotAttr| {
            let recompress = plan.rule == Rule::RecompressHigh;
            let shrinks = || priority.is_some_and(|priority| may_shrink(attr, priority));
            attr.time() <= plan.until && (!recompress || shrinks())
        };
        let Tools {
            regions,
            to_write,
            to_recompress,
            ..
        } = tools;
        let picks = match plan.rule {
            Rule::RecompressHigh => to_recompress,
            _ => to_write,
        };
        let mut region = plan.region;
        while region < regions.len() {
            let before = regions.get(region);
            if before.oldest <= plan.until {
                let mut oldest = boot_seconds();
                let end = self.live.store.scan(regions.slots(region), |index, attr| {
                    if attr.is_object() && !attr.is_candidate() && wanted(attr) {
                        if !picks.add(index, wanted) {
                            return ControlFlow::Break(());
                        }
                        if plan.rule == Rule::WritebackHigh {
                            return ControlFlow::Continue(());
                        }
                    }
                    if attr.is_object() {
                        oldest = oldest.min(attr.time());
                    }
                    ControlFlow::Continue(())
                });
                if end.is_break() {
                    plan.region = region;
                    return Some(plan);
                }
                regions.set(region, Bounds { oldest, ..before });
            }
            region = region.wrapping_add(1);
        }
        None
    }
}
