// SPDX-License-Identifier: GPL-2.0

//! Files that the kernel reads whole.
//!
//! C header: [`include/linux/kernel_read_file.h`](srctree/include/linux/kernel_read_file.h)

use super::ffi;
use core::ptr;
use kernel::{
    prelude::*,
    types::ScopeGuard, //
};

/// Reads the file at `path`. May sleep.
///
/// # Errors
///
/// What opening and reading it returns; `EINVAL` if it is empty or no file.
pub(crate) fn read(path: &[u8]) -> Result<KVVec<u8>> {
    let mut name = KVec::new();
    name.extend_from_slice(path, GFP_KERNEL)?;
    name.push(0, GFP_KERNEL)?;
    let mut data = ptr::null_mut();
    // SAFETY: `name` ends with a NUL, `data` is there to be written to.
    let len = unsafe {
        ffi::kernel_read_file_from_path(
            name.as_ptr().cast(),
            0,
            &mut data,
            c_int::MAX as usize,
            ptr::null_mut(),
            ffi::kernel_read_file_id_READING_POLICY,
        )
    };
    let len = usize::try_from(len).map_err(|_| Error::from_errno(len as c_int))?;
    let data = ScopeGuard::new_with_data(data, |data| {
        // SAFETY: Allocated by the call above, or null.
        unsafe { ffi::kvfree(data) }
    });
    if len == 0 {
        return Err(EINVAL);
    }
    // SAFETY: The call above read that many bytes.
    let bytes = unsafe { core::slice::from_raw_parts((*data).cast::<u8>(), len) };
    let mut copy = KVVec::with_capacity(len, GFP_KERNEL)?;
    copy.extend_from_slice(bytes, GFP_KERNEL)?;
    Ok(copy)
}
