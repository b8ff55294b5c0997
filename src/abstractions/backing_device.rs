// SPDX-License-Identifier: GPL-2.0-only

//! A block device that pages are written to and read from.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! Upstream this would be `rust/kernel/block/bdev.rs`.

mod chained_read;
mod part_read;
mod run;

use super::{
    ffi,
    files,
    sysfs::Text, //
};
pub(crate) use chained_read::{
    ReadEnd,
    ReadRequest, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::from_err_ptr,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};
pub(crate) use part_read::{
    PartEnd,
    PartRequest, //
};
pub(crate) use run::Run;

const PAGE_LEN: c_uint = PAGE_SIZE as c_uint;

/// A block device, opened for exclusive use; closed when dropped.
///
/// # Invariants
///
/// `file` is an open file of the block device `bdev`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::backing_device::{BackingDevice, Run};
/// # use kernel::sync::Arc;
/// let device = Arc::new(BackingDevice::open(b"/dev/loop0")?, GFP_KERNEL)?;
/// let mut run = Run::new(&device, 1)?;
/// if let Some(page) = run.page(0) {
///     page.0.fill(1);
/// }
/// run.write(0, 1);
/// if let Some(result) = run.wait() {
///     result?;
/// }
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct BackingDevice {
    file: NonNull<ffi::file>,
    bdev: *mut ffi::block_device,
    /// Size of the device in pages; what is left of it is not used.
    pages: usize,
}

// SAFETY: Files and block devices are bound to no thread.
unsafe impl Send for BackingDevice {}
// SAFETY: Nothing behind a `&BackingDevice` changes but the device itself, which the block layer
// has locks for.
unsafe impl Sync for BackingDevice {}

impl BackingDevice {
    /// Opens the device at `path`, which may be any bytes; a NUL ends it.
    ///
    /// Context: Process context. May sleep, for as long as the device takes to be opened.
    ///
    /// # Errors
    ///
    /// Those of opening the file, such as `EBUSY` if the device is in use; `ENOTBLK` if the file is
    /// no block device; `EINVAL` if the device is smaller than a page, as the disk itself is while
    /// it has no capacity, or if its blocks are larger than a page; `EROFS` if it can't be written
    /// to.
    pub fn open(path: &[u8]) -> Result<Self> {
        let name = files::nul_terminated(path)?;
        let flags = (ffi::O_RDWR | ffi::O_LARGEFILE | ffi::O_EXCL) as c_int;
        // SAFETY: `name` ends with a NUL.
        let file = from_err_ptr(unsafe { ffi::filp_open(name.as_ptr().cast(), flags, 0) })?;
        // From here on the file is closed after an error. That takes `file` only, so that `bdev`
        // may be set later.
        let mut this = Self {
            file: NonNull::new(file).ok_or(ENOENT)?,
            bdev: ptr::null_mut(),
            pages: 0,
        };
        // SAFETY: `file` is open, so it has a mapping, which has an inode.
        let inode = unsafe { (*(*file).f_mapping).host };
        // SAFETY: `inode` lives as long as the file, and the type of an inode does not change.
        if u32::from(unsafe { (*inode).i_mode }) & ffi::S_IFMT != ffi::S_IFBLK {
            return Err(ENOTBLK);
        }
        // INVARIANT: The inode of `file` is that of a block device, which is `bdev`.
        // SAFETY: `inode` lives as long as the file, and is that of a block device.
        this.bdev = unsafe { ffi::I_BDEV(inode) };
        // SAFETY: `inode` lives as long as the file. Its size may change meanwhile, so it is read
        // once.
        let bytes = unsafe { (&raw const (*inode).i_size).read_volatile() };
        this.pages = bytes as usize >> PAGE_SHIFT;
        // SAFETY: `bdev` is open, so it has a disk and a queue.
        let (read_only, block) = unsafe {
            let disk = (*this.bdev).bd_disk;
            let flags = |bdev: *mut ffi::block_device| {
                (&raw const (*bdev).__bd_flags.counter).read_volatile() as c_uint
            };
            let of_disk = (&raw const (*disk).state).read_volatile() >> ffi::GD_READ_ONLY;
            (
                (flags(this.bdev) | flags((*disk).part0)) & ffi::BD_READ_ONLY != 0
                    || of_disk & 1 != 0,
                (*(*this.bdev).bd_queue).limits.logical_block_size,
            )
        };
        if this.pages == 0 || block > PAGE_LEN {
            return Err(EINVAL);
        }
        if read_only {
            return Err(EROFS);
        }
        Ok(this)
    }

    /// Returns the size of the device in pages, rounded down.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Appends to `out` the path of the device that was opened, which may be any bytes.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` if the path is longer than a page; `EMSGSIZE` if `out` has no room for it;
    /// `ENOMEM`.
    pub fn show_path(&self, out: &mut Text<'_>) -> Result {
        let mut page = KBox::init(pin_init::init_zeroed::<[u8; PAGE_SIZE]>(), GFP_KERNEL)?;
        let (room, len) = (page.as_mut_ptr().cast(), PAGE_SIZE as c_int - 1);
        // SAFETY: `self.file` is open by the type invariant, and `page` is larger than `len` bytes.
        let path = from_err_ptr(unsafe { ffi::file_path(self.file.as_ptr(), room, len) })?;
        // SAFETY: `path` points into `page`, where `file_path` has put a C string.
        out.write_bytes(unsafe { CStr::from_char_ptr(path) }.to_bytes())
    }
}

impl Drop for BackingDevice {
    fn drop(&mut self) {
        // SAFETY: `self.file` is an open file that `self` owns, by the type invariant.
        unsafe { ffi::filp_close(self.file.as_ptr(), ptr::null_mut()) };
    }
}

/// Returns the number of the first sector of block `index`.
fn sector(index: usize) -> u64 {
    (index as u64) << (PAGE_SHIFT - 9)
}
