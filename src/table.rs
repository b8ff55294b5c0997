// SPDX-License-Identifier: GPL-2.0

//! The slot table: what is stored for each page of the disk.
//!
//! Slots have memory only where something was stored, so that an empty disk costs next to nothing
//! however large it is.
//!
//! A slot is two words. The lock is a bit in the first, next to all that goes with it: locking is one
//! atomic operation, and unlocking is another that stores flags, size and access time at once.
//!
//! A slot that is looked at stays for as long as a [`Visit`] lives, or under RCU, and then by its
//! lock: [`Table::shrink`] frees slots only when it has locked all of a page of them for good.
//!
//! Lock order: slot → stream → zsmalloc. A task has one slot locked at a time, for as long as it takes to
//! compress or decompress one page: not while it waits for memory, or for a device.

use crate::zram::{
    abstractions::{
        bitlock::Waiters,
        disk::OutsideIo,
        lockdep,
        memory::Patience,
        page::Bytes,
        sched::{
            cond_resched,
            Atomic, //
        },
        sparse::{
            Pinned,
            Sparse, //
        },
        zsmalloc::{
            Object,
            Pool, //
        }, //
    },
    attr::{
        word,
        Attr, //
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
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    static_lock_class,
    sync::{
        rcu,
        Arc, //
    }, //
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
    /// What is on the backing device.
    Written,
}

/// One page of the disk.
///
/// # Invariants
///
/// The second word belongs to who holds the lock. It is the word of a page with `SAME`; else the
/// number of a block owned by the slot, with `WRITTEN`; else, with a size, the handle of an object of
/// at least that size in the table's pool, owned by the slot.
#[repr(C)]
struct Slot {
    word: AtomicU64,
    value: UnsafeCell<usize>,
}

const _: () = assert!(size_of::<Slot>() == 16);

const CHUNK: usize = PAGE_SIZE / size_of::<Slot>();

// SAFETY: A slot of zeroes is an empty one.
unsafe impl Zeroable for Slot {}
// SAFETY: A slot is words, the second of which is guarded by a lock in the first.
unsafe impl Send for Slot {}
// SAFETY: As above.
unsafe impl Sync for Slot {}

/// The slots of a disk, and the pool of their objects.
pub(crate) struct Table {
    slots: Sparse<Slot, CHUNK>,
    pool: Pool,
    blocks: Arc<Blocks>,
    stats: Stats,
    waiters: Pin<KBox<Waiters>>,
    lockdep: lockdep::Map,
}

impl Table {
    /// Makes a table of `len` empty slots, with a backing device of `blocks` pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(crate) fn new(name: &CStr, len: usize, blocks: usize) -> Result<Self> {
        Ok(Self {
            slots: Sparse::new(len)?,
            pool: Pool::new(name)?,
            // No more than there are pages are ever in use.
            blocks: Blocks::new(blocks.min(len))?,
            stats: Stats::new()?,
            waiters: KBox::pin_init(Waiters::new(), GFP_KERNEL)?,
            lockdep: lockdep::Map::new(c"zram_slot", static_lock_class!())?,
        })
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where the objects come from.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Which blocks of the backing device are in use.
    pub(crate) fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// What is stored, and what happened.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The table as a bio sees it: no slot goes away before the result does. Its holder may sleep.
    #[inline]
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit {
            table: self,
            slots: self.slots.pin(),
        }
    }

    /// Locks slot `index`; nothing, if nothing near it was ever stored. May sleep.
    pub(crate) fn lock(&self, index: usize) -> Option<Guard<'_>> {
        let rcu = rcu::read_lock();
        let slot = self.slots.under_rcu(&rcu).get(index)?;
        if let Some(word) = slot.try_lock() {
            return Some(Guard::new(self, slot.into(), word));
        }
        drop(rcu);
        self.wait(index)
    }

    /// Empties slot `index`, now or when who has it locked unlocks it.
    #[inline]
    pub(crate) fn free(&self, index: usize, atomic: &Atomic) {
        let Some(slot) = self.slots.in_atomic(atomic).get(index) else {
            return;
        };
        let locked = slot.try_lock();
        if let Some(word) = locked.or_else(|| slot.lock_or_set(word::FREED)) {
            Guard::new(self, slot.into(), word).store(Content::Empty);
        }
    }

    /// Calls `each` for the slots in `range` that have an object or a word, locked, until it says
    /// otherwise. May sleep, and so may `each`.
    pub(crate) fn for_each<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, Guard<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let wanted = |attr: Attr| !attr.is_empty() && !attr.is_written();
        self.scan(range, |index, attr| {
            match wanted(attr).then(|| self.lock(index)).flatten() {
                Some(guard) if wanted(guard.attr()) => each(index, guard),
                _ => ControlFlow::Continue(()),
            }
        })
    }

    /// Calls `each` for the slots in `range` that hold something, or seem to, with what goes with
    /// that at the moment, until it says otherwise. Takes no lock. May sleep, and so may `each`.
    pub(crate) fn scan<B>(
        &self,
        range: Range<usize>,
        mut each: impl FnMut(usize, Attr) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let end = range.end.min(self.len());
        let mut index = self.slots.skip_absent(range.start);
        while index < end {
            let next = Sparse::<Slot, CHUNK>::chunk_end(index);
            while let Some((found, attr)) = self.next_in_chunk(index, next.min(end)) {
                each(found, attr)?;
                index = found.wrapping_add(1);
            }
            index = self.slots.skip_absent(next);
            cond_resched();
        }
        ControlFlow::Continue(())
    }

    /// The first slot of a chunk, from `start` to before `end`, that seems to hold something.
    fn next_in_chunk(&self, start: usize, end: usize) -> Option<(usize, Attr)> {
        if start >= end {
            return None;
        }
        let rcu = rcu::read_lock();
        let chunk = self.slots.under_rcu(&rcu).chunk(start)?;
        let slots = chunk.iter().skip(start % CHUNK);
        let attrs = slots.map(|slot| Attr(slot.word.load(Ordering::Relaxed)));
        (start..end).zip(attrs).find(|(_, attr)| !attr.is_empty())
    }

    /// Frees the memory of slots that are empty, page by page. Waits for bios that are in the driver; may
    /// sleep.
    pub(crate) fn shrink(&self, outside_io: OutsideIo<'_>) {
        // Who waits for a slot that is gone looks again, and finds none.
        self.slots.shrink(
            outside_io,
            |chunk| self.lock_empty(chunk),
            || self.waiters.wake_all(),
        );
    }

    /// Locks all slots of a chunk for good, if they are empty and nobody has one locked.
    fn lock_empty(&self, chunk: &[Slot; CHUNK]) -> bool {
        if !chunk.iter().all(Slot::seems_empty) {
            return false;
        }
        for (locked, slot) in chunk.iter().enumerate() {
            match slot.try_lock() {
                Some(word) if Attr(word).is_empty() => continue,
                Some(word) => drop(Guard::new(self, slot.into(), word)),
                None => {}
            }
            for slot in chunk.iter().take(locked) {
                drop(Guard::new(self, slot.into(), 0));
            }
            return false;
        }
        true
    }

    /// Sleeps until slot `index` can be locked; nothing, if it is gone.
    #[cold]
    fn wait(&self, index: usize) -> Option<Guard<'_>> {
        self.lockdep.acquire(false);
        let locked = self.waiters.wait(index % CHUNK, || {
            let rcu = rcu::read_lock();
            let Some(slot) = self.slots.under_rcu(&rcu).get(index) else {
                return Some(None);
            };
            let word = slot.lock_or_set(word::WAITED)?;
            Some(Some((NonNull::from(slot), word)))
        });
        let Some((slot, word)) = locked else {
            self.lockdep.release();
            return None;
        };
        // INVARIANT: Locked above.
        Some(Guard {
            table: self,
            slot,
            seen: word | word::LOCKED,
            word,
        })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let _ = self.scan(0..self.len(), |index, _| {
            if let Some(mut slot) = self.lock(index) {
                slot.store(Content::Empty);
            }
            ControlFlow::<()>::Continue(())
        });
    }
}

/// A table as a bio sees it: no slot that it looks at is freed before this is dropped.
pub(crate) struct Visit<'t> {
    table: &'t Table,
    slots: Pinned<'t, Slot, CHUNK>,
}

impl<'t> Visit<'t> {
    /// Locks slot `index`; nothing, if nothing near it was ever stored. May sleep.
    #[inline]
    pub(crate) fn lock(&self, index: usize) -> Option<Guard<'t>> {
        self.lock_this(self.slots.reader().get(index)?, index)
    }

    /// Locks slot `index`, which was at `slot` a moment ago. May sleep.
    #[inline]
    fn lock_this(&self, slot: &Slot, index: usize) -> Option<Guard<'t>> {
        match slot.try_lock() {
            Some(word) => Some(Guard::new(self.table, NonNull::from(slot), word)),
            None => self.table.wait(index),
        }
    }

    /// Stores `content`, accessed at `seconds` since boot, in slot `index`, and counts that. May sleep, and wait
    /// for memory if `patience` says so; then the caller has nothing locked.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, if it does not wait; `EINVAL` for an index beyond the end.
    #[inline(always)]
    pub(crate) fn store(
        &self,
        index: usize,
        content: Content<'t>,
        seconds: u32,
        patience: impl FnOnce() -> Patience,
    ) -> Result {
        let mut slot = match self.lock(index) {
            Some(slot) => slot,
            None => self.lock_new(index, patience())?,
        };
        slot.store(content);
        slot.touch(seconds);
        Ok(())
    }

    /// Locks slot `index`, for which there may be no memory yet.
    #[cold]
    fn lock_new(&self, index: usize, patience: Patience) -> Result<Guard<'t>> {
        loop {
            patience.allocate(|| self.table.slots.populate(index))?;
            if let Some(slot) = self.lock(index) {
                return Ok(slot);
            }
        }
    }

    /// Locks slot `index` if what it holds takes as much memory as a page does. May sleep.
    #[inline]
    pub(crate) fn lock_huge(&self, index: usize) -> Option<Guard<'t>> {
        let here = |attr: Attr| attr.is_huge() && !attr.is_written();
        let slot = self.slots.reader().get(index)?;
        if !here(Attr(slot.word.load(Ordering::Relaxed))) {
            return None;
        }
        self.lock_this(slot, index).filter(|slot| here(slot.attr()))
    }

    /// Empties the slots in `range`. May sleep.
    pub(crate) fn free(&self, range: Range<usize>) {
        let end = range.end.min(self.table.len());
        let mut index = range.start;
        while index < end {
            let next = Sparse::<Slot, CHUNK>::chunk_end(index).min(end);
            let chunk = self.slots.reader().chunk(index);
            let slots = chunk.map_or(&[][..], |chunk| chunk);
            for (index, slot) in (index..next).zip(slots.iter().skip(index % CHUNK)) {
                if slot.seems_empty() {
                    continue;
                }
                if let Some(same) = slot.take_same() {
                    self.table.stats.count::<-1>(same);
                    continue;
                }
                if let Some(mut slot) = self.lock_this(slot, index) {
                    slot.store(Content::Empty);
                }
            }
            index = self.table.slots.skip_absent(next);
            cond_resched();
        }
    }
}

impl Slot {
    /// Nothing is stored, and nobody is at it.
    fn seems_empty(&self) -> bool {
        self.word.load(Ordering::Relaxed) & word::CONTENT == 0
    }

    /// Which one it is of its chunk: the key of who waits for it.
    fn key(&self) -> usize {
        ptr::from_ref(self).addr() % PAGE_SIZE / size_of::<Self>()
    }

    /// Empties the slot if it holds a word, which nobody has to free, and is not locked. The result is
    /// what it was. One atomic operation; locking takes two.
    #[inline]
    fn take_same(&self) -> Option<Attr> {
        let seen = self.word.load(Ordering::Relaxed);
        let same = seen & (word::SAME | word::LOCKED) == word::SAME;
        (same && self.cas(seen, seen & !word::CONTENT).is_ok()).then_some(Attr(seen))
    }

    /// Locks the slot. The result is the word before that, or nothing if it is locked already.
    #[inline]
    fn try_lock(&self) -> Option<u64> {
        let seen = self.word.load(Ordering::Relaxed);
        let free = seen & word::LOCKED == 0;
        (free && self.cas(seen, seen | word::LOCKED).is_ok()).then_some(seen)
    }

    /// Locks the slot, or sets `bit` for who has it locked. The result is as of [`Slot::try_lock`].
    #[cold]
    fn lock_or_set(&self, bit: u64) -> Option<u64> {
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let free = seen & word::LOCKED == 0;
            match self.cas(seen, seen | if free { word::LOCKED } else { bit }) {
                Ok(()) => return free.then_some(seen),
                Err(now) => seen = now,
            }
        }
    }

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
    slot: NonNull<Slot>,
    seen: u64,
    /// What the word will be.
    word: u64,
}

impl<'t> Guard<'t> {
    /// The guard of a slot whose word was `word` just before it was locked, at once: without the lock's bits.
    #[inline]
    fn new(table: &'t Table, slot: NonNull<Slot>, word: u64) -> Self {
        table.lockdep.acquire(true);
        Self {
            table,
            slot,
            seen: word | word::LOCKED,
            word,
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
            _ if self.word & word::WRITTEN != 0 => f(View::Written),
            Some(raw) if size != 0 => {
                // SAFETY: By the invariants of `Slot`; the slot stays the owner.
                let object = unsafe { Object::from_raw(&self.table.pool, raw, size) };
                f(View::Object(ManuallyDrop::new(object).deref()))
            }
            _ => f(View::Empty),
        }
    }

    /// Replaces what the slot holds, frees what that was, and counts both.
    #[inline(always)]
    pub(crate) fn store(&mut self, content: Content<'t>) {
        let (bits, value) = match content {
            Content::Empty => (0, 0),
            Content::Same(word) => (word::SAME, word),
            Content::Object(object, priority) => {
                // An object of another table would be lost; there is no such caller.
                if !object.is_of(&self.table.pool) {
                    return;
                }
                let bits = u64::from(priority & 3) << word::PRIORITY | object.size() as u64;
                (bits, object.into_raw().get())
            }
        };
        // SAFETY: The word, the object or nothing: it is the slot's now.
        unsafe { self.replace(bits, value) };
    }

    /// Replaces the slot's content, frees what that was, and counts both.
    ///
    /// # Safety
    ///
    /// With `bits` goes `value`, by the invariants of `Slot`.
    #[inline(always)]
    unsafe fn replace(&mut self, bits: u64, value: usize) {
        let (old, new) = (self.attr(), Attr(bits));
        self.word = self.word & !word::CONTENT | bits;
        // SAFETY: By the type invariant the value is ours. INVARIANT: By the safety requirement.
        let value = unsafe { self.value().replace(value) };
        self.table.stats.count::<1>(new);
        self.table.stats.count::<-1>(old);
        match NonZero::new(value) {
            _ if old.is_same() => {}
            _ if old.is_written() => drop(self.table.blocks.own(value)),
            Some(raw) if old.size() != 0 => {
                // SAFETY: By the invariants of `Slot`, which has just lost it.
                drop(unsafe { Object::from_raw(&self.table.pool, raw, old.size()) });
            }
            _ => {}
        }
    }

    /// How many bytes [`Guard::overwrite`] has room for.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        let attr = self.attr();
        if attr.is_same() || attr.is_written() {
            return 0;
        }
        attr.size()
    }

    /// Copies `bytes`, a page that the primary algorithm compressed or that is stored as it is, over the object
    /// that the slot holds, and counts that. Allocates nothing. False if there is no room.
    #[inline]
    pub(crate) fn overwrite(&mut self, bytes: Bytes<'_>) -> bool {
        let (old, len) = (self.attr(), bytes.len());
        if len == 0 || len > self.room() {
            return false;
        }
        // SAFETY: By the type invariant the value is ours.
        let Some(raw) = NonZero::new(unsafe { *self.value() }) else {
            return false;
        };
        // SAFETY: By the invariants of `Slot`; the slot stays the owner.
        let object = unsafe { Object::from_raw(&self.table.pool, raw, old.size()) };
        ManuallyDrop::new(object).write(bytes);
        // INVARIANT: The object has room for `old.size()` bytes, which are at least as many.
        self.word = self.word & !word::CONTENT | len as u64;
        let new = self.attr();
        if old.is_huge() && new.is_huge() {
            count!(self.table.stats, HugePagesSince);
        } else {
            self.table.stats.count::<1>(new);
            self.table.stats.count::<-1>(old);
        }
        true
    }

    /// The number of the block that the page was written to, if it was.
    #[inline]
    pub(crate) fn written(&self) -> Option<usize> {
        // SAFETY: By the type invariant the value is ours.
        self.attr().is_written().then(|| unsafe { *self.value() })
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
        let bits = attr.0 & word::CONTENT & !(word::IDLE | word::CANDIDATE) | word::WRITTEN;
        // SAFETY: The block is the slot's now.
        unsafe { self.replace(bits, block.into_raw()) };
    }

    /// Unlocks a slot that others have left a message in meanwhile.
    #[cold]
    fn unlock(self) {
        let mut guard = ManuallyDrop::new(self);
        // SAFETY: By the type invariant.
        let key = unsafe { guard.slot.as_ref() }.key();
        loop {
            // Swap freed the slot while it was locked; it does not do so while it writes to it.
            if guard.seen & word::FREED != 0 {
                guard.store(Content::Empty);
            }
            // After this the chunk may be freed.
            // SAFETY: By the type invariant.
            match unsafe { guard.slot.as_ref() }.cas(guard.seen, guard.word) {
                Err(now) => guard.seen = now,
                Ok(()) => break,
            }
        }
        if guard.seen & word::WAITED != 0 {
            guard.table.waiters.wake(key);
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.table.lockdep.release();
        // After this the chunk may be freed.
        // SAFETY: By the type invariant.
        if let Err(seen) = unsafe { self.slot.as_ref() }.cas(self.seen, self.word) {
            // INVARIANT: By that of `self`, which is gone after this. A copy, so that the guard itself can
            // stay in registers.
            Self { seen, ..*self }.unlock();
        }
    }
}
