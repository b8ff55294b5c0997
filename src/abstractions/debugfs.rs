// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs: some to read, either as a text or from a file position that the driver gives
//! its meaning, and some to write to.
//!
//! The `kernel` crate has such files, too, and traits of the same names. But its file operations
//! name no owner: if a file is open when the module goes, it would be released by operations that
//! are gone. As soon as they name one, this file can go.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)
//!
//! Upstream this would be a fix of `rust/kernel/debugfs/file_ops.rs`.

use super::{
    compat,
    ffi, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        Arc,
        UniqueArc, //
    },
    types::ForeignOwnable, //
};

/// Text of a file to read.
pub(crate) trait Show: Send + Sync + 'static {
    /// Prints the text.
    ///
    /// Whoever has opened the file then reads as much of it at a time as they like. It is printed
    /// anew for who seeks, or reads from the start again, and once more, with more room, if it did
    /// not fit; what does not is ignored.
    ///
    /// Context: Process context. May sleep.
    fn show(&self, out: &SeqFile) -> Result;
}

/// Contents of a file to read, from any position.
pub(crate) trait Writer: Send + Sync + 'static {
    /// Appends to `out` at most `room` bytes of what is at `pos`, and moves `pos` behind them; at
    /// the end it appends nothing.
    ///
    /// Context: Process context. May sleep.
    fn write_to(&self, pos: &mut u64, room: usize, out: &mut KVVec<u8>) -> Result;
}

/// Receiver of what is written to a file.
#[cfg(CONFIG_FAULT_INJECTION)]
pub(crate) trait Reader: Send + Sync + 'static {
    /// Takes what user space wrote, at most 64 bytes.
    ///
    /// Context: Process context. May sleep.
    fn read_from(&self, arg: &[u8]) -> Result;
}

/// A directory, removed when it and all that was made in it are dropped; in a kernel without
/// debugfs it does nothing.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::debugfs::{Dir, Show};
/// # use kernel::seq_file::{seq_print, SeqFile};
/// struct Answer;
///
/// impl Show for Answer {
///     fn show(&self, out: &SeqFile) -> Result {
///         seq_print!(out, "{}\n", 42);
///         Ok(())
///     }
/// }
///
/// let dir = Dir::new(c"ramdisk")?;
/// let _file = dir.text_file(c"answer", Arc::new(Answer, GFP_KERNEL)?);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub(crate) struct Dir(Arc<Entry>);

/// The entry of a directory, removed when dropped.
struct Entry {
    dentry: *mut ffi::dentry,
    // Dropped after `self` has removed the entry: the parent would remove it as well.
    _parent: Option<Dir>,
}

// SAFETY: A dentry is bound to no thread.
unsafe impl Send for Entry {}
// SAFETY: debugfs takes its own locks.
unsafe impl Sync for Entry {}

impl Dir {
    /// Makes a directory at the top of debugfs.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; that of debugfs itself makes a directory that does nothing.
    pub fn new(name: &CStr) -> Result<Self> {
        Self::create_dir(name, None)
    }

    /// Makes a directory in this one.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// As of [`Dir::new`].
    pub fn subdir(&self, name: &CStr) -> Result<Self> {
        Self::create_dir(name, Some(self.clone()))
    }

    fn create_dir(name: &CStr, parent: Option<Self>) -> Result<Self> {
        let parent_dentry = parent.as_ref().map_or(ptr::null_mut(), |dir| dir.0.dentry);
        let mut entry = UniqueArc::new(
            Entry {
                dentry: ptr::null_mut(),
                _parent: parent,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: `name` is a C string; `parent_dentry` is a directory, null for the top, or an
        // error pointer, which the call returns as it is.
        entry.dentry = unsafe { ffi::debugfs_create_dir(name.as_char_ptr(), parent_dentry) };
        Ok(Self(entry.into()))
    }

    /// Makes a file with a text that only root may read.
    ///
    /// Context: Process context. May sleep.
    pub fn text_file<S: Show>(&self, name: &CStr, text: Arc<S>) -> File<S> {
        // SAFETY: `TEXT` of `File<S>` takes the inode's `i_private` for an `Arc<S>`.
        unsafe { self.create(name, 0o400, text, &File::<S>::TEXT) }
    }

    /// Makes a file that only root may read.
    ///
    /// Context: Process context. May sleep.
    pub fn read_only_file<W: Writer>(&self, name: &CStr, writer: Arc<W>) -> File<W> {
        // SAFETY: `READ_ONLY` of `File<W>` takes what `simple_open` finds in `i_private` for an
        // `Arc<W>`.
        unsafe { self.create(name, 0o400, writer, &File::<W>::READ_ONLY) }
    }

    /// Makes a file that only root may write to.
    ///
    /// Context: Process context. May sleep.
    #[cfg(CONFIG_FAULT_INJECTION)]
    pub fn write_only_file<R: Reader>(&self, name: &CStr, reader: Arc<R>) -> File<R> {
        // SAFETY: `WRITE_ONLY` of `File<R>` takes what `simple_open` finds in `i_private` for an
        // `Arc<R>`.
        unsafe { self.create(name, 0o200, reader, &File::<R>::WRITE_ONLY) }
    }

    /// Makes a file with `data` as its inode's private data.
    ///
    /// # Safety
    ///
    /// `operations` take `i_private` for what `into_foreign` made of an `Arc<T>`.
    unsafe fn create<T: Send + Sync + 'static>(
        &self,
        name: &CStr,
        mode: u16,
        data: Arc<T>,
        operations: &'static ffi::file_operations,
    ) -> File<T> {
        let data = data.into_foreign();
        // SAFETY: `name` is a C string, `operations` are static, and `data` is freed only after the
        // file is removed.
        // INVARIANT: `data` came from `into_foreign` above, and is the data of the new file.
        let dentry = unsafe {
            ffi::debugfs_create_file_full(
                name.as_char_ptr(),
                mode,
                self.0.dentry,
                data,
                ptr::null(),
                operations,
            )
        };
        File {
            dentry,
            data,
            _dir: self.clone(),
            _data: PhantomData,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: `self.dentry` was made by `debugfs_create_dir`, and is removed here only; null
        // and an error pointer are ignored.
        unsafe { ffi::debugfs_remove(self.dentry) };
    }
}

/// A file, removed when dropped, which waits for reads and writes under way.
///
/// # Invariants
///
/// `data` came from `Arc::<T>::into_foreign`, and is the private data of the file `dentry`, which
/// may be an error pointer.
pub(crate) struct File<T: Send + Sync + 'static> {
    dentry: *mut ffi::dentry,
    data: *mut c_void,
    // Dropped after the file was removed.
    _dir: Dir,
    _data: PhantomData<T>,
}

// SAFETY: A dentry is bound to no thread, and `T` is `Send + Sync`, so that an `Arc<T>` may be
// sent.
unsafe impl<T: Send + Sync> Send for File<T> {}
// SAFETY: debugfs takes its own locks, and `T` is `Sync`.
unsafe impl<T: Send + Sync> Sync for File<T> {}

impl<S: Show> File<S> {
    const TEXT: ffi::file_operations = ffi::file_operations {
        owner: compat::this_module(),
        open: Some(Self::open),
        read: Some(ffi::seq_read),
        llseek: Some(ffi::seq_lseek),
        release: Some(ffi::single_release),
        ..pin_init::zeroed()
    };

    /// Opens the file.
    ///
    /// # Safety
    ///
    /// `inode` is that of a file made by `Dir::text_file` for `S`, and `file` is being opened.
    unsafe extern "C" fn open(inode: *mut ffi::inode, file: *mut ffi::file) -> c_int {
        // SAFETY: `inode` and `file` are valid by the safety requirements of `open`, and `show` is
        // for data of this type.
        unsafe { ffi::single_open(file, Some(Self::show), (*inode).i_private) }
    }

    /// Prints the text.
    ///
    /// # Safety
    ///
    /// `seq` was made by `open`, and a read of the file or a seek has locked it.
    unsafe extern "C" fn show(seq: *mut ffi::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `open` has set `private` to the inode's data, which is an `Arc<S>`. debugfs does
        // not remove the file before the read or the seek is over.
        let text = unsafe { Arc::<S>::borrow((*seq).private) };
        // SAFETY: `seq` is valid, and locked, by the safety requirement of `show`.
        let out = unsafe { SeqFile::from_raw(seq) };
        from_result(|| text.show(out).map(|()| 0))
    }
}

impl<W: Writer> File<W> {
    /// Most bytes that one read returns.
    const ROOM: usize = 1 << 20;

    const READ_ONLY: ffi::file_operations = ffi::file_operations {
        owner: compat::this_module(),
        open: Some(ffi::simple_open),
        read: Some(Self::read),
        llseek: Some(ffi::default_llseek),
        ..pin_init::zeroed()
    };

    /// Reads from the file.
    ///
    /// # Safety
    ///
    /// `file` is open and was made by `Dir::read_only_file` for `W`, and `pos` is valid. `user` and
    /// `count` are those of user space's read.
    unsafe extern "C" fn read(
        file: *mut ffi::file,
        user: *mut c_char,
        count: usize,
        pos: *mut ffi::loff_t,
    ) -> isize {
        // SAFETY: `simple_open` has set `private_data` to the file's data, which is an `Arc<W>`.
        // debugfs does not remove the file before the read is over.
        let writer = unsafe { Arc::<W>::borrow((*file).private_data) };
        from_result(|| {
            let mut out = KVVec::new();
            // SAFETY: `pos` is valid by the safety requirement of `read`.
            let mut at = u64::try_from(unsafe { *pos }).map_err(|_| EINVAL)?;
            writer.write_to(&mut at, count.min(Self::ROOM), &mut out)?;
            // SAFETY: `out` has `out.len()` bytes, and `copy_to_user` checks the address in user
            // space.
            if unsafe { ffi::copy_to_user(user.cast(), out.as_ptr().cast(), out.len()) } != 0 {
                return Err(EFAULT);
            }
            // SAFETY: `pos` is valid by the safety requirement of `read`.
            unsafe { *pos = at as ffi::loff_t };
            Ok(out.len() as isize)
        })
    }
}

#[cfg(CONFIG_FAULT_INJECTION)]
impl<R: Reader> File<R> {
    const WRITE_ONLY: ffi::file_operations = ffi::file_operations {
        owner: compat::this_module(),
        open: Some(ffi::simple_open),
        write: Some(Self::write),
        ..pin_init::zeroed()
    };

    /// Writes to the file.
    ///
    /// # Safety
    ///
    /// `file` is open and was made by `Dir::write_only_file` for `R`. `user` and `count` are those
    /// of user space's write.
    unsafe extern "C" fn write(
        file: *mut ffi::file,
        user: *const c_char,
        count: usize,
        _: *mut ffi::loff_t,
    ) -> isize {
        // SAFETY: `simple_open` has set `private_data` to the file's data, which is an `Arc<R>`.
        // debugfs does not remove the file before the write is over.
        let reader = unsafe { Arc::<R>::borrow((*file).private_data) };
        from_result(|| {
            let mut arg = [0; 64];
            let arg = arg.get_mut(..count).ok_or(EINVAL)?;
            let to = arg.as_mut_ptr().cast();
            // SAFETY: `arg` has room for `count` bytes, and `copy_from_user` checks the address in
            // user space.
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
        // SAFETY: `self.dentry` is a file of debugfs, or an error pointer, which is ignored.
        // Removing it waits for reads and writes; after that nobody uses `self.data`, which came
        // from `into_foreign` by the type invariant.
        unsafe {
            ffi::debugfs_remove(self.dentry);
            drop(Arc::<T>::from_foreign(self.data));
        }
    }
}
