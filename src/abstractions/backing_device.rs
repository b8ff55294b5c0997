// SPDX-License-Identifier: GPL-2.0-only

//! A block device that pages are written to and read from.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/bio.h`](srctree/include/linux/bio.h)

mod chained_read;
mod page_write;

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
pub(crate) use page_write::PageWrite;

const PAGE_LEN: c_uint = PAGE_SIZE as c_uint;

/// A block device, opened for exclusive use; closed when dropped.
///
/// # Invariants
///
/// `file` is an open file of the block device `bdev`.
pub(crate) struct BackingDevice {
    file: NonNull<ffi::file>,
    bdev: *mut ffi::block_device,
    pages: usize,
}

// SAFETY: Files and block devices may be used from any thread.
unsafe impl Send for BackingDevice {}
// SAFETY: As above.
unsafe impl Sync for BackingDevice {}

impl BackingDevice {
    /// Opens the device at `path`. May sleep, for as long as the device takes to be opened.
    ///
    /// # Errors
    ///
    /// What opening it returns, `EBUSY` for one in use among them; `ENOTBLK` if it is no block
    /// device; `EINVAL` if it is smaller than a page, as this disk itself is, or if it can't be written
    /// to page by page; `EROFS` if it can't be written to.
    pub(crate) fn open(path: &[u8]) -> Result<Self> {
        let name = files::name(path)?;
        let flags = (ffi::O_RDWR | ffi::O_LARGEFILE | ffi::O_EXCL) as c_int;
        // SAFETY: `name` ends with a NUL.
        let file = from_err_ptr(unsafe { ffi::filp_open(name.as_ptr().cast(), flags, 0) })?;
        let mut this = Self {
            file: NonNull::new(file).ok_or(ENOENT)?,
            bdev: ptr::null_mut(),
            pages: 0,
        };
        // SAFETY: An open file has a mapping, which has an inode.
        let inode = unsafe { (*(*file).f_mapping).host };
        // SAFETY: As above; the type of an inode does not change.
        if u32::from(unsafe { (*inode).i_mode }) & ffi::S_IFMT != ffi::S_IFBLK {
            return Err(ENOTBLK);
        }
        // INVARIANT: The inode is that of a block device.
        // SAFETY: As above.
        this.bdev = unsafe { ffi::I_BDEV(inode) };
        // SAFETY: The inode lives as long as the file.
        let bytes = unsafe { (&raw const (*inode).i_size).read_volatile() };
        this.pages = bytes as usize >> PAGE_SHIFT;
        // SAFETY: A block device that is open has a disk and a queue.
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

    /// Its size.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Writes the path of the device that was opened, which is of bytes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` if it takes more than a page; `ENOMEM`.
    pub(crate) fn show_path(&self, out: &mut Text<'_>) -> Result {
        let mut page = KBox::init(pin_init::init_zeroed::<[u8; PAGE_SIZE]>(), GFP_KERNEL)?;
        let (room, len) = (page.as_mut_ptr().cast(), PAGE_SIZE as c_int - 1);
        // SAFETY: The file is open, and `page` has room for `len` bytes.
        let path = from_err_ptr(unsafe { ffi::file_path(self.file.as_ptr(), room, len) })?;
        // SAFETY: The path is a C string in `page`.
        out.write_bytes(unsafe { CStr::from_char_ptr(path) }.to_bytes())
    }
}

impl Drop for BackingDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::filp_close(self.file.as_ptr(), ptr::null_mut()) };
    }
}

fn sector(index: usize) -> u64 {
    (index as u64) << (PAGE_SHIFT - 9)
}
