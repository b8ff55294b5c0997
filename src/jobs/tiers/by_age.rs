// SPDX-License-Identifier: GPL-2.0-only

//! The rules by age.

#![forbid(unsafe_code)]

use super::{
    regions::Bounds,
    Tools,
    Worker, //
};
use crate::zram::{
    device::{
        Live,
        Rule, //
    },
    store::SlotAttr, //
};
use core::{
    num::NonZero,
    ops::ControlFlow, //
};

/// The rules by age that can be carried out now, as numbers of seconds.
#[derive(Clone, Copy)]
pub(super) struct AgeRules {
    /// The age, and the priority of the algorithm.
    recompress: Option<(u32, u8)>,
    write: Option<u32>,
    write_incompressible: Option<u32>,
}

impl AgeRules {
    /// Returns the second at which a rule applies to a page in memory with the attributes `attr`,
    /// and the first rule that does.
    fn next(&self, attr: SlotAttr) -> Option<(u32, Rule)> {
        let incompressible = attr.is_huge() || attr.is_incompressible();
        let hard = self.write_incompressible.filter(|_| incompressible);
        let can = |priority| !attr.is_incompressible() && attr.priority() < priority;
        let soft = self.recompress.filter(|&(_, priority)| can(priority));
        let rules = [
            (hard, Rule::WritebackIncompressible),
            (self.write, Rule::WritebackIdle),
            (soft.map(|(age, _)| age), Rule::RecompressIdle),
        ];
        let ages = rules
            .into_iter()
            .filter_map(|(age, rule)| Some((age?, rule)));
        let (age, rule) = ages.min_by_key(|&(age, _)| age)?;
        Some((attr.time().saturating_add(age), rule))
    }

    /// Returns the rule that applies at second `now` to a page with the attributes `attr`: to write
    /// it, if it is old enough for that as well as for recompression.
    fn rule_at(&self, attr: SlotAttr, now: u32) -> Option<Rule> {
        let (due, rule) = self.next(attr)?;
        if due > now {
            return None;
        }
        let old = |age: Option<u32>| age.is_some_and(|age| attr.time().saturating_add(age) <= now);
        Some(match rule {
            Rule::RecompressIdle if old(self.write) => Rule::WritebackIdle,
            rule => rule,
        })
    }

    /// Returns the second at which a rule may apply next to a page with the attributes `attr` to
    /// which `rule` applies at `now`.
    fn after(&self, rule: Rule, attr: SlotAttr, now: u32) -> u32 {
        if rule != Rule::RecompressIdle {
            return u32::MAX;
        }
        // It may turn out to be incompressible.
        let ages = [self.write, self.write_incompressible]
            .into_iter()
            .flatten();
        let times = ages.map(|age| attr.time().saturating_add(age));
        let next = times.min().unwrap_or(u32::MAX);
        next.max(now.saturating_add(1))
    }
}

impl<'t> Worker<'t> {
    /// Has all pages looked at again, when one that is stored now becomes old enough.
    pub(super) fn look_again(&mut self, now: u32) {
        /// A write that is under way may still miss that the worker watches, hence a second look.
        const LOOKS: u8 = 2;
        self.looks = LOOKS;
        self.look_at = now.saturating_add(self.least_age().unwrap_or(0));
    }

    /// Returns the least age of a rule, in seconds, or `None` if there is no rule by age.
    fn least_age(&self) -> Option<u32> {
        let policy = &self.policy;
        let ages = [
            policy.recompress_idle,
            policy.writeback_idle,
            policy.writeback_incompressible,
        ];
        ages.into_iter().flatten().map(NonZero::get).min()
    }

    /// Returns the rules that can be carried out at second `now`.
    fn age_rules(&self, tools: &Tools<'t>, now: u32) -> AgeRules {
        let policy = &self.policy;
        let writes = tools.writer.is_some() && now >= self.write_from;
        let age = |age: Option<NonZero<u32>>| age.map(NonZero::get);
        let recompressor = tools.recompressor.as_ref();
        let recompressor = recompressor.filter(|_| now >= self.recompress_from);
        AgeRules {
            recompress: age(policy.recompress_idle)
                .zip(recompressor.map(|(priority, _)| *priority)),
            write: age(policy.writeback_idle).filter(|_| writes),
            write_incompressible: age(policy.writeback_incompressible).filter(|_| writes),
        }
    }

    /// Carries out the rules by age for some pages, and returns what [`Worker::step`] does.
    #[inline(never)] // For the sake of the stack frame of its caller.
    pub(super) fn step_by_age(
        &mut self,
        tools: &mut Tools<'t>,
        woken: bool,
        now: u32,
    ) -> Option<u32> {
        /// The number of regions to scan in a step.
        const STEP: usize = 4096;
        let share = self.policy.cpu_share();
        let micros = self.clock.update(None);
        self.live.tiers.count_busy(micros);
        let Some(least) = self.least_age() else {
            return self.sleep_until(None, now);
        };
        if self.looks == 0 && woken {
            self.look_again(now);
        }
        if self.clock.rest() > 0 {
            return self.sleep_until(Some(now), now);
        }
        if self.looks > 0 && now >= self.look_at {
            tools.regions.make_due();
            self.looks = self.looks.wrapping_sub(1);
            self.look_at = now.saturating_add(least);
            if self.looks == 0 {
                // From here on a write says so, so that none is missed by this look.
                self.live.tiers.watch(0);
            }
        }
        let rules = self.age_rules(tools, now);
        let mut scanned = 0;
        for at in 0..tools.regions.len() {
            if scanned >= STEP {
                break;
            }
            if tools.regions.get(at).due <= now {
                if !scan(self.live, tools, at, &rules, now) {
                    break;
                }
                scanned = scanned.wrapping_add(1);
            }
        }
        let Tools {
            to_recompress,
            to_write,
            incompressible,
            recompressor,
            writer,
            ..
        } = tools;
        if to_recompress.len() > 0 {
            self.recompress(recompressor, to_recompress, Rule::RecompressIdle);
        }
        if incompressible.len() > 0 {
            self.write(writer, incompressible, Rule::WritebackIncompressible);
        }
        if to_write.len() > 0 {
            self.write(writer, to_write, Rule::WritebackIdle);
        }
        let micros = self.clock.update(Some(share));
        self.live.tiers.count_busy(micros);
        self.sleep_until(Some(tools.regions.first_due()), now)
    }

    /// Watches for what is to wake the worker, and returns for how long it sleeps: until second
    /// `due` of a rule by age, if there are such rules.
    fn sleep_until(&mut self, due: Option<u32>, now: u32) -> Option<u32> {
        let tiers = &self.live.tiers;
        let mut next = due.filter(|&due| due < u32::MAX);
        if due.is_some() && self.looks > 0 {
            next = Some(next.map_or(self.look_at, |next| next.min(self.look_at)));
        }
        let marks = self.marks();
        let watched = match marks {
            _ if due.is_some() && self.looks == 0 => 0,
            // Making room has failed. It is tried again for a write after a while.
            Some(_) if self.stuck && now < self.relieve_from => {
                let from = self.relieve_from;
                next = Some(next.map_or(from, |next| next.min(from)));
                usize::MAX
            }
            Some(marks) => marks.high,
            None => usize::MAX,
        };
        tiers.watch(watched);
        let used = self.live.store.pool().total_pages();
        if !self.stuck && marks.is_some_and(|marks| used > marks.high) {
            return Some(0);
        }
        let millis = next.map(|next| next.saturating_sub(now).saturating_mul(1_000));
        match (millis, self.clock.rest()) {
            (Some(millis), rest) => Some(millis.max(rest).max(1)),
            (None, _) => None,
        }
    }
}

/// Scans region `at`, and picks the pages that a rule applies to at second `now`.
///
/// Returns false if there was no room for all of them; then the region stays due.
#[inline(never)] // For the same reason.
fn scan<'t>(live: &'t Live, tools: &mut Tools<'t>, at: usize, rules: &AgeRules, now: u32) -> bool {
    /// Seconds after which pages are looked at again that another job works on.
    const BUSY: u32 = 5;
    let mut bounds = Bounds {
        oldest: now,
        due: u32::MAX,
    };
    let Tools {
        regions,
        to_recompress,
        to_write,
        incompressible,
        ..
    } = tools;
    let end = live.store.scan(regions.slots(at), |index, attr| {
        if !attr.is_object() {
            return ControlFlow::Continue(());
        }
        bounds.oldest = bounds.oldest.min(attr.time());
        let due = match rules.rule_at(attr, now) {
            None => rules.next(attr).map_or(u32::MAX, |(due, _)| due),
            Some(_) if attr.is_candidate() => now.saturating_add(BUSY),
            Some(rule) => {
                let picks = match rule {
                    Rule::RecompressIdle => &mut *to_recompress,
                    Rule::WritebackIncompressible => &mut *incompressible,
                    _ => &mut *to_write,
                };
                if !picks.add(index, |attr| rules.rule_at(attr, now) == Some(rule)) {
                    return ControlFlow::Break(());
                }
                rules.after(rule, attr, now)
            }
        };
        bounds.due = bounds.due.min(due);
        ControlFlow::Continue(())
    });
    if end.is_continue() {
        regions.set(at, bounds);
    }
    end.is_continue()
}
