// SPDX-License-Identifier: GPL-2.0-only

//! LZ4, by [`lz4_page`]; with a dictionary, by the kernel's library. Each reads what the other wrote.
//!
//! C header: [`include/linux/lz4.h`](srctree/include/linux/lz4.h)

use super::{
    decompress_whole,
    lz4_page,
    Backend,
    CompressBuf,
    Params,
    Workspace, //
};
use crate::zram::abstractions::{
    ffi,
    files::Contents,
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

pub(super) const PAGE_LEN: c_int = PAGE_SIZE as c_int;

/// LZ4; its level is the acceleration: higher is faster, and compresses less.
pub(crate) struct Lz4 {
    acceleration: u32,
    dict: Option<Dict>,
}

struct Dict {
    bytes: Contents,
    /// A compression stream that has read `bytes`.
    stream: Workspace,
}

/// What is needed at a time.
pub(crate) enum Context {
    Page(KVBox<Table>),
    /// The compressor's and the decompressor's stream.
    Dict(Workspace, Workspace),
}

#[repr(transparent)]
pub(crate) struct Table(lz4_page::Table);

// SAFETY: It says so.
unsafe impl Zeroable for Table {}

impl Backend for Lz4 {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        let default = ffi::LZ4_ACCELERATION_DEFAULT as c_int;
        let acceleration = params.level.unwrap_or(default);
        if acceleration < default {
            return Err(EINVAL);
        }
        let acceleration = acceleration.unsigned_abs();
        let dict = match params.dict {
            bytes if bytes.is_empty() => None,
            bytes => Some(Dict::new(bytes)?),
        };
        Ok(Self { acceleration, dict })
    }

    fn context(&self) -> Result<Context> {
        Ok(match self.dict {
            None => Context::Page(KVBox::init(
                pin_init::init_zeroed(),
                GFP_KERNEL | __GFP_NOWARN,
            )?),
            Some(_) => Context::Dict(
                Workspace::new(size_of::<ffi::LZ4_stream_t>())?,
                Workspace::new(size_of::<ffi::LZ4_streamDecode_t>())?,
            ),
        })
    }

    #[inline(never)]
    fn compress(
        &self,
        context: &mut Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize> {
        match (context, &self.dict) {
            (Context::Page(table), _) => {
                let dst = dst.get_mut(..limit)?;
                // SAFETY: `src` is a page.
                unsafe { lz4_page::compress(&mut table.0, src.as_ptr(), dst, self.acceleration) }
            }
            (Context::Dict(stream, _), Some(dict)) => {
                stream.copy_from(&dict.stream);
                // The library never asks for more room than what it writes.
                let room = dst.len().min(limit) as c_int;
                // SAFETY: A page, and room; the stream is a copy of the one that read the
                // dictionary, which lives as long as `self`.
                compressed(unsafe {
                    ffi::LZ4_compress_fast_continue(
                        stream.as_ptr(),
                        src.as_ptr().cast(),
                        dst.as_mut_ptr().cast(),
                        PAGE_LEN,
                        room,
                        self.acceleration as c_int,
                    )
                })
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], dst: RacyPageMut<'_>) -> Result {
        match (context, &self.dict) {
            (Context::Page(_), _) => decompress_page(src, &[], &mut [], dst),
            (Context::Dict(_, stream), Some(dict)) => decompress(stream, &dict.bytes, src, dst),
            _ => Err(EINVAL),
        }
    }

    #[inline(never)]
    fn decompress_object(
        &self,
        context: &mut Context,
        object: &Object<'_>,
        room: &mut CompressBuf,
        dst: RacyPageMut<'_>,
    ) -> Result {
        if let Context::Dict(..) = context {
            return decompress_whole(self, context, object, room, dst);
        }
        let parts = object.read_parts();
        let (head, tail) = parts.slices();
        decompress_page(head, tail, room, dst)
    }
}

impl Dict {
    fn new(bytes: Contents) -> Result<Self> {
        let mut stream = Workspace::new(size_of::<ffi::LZ4_stream_t>())?;
        let len = c_int::try_from(bytes.len()).map_err(|_| EINVAL)?;
        // SAFETY: A zeroed stream is a fresh one, and `bytes` is as long as `len`.
        let read = unsafe { ffi::LZ4_loadDict(stream.as_ptr(), bytes.as_ptr().cast(), len) };
        // LZ4 can't look back further than 64 KiB, and ignores a dictionary that is tiny.
        if read != len {
            return Err(EINVAL);
        }
        Ok(Self { bytes, stream })
    }
}

/// Decompresses what [`lz4_page::compress`] made, which may be in two parts; then there is `room` for both.
#[inline]
fn decompress_page(head: &[u8], tail: &[u8], room: &mut [u8], mut dst: RacyPageMut<'_>) -> Result {
    // SAFETY: `dst` is a page.
    unsafe { lz4_page::decompress(head, tail, room, dst.as_ptr()) }
        .map_err(|lz4_page::Corrupt| EINVAL)
}

/// The length that a compressor of the LZ4 library returned.
pub(super) fn compressed(ret: c_int) -> Option<usize> {
    usize::try_from(ret).ok().filter(|&len| len > 0)
}

/// Decompresses an LZ4 block. `state` is as large as an `LZ4_streamDecode_t`.
pub(super) fn decompress(
    state: &mut Workspace,
    dict: &[u8],
    src: &[u8],
    mut dst: RacyPageMut<'_>,
) -> Result {
    let (from, to) = (src.as_ptr().cast(), dst.as_ptr().cast());
    let len = src.len().min(2 * PAGE_SIZE) as c_int;
    let ret = if dict.is_empty() {
        // SAFETY: A slice and a page.
        unsafe { ffi::LZ4_decompress_safe(from, to, len, PAGE_LEN) }
    } else {
        let state = state.as_ptr();
        // SAFETY: As above; `state` is large enough, and forgotten before `dict` ends.
        unsafe {
            ffi::LZ4_setStreamDecode(state, dict.as_ptr().cast(), dict.len() as c_int);
            ffi::LZ4_decompress_safe_continue(state, from, to, len, PAGE_LEN)
        }
    };
    if ret == PAGE_LEN {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
