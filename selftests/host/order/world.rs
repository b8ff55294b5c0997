// SPDX-License-Identifier: GPL-2.0-only

//! What the tasks of a scenario work on, and what they do.

use super::{
    addresses::area,
    kernel::{
        page::PAGE_SIZE,
        prelude::with_contents, //
    },
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
        sched::AtomicContext,
        workqueue::Workqueue, //
    },
    store::{
        Block,
        Content,
        ContentRef,
        Growth,
        Store, //
    },
};
use std::{
    ptr,
    sync::Arc, //
};

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
    /// Writes a page as an object of that size, on a disk whose pages share blocks.
    WriteToShare(usize),
    /// Moves that page to a share of a block, and writes to the block after that.
    Share,
    /// Discards that page.
    DiscardShared,
    /// Does what `UseBlock` does, on that disk.
    UseSharedBlock,
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
    /// The contents of that memory.
    grown_by: &'static u64,
    /// Whether the store has grown, as a capacity says it.
    grown: AtomicUsize,
    /// The same, with pages that share blocks.
    shared: Store,
    disk: Disk,
    /// The content of the backing device, which is one block.
    block: Guarded<usize>,
    litmus: Litmus,
}

impl World {
    pub fn new() -> Self {
        let queue = Arc::new(Workqueue);
        let store = Store::new(c"zram", 1, 1, false, &queue).expect("a store");
        let grown_by: &u64 = Box::leak(Box::new(0));
        let growth = with_contents(grown_by, || store.growth(GROWN + 1));
        Self {
            growth: growth.expect("memory to grow by"),
            grown_by,
            store,
            grown: AtomicUsize::new(0),
            shared: Store::new(c"zram", 1, 1, true, &queue).expect("a store"),
            disk: Disk::new(),
            block: Guarded::zero(),
            litmus: Litmus::new(),
        }
    }

    pub fn run(&self, program: Program) {
        let Self {
            store,
            growth,
            grown_by,
            grown,
            shared,
            disk,
            block,
            litmus,
        } = self;
        match program {
            Program::WriteSame => Self::write(store, Content::Same(7)),
            Program::WriteObject(size) => Self::write(store, Self::object(store, size)),
            Program::Overwrite => {
                if let Some(mut slot) = store.for_bio().lock_huge(0) {
                    slot.overwrite(RacyBytes::of(PAGE_SIZE));
                }
            }
            Program::Read => Self::read(store, 0),
            Program::Mark => store.for_each(
                0..1,
                |attr| !attr.is_empty() && !attr.is_idle(),
                |mut slot| slot.set_idle(true),
            ),
            Program::Free => store.free(0, &AtomicContext::new()),
            Program::Discard => store.free_range(0..1),
            Program::Shrink => store.shrink(OutsideIo::new()),
            Program::Grow => {
                step(Step::Write(area(*grown_by), 1));
                // SAFETY: A program that runs again does all of it again, so that the store gets
                // the memory once. A box is never freed here.
                store.grow(unsafe { ptr::read(growth) });
                grown.store(1, Ordering::Relaxed);
            }
            Program::WriteGrown => {
                if grown.load(Ordering::Relaxed) == 1 {
                    let content = Self::object(store, 8);
                    if store
                        .for_bio()
                        .store(GROWN, content, 0, || Patience)
                        .is_err()
                    {
                        step(Step::Wrong);
                    }
                }
            }
            Program::ReadGrown => Self::read(store, GROWN),
            Program::UseBlock => Self::use_block(store, block, |_| {}),
            Program::WriteToShare(size) => Self::write(shared, Self::object(shared, size)),
            Program::Share => Self::use_block(shared, block, |whole| {
                if let (Some(share), Some(mut slot)) = (whole.share(0, 8), shared.lock(0)) {
                    slot.move_to_block(share);
                }
            }),
            Program::DiscardShared => shared.free_range(0..1),
            Program::UseSharedBlock => Self::use_block(shared, block, |_| {}),
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

    fn object(store: &Store, size: usize) -> Content<'_> {
        let mut object = store.pool().alloc(size);
        object.write(RacyBytes::of(size));
        Content::Object(object, 0)
    }

    fn read(store: &Store, index: usize) {
        if let Some(slot) = store.for_bio().lock(index) {
            slot.view(|content| match content {
                ContentRef::Object(object) => object.read(),
                ContentRef::Empty | ContentRef::Same(_) | ContentRef::Written => {}
            });
        }
    }

    fn write(store: &Store, content: Content<'_>) {
        let stored = store.for_bio().store(0, content, 0, || Patience);
        stored.expect("memory for a slot");
    }

    /// Takes a block, if one is free, calls `before` with it, and writes to it.
    fn use_block<'s>(store: &'s Store, content: &Guarded<usize>, before: impl FnOnce(&Block<'s>)) {
        if let Some(taken) = store.blocks().reserve() {
            before(&taken);
            // SAFETY: A race is found.
            unsafe { content.replace(1) };
            drop(taken);
        }
    }

    /// Returns whether the slot is empty.
    pub fn is_empty(&self) -> bool {
        let slot = self.store.lock(0);
        slot.is_none_or(|slot| slot.attr().is_empty())
    }
}
