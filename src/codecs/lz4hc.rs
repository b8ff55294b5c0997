// SPDX-License-Identifier: GPL-2.0-only

//! LZ4HC, with the kernel's library, which distributions build as a module of its own.
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

/// The functions of the library, in the order of the words at `rust_zram_lz4hc` above.
///
/// `None` where no module had provided the function at insmod.
#[repr(C)]
struct Library {
    compress: Option<Compress>,
    reset: Option<unsafe extern "C" fn(*mut ffi::LZ4_streamHC_t, c_int)>,
    load_dict: Option<LoadDict>,
    compress_continue: Option<Continue>,
}

/// The type of `LZ4_compress_HC()`.
type Compress =
    unsafe extern "C" fn(*const c_char, *mut c_char, c_int, c_int, c_int, *mut c_void) -> c_int;
/// The type of `LZ4_loadDictHC()`.
type LoadDict = unsafe extern "C" fn(*mut ffi::LZ4_streamHC_t, *const c_char, c_int) -> c_int;
/// The type of `LZ4_compress_HC_continue()`.
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

/// Returns the functions of the library.
fn library() -> &'static Library {
    // SAFETY: `rust_zram_lz4hc` has the layout of `Library`. The module loader has filled it in
    // before any code of the module runs, and it does not change after that.
    unsafe { &rust_zram_lz4hc }
}

/// The size of the largest dictionary that the library uses all of, in bytes.
const MAX_DICT: usize = ffi::LZ4HC_MAXD as usize;

/// LZ4HC with a level from 1 to 16.
pub(crate) struct Lz4hc {
    level: c_int,
    dict: Contents,
}

/// A `LZ4_streamHC_t` for compression and a `LZ4_streamDecode_t` for decompression.
pub(crate) struct Context {
    compress: Workspace,
    decompress: Workspace,
}

impl Backend for Lz4hc {
    type Context = Context;

    fn new(name: &str, params: Params) -> Result<Self> {
        let (default, most) = (ffi::LZ4HC_DEFAULT_CLEVEL, ffi::LZ4HC_MAX_CLEVEL);
        let level = params.level_in(name, default as c_int, 1..=most as c_int)?;
        let len = params.dict.len();
        if len > MAX_DICT {
            pr_err!("{name}: a dictionary has at most {MAX_DICT} bytes, not {len}\n");
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
        // The library needs no more room than what it writes.
        let (to, room) = (dst.as_mut_ptr().cast(), dst.len().min(limit) as c_int);
        let library = library();
        if self.dict.is_empty() {
            let compress = library.compress?;
            let memory = context.compress.as_ptr();
            // SAFETY: `from` is valid for reads of a page, `to` for writes of `room` bytes, and
            // `memory` is as large as a `LZ4_streamHC_t`.
            return compressed(unsafe { compress(from, to, PAGE_LEN, room, self.level, memory) });
        }
        let (Some(reset), Some(load), Some(compress)) =
            (library.reset, library.load_dict, library.compress_continue)
        else {
            return None;
        };
        let stream = context.compress.as_ptr();
        // SAFETY: `from` is valid for reads of a page, `to` for writes of `room` bytes, and
        // `stream` is as large as a `LZ4_streamHC_t`. `self.dict` is at most 64 KiB long and lives
        // as long as `self`; `stream` is made to forget it before each use.
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
