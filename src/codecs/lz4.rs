// SPDX-License-Identifier: GPL-2.0-only

//! LZ4, with [`lz4_page`]; with the kernel's library if there is a dictionary.
//!
//! Both use the same block format, and decompress each other's blocks.
//!
//! C header: [`include/linux/lz4.h`](srctree/include/linux/lz4.h)

use super::{
    decompress_whole,
    lz4_page,
    table::Table,
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

/// A page's size in the type that the library counts in.
pub(super) const PAGE_LEN: c_int = PAGE_SIZE as c_int;

/// LZ4 with a level from 1 up: the acceleration.
///
/// A higher level is faster and compresses less.
pub(crate) struct Lz4 {
    acceleration: u32,
    dict: Option<Dict>,
}

/// A dictionary for the library.
struct Dict {
    bytes: Contents,
    /// A `LZ4_stream_t` that has loaded `bytes`; each compression starts from a copy of it.
    stream: Workspace,
}

/// The memory of one compression or decompression at a time.
pub(crate) enum Context {
    /// Without a dictionary: the hash table of [`lz4_page::compress`].
    Page(KVBox<Table>),
    /// With a dictionary: a `LZ4_stream_t` and a `LZ4_streamDecode_t`.
    Dict(Workspace, Workspace),
}

impl Backend for Lz4 {
    type Context = Context;

    fn new(name: &str, params: Params) -> Result<Self> {
        let default = ffi::LZ4_ACCELERATION_DEFAULT as c_int;
        let acceleration = params.level_in(name, default, default..=c_int::MAX)?;
        let acceleration = acceleration.unsigned_abs();
        let dict = match params.dict {
            bytes if bytes.is_empty() => None,
            bytes => Some(Dict::new(name, bytes)?),
        };
        Ok(Self { acceleration, dict })
    }

    fn context(&self) -> Result<Context> {
        Ok(match self.dict {
            None => Context::Page(Table::new()?),
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
                // SAFETY: `src` is valid for reads of a page by the invariants of `RacyPage`.
                unsafe { lz4_page::compress(&mut table.0, src.as_ptr(), dst, self.acceleration) }
            }
            (Context::Dict(stream, _), Some(dict)) => {
                stream.copy_from(&dict.stream);
                // The library needs no more room than what it writes.
                let room = dst.len().min(limit) as c_int;
                // SAFETY: `src` is valid for reads of a page and `dst` for writes of `room` bytes.
                // `stream` is a copy of the stream that has loaded `dict.bytes`, which live as long
                // as `self`.
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
    /// Loads `bytes` into a stream, for the algorithm that users know as `name`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the library does not use all of `bytes`, `ENOMEM`.
    fn new(name: &str, bytes: Contents) -> Result<Self> {
        let mut stream = Workspace::new(size_of::<ffi::LZ4_stream_t>())?;
        let len = c_int::try_from(bytes.len()).map_err(|_| EINVAL)?;
        // SAFETY: `stream` is as large as a `LZ4_stream_t`, for which all zeroes is the initial
        // state, and `bytes` is valid for reads of `len` bytes.
        let read = unsafe { ffi::LZ4_loadDict(stream.as_ptr(), bytes.as_ptr().cast(), len) };
        // LZ4 uses the last 64 KiB of a dictionary only, and nothing of one that is tiny.
        if read != len {
            pr_err!("{name}: a dictionary has from 8 to 65536 bytes, not {len}\n");
            return Err(EINVAL);
        }
        Ok(Self { bytes, stream })
    }
}

/// Decompresses the block `head` followed by `tail` to the page `dst`.
///
/// Unless `tail` is empty, `room` is at least as long as both together.
///
/// # Errors
///
/// `EINVAL` if the block does not decompress to exactly a page. Then `dst` holds anything.
#[inline]
fn decompress_page(head: &[u8], tail: &[u8], room: &mut [u8], mut dst: RacyPageMut<'_>) -> Result {
    // SAFETY: `dst` is valid for reads and writes of a page by the invariants of `RacyPageMut`.
    unsafe { lz4_page::decompress(head, tail, room, dst.as_ptr()) }
        .map_err(|lz4_page::Corrupt| EINVAL)
}

/// Returns the length that a compressor of the LZ4 library reports by `ret`, or `None` if it
/// failed.
pub(super) fn compressed(ret: c_int) -> Option<usize> {
    usize::try_from(ret).ok().filter(|&len| len > 0)
}

/// Decompresses an LZ4 block with the kernel's library.
///
/// `state` is as large as a `LZ4_streamDecode_t`; it is used only if `dict` is not empty.
///
/// # Errors
///
/// `EINVAL` if `src` does not decompress to exactly a page. Then `dst` holds anything.
pub(super) fn decompress(
    state: &mut Workspace,
    dict: &[u8],
    src: &[u8],
    mut dst: RacyPageMut<'_>,
) -> Result {
    let (from, to) = (src.as_ptr().cast(), dst.as_ptr().cast());
    let len = src.len().min(2 * PAGE_SIZE) as c_int;
    let ret = if dict.is_empty() {
        // SAFETY: `from` is valid for reads of `len` bytes, as `src` is at least as long, and `to`
        // for writes of a page.
        unsafe { ffi::LZ4_decompress_safe(from, to, len, PAGE_LEN) }
    } else {
        let state = state.as_ptr();
        // SAFETY: `from` is valid for reads of `len` bytes, as `src` is at least as long, and `to`
        // for writes of a page. `state` is as large as a `LZ4_streamDecode_t`, and its pointer to
        // `dict` is set anew before each use.
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
