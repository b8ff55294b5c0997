// SPDX-License-Identifier: GPL-2.0

//! Bio-based disks, and the rule that says how long the state behind them lives.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
//!
//! A disk has its driver data all the time, and *live* state while it has a capacity. I/O uses
//! the live state without a lock or a reference count, because
//!
//! - [`Handle::publish`] sets the state before the capacity, so that a bio for a sector that exists
//!   finds it; a bio that comes without is failed;
//! - [`claim::Claim::retire`] takes it away. A [`claim::Claim`] is given only while nobody has the disk open, and
//!   keeps it so. Bios and freed swap slots come from openers, and so do bios that wait for others.
//!   The last bio of the last opener may have ended while `submit` still has the state in hand:
//!   retiring waits for such calls by draining the disk's queue once;
//! - what is left of it goes with the gendisk, which every opener holds.
//!
//! The gendisk may outlive the driver's [`Disk`], held by who was about to open it. [`Exit`] keeps the
//! module's text until the last is gone, and until no task is in the module any more.
//!
//! Lock order: `open_mutex`, a leaf here; freezing waits for I/O, which takes the slots' locks.

mod claim;
mod exit;

use super::{
    bio::Bio,
    ffi,
    page::Target,
    sched::Atomic,
    sysfs::{
        Attribute,
        Files, //
    }, //
};
use claim::{
    Claimed,
    Gate, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use exit::Counted;
pub(crate) use exit::Exit;
use kernel::{
    container_of,
    error::{
        from_err_ptr,
        to_result, //
    },
    fmt::Write as _,
    module::this_module,
    page::PAGE_SIZE,
    prelude::*,
    static_lock_class,
    str::NullTerminatedFormatter,
    sync::{
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        Arc, //
    },
    types::{
        NotThreadSafe,
        ScopeGuard, //
    }, //
};

/// A driver of bio-based disks.
pub(crate) trait Operations: Send + Sync + Sized + 'static {
    /// The state behind a disk that has a capacity.
    type Live: Send + Sync;

    /// The disk's files in sysfs.
    const ATTRIBUTES: &'static [Attribute<Self>];

    /// Carries out `bio`, which ends when this returns. May sleep, as memory reclaim does.
    fn submit(live: &Self::Live, bio: &mut Bio<Self>);

    /// Swap has no more use for page `index`.
    fn swap_slot_free(live: &Self::Live, index: usize, atomic: &Atomic);

    /// What a read from a backing device was started for.
    type Ticket: Send;

    /// The read is done, and `page` is what the backing device had. An error fails the bio that waits for
    /// it. Process context; may sleep.
    fn read_done(live: &Self::Live, ticket: Self::Ticket, page: Target<'_>) -> Result;
}

/// What a gendisk's `private_data` points to.
struct Private<T: Operations> {
    data: Arc<T>,
    /// Null, or from `Arc::into_raw`.
    live: AtomicPtr<T::Live>,
    /// Guarded by the disk's `open_mutex`.
    gate: UnsafeCell<Gate>,
    files: Files,
}

impl<T: Operations> Private<T> {
    /// The live state, if there is one.
    ///
    /// # Safety
    ///
    /// `'a` is within the life of the state (see the top), which is that of an I/O or of an opener.
    #[inline]
    unsafe fn live<'a>(&self) -> Option<&'a T::Live> {
        let live = self.live.load(Ordering::Acquire);
        // SAFETY: By the safety requirement.
        unsafe { live.as_ref().or_else(|| self.live_again()) }
    }

    /// Looks again, with the capacity read for certain before it: its reader had no barrier.
    ///
    /// # Safety
    ///
    /// As for [`Private::live`].
    #[cold]
    unsafe fn live_again<'a>(&self) -> Option<&'a T::Live> {
        smp_mb(Read);
        // SAFETY: By the safety requirement.
        unsafe { self.live.load(Ordering::Acquire).as_ref() }
    }
}

impl<T: Operations> Drop for Private<T> {
    fn drop(&mut self) {
        let live = NonNull::new(*self.live.get_mut());
        // SAFETY: It came from `publish`, and with the gendisk all its users are gone.
        drop(live.map(|live| unsafe { Arc::from_raw(live.as_ptr()) }));
    }
}

/// A reference to a disk that exists during `'a`.
///
/// # Invariants
///
/// `raw` is a live gendisk made by [`Disk::new`] for `T`.
pub(crate) struct Handle<'a, T> {
    raw: NonNull<ffi::gendisk>,
    _disk: PhantomData<&'a T>,
}

impl<T> Clone for Handle<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<'_, T> {}

impl<'a, T: Operations> Handle<'a, T> {
    /// The handle of the disk whose device is `dev`.
    ///
    /// # Safety
    ///
    /// `dev` is the device of a disk of `T`, alive during `'a`.
    pub(super) unsafe fn from_device(dev: *mut ffi::device) -> Self {
        // SAFETY: A disk's device is the `bd_device` of its whole-disk block device.
        let raw = unsafe { (*container_of!(dev, ffi::block_device, bd_device)).bd_disk };
        Self {
            // SAFETY: As above. INVARIANT: By the safety requirement.
            raw: unsafe { NonNull::new_unchecked(raw) },
            _disk: PhantomData,
        }
    }

    /// The handle of the disk that `bio` was sent to.
    ///
    /// # Safety
    ///
    /// `bio` was sent to a disk of `T`, and does not end during `'a`.
    pub(super) unsafe fn from_bio(bio: *mut ffi::bio) -> Self {
        // SAFETY: By the safety requirement.
        let raw = unsafe { (*(*bio).bi_bdev).bd_disk };
        Self {
            // SAFETY: As above. INVARIANT: By the safety requirement.
            raw: unsafe { NonNull::new_unchecked(raw) },
            _disk: PhantomData,
        }
    }

    /// Hands a read that is done to the driver.
    ///
    /// # Safety
    ///
    /// A bio that was sent to the disk does not end before this returns.
    pub(super) unsafe fn read_done(self, ticket: T::Ticket, page: Target<'_>) -> Result {
        // SAFETY: The bio's sender has the disk open (see the top).
        let live = unsafe { self.private().live() };
        T::read_done(live.ok_or(EIO)?, ticket, page)
    }

    fn private(self) -> &'a Private<T> {
        // SAFETY: By the type invariant; `private_data` is set once and freed with the disk.
        unsafe { &*(*self.raw.as_ptr()).private_data.cast() }
    }

    /// The driver's data.
    pub(crate) fn data(self) -> &'a T {
        &self.private().data
    }

    /// The name, such as `zram0`.
    pub(crate) fn name(self) -> &'a CStr {
        // SAFETY: By the type invariant; the name is set once, and terminated.
        unsafe { CStr::from_char_ptr((*self.raw.as_ptr()).disk_name.as_ptr()) }
    }

    /// Proof that the caller carries out no bio of the disk: only files and the like have a handle.
    pub(crate) fn outside_io(self) -> OutsideIo<'a> {
        OutsideIo(PhantomData)
    }

    /// Gives the disk its live state and a capacity of `pages`. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it has one already.
    pub(crate) fn publish(self, live: Arc<T::Live>, pages: usize) -> Result {
        let live = Arc::into_raw(live).cast_mut();
        let slot = &self.private().live;
        let none = ptr::null_mut();
        if slot
            .compare_exchange(none, live, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            // SAFETY: Given up above, and not published.
            drop(unsafe { Arc::from_raw(live) });
            return Err(EBUSY);
        }
        // The capacity is stored and read without a barrier. With this one, who sees it sees the state,
        // if not at once, then in `Private::live_again`.
        smp_mb(Write);
        self.set_capacity(pages);
        Ok(())
    }

    fn set_capacity(self, pages: usize) {
        let sectors = pages as u64 * (PAGE_SIZE / 512) as u64;
        // SAFETY: By the type invariant.
        unsafe { ffi::set_capacity_and_notify(self.raw.as_ptr(), sectors) };
    }
}

impl<T: Operations> Deref for Handle<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data()
    }
}

/// Proof that the caller may wait for bios that are being carried out, since it carries out none.
#[derive(Clone, Copy)]
pub(crate) struct OutsideIo<'a>(PhantomData<(&'a (), NotThreadSafe)>);

/// Waits until all bios that are in the queue now have left it; new ones have to wait meanwhile. The caller
/// holds no lock that a bio may need. May sleep.
///
/// # Safety
///
/// `queue` is live.
unsafe fn drain(queue: *mut ffi::request_queue) {
    // SAFETY: By the safety requirement. Nothing is allocated in between.
    unsafe {
        ffi::blk_mq_freeze_queue_nomemsave(queue);
        ffi::blk_mq_unfreeze_queue_nomemrestore(queue);
    }
}

/// A disk that user space sees; removed when dropped.
///
/// # Invariants
///
/// `raw` was added, its `private_data` came from `KBox::<Private<T>>::into_raw`, and it is counted in
/// [`GENDISKS`].
pub(crate) struct Disk<T: Operations> {
    raw: NonNull<ffi::gendisk>,
    _data: PhantomData<T>,
}

// SAFETY: The block layer takes its own locks.
unsafe impl<T: Operations> Send for Disk<T> {}
// SAFETY: As above.
unsafe impl<T: Operations> Sync for Disk<T> {}

impl<T: Operations> Disk<T> {
    /// Adds a disk without capacity to the system, for all to see and to open. May sleep.
    pub(crate) fn new(major: &Major, minor: u32, name: &CStr, data: Arc<T>) -> Result<Self> {
        let private = Private {
            data,
            live: AtomicPtr::new(ptr::null_mut()),
            gate: UnsafeCell::new(Gate {
                claim: Claimed::No,
                waiting: 0,
            }),
            files: Files::new(T::ATTRIBUTES)?,
        };
        let mut private = KBox::new(private, GFP_KERNEL)?;

        let mut limits = ffi::queue_limits {
            logical_block_size: PAGE_SIZE as u32,
            physical_block_size: PAGE_SIZE as u32,
            io_min: PAGE_SIZE as u32,
            io_opt: PAGE_SIZE as u32,
            max_hw_discard_sectors: u32::MAX,
            max_write_zeroes_sectors: u32::MAX,
            features: ffi::ZRAM_BLK_FEATURES,
            ..pin_init::zeroed()
        };
        // SAFETY: `limits` is valid, and the lock class is static.
        let raw = from_err_ptr(unsafe {
            let class = static_lock_class!().as_ptr();
            ffi::__blk_alloc_disk(&mut limits, ffi::NUMA_NO_NODE, class)
        })?;
        let disk = ScopeGuard::new_with_data(raw, |raw| {
            // SAFETY: `raw` is ours, and was not added.
            unsafe { ffi::put_disk(raw) }
        });

        // SAFETY: The disk is not yet added, so we have it to ourselves.
        let raw = unsafe { &mut *raw };
        raw.major = major.number;
        raw.first_minor = minor as c_int;
        raw.minors = 1;
        raw.flags |= ffi::GENHD_FL_NO_PART as c_int;
        raw.fops = &Self::FOPS;
        raw.private_data = (&raw mut *private).cast();
        NullTerminatedFormatter::new(&mut raw.disk_name)
            .ok_or(EINVAL)?
            .write_fmt(fmt!("{name}"))?;

        let counted = Counted::new();
        // SAFETY: The disk is initialised; `private`, with the files, is freed after it.
        to_result(unsafe { ffi::device_add_disk(ptr::null_mut(), raw, private.files.groups()) })?;
        // From here on nothing may fail, for somebody may have opened it. `free_disk` has the rest.
        let _ = (KBox::into_raw(private), counted.into_raw());
        let raw = NonNull::from(raw);
        disk.dismiss();
        // INVARIANT: Added above.
        Ok(Self {
            raw,
            _data: PhantomData,
        })
    }

    /// A reference to the disk.
    pub(crate) fn handle(&self) -> Handle<'_, T> {
        // INVARIANT: By the type invariant.
        Handle {
            raw: self.raw,
            _disk: PhantomData,
        }
    }

    const FOPS: ffi::block_device_operations = ffi::block_device_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        open: Some(Self::open_trampoline),
        submit_bio: Some(Self::submit_trampoline),
        swap_slot_free_notify: Some(Self::swap_slot_free_trampoline),
        free_disk: Some(Self::free_trampoline),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `disk` is a live disk of `T`, whose `open_mutex` is held.
    unsafe extern "C" fn open_trampoline(disk: *mut ffi::gendisk, _: ffi::blk_mode_t) -> c_int {
        // SAFETY: By the safety requirements; `open_mutex` guards the gate.
        let gate = unsafe { &*(*(*disk).private_data.cast::<Private<T>>()).gate.get() };
        match gate {
            Gate {
                claim: Claimed::No,
                waiting: 0,
            } => 0,
            _ => EBUSY.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `disk` was a disk of `T`, which nobody uses any more.
    unsafe extern "C" fn free_trampoline(disk: *mut ffi::gendisk) {
        let counted = Counted::from_raw();
        // SAFETY: By the safety requirement; `new` made it so.
        drop(unsafe { KBox::from_raw((*disk).private_data.cast::<Private<T>>()) });
        // Last of all: then the module may go as soon as this has returned.
        drop(counted);
    }

    /// # Safety
    ///
    /// `bio` is a live bio, sent to a disk of `T`, and handed over to the driver.
    unsafe extern "C" fn submit_trampoline(bio: *mut ffi::bio) {
        // SAFETY: By the safety requirements; the state lives until this returns (see the top).
        let (live, mut bio) = unsafe {
            let private = (*(*(*bio).bi_bdev).bd_disk)
                .private_data
                .cast::<Private<T>>();
            ((*private).live(), Bio::new(NonNull::new_unchecked(bio)))
        };
        match live {
            Some(live) => T::submit(live, &mut bio),
            None => bio.fail(),
        }
        // After this the opener may go, and with it what keeps the state.
        // SAFETY: The bio is ours to end.
        unsafe { ffi::bio_endio(bio.into_raw()) };
    }

    /// # Safety
    ///
    /// `bdev` is a live disk of `T` in use as swap.
    unsafe extern "C" fn swap_slot_free_trampoline(bdev: *mut ffi::block_device, index: c_ulong) {
        // SAFETY: By the safety requirements; swap has the disk open (see the top), and has locked the
        // swap cluster that the slot is in.
        let (live, atomic) = unsafe {
            let private = (*(*bdev).bd_disk).private_data.cast::<Private<T>>();
            ((*private).live(), Atomic::new())
        };
        if let Some(live) = live {
            T::swap_slot_free(live, index, &atomic);
        }
    }
}

impl<T: Operations> Drop for Disk<T> {
    fn drop(&mut self) {
        let raw = self.raw.as_ptr();
        // SAFETY: By the type invariants. `del_gendisk` removes the files and waits for their users,
        // then for all I/O; what comes later does not reach the driver. What openers may still have to do
        // with is freed with the gendisk, when the last of them has let go.
        unsafe {
            ffi::del_gendisk(raw);
            ffi::put_disk(raw);
        }
    }
}

/// A block major number; given back when dropped.
///
/// # Invariants
///
/// `number` is registered under `name`.
pub(crate) struct Major {
    number: c_int,
    name: &'static CStr,
}

impl Major {
    /// Registers any free number. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is none; `ENOMEM`.
    pub(crate) fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let number = unsafe { ffi::__register_blkdev(0, name.as_char_ptr(), None) };
        to_result(number)?;
        // INVARIANT: Registered above.
        Ok(Self { number, name })
    }
}

impl Drop for Major {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::unregister_blkdev(self.number as c_uint, self.name.as_char_ptr()) };
    }
}
