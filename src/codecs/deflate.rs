// SPDX-License-Identifier: GPL-2.0-only

//! deflate, with the kernel's zlib.
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

/// The default window, of 2 KiB, without zlib's header and checksum.
const DEFAULT_WINBITS: c_int = -11;
/// zlib's measure for the memory of a compressor: the most.
const MEM_LEVEL: c_int = ffi::MAX_MEM_LEVEL as c_int;

/// deflate with a level from -1 to 9, and a window of 9 to 15 bits.
///
/// Negative `winbits` are for data without zlib's header and checksum.
pub(crate) struct Deflate {
    level: c_int,
    winbits: c_int,
}

/// A stream for compression and one for decompression.
///
/// # Invariants
///
/// Both streams are initialised, with the workspaces as their memory. They do not move, as their
/// inner state points back to them.
pub(crate) struct Context {
    compress: KBox<ffi::z_stream>,
    decompress: KBox<ffi::z_stream>,
    _workspaces: [Workspace; 2],
}

// SAFETY: `Context` owns the streams and the workspaces, and zlib keeps no other reference to them.
unsafe impl Send for Context {}

impl Backend for Deflate {
    type Context = Context;

    fn new(name: &str, params: Params) -> Result<Self> {
        params.no_dict(name)?;
        let (default, most) = (ffi::Z_DEFAULT_COMPRESSION, ffi::Z_BEST_COMPRESSION as c_int);
        let level = params.level_in(name, default, default..=most)?;
        let winbits = params.winbits.unwrap_or(DEFAULT_WINBITS);
        if !(-15..=-9).contains(&winbits) && !(9..=15).contains(&winbits) {
            pr_err!("{name}: deflate.winbits={winbits} is not from -15 to -9, or from 9 to 15\n");
            return Err(EINVAL);
        }
        Ok(Self { level, winbits })
    }

    fn context(&self) -> Result<Context> {
        // SAFETY: `self.winbits` and `MEM_LEVEL` are in range, and the second call has no
        // requirements.
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
        // SAFETY: `compress` has a workspace of the size that zlib asks for with these parameters,
        // and does not move.
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
        // SAFETY: `decompress` has a workspace of the size that zlib asks for, and does not move.
        check(ffi::Z_OK, unsafe {
            ffi::zlib_inflateInit2(&mut *decompress, self.winbits)
        })?;
        // INVARIANT: Both streams were initialised above, and stay in their boxes.
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
            // With a checksum zlib reads the page twice. What changes between the two reads could
            // never be decompressed, hence a copy.
            let copy = copy.first_chunk_mut::<PAGE_SIZE>()?.as_mut_ptr();
            // SAFETY: `from` is valid for reads and `copy` for writes of a page, and `copy` is no
            // part of the page.
            unsafe { copy.copy_from_nonoverlapping(from, PAGE_SIZE) };
            from = copy;
        }
        let stream = &mut *context.compress;
        // SAFETY: `stream` is initialised for compression by the invariants of `Context`.
        check(ffi::Z_OK, unsafe { ffi::zlib_deflateReset(stream) }).ok()?;
        stream.next_in = from;
        stream.avail_in = PAGE_SIZE;
        stream.next_out = dst.as_mut_ptr();
        stream.avail_out = dst.len();
        // SAFETY: `next_in` is valid for reads of `avail_in` bytes, a page, and `next_out` for
        // writes of `avail_out` bytes, the length of `dst`.
        check(ffi::Z_STREAM_END, unsafe {
            ffi::zlib_deflate(stream, ffi::Z_FINISH as c_int)
        })
        .ok()?;
        Some(stream.total_out)
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
        let stream = &mut *context.decompress;
        // SAFETY: `stream` is initialised for decompression by the invariants of `Context`.
        check(ffi::Z_OK, unsafe { ffi::zlib_inflateReset(stream) })?;
        stream.next_in = src.as_ptr();
        stream.avail_in = src.len();
        stream.next_out = dst.as_ptr();
        stream.avail_out = PAGE_SIZE;
        // SAFETY: `next_in` is valid for reads of `avail_in` bytes, the length of `src`, and
        // `next_out` for writes of `avail_out` bytes, a page.
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
// SAFETY: All fields of `z_stream` are integers and raw pointers, for which zeroes are valid.
const EMPTY: ffi::z_stream = unsafe { core::mem::zeroed() };

/// Checks that zlib returned `expected`.
///
/// # Errors
///
/// `EINVAL` if it did not.
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
