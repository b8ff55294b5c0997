// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs whose reader says what the file position means, and files to write to.
//!
//! The `kernel` crate has such files, too, and the traits here have the names that they have there. But its file
//! operations name no owner, so that a file that is open when the module goes would be released by operations
//! that are gone. This file goes when they do.
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
pub(crate) trait Writer: Send + Sync + 'static {
    /// Appends to `out` what is at `pos`, at most `room` bytes, and moves `pos` behind it; nothing
    /// at the end. Process context; may sleep.
    fn write_to(&self, pos: &mut u64, room: usize, out: &mut KVVec<u8>) -> Result;
}

/// What a file takes.
#[cfg(CONFIG_FAULT_INJECTION)]
pub(crate) trait Reader: Send + Sync + 'static {
    /// Takes what user space wrote. Process context; may sleep.
    fn read_from(&self, arg: &[u8]) -> Result;
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
    pub(crate) fn read_only_file<W: Writer>(&self, name: &CStr, writer: Arc<W>) -> File<W> {
        // SAFETY: These are the operations for `W`.
        unsafe { self.create(name, 0o400, writer, &File::<W>::READ_ONLY) }
    }

    /// Makes a file that only root may write to. May sleep.
    #[cfg(CONFIG_FAULT_INJECTION)]
    pub(crate) fn write_only_file<R: Reader>(&self, name: &CStr, reader: Arc<R>) -> File<R> {
        // SAFETY: These are the operations for `R`.
        unsafe { self.create(name, 0o200, reader, &File::<R>::WRITE_ONLY) }
    }

    /// # Safety
    ///
    /// `operations` take the file's `private_data` for what an `Arc<T>` became.
    unsafe fn create<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        mode: u16,
        data: Arc<T>,
        operations: &'static ffi::file_operations,
    ) -> File<T> {
        let data = data.into_foreign();
        // SAFETY: `name` is a C string, and `data` lives as long as the file.
        // INVARIANT: As said.
        let dentry = unsafe {
            ffi::debugfs_create_file_full(
                name.as_char_ptr(),
                mode,
                self.0,
                data,
                ptr::null(),
                operations,
            )
        };
        File {
            dentry,
            data,
            _data: PhantomData,
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
/// `data` came from `Arc::<T>::into_foreign`, and is the data of `dentry`.
pub(crate) struct File<T: Send + Sync + 'static> {
    dentry: *mut ffi::dentry,
    data: *mut c_void,
    _data: PhantomData<T>,
}

// SAFETY: debugfs takes its own locks.
unsafe impl<T: Send + Sync> Send for File<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for File<T> {}

impl<W: Writer> File<W> {
    /// The most that one read gives.
    const ROOM: usize = 1 << 20;

    const READ_ONLY: ffi::file_operations = ffi::file_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        open: Some(ffi::simple_open),
        read: Some(Self::read),
        llseek: Some(ffi::default_llseek),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` is open, and was made by `Dir::read_only_file` for `W`; the others are those of a read.
    unsafe extern "C" fn read(
        file: *mut ffi::file,
        user: *mut c_char,
        count: usize,
        pos: *mut ffi::loff_t,
    ) -> isize {
        // SAFETY: `simple_open` put it there; debugfs keeps the file until the read is over.
        let writer = unsafe { Arc::<W>::borrow((*file).private_data) };
        from_result(|| {
            let mut out = KVVec::new();
            // SAFETY: By the safety requirement.
            let mut at = u64::try_from(unsafe { *pos }).map_err(|_| EINVAL)?;
            writer.write_to(&mut at, count.min(Self::ROOM), &mut out)?;
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

#[cfg(CONFIG_FAULT_INJECTION)]
impl<R: Reader> File<R> {
    const WRITE_ONLY: ffi::file_operations = ffi::file_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        open: Some(ffi::simple_open),
        write: Some(Self::write),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `file` is open, and was made by `Dir::write_only_file` for `R`; the others are those of a write.
    unsafe extern "C" fn write(
        file: *mut ffi::file,
        user: *const c_char,
        count: usize,
        _: *mut ffi::loff_t,
    ) -> isize {
        // SAFETY: `simple_open` put it there; debugfs keeps the file until the write is over.
        let reader = unsafe { Arc::<R>::borrow((*file).private_data) };
        from_result(|| {
            let mut arg = [0; 64];
            let arg = arg.get_mut(..count).ok_or(EINVAL)?;
            let to = arg.as_mut_ptr().cast();
            // SAFETY: `arg` has room for `count` bytes; `copy_from_user` checks the other.
            if unsafe { ffi::copy_from_user(to, user.cast(), count) } != 0 {
                return Err(EFAULT);
            }
            reader.read_from(arg)?;
            Ok(count as isize)
        })
    }
}

impl<T: Send + Sync> Drop for File<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; an error pointer is ignored. After it nobody is in a call.
        unsafe {
            ffi::debugfs_remove(self.dentry);
            drop(Arc::<T>::from_foreign(self.data));
        }
    }
}
