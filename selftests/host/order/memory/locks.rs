// SPDX-License-Identifier: GPL-2.0-only

//! Spinlocks, wait queues and RCU, as they order memory.

use super::Memory;

impl Memory {
    // ---- locks ---------------------------------------------------------------------------------

    pub fn is_held(&self, lock: usize) -> bool {
        self.locks[lock].held
    }

    pub fn lock(&mut self, actor: usize, lock: usize) {
        let lock = &mut self.locks[lock];
        lock.held = true;
        self.actors[actor].view.join(&lock.view);
    }

    pub fn unlock(&mut self, actor: usize, lock: usize) {
        let known = self.known(actor);
        let lock = &mut self.locks[lock];
        lock.view.join(&known);
        lock.held = false;
    }

    /// Releases `lock`, and has `actor` sleep in `queue`, which is numbered like a lock.
    pub fn sleep(&mut self, actor: usize, lock: usize, queue: usize) {
        self.unlock(actor, lock);
        self.locks[queue].asleep |= 1 << actor;
    }

    pub fn is_asleep(&self, actor: usize, queue: usize) -> bool {
        self.locks[queue].asleep & 1 << actor != 0
    }

    pub fn notify_all(&mut self, queue: usize) {
        self.locks[queue].asleep = 0;
    }

    // ---- RCU -----------------------------------------------------------------------------------

    /// Enters a read-side critical section: it sees what was known when a grace period began.
    pub fn enter(&mut self, actor: usize, domain: usize) {
        let domain = &mut self.domains[domain];
        domain.readers |= 1 << actor;
        self.actors[actor].view.join(&domain.begun);
    }

    pub fn leave(&mut self, actor: usize, domain: usize) {
        let known = self.known(actor);
        let domain = &mut self.domains[domain];
        domain.ended.join(&known);
        domain.readers &= !(1 << actor);
        for waited in &mut domain.waited {
            *waited &= !(1 << actor);
        }
    }

    pub fn begin_grace(&mut self, actor: usize, domain: usize) {
        let known = self.known(actor);
        let domain = &mut self.domains[domain];
        domain.begun.join(&known);
        domain.waited[actor] = domain.readers;
    }

    pub fn grace_has_passed(&self, actor: usize, domain: usize) -> bool {
        self.domains[domain].waited[actor] == 0
    }

    pub fn end_grace(&mut self, actor: usize, domain: usize) {
        self.actors[actor].view.join(&self.domains[domain].ended);
    }
}
