// SPDX-License-Identifier: GPL-2.0-only

//! Bio-based disks, and the rule that says how long the state behind them lives.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)
//!
//! Upstream this would be `rust/kernel/block/gen_disk.rs`, of which `block/mq/gen_disk.rs` is the
//! other kind. The limits and features in [`Disk::new`] are zram's, its only user's; they would
//! become its arguments.
//!
//! A disk has its driver data all the time, and *live* state while it has a capacity. I/O uses the
//! live state without a lock or a reference count, because
//!
//! - [`DiskRef::publish`] sets the state before the capacity, so that a bio for a sector that
//!   exists finds it; a bio that comes without is failed;
//! - [`claim::Claim::take_live`] takes it away. A [`claim::Claim`] is given only while nobody has
//!   the disk open, and keeps it so. Bios and freed swap slots come from openers, who close the
//!   disk after their last bio has ended. A bio ends only when `submit`, and each read from a
//!   backing device that has a share in it, uses the state no more;
//! - a state that was not taken away is freed with the gendisk, which every opener holds.
//!
//! The gendisk may outlive the driver's [`Disk`], held by a task that was about to open it.
//! [`ModuleExit`] keeps the module's text until the last gendisk is gone, and until no task is in
//! the module any more.
//!
//! Lock order: `open_mutex` is a leaf here.

mod claim;
mod disk_ref;
mod exit;
mod live;

use super::{
    bio::{
        Bio,
        BLOCK_SIZE,
        HAS_PARTS, //
    },
    compat,
    ffi,
    major::Major,
    sched::AtomicContext,
    sysfs::{
        Attribute,
        AttributeGroups, //
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
    page::PAGE_SIZE,
    prelude::*,
    static_lock_class,
    str::NullTerminatedFormatter,
    sync::Arc,
    types::ScopeGuard, //
};
use live::LivePtr;

/// A driver of bio-based disks.
pub(crate) trait Operations: Send + Sync + Sized + 'static {
    /// State behind a disk that has a capacity.
    type Live: Send + Sync;

    /// Files of the disk in sysfs.
    const ATTRIBUTES: &'static [Attribute<Self>];

    /// Carries out `bio`, which ends when this returns, except for the shares that reads from a
    /// backing device have in it.
    ///
    /// Context: Process context. May sleep; may be called by memory reclaim.
    fn submit(live: &Self::Live, bio: &mut Bio<Self>);

    /// Is told that swap has no more use for page `index`.
    ///
    /// Context: A spinlock is held.
    fn swap_slot_free(live: &Self::Live, index: usize, atomic: &AtomicContext);
}

/// Driver data of a gendisk: its `private_data` points to this.
struct Private<T: Operations> {
    /// Live state, while the disk has a capacity; dropped before `data`.
    live: LivePtr<T::Live>,
    /// The data that the driver gave to [`Disk::new`].
    data: Arc<T>,
    /// State of claims, guarded by the disk's `open_mutex`.
    gate: UnsafeCell<Gate>,
    /// List of the files in sysfs, which the driver core refers to.
    files: AttributeGroups,
}

/// A disk that user space sees; removed when dropped.
///
/// Call [`Disk::claim_for_removal`] before dropping it, so that it is not removed while a user has
/// it open. The block layer fails the I/O of a user who has it open nevertheless.
///
/// Dropping it removes its files in sysfs, and waits for their users and for I/O under way.
///
/// # Invariants
///
/// `raw` was added to the system, its `private_data` came from `KBox::<Private<T>>::into_raw`, and
/// it is counted in `exit::GENDISKS`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{bio::Bio, disk::{Disk, Operations}};
/// # use crate::zram::abstractions::{major::Major, sched::AtomicContext, sysfs::Attribute};
/// struct Ramdisk;
///
/// impl Operations for Ramdisk {
///     type Live = ();
///     const ATTRIBUTES: &'static [Attribute<Self>] = &[];
///
///     fn submit(_live: &(), bio: &mut Bio<Self>) {
///         bio.fail();
///     }
///
///     fn swap_slot_free(_live: &(), _index: usize, _atomic: &AtomicContext) {}
/// }
///
/// let major = Major::new(c"ramdisk")?;
/// let disk = Disk::new(&major, 0, c"ramdisk0", Arc::new(Ramdisk, GFP_KERNEL)?)?;
/// disk.disk_ref().publish(Arc::new((), GFP_KERNEL)?, 16)?;
/// disk.claim_for_removal()?;
/// drop(disk);
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Disk<T: Operations> {
    raw: NonNull<ffi::gendisk>,
    _data: PhantomData<T>,
}

// SAFETY: A gendisk is bound to no thread, and the block layer takes its own locks. `T` is
// `Send + Sync`.
unsafe impl<T: Operations> Send for Disk<T> {}
// SAFETY: A `&Disk<T>` gives out `&T` only, and the block layer takes its own locks.
unsafe impl<T: Operations> Sync for Disk<T> {}

impl<T: Operations> Disk<T> {
    /// Adds a disk without capacity to the system, where everybody may see and open it.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if `name` is too long; those of `device_add_disk()`.
    pub fn new(major: &Major, minor: u32, name: &CStr, data: Arc<T>) -> Result<Self> {
        let private = Private {
            live: LivePtr::none(),
            data,
            gate: UnsafeCell::new(Gate {
                claim: Claimed::Unclaimed,
                waiting: 0,
            }),
            files: AttributeGroups::new(T::ATTRIBUTES)?,
        };
        let mut private = KBox::new(private, GFP_KERNEL)?;

        let mut limits = ffi::queue_limits {
            logical_block_size: BLOCK_SIZE as u32,
            physical_block_size: PAGE_SIZE as u32,
            io_min: PAGE_SIZE as u32,
            io_opt: PAGE_SIZE as u32,
            max_hw_discard_sectors: u32::MAX,
            // What is discarded of a part of a page stays as it is, so zeroes are written there.
            max_write_zeroes_sectors: if HAS_PARTS { 0 } else { u32::MAX },
            features: ffi::ZRAM_BLK_FEATURES,
            ..pin_init::zeroed()
        };
        // SAFETY: `limits` is valid, and the lock class is static.
        let raw = from_err_ptr(unsafe {
            let class = static_lock_class!().as_ptr();
            ffi::__blk_alloc_disk(&mut limits, ffi::NUMA_NO_NODE, class)
        })?;
        let disk = ScopeGuard::new_with_data(raw, |raw| {
            // SAFETY: `raw` was allocated above, and was not added.
            unsafe { ffi::put_disk(raw) }
        });

        // SAFETY: `raw` was allocated above, and nobody else has it before it is added.
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
        // SAFETY: `raw` is initialised. `private`, which owns the list of files, is freed after it.
        to_result(unsafe { ffi::device_add_disk(ptr::null_mut(), raw, private.files.groups()) })?;
        // Nothing may fail from here on, as somebody may have opened the disk. `free_disk` takes
        // back what is given up here.
        let _ = (KBox::into_raw(private), counted.into_raw());
        let raw = NonNull::from(raw);
        disk.dismiss();
        // INVARIANT: The disk was added above, with `private` as its data, and `counted` is in
        // `GENDISKS`.
        Ok(Self {
            raw,
            _data: PhantomData,
        })
    }

    /// Returns a reference to the disk.
    pub fn disk_ref(&self) -> DiskRef<'_, T> {
        // INVARIANT: `self.raw` was made by `new` for `T`, and is live as long as `self`, by the
        // type invariant of `Disk`.
        DiskRef {
            raw: self.raw,
            _disk: PhantomData,
        }
    }

    const FOPS: ffi::block_device_operations = ffi::block_device_operations {
        owner: compat::this_module(),
        open: Some(Self::open_trampoline),
        submit_bio: Some(Self::submit_trampoline),
        swap_slot_free_notify: Some(Self::swap_slot_free_trampoline),
        free_disk: Some(Self::free_trampoline),
        ..pin_init::zeroed()
    };

    /// Refuses to open a disk that is claimed, or that a claim waits for.
    ///
    /// # Safety
    ///
    /// `disk` is a live disk of `T`, whose `open_mutex` is held.
    unsafe extern "C" fn open_trampoline(disk: *mut ffi::gendisk, _: ffi::blk_mode_t) -> c_int {
        // SAFETY: `disk` is a live disk of `T`, so its `private_data` is a `Private<T>`;
        // `open_mutex`, which guards the gate, is held.
        let gate = unsafe { &*(*(*disk).private_data.cast::<Private<T>>()).gate.get() };
        match gate {
            Gate {
                claim: Claimed::Unclaimed,
                waiting: 0,
            } => 0,
            _ => EBUSY.to_errno(),
        }
    }

    /// Frees the driver data of a gendisk that goes.
    ///
    /// # Safety
    ///
    /// `disk` was a disk of `T`, which nobody uses any more.
    unsafe extern "C" fn free_trampoline(disk: *mut ffi::gendisk) {
        // SAFETY: `Disk::new` gave up the count of this disk, which is freed once.
        let counted = unsafe { Counted::from_raw() };
        // SAFETY: `private_data` came from `KBox::<Private<T>>::into_raw` in `new`, and nobody uses
        // it any more.
        drop(unsafe { KBox::from_raw((*disk).private_data.cast::<Private<T>>()) });
        // Last of all: the module may go as soon as this has returned.
        drop(counted);
    }

    /// Hands a bio to the driver, and ends it.
    ///
    /// # Safety
    ///
    /// `bio` is a live bio that was sent to a disk of `T` and now belongs to the driver.
    unsafe extern "C" fn submit_trampoline(bio: *mut ffi::bio) {
        // SAFETY: `bio` is live and was sent to a disk of `T`, whose `private_data` is a
        // `Private<T>`. Whoever sent the bio has the disk open until the bio ends below, and until
        // then the live state stays.
        let (live, mut bio) = unsafe {
            let private = (*(*(*bio).bi_bdev).bd_disk)
                .private_data
                .cast::<Private<T>>();
            ((*private).live.get(), Bio::new(NonNull::new_unchecked(bio)))
        };
        match live {
            Some(live) => T::submit(live, &mut bio),
            None => bio.fail(),
        }
        // After this the opener may go, and with it what keeps the state.
        // SAFETY: `bio` is live, and the block layer left ending it to the driver.
        unsafe { ffi::bio_endio(bio.into_raw()) };
    }

    /// Tells the driver that swap has no more use for a page.
    ///
    /// # Safety
    ///
    /// `bdev` is a live disk of `T` in use as swap.
    unsafe extern "C" fn swap_slot_free_trampoline(bdev: *mut ffi::block_device, index: c_ulong) {
        // SAFETY: `bdev` is a live disk of `T`, whose `private_data` is a `Private<T>`. Swap has
        // the disk open, which keeps the live state, and has locked the swap cluster of the slot
        // with a spinlock.
        let (live, atomic) = unsafe {
            let private = (*(*bdev).bd_disk).private_data.cast::<Private<T>>();
            ((*private).live.get(), AtomicContext::new())
        };
        if let Some(live) = live {
            T::swap_slot_free(live, index, &atomic);
        }
    }
}

impl<T: Operations> Drop for Disk<T> {
    fn drop(&mut self) {
        let raw = self.raw.as_ptr();
        // SAFETY: `raw` is a disk that was added, by the type invariant. `del_gendisk` removes the
        // files and waits for their users, then for all I/O; later I/O does not reach the driver.
        // The data that openers may still look at is freed with the gendisk, after the last of them
        // has closed it.
        unsafe {
            ffi::del_gendisk(raw);
            ffi::put_disk(raw);
        }
    }
}
