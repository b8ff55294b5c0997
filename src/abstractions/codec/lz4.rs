// SPDX-License-Identifier: GPL-2.0

//! LZ4, by the kernel's library.
//!
//! C header: [`include/linux/lz4.h`](srctree/include/linux/lz4.h)

use super::{
    super::{
        ffi,
        page::{
            Source,
            Target, //
        }, //
    },
    Compressor,
    Params,
    Workspace, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

pub(super) const PAGE_LEN: c_int = PAGE_SIZE as c_int;

/// LZ4; its level is the acceleration: higher is faster, and compresses less.
pub(crate) struct Lz4 {
    acceleration: c_int,
    dict: Option<Dict>,
}

struct Dict {
    bytes: KVVec<u8>,
    /// A compression stream that has read `bytes`.
    stream: Workspace,
}

/// The compressor's hash table, or with a dictionary the stream, then the decompressor's state.
pub(crate) struct Context {
    compress: Workspace,
    decompress: Workspace,
}

impl Compressor for Lz4 {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        let default = ffi::LZ4_ACCELERATION_DEFAULT as c_int;
        let acceleration = params.level.unwrap_or(default);
        if acceleration < default {
            return Err(EINVAL);
        }
        let dict = match params.dict {
            bytes if bytes.is_empty() => None,
            bytes => Some(Dict::new(bytes)?),
        };
        Ok(Self { acceleration, dict })
    }

    fn context(&self) -> Result<Context> {
        Ok(Context {
            compress: Workspace::new(size_of::<ffi::LZ4_stream_t>())?,
            decompress: Workspace::new(size_of::<ffi::LZ4_streamDecode_t>())?,
        })
    }

    fn compress(&self, context: &mut Context, src: Source<'_>, dst: &mut [u8]) -> Result<usize> {
        let from = src.as_ptr().cast();
        let (to, room) = (
            dst.as_mut_ptr().cast(),
            dst.len().min(2 * PAGE_SIZE) as c_int,
        );
        let ret = match &self.dict {
            // SAFETY: A page, a slice, and memory as large as LZ4 asks for.
            None => unsafe {
                let memory = context.compress.as_ptr();
                ffi::LZ4_compress_fast(from, to, PAGE_LEN, room, self.acceleration, memory)
            },
            // SAFETY: As above; the stream is a copy of the one that read the dictionary, which
            // lives as long as `self`.
            Some(dict) => unsafe {
                context.compress.copy_from(&dict.stream);
                let stream = context.compress.as_ptr();
                ffi::LZ4_compress_fast_continue(stream, from, to, PAGE_LEN, room, self.acceleration)
            },
        };
        compressed(ret)
    }

    fn decompress(&self, context: &mut Context, src: &[u8], dst: Target<'_>) -> Result {
        let dict = self.dict.as_ref().map(|dict| &dict.bytes[..]);
        decompress(&mut context.decompress, dict.unwrap_or(&[]), src, dst)
    }
}

impl Dict {
    fn new(bytes: KVVec<u8>) -> Result<Self> {
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

/// The length that a compressor of the LZ4 library returned.
pub(super) fn compressed(ret: c_int) -> Result<usize> {
    usize::try_from(ret)
        .ok()
        .filter(|&len| len > 0)
        .ok_or(EINVAL)
}

/// Decompresses an LZ4 block. `state` is as large as an `LZ4_streamDecode_t`.
pub(super) fn decompress(
    state: &mut Workspace,
    dict: &[u8],
    src: &[u8],
    mut dst: Target<'_>,
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
