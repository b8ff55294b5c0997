// SPDX-License-Identifier: GPL-2.0-only

//! Bio-based disks, and the rule that says how long the state behind them lives.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
//!
//! A disk has its driver data all the time, and *live* state while it has a capacity. I/O uses
//! the live state without a lock or a reference count, because
//!
//! - [`DiskRef::publish`] sets the state before the capacity, so that a bio for a sector that exists
//!   finds it; a bio that comes without is failed;
//! - [`claim::Claim::take_live`] takes it away. A [`claim::Claim`] is given only while nobody has the disk open, and
//!   keeps it so. Bios and freed swap slots come from openers, and so do bios that wait for others.
//!   The last bio of the last opener may have ended while `submit` still has the state in hand:
//!   retiring waits for such calls by draining the disk's queue once;
//! - what is left of it goes with the gendisk, which every opener holds.
//!
//! The gendisk may outlive the driver's [`Disk`], held by who was about to open it. [`ModuleExit`] keeps the
//! module's text until the last is gone, and until no task is in the module any more.
//!
//! Lock order: `open_mutex`, a leaf here; freezing waits for I/O, which takes the slots' locks.

mod claim;
mod disk_ref;
mod exit;

use super::{
    atomic::{
        AtomicPtr,
        Ordering, //
    },
    bio::Bio,
    ffi,
    major::Major,
    sched::AtomicContext,
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
    ptr::{
        self,
        NonNull, //
    }, //
};
pub(super) use disk_ref::live_of;
pub(crate) use disk_ref::{
    DiskRef,
    OutsideIo, //
};
use exit::Counted;
pub(crate) use exit::ModuleExit;
use kernel::{
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
            Read, //
        },
        Arc, //
    },
    types::ScopeGuard, //
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
    fn swap_slot_free(live: &Self::Live, index: usize, atomic: &AtomicContext);
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
    pub(crate) fn handle(&self) -> DiskRef<'_, T> {
        // INVARIANT: By the type invariant.
        DiskRef {
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
            ((*private).live(), AtomicContext::new())
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
