// SPDX-License-Identifier: GPL-2.0

//! The slot table: what is stored for each page of the disk.
//!
//! Slots lie in chunks of a page each, under a root that is as long as the disk needs and nodes of a
//! page each in between. Chunks and nodes appear when a page in their range is written for the first
//! time, so that an empty disk costs next to nothing however large it is.
//!
//! A slot is two words. The lock is a bit in the first, next to all that goes with it: locking is one
//! atomic operation, and unlocking is another that stores flags, size and access time at once.
//!
//! Who looks for a slot does so under RCU, and holds the chunk by the slot's lock: [`Table::shrink`]
//! frees a chunk after it has locked every slot of it for good, unlinked it, and waited for a grace
//! period. Nodes stay until the table goes.
//!
//! Lock order: slot → stream → zsmalloc. A slot's lock may be held while sleeping.

use crate::zram::{
    abstractions::{
        bitlock::Waiters,
        page::PageBox,
        sched::cond_resched,
        zsmalloc::{
            Object,
            Pool, //
        }, //
    },
    backing::{
        Block,
        Blocks, //
    },
    stats::{
        count,
        Stats, //
    }, //
};
use core::{
    cell::UnsafeCell,
    mem::ManuallyDrop,
    num::NonZero,
    ops::{
        ControlFlow,
        Deref,
        Range, //
    },
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::rcu, //
};

/// What a page of the disk holds.
pub(crate) enum Content<'t> {
    /// Nothing: it reads as zeroes.
    Empty,
    /// One word all over.
    Same(usize),
    /// A compressed page, or one stored as it is (a *huge* one) when the object is as large; and the
    /// priority of the algorithm that compressed it.
    Object(Object<'t>, u8),
}

/// What a locked slot holds, to look at.
pub(crate) enum View<'g, 't> {
    Empty,
    Same(usize),
    Object(&'g Object<'t>),
    /// The number of the block.
    Written(usize),
}

/// The first word of a slot: size and flags, and above them the time of the last access.
mod word {
    /// Of the object, in bytes.
    pub(super) const SIZE: u64 = (1 << 13) - 1;
    pub(super) const LOCKED: u64 = 1 << 13;
    /// Someone sleeps until the lock is free.
    pub(super) const WAITED: u64 = 1 << 14;
    /// Swap has freed the slot while it was locked: who unlocks it empties it.
    pub(super) const FREED: u64 = 1 << 15;
    pub(super) const SAME: u64 = 1 << 16;
    pub(super) const WRITTEN: u64 = 1 << 17;
    pub(super) const IDLE: u64 = 1 << 18;
    pub(super) const INCOMPRESSIBLE: u64 = 1 << 19;
    pub(super) const CANDIDATE: u64 = 1 << 20;
    /// Two bits, here.
    pub(super) const PRIORITY: u32 = 21;
    /// What belongs to the lock, and not to the content.
    pub(super) const LOCK: u64 = LOCKED | WAITED | FREED;
    /// All but the time.
    pub(super) const CONTENT: u64 = (1 << TIME) - 1;
    /// Where the time begins.
    pub(super) const TIME: u32 = 32;
}

/// What goes with a slot's content.
#[derive(Clone, Copy)]
pub(crate) struct Attr(u64);

impl Attr {
    fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }

    /// Nothing is stored.
    pub(crate) fn is_empty(self) -> bool {
        !self.has(word::SAME | word::SIZE)
    }

    /// It is one word all over.
    pub(crate) fn is_same(self) -> bool {
        self.has(word::SAME)
    }

    /// It is on the backing device.
    pub(crate) fn is_written(self) -> bool {
        self.has(word::WRITTEN)
    }

    /// The page is stored as it is.
    pub(crate) fn is_huge(self) -> bool {
        self.size() == PAGE_SIZE
    }

    /// It was not accessed since user space said so.
    pub(crate) fn is_idle(self) -> bool {
        self.has(word::IDLE)
    }

    /// The best algorithm could not make it smaller.
    pub(crate) fn is_incompressible(self) -> bool {
        self.has(word::INCOMPRESSIBLE)
    }

    /// A job has chosen it, and it was neither accessed nor changed since.
    pub(crate) fn is_candidate(self) -> bool {
        self.has(word::CANDIDATE)
    }

    /// Of the object, in bytes.
    pub(crate) fn size(self) -> usize {
        (self.0 & word::SIZE) as usize
    }

    /// Of the algorithm that the object was compressed with.
    pub(crate) fn priority(self) -> u8 {
        (self.0 >> word::PRIORITY & 3) as u8
    }

    /// Of the last access, in seconds since boot.
    pub(crate) fn time(self) -> u32 {
        (self.0 >> word::TIME) as u32
    }
}

/// One page of the disk.
///
/// # Invariants
///
/// The second word belongs to who holds the lock. It is the word of a page with `SAME`; else the
/// number of a block owned by the slot, with `WRITTEN`; else, with a size, the handle of an object of
/// that size in the table's pool, owned by the slot.
#[repr(C)]
struct Slot {
    word: AtomicU64,
    value: UnsafeCell<usize>,
}

const _: () = assert!(size_of::<Slot>() == 16);

const CHUNK_SLOTS: usize = PAGE_SIZE / size_of::<Slot>();
const NODE_CHUNKS: usize = PAGE_SIZE / size_of::<usize>();
const NODE_SLOTS: usize = NODE_CHUNKS * CHUNK_SLOTS;

type Chunk = [Slot; CHUNK_SLOTS];
type Node = [AtomicPtr<Chunk>; NODE_CHUNKS];

/// A page of slots or of pointers, in the shape that [`PageBox`] takes.
#[repr(transparent)]
struct Zeroed<T>(T);

// SAFETY: A slot of zeroes is an empty one.
unsafe impl Zeroable for Zeroed<Chunk> {}
// SAFETY: Null pointers.
unsafe impl Zeroable for Zeroed<Node> {}

/// The slots of a disk, and the pool of their objects.
///
/// # Invariants
///
/// Each pointer is null, or came from `PageBox::into_raw`; who takes it out of its place frees it.
pub(crate) struct Table {
    len: usize,
    root: KVVec<AtomicPtr<Node>>,
    pool: Pool,
    blocks: Blocks,
    stats: Stats,
    waiters: Pin<KBox<Waiters>>,
}

// SAFETY: Slots are words, and handles of a pool that any thread may use; locks guard them.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

impl Table {
    /// Makes a table of `len` empty slots, with a backing device of `blocks` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(crate) fn new(name: &CStr, len: usize, blocks: usize) -> Result<Self> {
        let nodes = len.div_ceil(NODE_SLOTS);
        let mut root = KVVec::with_capacity(nodes, GFP_KERNEL | __GFP_NOWARN)?;
        while root.len() < nodes {
            root.push(AtomicPtr::new(ptr::null_mut()), GFP_KERNEL)?;
        }
        Ok(Self {
            len,
            root,
            pool: Pool::new(name)?,
            blocks: Blocks::new(blocks)?,
            stats: Stats::new()?,
            waiters: KBox::pin_init(Waiters::new(), GFP_KERNEL)?,
        })
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the objects come from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Which blocks of the backing device are in use.
    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// What is stored, and what happened.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Locks slot `index`; nothing, if nothing near it was ever stored. May sleep.
    #[inline]
    pub(crate) fn lock(&self, index: usize) -> Option<Guard<'_>> {
        match self.try_lock(index) {
            Attempt::Locked(guard) => Some(guard),
            Attempt::Absent => None,
            Attempt::Busy => self.wait(index),
        }
    }

    /// Locks slot `index`, to store something. May sleep; allocates as I/O under memory pressure may.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` for an index beyond the end.
    #[inline]
    pub(crate) fn lock_to_store(&self, index: usize) -> Result<Guard<'_>> {
        loop {
            if let Some(guard) = self.lock(index) {
                return Ok(guard);
            }
            self.populate(index)?;
        }
    }

    /// Empties slot `index`, now or when who has locked it unlocks it. Any context but an interrupt.
    pub(crate) fn free(&self, index: usize) {
        let rcu = rcu::read_lock();
        let Some(slot) = self.slot(index, &rcu) else {
            return;
        };
        let mut seen = slot.word.load(Ordering::Relaxed);
        while seen & word::CONTENT != 0 {
            let lock = if seen & word::LOCKED == 0 {
                word::LOCKED
            } else {
                word::FREED
            };
            match slot.cas(seen, seen | lock) {
                Err(now) => seen = now,
                Ok(()) if lock == word::FREED => return,
                Ok(()) => return Guard::new(self, index, slot, seen).store(Content::Empty),
            }
        }
    }

    /// Empties the slots in `range`. May sleep.
    pub(crate) fn free_range(&self, range: Range<usize>) {
        let mut index = range.start;
        while index < range.end.min(self.len) {
            let end = (index | (CHUNK_SLOTS - 1)).wrapping_add(1);
            let end = end.min(range.end);
            if self.node(index).is_none() {
                // Nothing is stored in all of the node's range.
                index = (index | (NODE_SLOTS - 1)).wrapping_add(1);
                continue;
            }
            index = self.free_in_chunk(index, end);
            cond_resched();
        }
    }

    /// Calls `each` for the slots in `range` that hold something, locked, until it says otherwise.
    /// May sleep, and so may `each`.
    pub(crate) fn for_each<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, Guard<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let end = range.end.min(self.len);
        let mut index = range.start;
        while index < end {
            if self.node(index).is_none() {
                index = (index | (NODE_SLOTS - 1)).wrapping_add(1);
                continue;
            }
            let Some(found) = self.next_in_chunk(index) else {
                index = (index | (CHUNK_SLOTS - 1)).wrapping_add(1);
                cond_resched();
                continue;
            };
            if found >= end {
                break;
            }
            if let Some(guard) = self.lock(found).filter(|guard| !guard.attr().is_empty()) {
                each(found, guard)?;
            }
            index = found.wrapping_add(1);
        }
        ControlFlow::Continue(())
    }

    /// The first slot of a chunk, from `start` on, that seems to hold something.
    fn next_in_chunk(&self, start: usize) -> Option<usize> {
        let rcu = rcu::read_lock();
        let slots = self.chunk(start, &rcu)?.iter().skip(start % CHUNK_SLOTS);
        let mut words = slots.map(|slot| slot.word.load(Ordering::Relaxed));
        let skipped = words.position(|word| word & (word::CONTENT & !word::FREED) != 0)?;
        Some(start.wrapping_add(skipped))
    }

    /// The slot whose lock was kept in `ticket`; nothing, if it is another table's.
    pub(crate) fn redeem(&self, ticket: Ticket) -> Option<Guard<'_>> {
        if ticket.table != ptr::from_ref(self) {
            return None;
        }
        // INVARIANT: That of the guard that the ticket was made from.
        Some(Guard {
            table: self,
            index: ticket.index,
            slot: ticket.slot,
            seen: ticket.seen,
            word: ticket.word,
            stored: ticket.stored,
        })
    }

    /// Empties slots of one chunk, from `start` to before `end`. The result is where to go on.
    fn free_in_chunk(&self, start: usize, end: usize) -> usize {
        let rcu = rcu::read_lock();
        let Some(chunk) = self.chunk(start, &rcu) else {
            return end;
        };
        for index in start..end {
            // SAFETY: The index in the chunk is below its length.
            let slot = unsafe { chunk.get_unchecked(index % CHUNK_SLOTS) };
            let seen = slot.word.load(Ordering::Relaxed);
            if seen & word::CONTENT == 0 {
                continue;
            }
            if seen & word::LOCKED != 0 || slot.cas(seen, seen | word::LOCKED).is_err() {
                drop(rcu);
                if let Some(mut guard) = self.lock(index) {
                    guard.store(Content::Empty);
                }
                return index.wrapping_add(1);
            }
            Guard::new(self, index, slot, seen).store(Content::Empty);
        }
        end
    }

    /// Frees the chunks of which every slot is empty. May sleep.
    pub(crate) fn shrink(&self) {
        /// How many chunks may wait for one grace period.
        const BATCH: usize = 4096;
        let mut freed = KVVec::new();
        for node in &self.root {
            // SAFETY: By the type invariant; nodes live as long as the table.
            let Some(node) = (unsafe { node.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            for place in node {
                // Without room to remember it, a chunk stays.
                if freed.reserve(1, GFP_KERNEL | __GFP_NOWARN).is_ok() {
                    if let Some(chunk) = self.unlink_if_empty(place) {
                        let _ = freed.push(chunk, GFP_KERNEL | __GFP_NOWARN);
                    }
                }
                if freed.len() == BATCH {
                    self.release(&mut freed);
                }
            }
            cond_resched();
        }
        self.release(&mut freed);
    }

    /// Frees chunks that were unlinked.
    fn release(&self, chunks: &mut KVVec<PageBox<Zeroed<Chunk>>>) {
        if !chunks.is_empty() {
            // Who waits for a slot of a chunk that is gone looks again, and finds none.
            self.waiters.wake_all();
            rcu::synchronize_rcu();
            chunks.clear();
        }
    }

    /// Takes an empty chunk out of its place, with all its slots locked for good. The caller waits
    /// for a grace period before it drops the result.
    fn unlink_if_empty(&self, place: &AtomicPtr<Chunk>) -> Option<PageBox<Zeroed<Chunk>>> {
        let rcu = rcu::read_lock();
        let raw = place.load(Ordering::Acquire);
        // SAFETY: By the type invariant; the grace period after an unlink has not begun.
        let chunk = unsafe { raw.as_ref() }?;
        let empty = |slot: &Slot| slot.word.load(Ordering::Relaxed) & word::CONTENT == 0;
        if !chunk.iter().all(empty) {
            return None;
        }
        for (locked, slot) in chunk.iter().enumerate() {
            let seen = slot.word.load(Ordering::Relaxed);
            if seen & word::CONTENT != 0 || slot.cas(seen, word::LOCKED).is_err() {
                for slot in chunk.iter().take(locked) {
                    drop(Guard::new(self, 0, slot, 0));
                }
                // They may have waiters, and which index has is not known here.
                self.waiters.wake_all();
                return None;
            }
        }
        place.store(ptr::null_mut(), Ordering::Release);
        drop(rcu);
        // SAFETY: By the type invariant. Nobody else gets here with `raw`: its slots are locked.
        NonNull::new(raw).map(|raw| unsafe { PageBox::from_raw(raw.cast()) })
    }

    /// Allocates what is missing for slot `index`.
    #[cold]
    fn populate(&self, index: usize) -> Result {
        let place = self.root.get(index / NODE_SLOTS).ok_or(EINVAL)?;
        if index >= self.len {
            return Err(EINVAL);
        }
        install::<Node>(place)?;
        let node = self.node(index).ok_or(EINVAL)?;
        install::<Chunk>(node.get(index / CHUNK_SLOTS % NODE_CHUNKS).ok_or(EINVAL)?)
    }

    #[inline]
    fn node(&self, index: usize) -> Option<&Node> {
        let place = self.root.get(index / NODE_SLOTS)?;
        // SAFETY: By the type invariant; nodes live as long as the table.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    fn chunk<'r>(&'r self, index: usize, _: &'r rcu::Guard) -> Option<&'r Chunk> {
        // SAFETY: The index in the node is below its length.
        let place = unsafe {
            self.node(index)?
                .get_unchecked(index / CHUNK_SLOTS % NODE_CHUNKS)
        };
        // SAFETY: By the type invariant; a chunk lives on for a grace period after it is unlinked.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    fn slot<'r>(&'r self, index: usize, rcu: &'r rcu::Guard) -> Option<&'r Slot> {
        if index >= self.len {
            return None;
        }
        let chunk = self.chunk(index, rcu)?;
        // SAFETY: The index in the chunk is below its length.
        Some(unsafe { chunk.get_unchecked(index % CHUNK_SLOTS) })
    }

    #[inline]
    fn try_lock(&self, index: usize) -> Attempt<'_> {
        let rcu = rcu::read_lock();
        let Some(slot) = self.slot(index, &rcu) else {
            return Attempt::Absent;
        };
        let seen = slot.word.load(Ordering::Relaxed);
        if seen & word::LOCKED != 0 || slot.cas(seen, seen | word::LOCKED).is_err() {
            return Attempt::Busy;
        }
        Attempt::Locked(Guard::new(self, index, slot, seen))
    }

    /// Sleeps until slot `index` can be locked, or is gone.
    #[cold]
    fn wait(&self, index: usize) -> Option<Guard<'_>> {
        self.waiters.wait(index, || {
            let rcu = rcu::read_lock();
            let Some(slot) = self.slot(index, &rcu) else {
                return Some(None);
            };
            let mut seen = slot.word.load(Ordering::Relaxed);
            loop {
                let free = seen & word::LOCKED == 0;
                let bit = if free { word::LOCKED } else { word::WAITED };
                match slot.cas(seen, seen | bit) {
                    Err(now) => seen = now,
                    Ok(()) if free => return Some(Some(Guard::new(self, index, slot, seen))),
                    Ok(()) => return None,
                }
            }
        })
    }
}

enum Attempt<'t> {
    Locked(Guard<'t>),
    Busy,
    Absent,
}

/// Puts a zeroed page in `place`, unless there is one.
fn install<T>(place: &AtomicPtr<T>) -> Result
where
    Zeroed<T>: Zeroable,
{
    if !place.load(Ordering::Relaxed).is_null() {
        return Ok(());
    }
    let page = PageBox::<Zeroed<T>>::new_noio()?.into_raw();
    let (none, new) = (ptr::null_mut(), page.cast().as_ptr());
    if place
        .compare_exchange(none, new, Ordering::Release, Ordering::Relaxed)
        .is_err()
    {
        // SAFETY: Given up above, and somebody else's page is in the place.
        drop(unsafe { PageBox::from_raw(page) });
    }
    Ok(())
}

impl Drop for Table {
    fn drop(&mut self) {
        for node in &self.root {
            let Some(node) = NonNull::new(node.load(Ordering::Relaxed)) else {
                continue;
            };
            // SAFETY: By the type invariant, and nobody else uses the table.
            let node = unsafe { PageBox::<Zeroed<Node>>::from_raw(node.cast()) };
            for chunk in &node.0 {
                let Some(chunk) = NonNull::new(chunk.load(Ordering::Relaxed)) else {
                    continue;
                };
                // SAFETY: As above.
                let chunk = unsafe { PageBox::<Zeroed<Chunk>>::from_raw(chunk.cast()) };
                for slot in &chunk.0 {
                    let word = slot.word.load(Ordering::Relaxed);
                    if word << word::TIME != 0 {
                        Guard::new(self, 0, slot, word).store(Content::Empty);
                    }
                }
                cond_resched();
            }
        }
    }
}

impl Slot {
    /// Replaces `old`, as last seen, by `new`; or says what is there.
    #[inline]
    fn cas(&self, old: u64, new: u64) -> Result<(), u64> {
        let (taken, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        self.word
            .compare_exchange(old, new, taken, seen)
            .map(|_| ())
    }
}

/// A locked slot.
///
/// # Invariants
///
/// `slot` is a slot of `table` with `LOCKED` set by us; so its chunk stays, and its second word is
/// ours. `seen` is what the word was when last looked at, with the lock's bits.
pub(crate) struct Guard<'t> {
    table: &'t Table,
    index: usize,
    slot: NonNull<Slot>,
    seen: u64,
    /// What the word will be.
    word: u64,
    stored: bool,
}

impl<'t> Guard<'t> {
    /// The guard of a slot whose word was `word` just before it was locked.
    #[inline]
    fn new(table: &'t Table, index: usize, slot: &Slot, word: u64) -> Self {
        Self {
            table,
            index,
            slot: NonNull::from(slot),
            seen: word | word::LOCKED,
            word: word & !word::LOCK,
            stored: false,
        }
    }

    #[inline]
    fn value(&self) -> *mut usize {
        // SAFETY: By the type invariant.
        unsafe { self.slot.as_ref() }.value.get()
    }

    /// Calls `f` with what the slot holds.
    #[inline]
    pub(crate) fn view<R>(&self, f: impl FnOnce(View<'_, 't>) -> R) -> R {
        // SAFETY: By the type invariant the value is ours.
        let value = unsafe { *self.value() };
        let size = (self.word & word::SIZE) as usize;
        match NonZero::new(value) {
            _ if self.word & word::SAME != 0 => f(View::Same(value)),
            _ if self.word & word::WRITTEN != 0 => f(View::Written(value)),
            Some(raw) if size != 0 => {
                // SAFETY: By the invariants of `Slot`; the slot stays the owner.
                let object = unsafe { Object::from_raw(&self.table.pool, raw, size) };
                f(View::Object(ManuallyDrop::new(object).deref()))
            }
            _ => f(View::Empty),
        }
    }

    /// Replaces what the slot holds, frees what that was, and counts both.
    #[inline]
    pub(crate) fn store(&mut self, content: Content<'t>) {
        self.clear();
        let stats = &self.table.stats;
        let (bits, value) = match content {
            Content::Empty => return,
            Content::Same(word) => {
                count!(stats, SamePages, 1);
                (word::SAME, word)
            }
            Content::Object(object, priority) => {
                // An object of another table would be lost; there is no such caller.
                if !object.is_of(&self.table.pool) {
                    return;
                }
                let size = object.size();
                count!(stats, ComprDataSize, size as i64);
                if size == PAGE_SIZE {
                    count!(stats, HugePages, 1);
                    count!(stats, HugePagesSince, 1);
                }
                let bits = u64::from(priority & 3) << word::PRIORITY;
                (bits | size as u64, object.into_raw().get())
            }
        };
        count!(stats, PagesStored, 1);
        // INVARIANT: The object, if it is one, is the slot's now.
        self.word |= bits;
        self.stored = true;
        // SAFETY: By the type invariant the value is ours.
        unsafe { *self.value() = value };
    }

    /// Empties the slot, frees what it held, and counts that.
    #[inline]
    fn clear(&mut self) {
        let stats = &self.table.stats;
        let attr = self.attr();
        self.word &= !word::CONTENT;
        // SAFETY: By the type invariant the value is ours.
        let value = unsafe { self.value().replace(0) };
        match NonZero::new(value) {
            _ if attr.is_same() => count!(stats, SamePages, -1),
            _ if attr.is_written() => drop(self.table.blocks.own(value)),
            Some(raw) if attr.size() != 0 => {
                count!(stats, ComprDataSize, -(attr.size() as i64));
                if attr.is_huge() {
                    count!(stats, HugePages, -1);
                }
                // SAFETY: By the invariants of `Slot`, which has just lost it.
                drop(unsafe { Object::from_raw(&self.table.pool, raw, attr.size()) });
            }
            _ => return,
        }
        count!(stats, PagesStored, -1);
    }

    /// Notes an access at `seconds` since boot: the page is not idle, and no candidate.
    #[inline]
    pub(crate) fn touch(&mut self, seconds: u32) {
        let kept = self.word & word::CONTENT & !(word::IDLE | word::CANDIDATE);
        self.word = kept | u64::from(seconds) << word::TIME;
    }

    /// What goes with the content.
    #[inline]
    pub(crate) fn attr(&self) -> Attr {
        Attr(self.word)
    }

    fn set(&mut self, bit: u64, on: bool) {
        self.word = if on {
            self.word | bit
        } else {
            self.word & !bit
        };
    }

    /// Marks the page as idle, or not.
    pub(crate) fn set_idle(&mut self, on: bool) {
        self.set(word::IDLE, on);
    }

    /// Remembers that the best algorithm can't make the page smaller.
    pub(crate) fn set_incompressible(&mut self) {
        self.set(word::INCOMPRESSIBLE, true);
    }

    /// Marks the page as a job's candidate, or not.
    pub(crate) fn set_candidate(&mut self, on: bool) {
        self.set(word::CANDIDATE, on);
    }

    /// Replaces the object by the block that it was written to, frees it, and counts that. What goes
    /// with the object stays, but it is not idle any more.
    pub(crate) fn set_written(&mut self, block: Block<'t>) {
        let attr = self.attr();
        if attr.is_empty() || attr.is_same() || attr.is_written() {
            return;
        }
        self.clear();
        count!(self.table.stats, PagesStored, 1);
        // INVARIANT: The block is the slot's now.
        self.word = attr.0 & !(word::IDLE | word::CANDIDATE) | word::WRITTEN;
        // SAFETY: By the type invariant the value is ours.
        unsafe { *self.value() = block.into_raw() };
    }

    /// Keeps the slot locked beyond the guard, until [`Table::redeem`].
    pub(crate) fn into_ticket(self) -> Ticket {
        let guard = ManuallyDrop::new(self);
        Ticket {
            table: guard.table,
            index: guard.index,
            slot: guard.slot,
            seen: guard.seen,
            word: guard.word,
            stored: guard.stored,
        }
    }
}

/// The lock of a slot, on its way to the task that will unlock it. One that is dropped leaves the
/// slot locked for good.
#[must_use]
pub(crate) struct Ticket {
    table: *const Table,
    index: usize,
    slot: NonNull<Slot>,
    seen: u64,
    word: u64,
    stored: bool,
}

// SAFETY: The lock is a bit, which any task may clear; the rest are words and addresses.
unsafe impl Send for Ticket {}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        loop {
            // Swap freed the slot while it was locked. A page stored since is not what it meant.
            if self.seen & word::FREED != 0 && !self.stored {
                self.clear();
            }
            // After this the chunk may be freed.
            // SAFETY: By the type invariant.
            match unsafe { self.slot.as_ref() }.cas(self.seen, self.word) {
                Err(now) => self.seen = now,
                Ok(()) => break,
            }
        }
        if self.seen & word::WAITED != 0 {
            self.table.waiters.wake(self.index);
        }
    }
}
