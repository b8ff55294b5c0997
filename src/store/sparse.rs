// SPDX-License-Identifier: GPL-2.0-only

//! A sparse array: a long array that takes memory only where it is used.
//!
//! Elements lie in chunks of a page each. A root, as long as the array needs, points to nodes of a
//! page each, and these point to the chunks. [`SparseArray::populate`] allocates nodes and chunks.
//! Nodes stay until the array is dropped. [`SparseArray::shrink`] unlinks a chunk first, and frees
//! it when no reader can have a reference to it any more: neither those under RCU, which do not
//! sleep, nor those under the array's own SRCU, which may.
//!
//! The root may grow, and then the array does.

use super::growing::{
    self,
    GrowingArray, //
};
use crate::zram::abstractions::{
    atomic::{
        AtomicPtr,
        AtomicUsize,
        Ordering, //
    },
    compat::{
        self,
        srcu::{
            self,
            Srcu, //
        },
        synchronize_rcu, //
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
    page::PAGE_SIZE,
    prelude::*,
    static_lock_class,
    sync::rcu, //
};

/// The number of pointers in a node.
const FANOUT: usize = PAGE_SIZE / size_of::<usize>();

/// A page of elements.
#[repr(transparent)]
struct Chunk<T, const N: usize>([T; N]);

/// A page of pointers to chunks.
#[repr(transparent)]
struct Node<T, const N: usize>([AtomicPtr<Chunk<T, N>>; FANOUT]);

// SAFETY: A chunk is an array of `T`, and `T` is zeroable.
unsafe impl<T: Zeroable, const N: usize> Zeroable for Chunk<T, N> {}
// SAFETY: A node is an array of pointers, which are null when all their bytes are zeroes.
unsafe impl<T, const N: usize> Zeroable for Node<T, N> {}

/// The memory that an array takes to grow: see [`SparseArray::extension`].
pub(super) struct Extension<T, const N: usize> {
    root: growing::Extension<AtomicPtr<Node<T, N>>>,
    len: usize,
}

/// A sparse array of `T`, of which `N` fill a page; all elements are zeroes at first.
///
/// # Invariants
///
/// Each pointer in `root` and in the nodes is null or came from `PageBox::into_raw`. A chunk
/// belongs to the task that replaces its pointer by null, and that task frees it after a grace
/// period of RCU and of `sleepers`. Nodes are freed only with the array.
pub(super) struct SparseArray<T, const N: usize> {
    len: AtomicUsize,
    /// Protects readers that may sleep.
    sleepers: Pin<KBox<Srcu>>,
    root: GrowingArray<AtomicPtr<Node<T, N>>>,
}

// SAFETY: The array owns its elements, which may be sent if `T: Send`.
unsafe impl<T: Send, const N: usize> Send for SparseArray<T, N> {}
// SAFETY: A shared array gives out `&T` only, which may be shared if `T: Sync`.
unsafe impl<T: Sync, const N: usize> Sync for SparseArray<T, N> {}

impl<T: Zeroable + Send + Sync, const N: usize> SparseArray<T, N> {
    /// The number of elements below a node.
    const SPAN: usize = FANOUT * N;

    /// Creates an array of `len` elements, without memory for any of them.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. The allocation of the root fails without a warning in the log.
    pub(super) fn new(len: usize) -> Result<Self> {
        Ok(Self {
            len: AtomicUsize::new(len),
            sleepers: KBox::pin_init(Srcu::new(c"zram_table", static_lock_class!()), GFP_KERNEL)?,
            root: GrowingArray::new(len.div_ceil(Self::SPAN), no_node)?,
        })
    }

    /// Returns the number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Allocates what the array takes to grow to `len` elements with [`SparseArray::grow`].
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a warning in the log.
    pub(super) fn extension(&self, len: usize) -> Result<Extension<T, N>> {
        let root = self.root.extension(len.div_ceil(Self::SPAN), no_node)?;
        Ok(Extension { root, len })
    }

    /// Grows the array to the number of elements that `extension` was made for, unless it has as
    /// many already.
    ///
    /// Whoever is told of the new length after this, even without a barrier, may use it.
    ///
    /// Context: Any context.
    pub(super) fn grow(&self, extension: Extension<T, N>) {
        self.root.append(extension.root);
        self.len.fetch_max(extension.len, Ordering::Release);
        // Pairs with the barrier in `populate`.
        compat::smp_wmb();
    }

    /// Keeps every element that can be found from being freed, until the result is dropped.
    ///
    /// Context: Process context. May sleep until the result is dropped.
    #[inline]
    pub(super) fn pin(&self) -> Pinned<'_, T, N> {
        Pinned {
            array: self,
            _srcu: self.sleepers.read_lock(),
        }
    }

    /// Returns a reader that is protected by RCU.
    ///
    /// Context: Any context.
    #[inline]
    pub(super) fn under_rcu<'r>(&'r self, _: &'r rcu::Guard) -> SparseReader<'r, T, N> {
        // INVARIANT: The guard of RCU is borrowed for `'r`, and `shrink` waits for RCU's readers.
        SparseReader(self)
    }

    /// Returns a reader that is protected by the spinlock that the caller holds.
    ///
    /// Context: A spinlock is held.
    #[inline]
    pub(super) fn in_atomic<'r>(&'r self, _: &'r AtomicContext) -> SparseReader<'r, T, N> {
        // INVARIANT: Holding a spinlock is an RCU read-side critical section, and `shrink` waits
        // for all of these.
        SparseReader(self)
    }

    /// Returns the first index at or after `index` whose node exists.
    ///
    /// Its chunk may be missing nevertheless; then the caller continues at [`Self::chunk_end`]. The
    /// result is at least `end` if there is no such node before that.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn skip_absent(&self, mut index: usize, end: usize) -> usize {
        while index < end && self.node(index).is_none() {
            index = (index | (Self::SPAN - 1)).wrapping_add(1);
            cond_resched();
        }
        index
    }

    /// Returns the first index after the chunk of element `index`.
    pub(super) fn chunk_end(index: usize) -> usize {
        (index | (N - 1)).wrapping_add(1)
    }

    /// Returns the node above element `index`, or `None` if it was not allocated yet.
    #[inline]
    fn node(&self, index: usize) -> Option<&Node<T, N>> {
        let place = self.root.get(index / Self::SPAN)?;
        // SAFETY: A pointer in `self.root` is null or a node by the type invariant, and nodes live
        // as long as the array.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    }

    /// Allocates the chunk of element `index`, and the node above it, unless they exist.
    ///
    /// Reclaims memory if there is none, but starts no I/O for that.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` without memory, `EINVAL` if `index` is beyond the end.
    #[cold]
    pub(super) fn populate(&self, index: usize) -> Result {
        if index >= self.len.load(Ordering::Acquire) {
            // A task that was told of a new length without a barrier may not yet see it here.
            compat::smp_rmb();
            if index >= self.len.load(Ordering::Acquire) {
                return Err(EINVAL);
            }
        }
        install::<Node<T, N>>(self.root.get(index / Self::SPAN).ok_or(EINVAL)?)?;
        let node = self.node(index).ok_or(EINVAL)?;
        install::<Chunk<T, N>>(node.0.get(index / N % FANOUT).ok_or(EINVAL)?)
    }

    /// Frees the chunks for which `give_up` returns true.
    ///
    /// `give_up` is called under the RCU read lock and must not sleep. `unlinked` is called after
    /// some chunks were unlinked, before they are freed. Waits for every [`Pinned`] to be dropped,
    /// those of the bios that are being carried out among them.
    ///
    /// Context: Process context. May sleep.
    pub(super) fn shrink(
        &self,
        _: OutsideIo<'_>,
        mut give_up: impl FnMut(&[T; N]) -> bool,
        mut unlinked: impl FnMut(),
    ) {
        /// The number of unlinked chunks from which on they are freed, before the scan goes on.
        const BATCH: usize = 4096;
        let mut chunks = KVVec::new();
        let release = |chunks: &mut KVVec<_>| {
            if !chunks.is_empty() {
                synchronize_rcu();
                self.sleepers.synchronize();
                chunks.clear();
            }
        };
        for node in self.root.iter() {
            // SAFETY: A pointer in `self.root` is null or a node by the type invariant, and nodes
            // live as long as the array.
            let Some(node) = (unsafe { node.load(Ordering::Acquire).as_ref() }) else {
                continue;
            };
            let before = chunks.len();
            for place in &node.0 {
                // Without memory to remember it, a chunk is not unlinked.
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

/// A read lock of the array's SRCU.
///
/// The memory of no element that is found through it is freed before it is dropped.
pub(super) struct Pinned<'r, T, const N: usize> {
    array: &'r SparseArray<T, N>,
    _srcu: srcu::Guard<'r>,
}

impl<T: Zeroable + Send + Sync, const N: usize> Pinned<'_, T, N> {
    /// Returns a reader that is protected by this lock.
    #[inline]
    pub(super) fn reader(&self) -> SparseReader<'_, T, N> {
        // INVARIANT: `self` holds the array's SRCU read lock for as long as it is borrowed, and
        // `shrink` waits for it.
        SparseReader(self.array)
    }
}

/// A reader of an array, which finds the elements that have memory.
///
/// # Invariants
///
/// [`SparseArray::shrink`] does not free any chunk that it unlinks during `'r`.
pub(super) struct SparseReader<'r, T, const N: usize>(&'r SparseArray<T, N>);

impl<'r, T: Zeroable + Send + Sync, const N: usize> SparseReader<'r, T, N> {
    /// Returns element `index`, or `None` if there is no memory for it.
    ///
    /// The element stays for `'r`, and longer as long as the `give_up` of [`SparseArray::shrink`]
    /// rejects its chunk.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&'r T> {
        self.chunk(index)?.get(index % N)
    }

    /// Returns the chunk of element `index`, or `None` if there is no memory for it.
    #[inline]
    pub(super) fn chunk(&self, index: usize) -> Option<&'r [T; N]> {
        let place = self.0.node(index)?.0.get(index / N % FANOUT)?;
        // SAFETY: A pointer in a node is null or a chunk by the invariants of `SparseArray`, and
        // the chunk is not freed during `'r` by the invariants of `self`.
        unsafe { place.load(Ordering::Acquire).as_ref() }.map(|chunk| &chunk.0)
    }
}

/// Unlinks the chunk that `place` points to, if there is one and `give_up` returns true for it.
///
/// The caller must wait for all readers before it drops the result.
fn unlink<T, const N: usize>(
    place: &AtomicPtr<Chunk<T, N>>,
    give_up: &mut impl FnMut(&[T; N]) -> bool,
) -> Option<PageBox<Chunk<T, N>>> {
    let _rcu = rcu::read_lock();
    let raw = place.load(Ordering::Acquire);
    // SAFETY: `raw` is null or a chunk by the invariants of `SparseArray`. If another task unlinks
    // the chunk, it frees it after a grace period only, which does not end before `_rcu` is
    // dropped.
    if !give_up(&unsafe { raw.as_ref() }?.0) {
        return None;
    }
    // Somebody else may have unlinked it; a new one can't have the same address before `_rcu` ends.
    // Null hands nothing on, and what is in the chunk was loaded above.
    let (unlinked, failed) = (Ordering::Relaxed, Ordering::Relaxed);
    let taken = place.compare_exchange(raw, ptr::null_mut(), unlinked, failed);
    let taken = taken.ok().and_then(NonNull::new)?;
    // SAFETY: `taken` came from `PageBox::into_raw` by the invariants of `SparseArray`, and belongs
    // to this task, which has just replaced it by null.
    Some(unsafe { PageBox::from_raw(taken) })
}

/// Returns the pointer to a node that was not allocated yet.
fn no_node<T, const N: usize>() -> AtomicPtr<Node<T, N>> {
    AtomicPtr::new(ptr::null_mut())
}

/// Allocates a page of zeroes for `place`, unless `place` points to a page already.
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
        // SAFETY: `page` came from `PageBox::into_raw` above and was not stored in `place`, which
        // points to the page of another task.
        drop(unsafe { PageBox::from_raw(page) });
    }
    Ok(())
}

impl<T, const N: usize> Drop for SparseArray<T, N> {
    fn drop(&mut self) {
        for node in self.root.iter() {
            let Some(node) = NonNull::new(node.load(Ordering::Relaxed)) else {
                continue;
            };
            // SAFETY: `node` came from `PageBox::into_raw` by the type invariant, and `&mut self`
            // shows that nobody else uses the array.
            let node = unsafe { PageBox::from_raw(node) };
            for chunk in &node.0 {
                if let Some(chunk) = NonNull::new(chunk.load(Ordering::Relaxed)) {
                    // SAFETY: `chunk` came from `PageBox::into_raw` by the type invariant, and
                    // `&mut self` shows that nobody else uses the array.
                    drop(unsafe { PageBox::from_raw(chunk) });
                }
            }
            cond_resched();
        }
    }
}
