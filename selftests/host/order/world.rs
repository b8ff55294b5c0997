// SPDX-License-Identifier: GPL-2.0-only

//! What the tasks of a scenario work on, and what they do.

use super::{
    kernel::page::PAGE_SIZE,
    litmus::Litmus,
    steps::{
        step,
        Step, //
    }, //
};
use crate::zram::{
    abstractions::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        disk::{
            Disk,
            OutsideIo, //
        },
        guarded::Guarded,
        memory::Patience,
        racy::RacyBytes,
        sched::AtomicContext, //
    },
    store::{
        Content,
        ContentRef,
        Growth,
        Store, //
    },
};
use std::ptr;

/// What a task does, once.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// Writes a page that is same-filled.
    WriteSame,
    /// Writes a page as an object of that size.
    WriteObject(usize),
    /// Writes a huge page in the place of another one.
    Overwrite,
    /// Reads a page, as a bio does.
    Read,
    /// Marks a page as idle, as a job does.
    Mark,
    /// Frees a slot, as swap does.
    Free,
    /// Discards a page.
    Discard,
    /// Frees the memory of slots that are empty.
    Shrink,
    /// Lets the store grow, and then tells the others of it, without a barrier.
    Grow,
    /// Writes a page that is there since the store has grown, as an object, if it was told of it.
    WriteGrown,
    /// Reads that page.
    ReadGrown,
    /// Writes to a block of the backing device, if one is free, and frees it.
    UseBlock,
    /// Publishes the live state of a disk.
    Publish,
    /// Sends a bio within the capacity, if there is one.
    Submit,
    /// Sends a bio without regard to the capacity.
    Look,
    /// Opens the disk, sends a bio, and closes the disk.
    Open,
    /// Takes the live state away and frees it.
    Reset,
    /// Counts a gendisk.
    AddDisk,
    /// Frees a gendisk.
    FreeDisk,
    /// Ends the module.
    Unload,
    /// Takes part in a litmus test.
    Litmus(fn(&Litmus)),
}

/// A page that is beyond the end at first, and belongs to another node.
const GROWN: usize = 2;

pub struct World {
    store: Store,
    /// The memory to grow by, which is allocated before: it is always at the same address so.
    growth: Growth,
    /// Whether the store has grown, as a capacity says it.
    grown: AtomicUsize,
    disk: Disk,
    /// The content of the backing device, which is one block.
    block: Guarded<usize>,
    litmus: Litmus,
}

impl World {
    pub fn new() -> Self {
        let store = Store::new(c"zram", 1, 1).expect("a store");
        Self {
            growth: store.growth(GROWN + 1).expect("memory to grow by"),
            store,
            grown: AtomicUsize::new(0),
            disk: Disk::new(),
            block: Guarded::zero(),
            litmus: Litmus::new(),
        }
    }

    pub fn run(&self, program: Program) {
        let Self {
            store,
            growth,
            grown,
            disk,
            block,
            litmus,
        } = self;
        match program {
            Program::WriteSame => self.write(Content::Same(7)),
            Program::WriteObject(size) => self.write(self.object(size)),
            Program::Overwrite => {
                if let Some(mut slot) = store.for_bio().lock_huge(0) {
                    slot.overwrite(RacyBytes::of(PAGE_SIZE));
                }
            }
            Program::Read => self.read(0),
            Program::Mark => store.for_each(
                0..1,
                |attr| !attr.is_empty() && !attr.is_idle(),
                |mut slot| slot.set_idle(true),
            ),
            Program::Free => store.free(0, &AtomicContext::new()),
            Program::Discard => store.free_range(0..1),
            Program::Shrink => store.shrink(OutsideIo::new()),
            Program::Grow => {
                // SAFETY: A program that runs again does all of it again, so that the store gets
                // the memory once. A box is never freed here.
                store.grow(unsafe { ptr::read(growth) });
                grown.store(1, Ordering::Relaxed);
            }
            Program::WriteGrown => {
                if grown.load(Ordering::Relaxed) == 1 {
                    let content = self.object(8);
                    if store
                        .for_bio()
                        .store(GROWN, content, 0, || Patience)
                        .is_err()
                    {
                        step(Step::Wrong);
                    }
                }
            }
            Program::ReadGrown => self.read(GROWN),
            Program::UseBlock => {
                if let Some(taken) = store.blocks().reserve() {
                    // SAFETY: A race is found.
                    unsafe { block.replace(1) };
                    drop(taken);
                }
            }
            Program::Publish => disk.publish(),
            Program::Submit => disk.submit(),
            Program::Look => disk.look(),
            Program::Open => disk.open(),
            Program::Reset => disk.reset(),
            Program::AddDisk => disk.add(),
            Program::FreeDisk => disk.free(),
            Program::Unload => disk.unload(),
            Program::Litmus(program) => program(litmus),
        }
    }

    fn object(&self, size: usize) -> Content<'_> {
        let mut object = self.store.pool().alloc(size);
        object.write(RacyBytes::of(size));
        Content::Object(object, 0)
    }

    fn read(&self, index: usize) {
        if let Some(slot) = self.store.for_bio().lock(index) {
            slot.view(|content| match content {
                ContentRef::Object(object) => object.read(),
                ContentRef::Empty | ContentRef::Same(_) | ContentRef::Written => {}
            });
        }
    }

    fn write(&self, content: Content<'_>) {
        let stored = self.store.for_bio().store(0, content, 0, || Patience);
        stored.expect("memory for a slot");
    }

    /// Returns whether the slot is empty.
    pub fn is_empty(&self) -> bool {
        let slot = self.store.lock(0);
        slot.is_none_or(|slot| slot.attr().is_empty())
    }
}
