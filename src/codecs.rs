// SPDX-License-Identifier: GPL-2.0-only

//! Compression algorithms: their names, and one interface to all of them.

mod deflate;
mod lz4;
mod lz4_page;
mod lz4hc;
mod lz77;
mod lzmem;
mod lzmem_page;
mod lzmem_pieces;
mod lzo;
mod lzo_page;
mod params;
mod sw842;
mod table;
mod zstd;

use crate::zram::abstractions::{
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

pub(crate) use params::Params;

/// A buffer of two pages.
///
/// Compression writes to it, and may yield more than a page. Decompression puts an object together
/// in it that lies across two pages of the pool.
pub(crate) type CompressBuf = [u8; 2 * PAGE_SIZE];

/// An algorithm with its parameters.
///
/// Its methods that do the work are not inlined, so that [`Codec`] dispatches with a jump.
pub(crate) trait Backend: Sized + Send + Sync {
    /// The memory that one compression or decompression at a time uses; each stream has its own.
    type Context: Send;

    /// Checks and takes the parameters, for the algorithm that users know as `name`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL` for a parameter out of range, or a dictionary that the library does not accept.
    /// - `EOPNOTSUPP` for a parameter that the algorithm does not have.
    /// - `ENOMEM`.
    ///
    /// The log says of each but the last what it is about.
    fn new(name: &str, params: Params) -> Result<Self>;

    /// Allocates a context, with all the memory that it will ever need.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if the library refuses the parameters.
    fn context(&self) -> Result<Self::Context>;

    /// Compresses the page `src` to the start of `dst`, and returns the length in bytes.
    ///
    /// The rest of `dst` holds anything after that. `limit` is at most a page. A length above
    /// `limit` is of no use to the caller, so the algorithm may give up with `None` instead. Others
    /// may write to `src` meanwhile: then the compressed data still decompresses to some page.
    ///
    /// Context: Process context. Allocates no memory, as it is called during I/O.
    fn compress(
        &self,
        context: &mut Self::Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize>;

    /// Decompresses `src` to the page `dst`.
    ///
    /// Context: Process context. Allocates no memory, as it is called during I/O.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `src` does not decompress to exactly a page. Then `dst` holds anything.
    fn decompress(&self, context: &mut Self::Context, src: &[u8], dst: RacyPageMut<'_>) -> Result;

    /// Decompresses `object` to the page `dst`, like [`Backend::decompress`].
    ///
    /// An object that lies across two pages of the pool may be put together in `room`.
    ///
    /// # Errors
    ///
    /// Those of [`Backend::decompress`].
    #[inline(never)]
    fn decompress_object(
        &self,
        context: &mut Self::Context,
        object: &Object<'_>,
        room: &mut CompressBuf,
        dst: RacyPageMut<'_>,
    ) -> Result {
        decompress_whole(self, context, object, room, dst)
    }

    /// Returns whether the kernel provides what the algorithm needs.
    fn is_available() -> bool {
        true
    }
}

/// Defines the enums that dispatch to the algorithms, by a `match` in place of an indirect call.
macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident($compressor:ty) = $name:literal),* $(,)?) => {
        /// A compression algorithm.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Algorithm {
            $($(#[$doc])* $variant,)*
        }

        impl Algorithm {
            /// All algorithms, in the order in which `comp_algorithm` shows them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name that user space uses for the algorithm.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns whether the kernel provides what the algorithm needs.
            pub fn is_available(self) -> bool {
                match self {
                    $(Self::$variant => <$compressor>::is_available(),)*
                }
            }
        }

        /// An algorithm with its parameters.
        pub(crate) enum Codec {
            $(#[doc = $name] $variant($compressor),)*
        }

        /// The memory that one user of a [`Codec`] at a time needs; each stream has its own.
        pub(crate) enum Context {
            $(#[doc = $name] $variant(<$compressor as Backend>::Context),)*
        }

        impl Codec {
            /// Checks and takes the parameters for `algorithm`.
            ///
            /// Context: Process context. May sleep.
            ///
            /// # Errors
            ///
            /// - `EINVAL` for a parameter out of range, or a dictionary that the library does not
            ///   accept.
            /// - `EOPNOTSUPP` for a parameter that the algorithm does not have.
            /// - `ENOMEM`.
            ///
            /// The log says of each but the last what it is about.
            pub fn new(algorithm: Algorithm, params: Params) -> Result<Self> {
                Ok(match algorithm {
                    $(Algorithm::$variant => Self::$variant(Backend::new($name, params)?),)*
                })
            }

            /// Returns the algorithm, without its parameters.
            pub fn algorithm(&self) -> Algorithm {
                match self {
                    $(Self::$variant(_) => Algorithm::$variant,)*
                }
            }

            /// Allocates a context, with all the memory that it will ever need.
            ///
            /// Context: Process context. May sleep.
            ///
            /// # Errors
            ///
            /// `ENOMEM`; `EINVAL` if the library refuses the parameters.
            pub fn context(&self) -> Result<Context> {
                Ok(match self {
                    $(Self::$variant(codec) => Context::$variant(codec.context()?),)*
                })
            }

            /// Compresses the page `src` to the start of `dst`, and returns the length in bytes.
            ///
            /// Returns `None` if `context` is that of another algorithm. An algorithm may also
            /// return `None` if the length would exceed `limit`, which is at most a page. Others
            /// may write to `src` meanwhile.
            ///
            /// Context: Process context. Allocates no memory, as it is called during I/O.
            #[inline]
            pub fn compress(
                &self,
                context: &mut Context,
                src: RacyPage<'_>,
                dst: &mut CompressBuf,
                limit: usize,
            ) -> Option<usize> {
                match (self, context) {
                    $((Self::$variant(codec), Context::$variant(context)) => {
                        codec.compress(context, src, dst, limit)
                    })*
                    _ => None,
                }
            }

            /// Decompresses `object` to the page `dst`.
            ///
            /// An object that lies across two pages of the pool may be put together in `room`.
            ///
            /// Context: Process context. Allocates no memory, as it is called during I/O.
            ///
            /// # Errors
            ///
            /// `EINVAL` if `object` does not decompress to exactly a page, or `context` is that of
            /// another algorithm. Then `dst` holds anything.
            #[inline]
            pub fn decompress_object(
                &self,
                context: &mut Context,
                object: &Object<'_>,
                room: &mut CompressBuf,
                dst: RacyPageMut<'_>,
            ) -> Result {
                match (self, context) {
                    $((Self::$variant(codec), Context::$variant(context)) => {
                        codec.decompress_object(context, object, room, dst)
                    })*
                    _ => Err(EINVAL),
                }
            }

            /// Decompresses `src` to the page `dst`.
            ///
            /// Context: Process context. Allocates no memory, as it is called during I/O.
            ///
            /// # Errors
            ///
            /// `EINVAL` if `src` does not decompress to exactly a page, or `context` is that of
            /// another algorithm. Then `dst` holds anything.
            #[inline]
            pub fn decompress(
                &self,
                context: &mut Context,
                src: &[u8],
                dst: RacyPageMut<'_>,
            ) -> Result {
                match (self, context) {
                    $((Self::$variant(codec), Context::$variant(context)) => {
                        codec.decompress(context, src, dst)
                    })*
                    _ => Err(EINVAL),
                }
            }
        }
    };
}

algorithms! {
    /// LZO1X-1 with run-length encoding.
    LzoRle(lzo::LzoRle) = "lzo-rle",
    /// LZO1X-1.
    Lzo(lzo::Lzo) = "lzo",
    /// LZ4.
    Lz4(lz4::Lz4) = "lz4",
    /// LZ4 with a slower, better compressor.
    Lz4hc(lz4hc::Lz4hc) = "lz4hc",
    /// Zstandard.
    Zstd(zstd::Zstd) = "zstd",
    /// deflate, as zlib compresses it.
    Deflate(deflate::Deflate) = "deflate",
    /// 842, the format of IBM's compression accelerators.
    Sw842(sw842::Sw842) = "842",
    /// LZMEM, for pages of memory, which is this module's own.
    Lzmem(lzmem::Lzmem) = "lzmem",
}

/// Decompresses `object` with a codec that needs it in one part, which is made in `room` if need
/// be.
#[inline]
fn decompress_whole<C: Backend>(
    codec: &C,
    context: &mut C::Context,
    object: &Object<'_>,
    room: &mut CompressBuf,
    dst: RacyPageMut<'_>,
) -> Result {
    let room = room.first_chunk_mut().ok_or(EINVAL)?;
    codec.decompress(context, &object.read(room), dst)
}

/// Memory for a C library, aligned to 16 bytes.
///
/// It takes whole pages; `kvmalloc()` would take a power of two of them, twice as many as most of
/// the libraries need, and contiguous.
pub(crate) struct Workspace(VVec<u128>);

impl Workspace {
    /// Allocates at least `size` bytes, which are zeroes at first.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn new(size: usize) -> Result<Self> {
        let len = size.div_ceil(size_of::<u128>());
        Ok(Self(VVec::from_elem(0, len, GFP_KERNEL | __GFP_NOWARN)?))
    }

    /// Returns a pointer to the memory, which is valid as long as `self` lives.
    fn as_ptr<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }

    /// Copies `other`, a workspace of the same size, over `self`.
    fn copy_from(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(&other.0) {
            *to = *from;
        }
    }
}
