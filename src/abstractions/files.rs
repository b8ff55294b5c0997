// SPDX-License-Identifier: GPL-2.0-only

//! Files that are read as a whole, such as a dictionary.
//!
//! C header: [`include/linux/kernel_read_file.h`](srctree/include/linux/kernel_read_file.h)
//!
//! Upstream this would be `rust/kernel/fs/kernel_read_file.rs`.

use super::ffi;
use core::{
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    error::from_err_ptr,
    page::PAGE_SIZE,
    prelude::*,
    types::ScopeGuard, //
};

/// Returns `path` with a NUL at its end.
pub(super) fn nul_terminated(path: &[u8]) -> Result<KVec<u8>> {
    let mut name = KVec::with_capacity(path.len().saturating_add(1), GFP_KERNEL)?;
    name.extend_from_slice(path, GFP_KERNEL)?;
    name.push(0, GFP_KERNEL)?;
    Ok(name)
}

/// The contents of a file; empty by default.
///
/// # Invariants
///
/// Either `data` is null and `len` is zero, or `data` was allocated by `vrealloc`, belongs to
/// `self`, and has `len` initialised bytes.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::files::Contents;
/// let dictionary = Contents::read(b"/etc/zram.dict")?;
/// pr_info!("{} bytes\n", dictionary.len());
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Contents {
    data: *mut u8,
    len: usize,
}

// SAFETY: `Contents` is memory that it owns.
unsafe impl Send for Contents {}
// SAFETY: A `&Contents` gives out `&[u8]` only.
unsafe impl Sync for Contents {}

impl Default for Contents {
    fn default() -> Self {
        // INVARIANT: `data` is null and `len` is zero.
        Self {
            data: ptr::null_mut(),
            len: 0,
        }
    }
}

impl Contents {
    /// Reads the file at `path`, which may be any bytes; a NUL ends it.
    ///
    /// Fails when there is little memory, rather than have a task killed.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Those of opening and reading the file; `EINVAL` if the file is empty or not a regular one,
    /// or if `path` is empty; `EFBIG` if the file has more than `INT_MAX` bytes; `ENOMEM`.
    pub fn read(path: &[u8]) -> Result<Self> {
        if path.is_empty() {
            return Err(EINVAL);
        }
        let name = nul_terminated(path)?;
        // SAFETY: `name` ends with a NUL.
        let file = unsafe { ffi::filp_open(name.as_ptr().cast(), ffi::O_RDONLY as c_int, 0) };
        let file = ScopeGuard::new_with_data(from_err_ptr(file)?, |file| {
            // SAFETY: `file` was opened above.
            unsafe { ffi::fput(file) }
        });
        // SAFETY: `file` is open, so it has an inode.
        let inode = unsafe { (**file).f_inode };
        // SAFETY: `inode` lives as long as the file, and the type of an inode does not change.
        if u32::from(unsafe { (*inode).i_mode }) & ffi::S_IFMT != ffi::S_IFREG {
            return Err(EINVAL);
        }
        // SAFETY: `inode` lives as long as the file. Its size may change meanwhile, so it is read
        // once.
        let size = unsafe { (&raw const (*inode).i_size).read_volatile() };
        let room = match usize::try_from(size) {
            Err(_) | Ok(0) => return Err(EINVAL),
            Ok(room) if room > c_int::MAX as usize => return Err(EFBIG),
            Ok(room) => room,
        };
        // INVARIANT: `data` was just allocated; none of it is initialised yet.
        let mut this = Self {
            data: allocate(room)?.as_ptr(),
            len: 0,
        };
        let mut data = this.data.cast();
        let id = ffi::kernel_read_file_id_READING_POLICY;
        // SAFETY: `file` is open, and `data` has room for `room` bytes.
        let len = unsafe { ffi::kernel_read_file(*file, 0, &mut data, room, ptr::null_mut(), id) };
        // INVARIANT: `kernel_read_file` has written `len` bytes to `data`.
        this.len = usize::try_from(len).map_err(|_| Error::from_errno(len as c_int))?;
        if this.len == 0 {
            return Err(EINVAL);
        }
        Ok(this)
    }
}

/// Allocates `len` bytes, or fails rather than have a task killed.
fn allocate(len: usize) -> Result<NonNull<u8>> {
    /// Largest allocation that is tried without checking the available memory: reclaim may find
    /// that much.
    const MODEST: usize = 16 << 20;

    // An allocation takes all memory there is before it fails, and others may be killed for theirs
    // meanwhile.
    // SAFETY: The call has no requirements.
    let available = usize::try_from(unsafe { ffi::si_mem_available() }).unwrap_or(0);
    if len > MODEST && len.div_ceil(PAGE_SIZE) >= available {
        return Err(ENOMEM);
    }
    let (flags, node) = (ffi::ZRAM_GFP_SOFT, ffi::NUMA_NO_NODE);
    // SAFETY: A null pointer makes the call allocate, which has no requirements.
    let raw = unsafe { ffi::vrealloc_node_align(ptr::null(), len, 1, flags, node) };
    NonNull::new(raw.cast()).ok_or(ENOMEM)
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: `self.data` is not null, so that it has `self.len` initialised bytes that belong
        // to `self`, by the type invariant.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: `self.data` is null, which `kvfree` ignores, or was allocated by `vrealloc` and
        // belongs to `self`, by the type invariant.
        unsafe { ffi::kvfree(self.data.cast()) };
    }
}
