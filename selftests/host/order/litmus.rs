// SPDX-License-Identifier: GPL-2.0-only

//! The well-known small programs by which memory models are compared, to see that this one knows
//! what C11 allows, and what not.

use super::abstractions::{
    atomic::{
        AtomicUsize,
        Ordering::{
            self,
            Acquire,
            Relaxed,
            Release, //
        },
    },
    guarded::Guarded, //
};
use super::{
    abstractions::compat::{
        smp_rmb,
        smp_wmb, //
    },
    steps::{
        step,
        Step, //
    },
};

pub struct Litmus {
    x: AtomicUsize,
    y: AtomicUsize,
    /// The number of tasks that have told what they found.
    told: AtomicUsize,
    plain: Guarded<usize>,
}

fn wrong_if(wrong: bool) {
    if wrong {
        step(Step::Wrong);
    }
}

impl Litmus {
    pub fn new() -> Self {
        Self {
            x: AtomicUsize::new(0),
            y: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            plain: Guarded::zero(),
        }
    }

    // Message passing: of data by a flag.

    fn send(&self, order: Ordering) {
        // SAFETY: A race is found.
        unsafe { self.plain.replace(1) };
        self.x.store(1, order);
    }

    fn receive(&self, from: usize, order: Ordering) {
        if self.x.load(order) == from {
            // SAFETY: A race is found.
            unsafe { self.plain.get() };
        }
    }

    pub fn send_release(&self) {
        self.send(Release);
    }

    pub fn send_relaxed(&self) {
        self.send(Relaxed);
    }

    pub fn receive_acquire(&self) {
        self.receive(1, Acquire);
    }

    pub fn receive_relaxed(&self) {
        self.receive(1, Relaxed);
    }

    /// Adds to the flag: what was released with it is released still.
    pub fn add(&self) {
        if self.x.load(Relaxed) == 1 {
            self.x.fetch_add(1, Relaxed);
        }
    }

    /// Stores another flag: what was released with the first one is not with this one.
    pub fn store(&self) {
        if self.x.load(Relaxed) == 1 {
            self.x.store(2, Relaxed);
        }
    }

    pub fn receive_second(&self) {
        self.receive(2, Acquire);
    }

    // The same by two flags and barriers.

    pub fn send_twice(&self) {
        self.x.store(1, Relaxed);
        smp_wmb();
        self.y.store(1, Relaxed);
    }

    pub fn receive_twice(&self) {
        if self.y.load(Relaxed) == 1 {
            smp_rmb();
            wrong_if(self.x.load(Relaxed) == 0);
        }
    }

    pub fn receive_twice_at_once(&self) {
        wrong_if(self.y.load(Relaxed) == 1 && self.x.load(Relaxed) == 0);
    }

    // Coherence: a task does not see a word go back.

    pub fn count(&self) {
        self.x.store(1, Relaxed);
        self.x.store(2, Relaxed);
    }

    pub fn watch(&self) {
        let first = self.x.load(Relaxed);
        wrong_if(self.x.load(Relaxed) < first);
    }

    // Store buffering: both tasks may miss what the other one has stored, even with release and
    // acquire. Each tells that it has found 0, and whoever is second knows that the other has, too.

    pub fn store_x(&self) {
        self.x.store(1, Release);
        self.tell(self.y.load(Acquire));
    }

    pub fn store_y(&self) {
        self.y.store(1, Release);
        self.tell(self.x.load(Acquire));
    }

    fn tell(&self, found: usize) {
        if found == 0 {
            wrong_if(self.told.fetch_add(1, Relaxed) == 1);
        }
    }

    // Load buffering: each task stores what it has loaded before. The model does not know that
    // both may load what is stored later.

    pub fn load_x(&self) {
        let x = self.x.load(Relaxed);
        self.y.store(1, Relaxed);
        self.tell(1 - x);
    }

    pub fn load_y(&self) {
        let y = self.y.load(Relaxed);
        self.x.store(1, Relaxed);
        self.tell(1 - y);
    }
}
