// SPDX-License-Identifier: GPL-2.0-only

//! Files that the kernel reads whole.
//!
//! C header: [`include/linux/kernel_read_file.h`](srctree/include/linux/kernel_read_file.h)

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

/// `path` as a C string.
pub(super) fn name(path: &[u8]) -> Result<KVec<u8>> {
    let mut name = KVec::with_capacity(path.len().saturating_add(1), GFP_KERNEL)?;
    name.extend_from_slice(path, GFP_KERNEL)?;
    name.push(0, GFP_KERNEL)?;
    Ok(name)
}

/// What was in a file; by default nothing.
///
/// # Invariants
///
/// `data` is null and `len` zero; or `data` was allocated with vmalloc, belongs to `self`, and has `len`
/// bytes that are initialised.
pub(crate) struct Contents {
    data: *mut u8,
    len: usize,
}

// SAFETY: Memory.
unsafe impl Send for Contents {}
// SAFETY: As above.
unsafe impl Sync for Contents {}

impl Default for Contents {
    fn default() -> Self {
        // INVARIANT: Nothing.
        Self {
            data: ptr::null_mut(),
            len: 0,
        }
    }
}

impl Contents {
    /// Reads the file at `path`. May sleep; with little memory it gives up before anyone is killed.
    ///
    /// # Errors
    ///
    /// What opening and reading it returns; `EINVAL` if it is empty or no file, `EFBIG` if it is longer
    /// than an `int` tells, `ENOMEM`.
    pub(crate) fn read(path: &[u8]) -> Result<Self> {
        if path.is_empty() {
            return Err(EINVAL);
        }
        let name = name(path)?;
        // SAFETY: `name` ends with a NUL.
        let file = unsafe { ffi::filp_open(name.as_ptr().cast(), ffi::O_RDONLY as c_int, 0) };
        let file = ScopeGuard::new_with_data(from_err_ptr(file)?, |file| {
            // SAFETY: Opened above.
            unsafe { ffi::fput(file) }
        });
        // SAFETY: An open file has an inode.
        let inode = unsafe { (**file).f_inode };
        // SAFETY: As above; the type of an inode does not change.
        if u32::from(unsafe { (*inode).i_mode }) & ffi::S_IFMT != ffi::S_IFREG {
            return Err(EINVAL);
        }
        // SAFETY: As above.
        let size = unsafe { (&raw const (*inode).i_size).read_volatile() };
        let room = match usize::try_from(size) {
            Err(_) | Ok(0) => return Err(EINVAL),
            Ok(room) if room > c_int::MAX as usize => return Err(EFBIG),
            Ok(room) => room,
        };
        // INVARIANT: Of this memory nothing is initialised yet.
        let mut this = Self {
            data: allocate(room)?.as_ptr(),
            len: 0,
        };
        let mut data = this.data.cast();
        let id = ffi::kernel_read_file_id_READING_POLICY;
        // SAFETY: The file is open, and `data` has that much room.
        let len = unsafe { ffi::kernel_read_file(*file, 0, &mut data, room, ptr::null_mut(), id) };
        // INVARIANT: The call has read that many bytes.
        this.len = usize::try_from(len).map_err(|_| Error::from_errno(len as c_int))?;
        if this.len == 0 {
            return Err(EINVAL);
        }
        Ok(this)
    }
}

/// Memory for `len` bytes, not to be had at any price.
fn allocate(len: usize) -> Result<NonNull<u8>> {
    /// What may be asked for without a look, for reclaim to find.
    const MODEST: usize = 16 << 20;

    // An allocation that takes all there is before it fails has others killed meanwhile.
    // SAFETY: The call has no requirements.
    let available = usize::try_from(unsafe { ffi::si_mem_available() }).unwrap_or(0);
    if len > MODEST && len.div_ceil(PAGE_SIZE) >= available {
        return Err(ENOMEM);
    }
    let (flags, node) = (ffi::ZRAM_GFP_SOFT, ffi::NUMA_NO_NODE);
    // SAFETY: The call has no requirements.
    let raw = unsafe { ffi::vrealloc_node_align(ptr::null(), len, 1, flags, node) };
    NonNull::new(raw.cast()).ok_or(ENOMEM)
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: By the type invariant.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; null is ignored.
        unsafe { ffi::kvfree(self.data.cast()) };
    }
}
