// SPDX-License-Identifier: GPL-2.0-only

//! A long array that costs memory only where it is used.
//!
//! Elements lie in chunks of a page each, under a root that is as long as the array needs and nodes
//! of a page each in between. Chunks and nodes appear when somebody asks for room; nodes stay until
//! the array goes. A chunk that is not needed any more is unlinked first, and freed when all who may
//! have found it are gone: those under RCU, which do not sleep, and those under the array's own SRCU,
//! which may.

use crate::zram::abstractions::{
    atomic::{
        AtomicPtr,
        Ordering, //
    },
    disk::OutsideIo,
    page::PageBox,
    sched::{
        cond_resched,
        AtomicContext, //
    }, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    new_srcu,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        rcu,
        srcu,
        Srcu, //
    }, //
};

const FANOUT: usize = PAGE_SIZE / size_of::<usize>();

/// A page of elements.
#[repr(transparent)]
struct Chunk<T, const N: usize>([T; N]);

/// A page of places for chunks.
#[repr(transparent)]
struct Node<T, const N: usize>([AtomicPtr<Chunk<T, N>>; FANOUT]);

// SAFETY: Each element is zeroable.
unsafe impl<T: Zeroable, const N: usize> Zeroable for Chunk<T, N> {}
// SAFETY: Null pointers.
unsafe impl<T, const N: usize> Zeroable for Node<T, N> {}

/// An array of `T`, of which `N` fill a page, all zeroes at first.
///
/// # Invariants
///
/// Each pointer is null, or came from `PageBox::into_raw`; who takes it out of its place frees it.
pub(super) struct SparseArray<T, const N: usize> {
    len: usize,
    sleepers: Pin<KBox<Srcu>>,
    root: KVVec<AtomicPtr<Node<T, N>>>,
}

// SAFETY: Owns its elements.
unsafe impl<T: Send, const N: usize> Send for SparseArray<T, N> {}
// SAFETY: Gives out `&T` only.
unsafe impl<T: Sync, const N: usize> Sync for SparseArray<T, N> {}

impl<T: Zeroable + Send + Sync, const N: usize> SparseArray<T, N> {
    /// How many elements share a node.
    const SPAN: usize = FANOUT * N;

    /// An array of `len` elements. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(super) fn new(len: usize) -> Result<Self> {
        let nodes = len.div_ceil(Self::SPAN);
        let mut root = KVVec::with_capacity(nodes, GFP_KERNEL | __GFP_NOWARN)?;
        while root.len() < nodes {
            root.push(AtomicPtr::new(ptr::null_mut()), GFP_KERNEL)?;
            if root.len() % FANOUT == 0 {
                cond_resched();
            }
        }
        Ok(Self {
            len,
            sleepers: KBox::pin_init(new_srcu!("zram_table"), GFP_KERNEL)?,
            root,
        })
    }

    /// How many elements there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps every element that can be found from being freed, until the result is dropped; its holder may sleep.
    #[inline]
    pub(super) fn pin(&self) -> Pinned<'_, T, N> {
        Pinned {
            array: self,
            _srcu: self.sleepers.read_lock(),
        }
    }

    /// The way to the elements under RCU.
    #[inline]
    pub(super) fn under_rcu<'r>(&'r self, _: &'r rcu::Guard) -> SparseReader<'r, T, N> {
        SparseReader(self)
    }

    /// The way to the elements in atomic context.
    #[inline]
    pub(super) fn in_atomic<'r>(&'r self, _: &'r AtomicContext) -> SparseReader<'r, T, N> {
        // INVARIANT: RCU waits for those who hold a spinlock, too.
        SparseReader(self)
    }

    /// The first index from `index` on where there might be an element; the caller goes on behind the
    /// chunk if there is none.
    pub(super) fn skip_absent(&self, mut index: usize) -> usize {
        while index < self.len && self.node(index).is_none() {
            index = (index | (Self::SPAN - 1)).wrapping_add(1);
            cond_resched();
        }
        index
    }

    /// The index behind the chunk of element `index`.
    pub(super) fn chunk_end(index: usize) -> usize {
        (index | (N - 1)).wrapping_add(1)
    }

    #[inline]
    fn node(&self, index: usize) -> Option<&Node<T, N>> {
        let place = self.root.get(index / Self::SPAN)?;
        // SAFETY: By the type invariant; nodes live as long as the array.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    /// Makes room for element `index`. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` for an index beyond the end.
    #[cold]
    pub(super) fn populate(&self, index: usize) -> Result {
        let place = self.root.get(index / Self::SPAN).ok_or(EINVAL)?;
        if index >= self.len {
            return Err(EINVAL);
        }
        install::<Node<T, N>>(place)?;
        let node = self.node(index).ok_or(EINVAL)?;
        install::<Chunk<T, N>>(node.0.get(index / N % FANOUT).ok_or(EINVAL)?)
    }

    /// Frees the chunks that `give_up` wants to, which is called under RCU; and calls `unlinked` soon
    /// after some can't be found any more. Waits for all who have a [`Pinned`], bios in the driver among
    /// them; may sleep.
    pub(super) fn shrink(
        &self,
        _: OutsideIo<'_>,
        mut give_up: impl FnMut(&[T; N]) -> bool,
        mut unlinked: impl FnMut(),
    ) {
        /// How many chunks may wait for their readers at a time.
        const BATCH: usize = 4096;
        let mut chunks = KVVec::new();
        let release = |chunks: &mut KVVec<_>| {
            if !chunks.is_empty() {
                rcu::synchronize_rcu();
                self.sleepers.synchronize();
                chunks.clear();
            }
        };
        for node in &self.root {
            // SAFETY: By the type invariant; nodes live as long as the array.
            let Some(node) = (unsafe { node.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            let before = chunks.len();
            for place in &node.0 {
                // Without room to remember it, a chunk stays.
                if chunks.reserve(1, GFP_KERNEL | __GFP_NOWARN).is_err() {
                    break;
                }
                if let Some(chunk) = unlink(place, &mut give_up) {
                    let _ = chunks.push(chunk, GFP_KERNEL | __GFP_NOWARN);
                }
            }
            if chunks.len() > before {
                unlinked();
            }
            if chunks.len() >= BATCH {
                release(&mut chunks);
            }
            cond_resched();
        }
        release(&mut chunks);
    }
}

/// The elements of an array, none of which is freed.
pub(super) struct Pinned<'r, T, const N: usize> {
    array: &'r SparseArray<T, N>,
    _srcu: srcu::Guard<'r>,
}

impl<T: Zeroable + Send + Sync, const N: usize> Pinned<'_, T, N> {
    /// The way to the elements.
    #[inline]
    pub(super) fn reader(&self) -> SparseReader<'_, T, N> {
        // INVARIANT: The array's SRCU is held for as long as `self` is borrowed.
        SparseReader(self.array)
    }
}

/// A way to the elements of an array.
///
/// # Invariants
///
/// [`SparseArray::shrink`] does not free what it unlinks during `'r`.
pub(super) struct SparseReader<'r, T, const N: usize>(&'r SparseArray<T, N>);

impl<'r, T: Zeroable + Send + Sync, const N: usize> SparseReader<'r, T, N> {
    /// Element `index`, if there is memory for it. It stays for `'r`, and beyond if the caller sees to
    /// it that [`SparseArray::shrink`] finds no reason to free it.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&'r T> {
        self.chunk(index)?.get(index % N)
    }

    /// The elements that share a page with element `index`.
    #[inline]
    pub(super) fn chunk(&self, index: usize) -> Option<&'r [T; N]> {
        let place = self.0.node(index)?.0.get(index / N % FANOUT)?;
        // SAFETY: By the type invariants.
        unsafe { place.load(Ordering::Acquire).as_ref() }.map(|chunk| &chunk.0)
    }
}

/// Takes a chunk out of its place if `give_up` says so. The caller waits for all readers before it
/// drops the result.
fn unlink<T, const N: usize>(
    place: &AtomicPtr<Chunk<T, N>>,
    give_up: &mut impl FnMut(&[T; N]) -> bool,
) -> Option<PageBox<Chunk<T, N>>> {
    let _rcu = rcu::read_lock();
    let raw = place.load(Ordering::Acquire);
    // SAFETY: A chunk that is found here lives on for a grace period after it is unlinked.
    if !give_up(&unsafe { raw.as_ref() }?.0) {
        return None;
    }
    // Somebody else may have unlinked it; a new one can't have the same address before `_rcu` ends.
    let (unlinked, failed) = (Ordering::AcqRel, Ordering::Relaxed);
    let taken = place.compare_exchange(raw, ptr::null_mut(), unlinked, failed);
    let taken = taken.ok().and_then(NonNull::new)?;
    // SAFETY: It came from `into_raw`, and was taken out of its place here.
    Some(unsafe { PageBox::from_raw(taken) })
}

/// Puts a page of zeroes in `place`, unless there is one.
fn install<T: Zeroable>(place: &AtomicPtr<T>) -> Result {
    if !place.load(Ordering::Relaxed).is_null() {
        return Ok(());
    }
    let page = PageBox::<T>::new_noio()?.into_raw();
    let (none, new) = (ptr::null_mut(), page.as_ptr());
    let (installed, failed) = (Ordering::Release, Ordering::Relaxed);
    if place
        .compare_exchange(none, new, installed, failed)
        .is_err()
    {
        // SAFETY: Given up above, and somebody else's page is in the place.
        drop(unsafe { PageBox::from_raw(page) });
    }
    Ok(())
}

impl<T, const N: usize> Drop for SparseArray<T, N> {
    fn drop(&mut self) {
        for node in &self.root {
            let Some(node) = NonNull::new(node.load(Ordering::Relaxed)) else {
                continue;
            };
            // SAFETY: By the type invariant, and nobody else uses the array.
            let node = unsafe { PageBox::from_raw(node) };
            for chunk in &node.0 {
                if let Some(chunk) = NonNull::new(chunk.load(Ordering::Relaxed)) {
                    // SAFETY: As above.
                    drop(unsafe { PageBox::from_raw(chunk) });
                }
            }
            cond_resched();
        }
    }
}
