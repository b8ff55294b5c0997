// SPDX-License-Identifier: GPL-2.0-only

//! deflate, by the kernel's zlib.
//!
//! C header: [`include/linux/zlib.h`](srctree/include/linux/zlib.h)

use super::{
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

const DEFAULT_WINBITS: c_int = -11;
const MEM_LEVEL: c_int = ffi::MAX_MEM_LEVEL as c_int;

/// deflate with a level from -1 to 9, and a window of 9 to 15 bits.
pub(crate) struct Deflate {
    level: c_int,
    winbits: c_int,
}

/// A compressor's and a decompressor's stream.
///
/// # Invariants
///
/// The streams were initialised, with the workspaces, and stay where they are: their inner state
/// points back to them.
pub(crate) struct Context {
    compress: KBox<ffi::z_stream>,
    decompress: KBox<ffi::z_stream>,
    _workspaces: [Workspace; 2],
}

// SAFETY: A context is memory with one owner.
unsafe impl Send for Context {}

impl Backend for Deflate {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        if !params.dict.is_empty() {
            return Err(EOPNOTSUPP);
        }
        let level = params.level.unwrap_or(ffi::Z_DEFAULT_COMPRESSION);
        if !(ffi::Z_DEFAULT_COMPRESSION..=ffi::Z_BEST_COMPRESSION as c_int).contains(&level) {
            return Err(EINVAL);
        }
        let winbits = params.winbits.unwrap_or(DEFAULT_WINBITS);
        if !(-15..=-9).contains(&winbits) && !(9..=15).contains(&winbits) {
            return Err(EINVAL);
        }
        Ok(Self { level, winbits })
    }

    fn context(&self) -> Result<Context> {
        // SAFETY: The calls have no requirements but a window size in range.
        let (deflate, inflate) = unsafe {
            (
                ffi::zlib_deflate_workspacesize(self.winbits, MEM_LEVEL),
                ffi::zlib_inflate_workspacesize(),
            )
        };
        let (mut deflate, mut inflate) = (
            Workspace::new(deflate as usize)?,
            Workspace::new(inflate as usize)?,
        );
        let mut compress = KBox::new(EMPTY, GFP_KERNEL)?;
        compress.workspace = deflate.as_ptr();
        // SAFETY: The workspace is as large as zlib asks for.
        check(ffi::Z_OK, unsafe {
            ffi::zlib_deflateInit2(
                &mut *compress,
                self.level,
                ffi::Z_DEFLATED as c_int,
                self.winbits,
                MEM_LEVEL,
                ffi::Z_DEFAULT_STRATEGY as c_int,
            )
        })?;
        let mut decompress = KBox::new(EMPTY, GFP_KERNEL)?;
        decompress.workspace = inflate.as_ptr();
        // SAFETY: As above.
        check(ffi::Z_OK, unsafe {
            ffi::zlib_inflateInit2(&mut *decompress, self.winbits)
        })?;
        // INVARIANT: Both were initialised above.
        Ok(Context {
            compress,
            decompress,
            _workspaces: [deflate, inflate],
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
        let (dst, copy) = dst.split_at_mut_checked(PAGE_SIZE)?;
        let dst = dst.get_mut(..limit)?;
        let mut from = src.as_ptr();
        if self.winbits > 0 {
            // zlib would read the page twice, for its checksum and to compress it: what changed in between
            // could never be decompressed.
            let copy = copy.first_chunk_mut::<PAGE_SIZE>()?.as_mut_ptr();
            // SAFETY: Both are a page.
            unsafe { copy.copy_from_nonoverlapping(from, PAGE_SIZE) };
            from = copy;
        }
        let stream = &mut *context.compress;
        // SAFETY: By the type invariant.
        check(ffi::Z_OK, unsafe { ffi::zlib_deflateReset(stream) }).ok()?;
        stream.next_in = from;
        stream.avail_in = PAGE_SIZE;
        stream.next_out = dst.as_mut_ptr();
        stream.avail_out = dst.len();
        // SAFETY: A page and a slice.
        check(ffi::Z_STREAM_END, unsafe {
            ffi::zlib_deflate(stream, ffi::Z_FINISH as c_int)
        })
        .ok()?;
        Some(stream.total_out)
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
        let stream = &mut *context.decompress;
        // SAFETY: By the type invariant.
        check(ffi::Z_OK, unsafe { ffi::zlib_inflateReset(stream) })?;
        stream.next_in = src.as_ptr();
        stream.avail_in = src.len();
        stream.next_out = dst.as_ptr();
        stream.avail_out = PAGE_SIZE;
        // SAFETY: A slice and a page.
        check(ffi::Z_STREAM_END, unsafe {
            ffi::zlib_inflate(stream, ffi::Z_SYNC_FLUSH as c_int)
        })?;
        if stream.total_out == PAGE_SIZE {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }
}

/// A stream before its initialisation.
// SAFETY: Null pointers and zeroes are valid for all fields.
const EMPTY: ffi::z_stream = unsafe { core::mem::zeroed() };

/// Whether zlib returned what it does when all went well.
fn check(expected: impl TryInto<c_int>, ret: c_int) -> Result {
    if expected
        .try_into()
        .is_ok_and(|expected: c_int| expected == ret)
    {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
