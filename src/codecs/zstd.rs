// SPDX-License-Identifier: GPL-2.0-only

//! Zstandard, by the kernel's library.
//!
//! C header: [`include/linux/zstd.h`](srctree/include/linux/zstd.h)

use super::{
    Backend,
    CompressBuf,
    Params,
    Workspace, //
};
use crate::zram::abstractions::{
    ffi,
    files::Contents,
    page::PageBuf,
    racy::{
        RacyPage,
        RacyPageMut, //
    }, //
};
use core::{
    cell::Cell,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// How much more room than what it writes makes zstd write the same as any: its bit streams go on in whole
/// words, and it wants to have the largest frame header's size before it writes one.
const SLACK: usize = 64;

/// Zstandard with a level from -131072 to 22.
pub(crate) struct Zstd {
    params: ffi::zstd_parameters,
    dict: Option<Dict>,
}

// SAFETY: Parameters are plain data; a digested dictionary is only read once it is made.
unsafe impl Send for Zstd {}
// SAFETY: As above.
unsafe impl Sync for Zstd {}

impl Backend for Zstd {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        // SAFETY: These calls have no requirements.
        let (default, range) = unsafe {
            (
                ffi::zstd_default_clevel(),
                ffi::zstd_min_clevel()..=ffi::zstd_max_clevel(),
            )
        };
        let level = params.level.unwrap_or(default);
        if !range.contains(&level) {
            return Err(EINVAL);
        }
        let dict = match params.dict {
            bytes if bytes.is_empty() => None,
            bytes => Some(Dict::new(bytes, level)?),
        };
        Ok(Self {
            // SAFETY: The level is in range.
            params: unsafe { ffi::zstd_get_params(level, PAGE_SIZE as u64) },
            dict,
        })
    }

    fn context(&self) -> Result<Context> {
        Context::new(self)
    }

    #[inline(never)]
    fn compress(
        &self,
        context: &mut Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize> {
        let room = limit.saturating_add(SLACK).min(dst.len());
        let to = dst.as_mut_ptr().cast();
        let from = src.as_ptr().cast();
        let context = context.compress.as_ptr();
        length(match &self.dict {
            // SAFETY: A live context, a page and room.
            None => unsafe {
                ffi::zstd_compress_cctx(context, to, room, from, PAGE_SIZE, &self.params)
            },
            // SAFETY: As above, and the dictionary is alive.
            Some(Dict { compress, .. }) => unsafe {
                ffi::zstd_compress_using_cdict(context, to, room, from, PAGE_SIZE, *compress)
            },
        })
        .ok()
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
        let (from, len) = (src.as_ptr().cast(), src.len());
        let to = dst.as_ptr().cast();
        let context = context.decompress.as_ptr();
        let len = length(match &self.dict {
            // SAFETY: A live context, a slice and a page.
            None => unsafe { ffi::zstd_decompress_dctx(context, to, PAGE_SIZE, from, len) },
            // SAFETY: As above, and the dictionary is alive.
            Some(Dict { decompress, .. }) => unsafe {
                ffi::zstd_decompress_using_ddict(context, to, PAGE_SIZE, from, len, *decompress)
            },
        })?;
        if len == PAGE_SIZE {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }
}

/// The length that zstd returned, which may be an error code.
fn length(ret: usize) -> Result<usize> {
    // SAFETY: The call has no requirements.
    if unsafe { ffi::zstd_is_error(ret) } != 0 {
        return Err(EINVAL);
    }
    Ok(ret)
}

/// A dictionary in the forms that zstd digests it to.
///
/// # Invariants
///
/// Each pointer is null, or a live dictionary that refers to `_bytes` and belongs to `self`.
struct Dict {
    compress: *mut ffi::zstd_cdict,
    decompress: *mut ffi::zstd_ddict,
    _bytes: Contents,
}

impl Dict {
    fn new(bytes: Contents, level: c_int) -> Result<Self> {
        let (start, len) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: The level is in range; `bytes` lives as long as the dictionaries.
        // INVARIANT: Both are made here; null stands for an error.
        let this = unsafe {
            let params = ffi::zstd_get_cparams(level, PAGE_SIZE as u64, len);
            Self {
                compress: ffi::zstd_create_cdict_byreference(start, len, params, MEMORY),
                decompress: ffi::zstd_create_ddict_byreference(start, len, MEMORY),
                _bytes: bytes,
            }
        };
        if this.compress.is_null() || this.decompress.is_null() {
            return Err(EINVAL);
        }
        Ok(this)
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; null is ignored.
        unsafe {
            ffi::zstd_free_cdict(self.compress);
            ffi::zstd_free_ddict(self.decompress);
        }
    }
}

/// A compressor's and a decompressor's state.
pub(crate) struct Context {
    compress: Compress,
    decompress: Decompress,
}

/// # Invariants
///
/// The pointer is a live context: inside the workspace, or owned; and then the cell is its memory's `opaque`.
enum Compress {
    Inside(NonNull<ffi::zstd_cctx>, #[expect(dead_code)] Workspace),
    Owned(NonNull<ffi::zstd_cctx>, KBox<Cell<bool>>),
}

/// # Invariants
///
/// The pointer is a live context: inside the workspace, or owned.
enum Decompress {
    Inside(NonNull<ffi::zstd_dctx>, #[expect(dead_code)] Workspace),
    Owned(NonNull<ffi::zstd_dctx>),
}

// SAFETY: The contexts are plain memory with one owner.
unsafe impl Send for Context {}

impl Context {
    fn new(zstd: &Zstd) -> Result<Self> {
        if zstd.dict.is_some() {
            return Self::with_dict(zstd);
        }
        // SAFETY: The parameters are valid.
        let size = unsafe { ffi::zstd_cctx_workspace_bound(&zstd.params.cParams) };
        let mut memory = Workspace::new(size)?;
        // SAFETY: `memory` is as long as `size`.
        let compress = NonNull::new(unsafe { ffi::zstd_init_cctx(memory.as_ptr(), size) });
        let compress = Compress::Inside(compress.ok_or(EINVAL)?, memory);
        // SAFETY: The call has no requirements.
        let size = unsafe { ffi::zstd_dctx_workspace_bound() };
        let mut memory = Workspace::new(size)?;
        // SAFETY: `memory` is as long as `size`.
        let decompress = NonNull::new(unsafe { ffi::zstd_init_dctx(memory.as_ptr(), size) });
        let decompress = Decompress::Inside(decompress.ok_or(EINVAL)?, memory);
        Ok(Self {
            compress,
            decompress,
        })
    }

    /// With a dictionary zstd sizes its context when it compresses for the first time. That is done here; all
    /// that comes after asks for the same size.
    fn with_dict(zstd: &Zstd) -> Result<Self> {
        let open = KBox::new(Cell::new(true), GFP_KERNEL)?;
        let memory = ffi::zstd_custom_mem {
            opaque: (&raw const *open).cast_mut().cast(),
            ..MEMORY
        };
        // SAFETY: `memory` has both functions.
        let compress = NonNull::new(unsafe { ffi::zstd_create_cctx_advanced(memory) });
        let compress = Compress::Owned(compress.ok_or(ENOMEM)?, open);
        // SAFETY: As above.
        let decompress = NonNull::new(unsafe { ffi::zstd_create_dctx_advanced(MEMORY) });
        let decompress = Decompress::Owned(decompress.ok_or(ENOMEM)?);
        let mut this = Self {
            compress,
            decompress,
        };

        let flags = GFP_KERNEL | __GFP_NOWARN;
        let page: KVBox<PageBuf> = KVBox::init(pin_init::init_zeroed(), flags)?;
        let mut room: KVBox<CompressBuf> = KVBox::init(pin_init::init_zeroed(), flags)?;
        // Zeroes always fit: if they do not, there was no memory.
        zstd.compress(&mut this, RacyPage::from(&*page), &mut room, PAGE_SIZE)
            .ok_or(ENOMEM)?;
        if let Compress::Owned(_, open) = &this.compress {
            open.set(false);
        }
        Ok(this)
    }
}

impl Compress {
    fn as_ptr(&mut self) -> *mut ffi::zstd_cctx {
        let (Self::Inside(context, _) | Self::Owned(context, _)) = self;
        context.as_ptr()
    }
}

impl Decompress {
    fn as_ptr(&mut self) -> *mut ffi::zstd_dctx {
        let (Self::Inside(context, _) | Self::Owned(context)) = self;
        context.as_ptr()
    }
}

impl Drop for Compress {
    fn drop(&mut self) {
        if let Self::Owned(context, _) = self {
            // SAFETY: By the type invariant.
            unsafe { ffi::zstd_free_cctx(context.as_ptr()) };
        }
    }
}

impl Drop for Decompress {
    fn drop(&mut self) {
        if let Self::Owned(context) = self {
            // SAFETY: By the type invariant.
            unsafe { ffi::zstd_free_dctx(context.as_ptr()) };
        }
    }
}

/// Memory for what zstd allocates itself. That may be large: without any left it is refused, and nobody killed
/// for it. Where `opaque` is a cell that holds false, all is refused: then it would be in the middle of I/O.
const MEMORY: ffi::zstd_custom_mem = ffi::zstd_custom_mem {
    customAlloc: Some(allocate),
    customFree: Some(free),
    opaque: ptr::null_mut(),
};

/// # Safety
///
/// `opaque` is null, or a cell that nobody else uses meanwhile.
unsafe extern "C" fn allocate(opaque: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: By the safety requirement.
    if unsafe { opaque.cast::<Cell<bool>>().as_ref() }.is_some_and(|open| !open.get()) {
        return ptr::null_mut();
    }
    // SAFETY: The call has no requirements.
    unsafe {
        ffi::kvrealloc_node_align_noprof(
            ptr::null(),
            size,
            size_of::<u128>(),
            ffi::ZRAM_GFP_SETUP,
            ffi::NUMA_NO_NODE,
        )
    }
}

/// # Safety
///
/// `memory` is null, or came from `allocate` and was not freed since.
unsafe extern "C" fn free(_: *mut c_void, memory: *mut c_void) {
    // SAFETY: By the safety requirement.
    unsafe { ffi::kvfree(memory) };
}
