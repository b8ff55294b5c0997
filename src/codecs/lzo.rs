// SPDX-License-Identifier: GPL-2.0-only

//! LZO, with and without run-length encoding, with the kernel's library.
//!
//! One decompressor reads both formats.
//!
//! C header: [`include/linux/lzo.h`](srctree/include/linux/lzo.h)

use super::{
    no_level_no_dict,
    Backend,
    CompressBuf,
    Params,
    Workspace, //
};
use crate::zram::abstractions::{
    ffi,
    racy::{
        RacyPage,
        RacyPageMut, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The size of the compressor's workspace in bytes: `LZO1X_1_MEM_COMPRESS`, which bindgen can't
/// evaluate.
const MEM_COMPRESS: usize = 8192 * size_of::<u16>();

/// The type of both compressors.
type Compress = unsafe extern "C" fn(*const u8, usize, *mut u8, *mut usize, *mut c_void) -> c_int;

/// LZO1X-1 with run-length encoding, which has no parameters.
pub(crate) struct LzoRle;

/// LZO1X-1, which has no parameters.
pub(crate) struct Lzo;

/// Implements [`Backend`] for a type, with one of the compressors.
macro_rules! lzo {
    ($type:ty, $compress:path) => {
        impl Backend for $type {
            type Context = Workspace;

            fn new(params: Params) -> Result<Self> {
                no_level_no_dict(&params)?;
                Ok(Self)
            }

            fn context(&self) -> Result<Workspace> {
                Workspace::new(MEM_COMPRESS)
            }

            #[inline(never)]
            fn compress(
                &self,
                workspace: &mut Workspace,
                src: RacyPage<'_>,
                dst: &mut CompressBuf,
                _: usize,
            ) -> Option<usize> {
                compress($compress, workspace, src, dst)
            }

            #[inline(never)]
            fn decompress(&self, _: &mut Workspace, src: &[u8], dst: RacyPageMut<'_>) -> Result {
                decompress(src, dst)
            }
        }
    };
}

lzo!(LzoRle, ffi::lzorle1x_1_compress);
lzo!(Lzo, ffi::lzo1x_1_compress);

// LZO does not ask how much room there is, so that no limit can be passed to it. Two pages are more
// than it can write for one, even if the page changes meanwhile: a match or a run of zeroes stands
// for four bytes or more and takes up to four; a number of literals takes two bytes, and one more
// for each 255; a literal takes one byte; and a copy may write up to 16 bytes beyond its end.
const _: () = assert!(size_of::<CompressBuf>() >= 2 * PAGE_SIZE);

/// Compresses the page `src` with `compress`, and returns the length.
///
/// `workspace` is of [`MEM_COMPRESS`] bytes.
fn compress(
    compress: Compress,
    workspace: &mut Workspace,
    src: RacyPage<'_>,
    dst: &mut CompressBuf,
) -> Option<usize> {
    let mut len = 0;
    // SAFETY: `src` is valid for reads of a page, `dst` for writes of two pages, which is more than
    // LZO writes for one, and `workspace` is of `MEM_COMPRESS` bytes.
    let ret = unsafe {
        compress(
            src.as_ptr(),
            PAGE_SIZE,
            dst.as_mut_ptr(),
            &mut len,
            workspace.as_ptr(),
        )
    };
    (ret == ffi::LZO_E_OK as c_int).then_some(len)
}

/// Decompresses `src`, of either format, to the page `dst`.
///
/// # Errors
///
/// `EINVAL` if `src` does not decompress to exactly a page. Then `dst` holds anything.
fn decompress(src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
    let mut len = PAGE_SIZE;
    // SAFETY: `src` is valid for reads of its length, and `dst` for writes of `len` bytes, a page.
    let ret =
        unsafe { ffi::lzo1x_decompress_safe(src.as_ptr(), src.len(), dst.as_ptr(), &mut len) };
    if ret == ffi::LZO_E_OK as c_int && len == PAGE_SIZE {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
