// SPDX-License-Identifier: GPL-2.0-only

//! Zstandard, with the kernel's library.
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

/// The room in bytes beyond what zstd writes, with which its output is the same as with any more.
///
/// zstd writes its bit streams in whole words, and asks for the size of the largest frame header
/// before it writes a header.
const SLACK: usize = 64;

/// Zstandard with a level from -131072 to 22.
pub(crate) struct Zstd {
    params: ffi::zstd_parameters,
    dict: Option<Dict>,
}

// SAFETY: `params` is plain data, and `dict` owns its dictionaries, which are bound to no thread.
unsafe impl Send for Zstd {}
// SAFETY: `params` is plain data, and zstd only reads the dictionaries of `dict` once they are
// made.
unsafe impl Sync for Zstd {}

impl Backend for Zstd {
    type Context = Context;

    fn new(name: &str, params: Params) -> Result<Self> {
        // SAFETY: These three functions have no requirements.
        let (default, range) = unsafe {
            (
                ffi::zstd_default_clevel(),
                ffi::zstd_min_clevel()..=ffi::zstd_max_clevel(),
            )
        };
        let level = params.level_in(name, default, range)?;
        let dict = match params.dict {
            bytes if bytes.is_empty() => None,
            bytes => Some(Dict::new(name, bytes, level)?),
        };
        Ok(Self {
            // SAFETY: `level` is in zstd's range.
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
            // SAFETY: `context` is a live context, `to` is valid for writes of `room` bytes, and
            // `from` for reads of a page.
            None => unsafe {
                ffi::zstd_compress_cctx(context, to, room, from, PAGE_SIZE, &self.params)
            },
            // SAFETY: `context` is a live context, `to` is valid for writes of `room` bytes, and
            // `from` for reads of a page. `compress` is live by the invariants of `Dict`, and not
            // null.
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
            // SAFETY: `context` is a live context, `to` is valid for writes of a page, and `from`
            // for reads of `len` bytes.
            None => unsafe { ffi::zstd_decompress_dctx(context, to, PAGE_SIZE, from, len) },
            // SAFETY: `context` is a live context, `to` is valid for writes of a page, and `from`
            // for reads of `len` bytes. `decompress` is live by the invariants of `Dict`, and not
            // null.
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

/// Returns the length that zstd reports by `ret`.
///
/// # Errors
///
/// `EINVAL` if `ret` is an error code.
fn length(ret: usize) -> Result<usize> {
    // SAFETY: `zstd_is_error()` has no requirements.
    if unsafe { ffi::zstd_is_error(ret) } != 0 {
        return Err(EINVAL);
    }
    Ok(ret)
}

/// A dictionary, as zstd has digested it for compression and for decompression.
///
/// # Invariants
///
/// Each pointer is a live dictionary, which refers to `_bytes` and is owned by `self`; or null, but
/// only until [`Dict::new`] returns.
struct Dict {
    compress: *mut ffi::zstd_cdict,
    decompress: *mut ffi::zstd_ddict,
    _bytes: Contents,
}

impl Dict {
    /// Digests `bytes`, for the algorithm that users know as `name`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if zstd does not accept them, or has no memory.
    fn new(name: &str, bytes: Contents, level: c_int) -> Result<Self> {
        let (start, len) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: `level` is in zstd's range, `start` is valid for reads of `len` bytes, and
        // `bytes` is kept as long as the dictionaries, which refer to it.
        // INVARIANT: zstd returns a new dictionary, owned by the caller, or null.
        let this = unsafe {
            let params = ffi::zstd_get_cparams(level, PAGE_SIZE as u64, len);
            Self {
                compress: ffi::zstd_create_cdict_byreference(start, len, params, MEMORY),
                decompress: ffi::zstd_create_ddict_byreference(start, len, MEMORY),
                _bytes: bytes,
            }
        };
        if this.compress.is_null() || this.decompress.is_null() {
            pr_err!("{name}: no use can be made of the dictionary of {len} bytes, or no memory is left\n");
            return Err(EINVAL);
        }
        Ok(this)
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        // SAFETY: `self` owns both dictionaries by the type invariant, and zstd ignores null.
        unsafe {
            ffi::zstd_free_cdict(self.compress);
            ffi::zstd_free_ddict(self.decompress);
        }
    }
}

/// A context for compression and one for decompression.
pub(crate) struct Context {
    compress: Compress,
    decompress: Decompress,
}

/// A context for compression.
///
/// # Invariants
///
/// The pointer is a live context. `Inside`: it lies in the workspace. `Owned`: it is owned by
/// `self` and allocates with [`allocate`], whose `opaque` is the cell.
enum Compress {
    /// Without a dictionary.
    Inside(NonNull<ffi::zstd_cctx>, #[expect(dead_code)] Workspace),
    /// With a dictionary.
    Owned(NonNull<ffi::zstd_cctx>, KBox<Cell<bool>>),
}

/// A context for decompression.
///
/// # Invariants
///
/// The pointer is a live context. `Inside`: it lies in the workspace. `Owned`: it is owned by
/// `self`.
enum Decompress {
    /// Without a dictionary.
    Inside(NonNull<ffi::zstd_dctx>, #[expect(dead_code)] Workspace),
    /// With a dictionary.
    Owned(NonNull<ffi::zstd_dctx>),
}

// SAFETY: `Context` owns its two contexts, which are plain memory and bound to no thread.
unsafe impl Send for Context {}

impl Context {
    /// Creates the contexts for `zstd`.
    fn new(zstd: &Zstd) -> Result<Self> {
        if zstd.dict.is_some() {
            return Self::with_dict(zstd);
        }
        // SAFETY: `zstd.params.cParams` came from `zstd_get_params()`.
        let size = unsafe { ffi::zstd_cctx_workspace_bound(&zstd.params.cParams) };
        let mut memory = Workspace::new(size)?;
        // SAFETY: `memory` is valid for writes of `size` bytes, aligned to 16, and kept with the
        // context.
        // INVARIANT: The result is null or a context inside `memory`.
        let compress = NonNull::new(unsafe { ffi::zstd_init_cctx(memory.as_ptr(), size) });
        let compress = Compress::Inside(compress.ok_or(EINVAL)?, memory);
        // SAFETY: `zstd_dctx_workspace_bound()` has no requirements.
        let size = unsafe { ffi::zstd_dctx_workspace_bound() };
        let mut memory = Workspace::new(size)?;
        // SAFETY: `memory` is valid for writes of `size` bytes, aligned to 16, and kept with the
        // context.
        // INVARIANT: The result is null or a context inside `memory`.
        let decompress = NonNull::new(unsafe { ffi::zstd_init_dctx(memory.as_ptr(), size) });
        let decompress = Decompress::Inside(decompress.ok_or(EINVAL)?, memory);
        Ok(Self {
            compress,
            decompress,
        })
    }

    /// Creates the contexts for `zstd`, which has a dictionary.
    ///
    /// With a dictionary zstd allocates the memory of its context when it first compresses. That is
    /// done here, where it may sleep: each later compression needs the same size.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn with_dict(zstd: &Zstd) -> Result<Self> {
        let open = KBox::new(Cell::new(true), GFP_KERNEL)?;
        let memory = ffi::zstd_custom_mem {
            opaque: (&raw const *open).cast_mut().cast(),
            ..MEMORY
        };
        // SAFETY: `memory` has both functions, and `open`, its `opaque`, is kept with the context
        // and used by no other task.
        // INVARIANT: The result is null or a new context, owned by the caller.
        let compress = NonNull::new(unsafe { ffi::zstd_create_cctx_advanced(memory) });
        let compress = Compress::Owned(compress.ok_or(ENOMEM)?, open);
        // SAFETY: `MEMORY` has both functions, and its `opaque` is null.
        // INVARIANT: The result is null or a new context, owned by the caller.
        let decompress = NonNull::new(unsafe { ffi::zstd_create_dctx_advanced(MEMORY) });
        let decompress = Decompress::Owned(decompress.ok_or(ENOMEM)?);
        let mut this = Self {
            compress,
            decompress,
        };

        let flags = GFP_KERNEL | __GFP_NOWARN;
        let page: KVBox<PageBuf> = KVBox::init(pin_init::init_zeroed(), flags)?;
        let mut room: KVBox<CompressBuf> = KVBox::init(pin_init::init_zeroed(), flags)?;
        // A page of zeroes always compresses to less than a page, so a failure means no memory.
        zstd.compress(&mut this, RacyPage::from(&*page), &mut room, PAGE_SIZE)
            .ok_or(ENOMEM)?;
        if let Compress::Owned(_, open) = &this.compress {
            open.set(false);
        }
        Ok(this)
    }
}

impl Compress {
    /// Returns the live context.
    fn as_ptr(&mut self) -> *mut ffi::zstd_cctx {
        let (Self::Inside(context, _) | Self::Owned(context, _)) = self;
        context.as_ptr()
    }
}

impl Decompress {
    /// Returns the live context.
    fn as_ptr(&mut self) -> *mut ffi::zstd_dctx {
        let (Self::Inside(context, _) | Self::Owned(context)) = self;
        context.as_ptr()
    }
}

impl Drop for Compress {
    fn drop(&mut self) {
        if let Self::Owned(context, _) = self {
            // SAFETY: `context` is live and owned by `self` by the type invariant.
            unsafe { ffi::zstd_free_cctx(context.as_ptr()) };
        }
    }
}

impl Drop for Decompress {
    fn drop(&mut self) {
        if let Self::Owned(context) = self {
            // SAFETY: `context` is live and owned by `self` by the type invariant.
            unsafe { ffi::zstd_free_dctx(context.as_ptr()) };
        }
    }
}

/// The functions that zstd allocates with.
///
/// The allocations may be large, and fail without calling the OOM killer.
const MEMORY: ffi::zstd_custom_mem = ffi::zstd_custom_mem {
    customAlloc: Some(allocate),
    customFree: Some(free),
    opaque: ptr::null_mut(),
};

/// Allocates `size` bytes for zstd, or returns null.
///
/// Returns null without trying if `opaque` is a cell that holds false: zstd is called during I/O
/// then, which must not allocate.
///
/// # Safety
///
/// `opaque` is null, or points to a live `Cell<bool>` that no other task uses during the call.
unsafe extern "C" fn allocate(opaque: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: `opaque` is null or a live cell, used by this task only, by the safety requirement.
    if unsafe { opaque.cast::<Cell<bool>>().as_ref() }.is_some_and(|open| !open.get()) {
        return ptr::null_mut();
    }
    // SAFETY: A null pointer asks for a new allocation, which has no requirements.
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

/// Frees memory from [`allocate`].
///
/// # Safety
///
/// `memory` is null, or came from `allocate` and was not freed since.
unsafe extern "C" fn free(_: *mut c_void, memory: *mut c_void) {
    // SAFETY: `memory` is null or a live allocation of `allocate` by the safety requirement.
    unsafe { ffi::kvfree(memory) };
}
