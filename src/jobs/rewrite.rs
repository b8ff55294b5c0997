// SPDX-License-Identifier: GPL-2.0-only

//! Blocks of the backing device that are in use in part: what is left in them is read, to be
//! written to other blocks together with more.
//!
//! A block is looked at once in a job, the emptiest first. That a few are looked at together bounds
//! the memory.

#![forbid(unsafe_code)]

use super::BySize;
use crate::zram::{
    abstractions::{
        backing_device::{
            BackingDevice,
            Run, //
        },
        memory::NoIo,
        sched::cond_resched,
        signal, //
    },
    device::Live,
    store::{
        count,
        BlockRead,
        Place,
        Reservation,
        SlotAttr,
        SlotGuard, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

/// The number of levels that blocks are told apart by: how full they are.
const LEVELS: usize = 64;
/// The levels of blocks that are worth it: those that are less than 7/8 full.
const WORTH: usize = LEVELS / 8 * 7;

/// The most blocks at a time.
const BLOCKS: usize = 64;
/// The most objects in these.
const OBJECTS: usize = 2048;

/// A block of which a part is in use.
struct Victim {
    /// The index of the block.
    index: usize,
    /// Keeps it from becoming free, and its objects from being taken for others.
    pin: Option<BlockRead>,
    /// The first of its objects, from 1 on, or 0.
    first: usize,
    /// The number of its objects.
    count: usize,
    /// The bytes of its objects that are not yet taken.
    left: usize,
}

/// An object in such a block.
#[derive(Clone, Copy)]
pub(super) struct Object {
    /// The index of its slot.
    pub index: usize,
    /// The place where it is.
    pub place: Place,
    /// The size in bytes.
    pub size: usize,
    /// The block, by its index in [`Victims::list`].
    victim: usize,
    /// The next object in the block, from 1 on, or 0.
    next: usize,
    /// True if it was taken from here, or can't be.
    taken: bool,
}

/// Blocks that are in use in part, and what is left in them.
pub(super) struct Victims<'t> {
    live: &'t Live,
    /// The blocks, by their index.
    list: KVec<Victim>,
    /// The number of blocks that are looked for, from the first on.
    looked_for: usize,
    objects: KVVec<Object>,
    /// The numbers of the objects, by their size.
    sizes: BySize,
    /// The content of the blocks.
    runs: KVec<Run>,
    /// Memory for the pins.
    reservations: KVec<Reservation>,
    /// The level and the index to go on with.
    cursor: (usize, usize),
}

impl<'t> Victims<'t> {
    /// Allocates the memory that looking at blocks takes.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is not even enough for two.
    pub(super) fn new(live: &'t Live, device: &Arc<BackingDevice>) -> Result<Self> {
        let mut runs = KVec::new();
        for _ in 0..BLOCKS {
            let _no_io = NoIo::new();
            let added =
                Run::new(device, 1).and_then(|run| Ok(runs.push(run, GFP_KERNEL | __GFP_NOWARN)?));
            match added {
                Err(error) if runs.len() < 2 => return Err(error),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        let sizes = BySize::new(OBJECTS)?;
        let _no_io = NoIo::new();
        Ok(Self {
            live,
            list: KVec::with_capacity(runs.len(), GFP_KERNEL | __GFP_NOWARN)?,
            looked_for: 0,
            objects: KVVec::with_capacity(OBJECTS, GFP_KERNEL | __GFP_NOWARN)?,
            sizes,
            reservations: KVec::with_capacity(runs.len(), GFP_KERNEL | __GFP_NOWARN)?,
            runs,
            cursor: (0, 0),
        })
    }

    /// Reads the next blocks, and returns false if there are no more.
    ///
    /// Context: Process context. May sleep; waits for the backing device.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal; `ENOMEM`.
    pub(super) fn next(&mut self) -> Result<bool> {
        self.list.clear();
        self.objects.clear();
        while self.sizes.pop_at_most(PAGE_SIZE).is_some() {}
        while self.reservations.len() < self.runs.len() {
            let reservation = Reservation::new()?;
            let _no_io = NoIo::new();
            self.reservations
                .push(reservation, GFP_KERNEL | __GFP_NOWARN)?;
        }
        self.choose();
        if self.list.is_empty() {
            return Ok(false);
        }
        self.find_objects()?;
        self.link_objects();
        self.read();
        Ok(true)
    }

    /// Puts the emptiest blocks into `list`, from `cursor` on.
    #[inline(never)] // For its stack frame's sake.
    fn choose(&mut self) {
        let mut counts = [0_usize; WORTH];
        self.for_each_worth(|level, _| {
            if let Some(count) = counts.get_mut(level) {
                *count = count.wrapping_add(1);
            }
        });
        let mut room = self.runs.len();
        for count in &mut counts {
            *count = room.min(*count);
            room = room.wrapping_sub(*count);
        }
        let (mut cursor, mut list) = (self.cursor, core::mem::take(&mut self.list));
        self.for_each_worth(|level, index| {
            let Some(count) = counts.get_mut(level).filter(|count| **count > 0) else {
                return;
            };
            *count = count.wrapping_sub(1);
            let victim = Victim {
                index,
                pin: None,
                first: 0,
                count: 0,
                left: 0,
            };
            if list.push(victim, GFP_NOWAIT).is_ok() {
                cursor = cursor.max((level, index.wrapping_add(1)));
            }
        });
        (self.cursor, self.list) = (cursor, list);
    }

    /// Calls `each` with the level and the index of each block that is worth it, from `cursor` on.
    fn for_each_worth(&self, mut each: impl FnMut(usize, usize)) {
        let blocks = self.live.store.blocks();
        for index in 0..blocks.len() {
            let filled = blocks.filled(index);
            let level = filled.wrapping_mul(LEVELS) / PAGE_SIZE;
            if filled > 0 && level < WORTH && (level, index) >= self.cursor {
                each(level, index);
            }
            if index % BLOCKS == 0 {
                cond_resched();
            }
        }
    }

    /// Finds the objects in the blocks, by looking at all slots.
    ///
    /// # Errors
    ///
    /// `EINTR` after a signal.
    fn find_objects(&mut self) -> Result {
        /// The number of slots after which a signal is looked for.
        const STRETCH: usize = 1 << 14;
        let live = self.live;
        let end = live.store.len();
        let mut start = 0;
        self.looked_for = self.list.len();
        while start < end {
            if signal::is_interrupted() {
                return Err(EINTR);
            }
            let next = start.saturating_add(STRETCH).min(end);
            live.store.for_each_indexed(
                start..next,
                |attr: SlotAttr| attr.is_written() && !attr.is_huge(),
                |index, slot| self.find_object(index, &slot),
            );
            start = next;
        }
        Ok(())
    }

    /// Adds the object of slot `index`, which is on the backing device, if it is in one of the
    /// blocks.
    fn find_object(&mut self, index: usize, slot: &SlotGuard<'_>) {
        let blocks = self.live.store.blocks();
        let Some(place) = slot.written() else {
            return;
        };
        let location = blocks.locate(place);
        let found = self
            .list
            .binary_search_by_key(&location.block, |victim| victim.index);
        let Some((at, victim)) = found
            .ok()
            .filter(|&at| at < self.looked_for)
            .and_then(|at| Some((at, self.list.get_mut(at)?)))
        else {
            return;
        };
        if self.objects.len() >= OBJECTS {
            // It goes on with half of the blocks, since a block without all of its objects is
            // worth nothing.
            let half = self.looked_for / 2;
            self.looked_for = half;
            let mut kept = 0_usize;
            for from in 0..self.objects.len() {
                if let Some(object) = self
                    .objects
                    .get(from)
                    .filter(|it| it.victim < half)
                    .copied()
                {
                    if let Some(to) = self.objects.get_mut(kept) {
                        *to = object;
                    }
                    kept = kept.wrapping_add(1);
                }
            }
            while self.objects.len() > kept && self.objects.pop().is_some() {}
            if at >= half {
                return;
            }
        }
        if victim.pin.is_none() {
            let reservation = self.reservations.pop();
            victim.pin = reservation.map(|reservation| blocks.read(place, reservation));
        }
        let object = Object {
            index,
            place,
            size: location.size(),
            victim: at,
            next: 0,
            taken: true,
        };
        if victim.pin.is_some() {
            // There is room, so that this does not fail.
            let _ = self.objects.push(object, GFP_NOWAIT);
        }
    }

    /// Puts the objects of each block into a list.
    fn link_objects(&mut self) {
        for (at, object) in self.objects.iter_mut().enumerate() {
            if let Some(victim) = self.list.get_mut(object.victim) {
                object.next = victim.first;
                victim.first = at.wrapping_add(1);
                victim.count = victim.count.wrapping_add(1);
            }
        }
    }

    /// Reads the blocks; those that can't be read have no objects after that.
    fn read(&mut self) {
        for (victim, run) in self.list.iter().zip(&mut self.runs) {
            if victim.first > 0 {
                count!(self.live.store.stats(), BdReads);
                run.read(victim.index, 1);
            }
        }
        for (victim, run) in self.list.iter_mut().zip(&mut self.runs) {
            if !matches!(run.wait(), Some(Ok(()))) {
                victim.first = 0;
            }
            let mut number = victim.first;
            while let Some(object) = number
                .checked_sub(1)
                .and_then(|at| self.objects.get_mut(at))
            {
                if self.sizes.insert(object.size, number) {
                    object.taken = false;
                    victim.left = victim.left.wrapping_add(object.size);
                }
                number = object.next;
            }
        }
    }

    /// Returns whether the objects that are not taken would fit into fewer blocks.
    pub(super) fn may_free(&self) -> bool {
        let left = self.list.iter().map(|victim| victim.left);
        let holes = left
            .filter(|&left| left > 0)
            .map(|left| PAGE_SIZE.saturating_sub(left));
        holes.sum::<usize>() >= PAGE_SIZE
    }

    /// Returns the first object of the first block that has any that are not taken, and the number
    /// of objects of that block.
    pub(super) fn first(&self) -> Option<(usize, usize)> {
        let victim = self.list.iter().find(|victim| victim.left > 0)?;
        Some((victim.first, victim.count))
    }

    /// Returns the object with `number`, which is taken from here, and the number of the next one
    /// in its block; or `None` if there is no such object.
    pub(super) fn take(&mut self, number: usize) -> Option<(Option<Object>, usize)> {
        let object = self.objects.get_mut(number.checked_sub(1)?)?;
        let before = *object;
        object.taken = true;
        if before.taken {
            return Some((None, before.next));
        }
        if let Some(victim) = self.list.get_mut(before.victim) {
            victim.left = victim.left.saturating_sub(before.size);
        }
        Some((Some(before), before.next))
    }

    /// Takes one of the largest objects that have at most `room` bytes.
    pub(super) fn take_at_most(&mut self, room: usize) -> Option<Object> {
        loop {
            let (_, number) = self.sizes.pop_at_most(room)?;
            if let (Some(object), _) = self.take(number)? {
                return Some(object);
            }
        }
    }

    /// Returns the bytes of `object`.
    pub(super) fn bytes(&mut self, object: &Object) -> Option<&[u8]> {
        let bytes = self.live.store.blocks().locate(object.place).bytes;
        let page = self.runs.get_mut(object.victim)?.page(0)?;
        page.0.get(bytes)
    }

    /// Lets those blocks become free whose objects are all taken, and were written elsewhere.
    pub(super) fn release(&mut self) {
        for victim in &mut self.list {
            if victim.left == 0 {
                victim.pin = None;
            }
        }
    }
}
