// SPDX-License-Identifier: GPL-2.0-only

//! LZO, compressed by [`lzo_page`] with runs of zeroes, and by the kernel's library without.
//!
//! One decompressor, [`lzo_page`]'s, reads both formats.
//!
//! C header: [`include/linux/lzo.h`](srctree/include/linux/lzo.h)

use super::{
    lzo_page,
    table::Table,
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
    },
    zsmalloc::Object, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The size of the library's workspace in bytes: `LZO1X_1_MEM_COMPRESS`, which bindgen can't
/// evaluate.
const MEM_COMPRESS: usize = 8192 * size_of::<u16>();

/// LZO1X-1 with run-length encoding, which has no parameters.
pub(crate) struct LzoRle;

/// LZO1X-1, which has no parameters.
pub(crate) struct Lzo;

impl Backend for LzoRle {
    type Context = KVBox<Table>;

    fn new(name: &str, params: Params) -> Result<Self> {
        params.no_dict(name)?;
        params.no_level(name)?;
        Ok(Self)
    }

    fn context(&self) -> Result<Self::Context> {
        Table::new()
    }

    #[inline(never)]
    fn compress(
        &self,
        table: &mut Self::Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize> {
        let dst = dst.get_mut(..limit)?;
        // SAFETY: `src` is valid for reads of a page by the invariants of `RacyPage`.
        unsafe { lzo_page::compress(&mut table.0, src.as_ptr(), dst) }
    }

    #[inline(never)]
    fn decompress(&self, _: &mut Self::Context, src: &[u8], dst: RacyPageMut<'_>) -> Result {
        decompress(src, &[], &mut [], dst)
    }

    #[inline(never)]
    fn decompress_object(
        &self,
        _: &mut Self::Context,
        object: &Object<'_>,
        room: &mut CompressBuf,
        dst: RacyPageMut<'_>,
    ) -> Result {
        decompress_object(object, room, dst)
    }
}

impl Backend for Lzo {
    type Context = Workspace;

    fn new(name: &str, params: Params) -> Result<Self> {
        params.no_dict(name)?;
        params.no_level(name)?;
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
        let mut len = 0;
        // SAFETY: `src` is valid for reads of a page, `dst` for writes of two pages, which is more
        // than LZO writes for one, and `workspace` is of `MEM_COMPRESS` bytes.
        let ret = unsafe {
            ffi::lzo1x_1_compress(
                src.as_ptr(),
                PAGE_SIZE,
                dst.as_mut_ptr(),
                &mut len,
                workspace.as_ptr(),
            )
        };
        (ret == ffi::LZO_E_OK as c_int).then_some(len)
    }

    #[inline(never)]
    fn decompress(&self, _: &mut Workspace, src: &[u8], dst: RacyPageMut<'_>) -> Result {
        decompress(src, &[], &mut [], dst)
    }

    #[inline(never)]
    fn decompress_object(
        &self,
        _: &mut Workspace,
        object: &Object<'_>,
        room: &mut CompressBuf,
        dst: RacyPageMut<'_>,
    ) -> Result {
        decompress_object(object, room, dst)
    }
}

// LZO does not ask how much room there is, so that no limit can be passed to it. Two pages are more
// than it can write for one, even if the page changes meanwhile: a match stands for four bytes or
// more and takes up to four; a number of literals takes two bytes, and one more for each 255; a
// literal takes one byte; and a copy may write up to 16 bytes beyond its end.
const _: () = assert!(size_of::<CompressBuf>() >= 2 * PAGE_SIZE);

/// Decompresses `object` to the page `dst`.
///
/// # Errors
///
/// `EINVAL` if it does not decompress to exactly a page. Then `dst` holds anything.
fn decompress_object(object: &Object<'_>, room: &mut CompressBuf, dst: RacyPageMut<'_>) -> Result {
    let parts = object.read_parts();
    let (head, tail) = parts.slices();
    decompress(head, tail, room, dst)
}

/// Decompresses the block `head` followed by `tail`, of either format, to the page `dst`.
///
/// Unless `tail` is empty, `room` is at least as long as both together.
///
/// # Errors
///
/// `EINVAL` if the block does not decompress to exactly a page. Then `dst` holds anything.
fn decompress(head: &[u8], tail: &[u8], room: &mut [u8], mut dst: RacyPageMut<'_>) -> Result {
    // SAFETY: `dst` is valid for reads and writes of a page by the invariants of `RacyPageMut`.
    unsafe { lzo_page::decompress(head, tail, room, dst.as_ptr()) }
        .map_err(|lzo_page::Corrupt| EINVAL)
}
