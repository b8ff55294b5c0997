// SPDX-License-Identifier: GPL-2.0-only

//! LZ4HC, by the kernel's library, which distributions build as a module of its own.
//!
//! C header: [`include/linux/lz4.h`](srctree/include/linux/lz4.h)

use super::{
    lz4::{
        compressed,
        decompress,
        PAGE_LEN, //
    },
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
    }, //
};
use kernel::prelude::*;

// A strong reference would make insmod fail unless lz4hc_compress.ko was loaded before. A weak one
// the module loader leaves at zero; and where it finds the symbol, it counts a user of that module.
core::arch::global_asm!(
    ".weak LZ4_compress_HC, LZ4_resetStreamHC, LZ4_loadDictHC, LZ4_compress_HC_continue",
    ".pushsection .data.rust_zram_lz4hc, \"aw\"",
    ".balign 8",
    "rust_zram_lz4hc:",
    ".quad LZ4_compress_HC, LZ4_resetStreamHC, LZ4_loadDictHC, LZ4_compress_HC_continue",
    ".popsection",
);

/// The functions of the library; layout as above.
#[repr(C)]
struct Library {
    compress: Option<Compress>,
    reset: Option<unsafe extern "C" fn(*mut ffi::LZ4_streamHC_t, c_int)>,
    load_dict: Option<LoadDict>,
    compress_continue: Option<Continue>,
}

type Compress =
    unsafe extern "C" fn(*const c_char, *mut c_char, c_int, c_int, c_int, *mut c_void) -> c_int;
type LoadDict = unsafe extern "C" fn(*mut ffi::LZ4_streamHC_t, *const c_char, c_int) -> c_int;
type Continue = unsafe extern "C" fn(
    *mut ffi::LZ4_streamHC_t,
    *const c_char,
    *mut c_char,
    c_int,
    c_int,
) -> c_int;

extern "C" {
    static rust_zram_lz4hc: Library;
}

fn library() -> &'static Library {
    // SAFETY: The module loader fills it in before any code runs.
    unsafe { &rust_zram_lz4hc }
}

/// The largest dictionary that the library can look back to.
const MAX_DICT: usize = ffi::LZ4HC_MAXD as usize;

/// LZ4HC with a level from 1 to 16.
pub(crate) struct Lz4hc {
    level: c_int,
    dict: Contents,
}

/// The compressor's stream, then the decompressor's state.
pub(crate) struct Context {
    compress: Workspace,
    decompress: Workspace,
}

impl Backend for Lz4hc {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        let level = params.level.unwrap_or(ffi::LZ4HC_DEFAULT_CLEVEL as c_int);
        if !(1..=ffi::LZ4HC_MAX_CLEVEL as c_int).contains(&level) {
            return Err(EINVAL);
        }
        if params.dict.len() > MAX_DICT {
            return Err(EINVAL);
        }
        Ok(Self {
            level,
            dict: params.dict,
        })
    }

    fn context(&self) -> Result<Context> {
        Ok(Context {
            compress: Workspace::new(size_of::<ffi::LZ4_streamHC_t>())?,
            decompress: Workspace::new(size_of::<ffi::LZ4_streamDecode_t>())?,
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
        let from = src.as_ptr().cast();
        // The library never asks for more room than what it writes.
        let (to, room) = (dst.as_mut_ptr().cast(), dst.len().min(limit) as c_int);
        let library = library();
        if self.dict.is_empty() {
            let compress = library.compress?;
            let memory = context.compress.as_ptr();
            // SAFETY: A page, room, and memory as large as LZ4HC asks for.
            return compressed(unsafe { compress(from, to, PAGE_LEN, room, self.level, memory) });
        }
        let (Some(reset), Some(load), Some(compress)) =
            (library.reset, library.load_dict, library.compress_continue)
        else {
            return None;
        };
        let stream = context.compress.as_ptr();
        // SAFETY: As above; the dictionary is at most 64 KiB and lives as long as `self`.
        compressed(unsafe {
            reset(stream, self.level);
            load(stream, self.dict.as_ptr().cast(), self.dict.len() as c_int);
            compress(stream, from, to, PAGE_LEN, room)
        })
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], dst: RacyPageMut<'_>) -> Result {
        decompress(&mut context.decompress, &self.dict, src, dst)
    }

    fn is_available() -> bool {
        library().compress.is_some()
    }
}
