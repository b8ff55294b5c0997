// SPDX-License-Identifier: GPL-2.0-only

//! A stream for each CPU that is up, and how tasks and CPU hotplug get at them.
//!
//! A stream is taken by locking the mutex of its cell, with preemption on: the task may sleep, be
//! preempted, or migrate while it holds one. CPU hotplug puts streams into cells, and frees them,
//! under the same mutex, so that a stream is never freed under its user, and a CPU that goes down
//! waits for its stream's user.
//!
//! ```text
//! task on CPU 2: lock cell 2 ── stream? ─ yes ─ compress ─ unlock
//!                                  └ no: CPU 2 went down, and the task has moved; look again
//! CPU hotplug:   lock cell 2 ── put a stream there, or free it ─ unlock
//! ```
//!
//! A cell without a stream belongs to a CPU that is down, and a task that runs is on one that is
//! up: looking again ends. No stream is allocated on the I/O path.
//!
//! `selftests/host/streams.rs` runs this very file through every interleaving of two tasks with
//! CPUs that come and go. For that, the steps of a task must depend on nothing but the cells and
//! the task's CPU.

#![forbid(unsafe_code)]

use crate::zram::abstractions::percpu::PerCpu;
use kernel::{
    cpu::CpuId,
    new_mutex,
    prelude::*,
    sync::{
        lock::{
            mutex::MutexBackend,
            Guard, //
        },
        Mutex, //
    },
};

/// The compression streams of one algorithm: a cell for each possible CPU.
pub(crate) struct PerCpuStreams<S>(PerCpu<Mutex<StreamCell<S>>>);

/// The place for one CPU's stream.
pub(crate) struct StreamCell<S> {
    /// The stream, or `None` while the CPU is down.
    pub stream: Option<S>,
    /// Counters, which stay when the CPU goes down.
    pub counts: Counts,
}

/// Counters of the use of one CPU's stream.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Times that the stream was taken.
    pub takes: u64,
    /// Times, out of `takes`, that the task had to wait for the cell's mutex.
    pub contended: u64,
    /// Times that a task found no stream, because the CPU had gone down, and looked again.
    pub retries: u64,
}

impl<S: Send + Unpin + 'static> PerCpuStreams<S> {
    /// Allocates the cells, without streams.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let empty = || StreamCell {
            stream: None,
            counts: Counts::default(),
        };
        PerCpu::new(|| new_mutex!(empty(), "zram_stream")).map(Self)
    }

    /// Takes the stream of the CPU that the task runs on.
    ///
    /// Context: Process context. Sleeps while another task has the stream.
    #[inline]
    pub fn take(&self) -> StreamGuard<'_, S> {
        loop {
            let cell = self.0.this();
            // A task waits if the stream is busy. It could borrow that of another CPU; but where
            // tasks meet, there are more of them than CPUs, and those streams are as busy. With 16
            // tasks on 4 CPUs that gained half a percent of throughput at best, and the slowest
            // hundredth of the writes took 20 to 45 % longer.
            let (mut cell, waited) = match cell.try_lock() {
                Some(cell) => (cell, 0),
                None => (cell.lock(), 1),
            };
            if cell.stream.is_some() {
                cell.counts.takes = cell.counts.takes.wrapping_add(1);
                cell.counts.contended = cell.counts.contended.wrapping_add(waited);
                return StreamGuard(cell);
            }
            cell.counts.retries = cell.counts.retries.wrapping_add(1);
        }
    }

    /// Puts `stream` into the cell of `cpu`, which is about to come up.
    ///
    /// Context: Process context. Sleeps while a task holds the cell's mutex.
    ///
    /// # Errors
    ///
    /// `ENODEV` for an impossible CPU.
    pub fn prepare(&self, cpu: CpuId, stream: S) -> Result {
        self.0.get(cpu).ok_or(ENODEV)?.lock().stream = Some(stream);
        Ok(())
    }

    /// Frees the stream of `cpu`, which is down, or does not come up after all.
    ///
    /// Context: Process context. Sleeps while the stream is in use.
    pub fn dead(&self, cpu: CpuId) {
        if let Some(cell) = self.0.get(cpu) {
            cell.lock().stream = None;
        }
    }

    /// Returns whether `cpu` has a stream, and its counters, or `None` if `cpu` is impossible.
    ///
    /// Context: Process context. Sleeps while the stream is in use.
    pub fn counts(&self, cpu: CpuId) -> Option<(bool, Counts)> {
        let cell = self.0.get(cpu)?.lock();
        Some((cell.stream.is_some(), cell.counts))
    }
}

/// A stream that a task has taken, as the guard of its cell's mutex.
pub(crate) struct StreamGuard<'a, S: Send + Unpin + 'static>(
    Guard<'a, StreamCell<S>, MutexBackend>,
);

impl<S: Send + Unpin + 'static> StreamGuard<'_, S> {
    /// Returns the stream.
    ///
    /// # Errors
    ///
    /// `ENODEV`, which is never seen: [`PerCpuStreams::take`] makes a guard only of a cell that has
    /// a stream, and the guard's mutex keeps it there. The compiler can't know that.
    #[inline]
    pub fn stream(&mut self) -> Result<&mut S> {
        self.0.stream.as_mut().ok_or(ENODEV)
    }
}
