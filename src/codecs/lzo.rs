// SPDX-License-Identifier: GPL-2.0-only

//! LZO, with and without run-length encoding; both are decompressed alike.
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

/// `LZO1X_1_MEM_COMPRESS`, which bindgen can't evaluate.
const MEM_COMPRESS: usize = 8192 * size_of::<u16>();

type Compress = unsafe extern "C" fn(*const u8, usize, *mut u8, *mut usize, *mut c_void) -> c_int;

pub(crate) struct LzoRle;
pub(crate) struct Lzo;

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

// Two pages are more than compressing one can yield, even if it changes meanwhile: a match or a run of
// zeroes stands for four bytes or more and takes up to four, what tells how many literals follow takes two
// and one more for 255 of them, a literal takes itself; and copying may go on for 16 bytes. LZO does not ask
// how much room there is, so that no limit can be told to it.
const _: () = assert!(size_of::<CompressBuf>() >= 2 * PAGE_SIZE);

fn compress(
    compress: Compress,
    workspace: &mut Workspace,
    src: RacyPage<'_>,
    dst: &mut CompressBuf,
) -> Option<usize> {
    let mut len = 0;
    // SAFETY: `src` is a page, `dst` has room for all that comes of it, the workspace is as large as LZO
    // asks for.
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

fn decompress(src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
    let mut len = PAGE_SIZE;
    // SAFETY: `src` is valid for its length, `dst` for `len`, which is a page.
    let ret =
        unsafe { ffi::lzo1x_decompress_safe(src.as_ptr(), src.len(), dst.as_ptr(), &mut len) };
    if ret == ffi::LZO_E_OK as c_int && len == PAGE_SIZE {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
