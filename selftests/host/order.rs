// SPDX-License-Identifier: GPL-2.0-only

//! Model check of memory orderings, on the source itself; `--show-output` tells how much was
//! explored.
//!
//! `src/store` is compiled with atomics, locks and RCU whose operations are steps, and so are
//! `src/abstractions/disk/live.rs` and `exit.rs`, which say how long the live state of a disk and
//! the module stay. In each scenario a few tasks take their steps in every order, and each load
//! gets each value that C11 allows; `order/memory.rs` says what that is. Then each ordering but the
//! few in `UNSEEN` is taken away, one at a time, and that must be found.
//!
//! The lists below are also those of `doc/atomics.md`: a test compares them with it and with the
//! sources. To run this without the workbench:
//!
//! ```text
//! rustc --edition 2021 --crate-type proc-macro --out-dir /tmp selftests/host/order/macros.rs
//! rustc -O --edition 2021 --test --extern macros=/tmp/libmacros.so selftests/host/order.rs
//! ```

extern crate self as kernel;

mod model;
mod order {
    pub mod abstractions;
    pub mod addresses;
    pub mod atomic;
    pub mod kernel;
    pub mod list;
    pub mod litmus;
    pub mod memory;
    pub mod run;
    pub mod steps;
    pub mod sync;
    pub mod view;
    pub mod world;
}

pub use order::{
    kernel::{
        page,
        pin_init,
        prelude,
        rbtree,
        time, //
    },
    sync, //
};

use order::{
    list,
    litmus::Litmus,
    memory::Flaw,
    run::{
        search,
        Found,
        Lost::{
            self,
            Acquire,
            Release, //
        },
        Scenario,
        Weakening, //
    },
    world::Program::{
        self,
        *, //
    },
};
use std::collections::BTreeSet;

#[path = "../../src"]
#[allow(dead_code, unused_imports)]
mod zram {
    pub mod abstractions {
        pub use crate::order::abstractions::*;

        #[path = "../../selftests/host/order/disk.rs"]
        pub mod disk;
    }

    pub mod store;
}

// ---- the source as it is -----------------------------------------------------------------------

/// Explores `scenario`, and says how much that was.
fn explore(name: &str, scenario: &'static Scenario, weakenings: &'static [Weakening]) -> Found {
    let found = search(scenario, weakenings);
    println!("# {name}: {}", found.report);
    found
}

/// Fails if there is a flaw.
fn clean(name: &str, scenario: &'static Scenario, weakenings: &'static [Weakening]) {
    if let Some((flaw, way)) = explore(name, scenario, weakenings)
        .report
        .flaws
        .first_key_value()
    {
        panic!("{flaw:?}:\n{way}");
    }
}

macro_rules! scenarios {
    ($($name:ident: $($before:expr),* => $($program:expr),+;)+) => {
        $(
            #[allow(non_upper_case_globals)]
            const $name: &Scenario = &Scenario {
                before: &[$($before),*],
                programs: &[$($program),+],
            };
        )+

        const SCENARIOS: &[(&str, &Scenario)] = &[$((stringify!($name), $name),)+];

        mod clean {
            $(
                #[test]
                fn $name() {
                    super::clean(stringify!($name), super::$name, &[]);
                }
            )+
        }
    };
}

// Before the arrow is what was done before, after it what runs at the same time.
scenarios! {
    write_new: => WriteSame, WriteObject(8);
    read_new: => WriteObject(8), Read, Read;
    write: WriteObject(8) => WriteObject(8), WriteObject(8);
    read: WriteObject(8) => WriteObject(8), Read, Read;
    overwrite: WriteObject(16) => Overwrite, Read;
    wait: WriteObject(8) => Mark, Mark, WriteSame;
    free: WriteObject(8) => WriteObject(8), Free;
    free_marked: WriteObject(8) => Mark, Free, Free;
    discard: WriteObject(8) => WriteObject(8), Discard;
    discard_same: WriteSame => WriteObject(8), Discard;
    discard_marked: WriteSame => Mark, Discard, Free;
    shrink: WriteSame, Free => Shrink, WriteObject(8);
    shrink_new: => Shrink, WriteSame;
    shrink_marked: WriteSame, Free => Shrink, Mark, Free;
    shrink_freed: WriteSame => Shrink, Discard;
    shrink_twice: WriteSame, Free => Shrink, Shrink;
    shrink_freed_again: WriteSame, Free => Shrink, WriteObject(8), Free;
    grow: => Grow, WriteGrown, ReadGrown;
    blocks: => UseBlock, UseBlock, UseBlock;
    shares: WriteToShare(8) => Share, DiscardShared, UseSharedBlock;
    publish: => Publish, Submit, Look;
    reset: => Publish, Reset;
    reset_opened: Publish => Open, Open, Reset;
    unload: AddDisk, AddDisk => FreeDisk, FreeDisk, Unload;
}

// ---- without one of its orderings --------------------------------------------------------------

/// Fails unless `flaw` is found in `scenario` without an ordering.
fn found(name: &str, scenario: &'static Scenario, weakening: &'static [Weakening], flaw: Flaw) {
    let flaws = explore(name, scenario, weakening).report.flaws;
    let others: Vec<_> = flaws.keys().collect();
    let way = flaws.get(&flaw);
    let way = way.unwrap_or_else(|| panic!("{flaw:?} is not in {others:?}"));
    println!("{flaw:?}:\n{way}");
}

macro_rules! weakenings {
    ($($name:ident: $file:literal, $function:literal, $operation:literal, $lost:ident
        => $scenario:ident, $flaw:ident;)+) => {
        /// Each with the scenario that it is found in.
        const WEAKENINGS: &[(Weakening, &str)] = &[$(
            (
                Weakening {
                    file: $file,
                    function: $function,
                    operation: $operation,
                    lost: $lost,
                },
                stringify!($scenario),
            ),
        )+];

        mod found {
            $(
                #[test]
                fn $name() {
                    const WEAKENING: &[super::Weakening] = &[super::Weakening {
                        file: $file,
                        function: $function,
                        operation: $operation,
                        lost: super::$lost,
                    }];
                    let name = stringify!($name);
                    super::found(name, super::$scenario, WEAKENING, super::Flaw::$flaw);
                }
            )+
        }
    };
}

weakenings! {
    lock: "store/word.rs", "cas", "lock", Acquire => write, Race;
    unlock: "store/word.rs", "cas", "unlock", Release => write, Race;
    node: "store/sparse.rs", "node", "load", Acquire => write_new, Race;
    chunk: "store/sparse.rs", "chunk", "load", Acquire => write_new, Race;
    install: "store/sparse.rs", "install", "compare_exchange", Release => write_new, Race;
    shrink_load: "store/sparse.rs", "shrink", "load", Acquire => shrink_new, Race;
    unlink_load: "store/sparse.rs", "unlink", "load", Acquire => shrink_new, Race;
    grow: "store/sparse.rs", "grow", "fetch_max", Release => grow, Wrong;
    grow_barrier: "store/sparse.rs", "grow", "smp_wmb", Release => grow, Wrong;
    append: "store/growing.rs", "append", "compare_exchange", Release => grow, Race;
    next: "store/growing.rs", "next", "load", Acquire => grow, Race;
    populate: "store/sparse.rs", "populate", "load", Acquire => grow, Wrong;
    populate_barrier: "store/sparse.rs", "populate", "smp_rmb", Acquire => grow, Wrong;
    reserve: "store/blocks.rs", "reserve_from", "fetch_or", Acquire => blocks, Race;
    free_block: "store/blocks.rs", "free", "fetch_and", Release => blocks, Race;
    last_share: "store/blocks/fill.rs", "sub", "fetch_sub", Acquire => shares, Race;
    share: "store/blocks/fill.rs", "sub", "fetch_sub", Release => shares, Race;
    publish_state: "abstractions/disk/live.rs", "publish", "compare_exchange", Release
        => publish, Race;
    publish_barrier: "abstractions/disk/live.rs", "publish", "smp_wmb", Release => publish, Wrong;
    get: "abstractions/disk/live.rs", "get", "load", Acquire => publish, Race;
    get_barrier: "abstractions/disk/live.rs", "get_again", "smp_rmb", Acquire => publish, Wrong;
    get_again: "abstractions/disk/live.rs", "get_again", "load", Acquire => publish, Race;
    take: "abstractions/disk/live.rs", "take", "swap", Acquire => reset, Race;
    count_down: "abstractions/disk/exit.rs", "drop", "fetch_sub", Release => unload, Race;
    count_seen: "abstractions/disk/exit.rs", "drop", "load", Acquire => unload, Race;
}

/// Orderings that nothing is found without.
///
/// All changes of a slot's word have the same ones. A request and the unlocking that it is for need
/// them against load buffering, which the model does not know: see `doc/atomics.md`.
const UNSEEN: &[Weakening] = &[
    of_word("lock", Release),
    of_word("unlock", Acquire),
    of_word("request", Acquire),
    of_word("request", Release),
    of_word("take_same", Acquire),
    of_word("take_same", Release),
];

const fn of_word(operation: &'static str, lost: Lost) -> Weakening {
    Weakening {
        file: "store/word.rs",
        function: "cas",
        operation,
        lost,
    }
}

/// Functions whose orderings are for C code, which is not here.
const FOR_C: &[(&str, &str)] = &[
    ("abstractions/bio/share.rs", "add_share"),
    ("abstractions/compat/task_bio_by_work.rs", "new"),
    ("abstractions/compat/task_bio_by_work.rs", "queue"),
];

#[test]
fn nothing_is_found_without_the_unseen_ones() {
    for (name, scenario) in SCENARIOS {
        clean(name, scenario, UNSEEN);
    }
}

/// Each ordering that any scenario meets is weakened by one of the tests, or among the unseen ones.
#[test]
fn each_ordering_is_weakened() {
    let mut used = BTreeSet::new();
    for (_, scenario) in SCENARIOS {
        used.extend(search(scenario, &[]).used);
    }
    let mut met = BTreeSet::new();
    for (site, operation) in used {
        for (has, lost) in [
            (site.effect.acquire, Acquire),
            (site.effect.release, Release),
        ] {
            if has {
                met.insert((site.file, site.function, operation, lost));
            }
        }
    }
    let listed = WEAKENINGS.iter().map(|(weak, _)| weak).chain(UNSEEN);
    let listed: BTreeSet<_> = listed
        .map(|weak| (weak.file, weak.function, weak.operation, weak.lost))
        .collect();
    assert_eq!(met, listed);
}

// ---- the list of operations --------------------------------------------------------------------

/// Each function of the driver that asks for more than relaxed is met by a scenario.
#[test]
fn each_ordering_is_met() {
    let found = WEAKENINGS.iter();
    let found = found.map(|(weak, _)| weak).chain(UNSEEN);
    let met: BTreeSet<_> = found.map(|weak| (weak.file, weak.function)).collect();
    for ((file, function), orderings) in list::in_sources() {
        let key = (&*file, &*function);
        let relaxed = orderings.iter().all(|ordering| ordering == "Relaxed");
        assert!(
            relaxed || met.contains(&key) || FOR_C.contains(&key),
            "no scenario for {orderings:?} of {function}() in {file}"
        );
    }
}

#[test]
fn each_operation_is_in_the_list() {
    assert_eq!(list::in_sources(), list::in_document());
}

/// The list names, for each function, the scenarios in which a weakening of it is found.
#[test]
fn the_list_names_scenarios() {
    let found = WEAKENINGS.iter();
    let found: BTreeSet<_> = found
        .map(|(weak, scenario)| [weak.file, weak.function, scenario].map(str::to_string))
        .collect();
    assert_eq!(list::scenarios(), found);
}

// ---- the model itself --------------------------------------------------------------------------

macro_rules! litmus {
    ($($name:ident: $($program:ident),+ => $flaw:expr;)+) => {
        mod litmus {
            use super::*;

            $(
                #[test]
                fn $name() {
                    const SCENARIO: &Scenario = &Scenario {
                        before: &[],
                        programs: &[$(Program::Litmus(Litmus::$program)),+],
                    };
                    let flaw: Option<Flaw> = $flaw;
                    let flaws = explore(stringify!($name), SCENARIO, &[]).report.flaws;
                    assert_eq!(flaws.into_keys().next(), flaw);
                }
            )+
        }
    };
}

litmus! {
    message_passing: send_release, receive_acquire => None;
    message_passing_without_acquire: send_release, receive_relaxed => Some(Flaw::Race);
    message_passing_without_release: send_relaxed, receive_acquire => Some(Flaw::Race);
    message_passing_by_an_exchange: send_release, add, receive_second => None;
    message_passing_by_a_store: send_release, store, receive_second => Some(Flaw::Race);
    message_passing_with_barriers: send_twice, receive_twice => None;
    message_passing_with_one_barrier: send_twice, receive_twice_at_once => Some(Flaw::Wrong);
    coherence: count, watch, watch => None;
    store_buffering: store_x, store_y => Some(Flaw::Wrong);
    load_buffering_is_not_modelled: load_x, load_y => None;
}
