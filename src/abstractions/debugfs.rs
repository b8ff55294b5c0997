// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs whose reader says what the file position means.
//!
//! The `kernel` crate's are all of one kind, with a position in bytes.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use super::ffi;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    module::this_module,
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};

/// What a file shows.
pub(crate) trait Reader: Send + Sync + 'static {
    /// Appends to `out` what is at `pos`, at most `room` bytes, and moves `pos` behind it; nothing
    /// at the end. Process context; may sleep.
    fn read(&self, pos: &mut u64, room: usize, out: &mut KVVec<u8>) -> Result;
}

/// A directory, removed with all in it when dropped. Without debugfs it is nothing.
pub(crate) struct Dir(*mut ffi::dentry);

// SAFETY: debugfs takes its own locks.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes a directory at the top. May sleep.
    pub(crate) fn new(name: &CStr) -> Self {
        // SAFETY: `name` is a C string; without a parent the directory is at the top.
        Self(unsafe { ffi::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) })
    }

    /// Makes a directory in this one. May sleep.
    pub(crate) fn subdir(&self, name: &CStr) -> Self {
        // SAFETY: As above; an error pointer for a parent is passed on as the result.
        Self(unsafe { ffi::debugfs_create_dir(name.as_char_ptr(), self.0) })
    }

    /// Makes a file that only root may read. May sleep.
    pub(crate) fn file<R: Reader>(&self, name: &CStr, reader: Arc<R>) -> File<R> {
        let data = reader.into_foreign();
        // SAFETY: `name` is a C string, and `data` lives as long as the file.
        // INVARIANT: As said.
        let dentry = unsafe {
            ffi::debugfs_create_file_full(
                name.as_char_ptr(),
                0o400,
                self.0,
                data,
                ptr::null(),
                &File::<R>::OPERATIONS,
            )
        };
        File {
            dentry,
            data,
            _reader: PhantomData,
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: It was made by `debugfs_create_dir`; an error pointer is ignored.
        unsafe { ffi::debugfs_remove(self.0) };
    }
}

/// A file, removed when dropped, after all reads.
///
/// # Invariants
///
/// `data` came from `Arc::<R>::into_foreign`, and is the data of `dentry`.
pub(crate) struct File<R: Reader> {
    dentry: *mut ffi::dentry,
    data: *mut c_void,
    _reader: PhantomData<R>,
}

// SAFETY: debugfs takes its own locks.
unsafe impl<R: Reader> Send for File<R> {}
// SAFETY: As above.
unsafe impl<R: Reader> Sync for File<R> {}

impl<R: Reader> File<R> {
    /// The most that one read gives.
    const ROOM: usize = 1 << 20;

    const OPERATIONS: ffi::file_operations = ffi::file_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        open: Some(ffi::simple_open),
        read: Some(Self::read),
        llseek: Some(ffi::default_llseek),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` is open, and was made by `Dir::file` for `R`; the others are those of a read.
    unsafe extern "C" fn read(
        file: *mut ffi::file,
        user: *mut c_char,
        count: usize,
        pos: *mut ffi::loff_t,
    ) -> isize {
        // SAFETY: `simple_open` put it there; debugfs keeps the file until the read is over.
        let reader = unsafe { Arc::<R>::borrow((*file).private_data) };
        from_result(|| {
            let mut out = KVVec::new();
            // SAFETY: By the safety requirement.
            let mut at = u64::try_from(unsafe { *pos }).map_err(|_| EINVAL)?;
            reader.read(&mut at, count.min(Self::ROOM), &mut out)?;
            // SAFETY: `out` is as long as it says; `copy_to_user` checks the other.
            if unsafe { ffi::copy_to_user(user.cast(), out.as_ptr().cast(), out.len()) } != 0 {
                return Err(EFAULT);
            }
            // SAFETY: By the safety requirement.
            unsafe { *pos = at as ffi::loff_t };
            Ok(out.len() as isize)
        })
    }
}

impl<R: Reader> Drop for File<R> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; an error pointer is ignored. After it nobody reads.
        unsafe {
            ffi::debugfs_remove(self.dentry);
            drop(Arc::<R>::from_foreign(self.data));
        }
    }
}
