// SPDX-License-Identifier: GPL-2.0-only

//! Compression algorithms: what they are called, and one interface to all.

mod deflate;
mod lz4;
mod lz4_page;
mod lz4hc;
mod lzo;
mod sw842;
mod zstd;

use crate::zram::abstractions::{
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

/// CompressBuf for compressed data, which may be longer than the page; or for an object to read that lies
/// across two pages of the pool.
pub(crate) type CompressBuf = [u8; 2 * PAGE_SIZE];

/// What user space may set for an algorithm.
#[derive(Default)]
pub(crate) struct Params {
    /// Compression level, in the algorithm's own scale.
    pub(crate) level: Option<i32>,
    /// Dictionary; empty for none.
    pub(crate) dict: Contents,
    /// deflate's window size, as the base two logarithm of bytes; negative without zlib's header.
    pub(crate) winbits: Option<i32>,
}

/// An algorithm with its parameters, ready to make contexts.
///
/// The work is not done in line, so that choosing the algorithm is no more than a jump there.
pub(crate) trait Backend: Sized + Send + Sync {
    /// What one compression or decompression at a time needs; allocated for each stream.
    type Context: Send;

    /// Takes the parameters. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a parameter out of range, `EOPNOTSUPP` for one that the algorithm lacks,
    /// `ENOMEM`.
    fn new(params: Params) -> Result<Self>;

    /// Allocates a context. May sleep.
    fn context(&self) -> Result<Self::Context>;

    /// Compresses a page to the start of `dst`; what comes after that may be anything then. The result is the
    /// length. It may be larger than `limit`, which is a page at most, but a longer result is of no use: there
    /// may be none instead. The page may change meanwhile; then the result still decompresses to a page.
    /// Called in the middle of I/O: does not allocate.
    fn compress(
        &self,
        context: &mut Self::Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize>;

    /// Decompresses `src` to a page. Does not allocate.
    ///
    /// # Errors
    ///
    /// `EINVAL`, if `src` is not what [`Backend::compress`] makes of a page; then `dst` holds
    /// anything.
    fn decompress(&self, context: &mut Self::Context, src: &[u8], dst: RacyPageMut<'_>) -> Result;

    /// Decompresses `object` to a page, like [`Backend::decompress`]. What lies across two pages of the
    /// pool is put together in `room`.
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

    /// Whether the kernel has it.
    fn is_available() -> bool {
        true
    }
}

/// Makes the enums that dispatch to the algorithms; a `match` costs no indirect call.
macro_rules! algorithms {
    ($($(#[$doc:meta])* $variant:ident($compressor:ty) = $name:literal),* $(,)?) => {
        /// A compression algorithm.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Algorithm {
            $($(#[$doc])* $variant,)*
        }

        impl Algorithm {
            /// All of them, in the order of `comp_algorithm`.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that user space knows it by.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether the kernel has it.
            pub(crate) fn is_available(self) -> bool {
                match self {
                    $(Self::$variant => <$compressor>::is_available(),)*
                }
            }
        }

        /// An algorithm with its parameters.
        pub(crate) enum Codec {
            $(#[doc = $name] $variant($compressor),)*
        }

        /// What one user of a [`Codec`] at a time needs.
        pub(crate) enum Context {
            $(#[doc = $name] $variant(<$compressor as Backend>::Context),)*
        }

        impl Codec {
            /// Takes the parameters for `algorithm`. May sleep.
            ///
            /// # Errors
            ///
            /// `EINVAL` for a parameter out of range, `EOPNOTSUPP` for one that the algorithm
            /// lacks, `ENOMEM`.
            pub(crate) fn new(algorithm: Algorithm, params: Params) -> Result<Self> {
                Ok(match algorithm {
                    $(Algorithm::$variant => Self::$variant(Backend::new(params)?),)*
                })
            }

            /// Returns which algorithm it is.
            pub(crate) fn algorithm(&self) -> Algorithm {
                match self {
                    $(Self::$variant(_) => Algorithm::$variant,)*
                }
            }

            /// Allocates a context. May sleep.
            pub(crate) fn context(&self) -> Result<Context> {
                Ok(match self {
                    $(Self::$variant(codec) => Context::$variant(codec.context()?),)*
                })
            }

            /// Compresses a page, which may change meanwhile, to the start of `dst`. The result is the length;
            /// or nothing, if the context is another algorithm's; and maybe nothing, if it is more than `limit`,
            /// which is a page at most. Called in the middle of I/O: does not allocate.
            #[inline]
            pub(crate) fn compress(
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

            /// Decompresses `object` to a page. Does not allocate. What lies across two pages of the pool
            /// is put together in `room`.
            ///
            /// # Errors
            ///
            /// `EINVAL`, if it is corrupt, or if the context is another algorithm's; then `dst`
            /// holds anything.
            #[inline]
            pub(crate) fn decompress_object(
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

            /// Decompresses `src` to a page. Does not allocate.
            ///
            /// # Errors
            ///
            /// `EINVAL`, if `src` is corrupt, or if the context is another algorithm's; then `dst`
            /// holds anything.
            #[inline]
            pub(crate) fn decompress(
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
    /// LZO with run-length encoding.
    LzoRle(lzo::LzoRle) = "lzo-rle",
    /// LZO1X-1.
    Lzo(lzo::Lzo) = "lzo",
    /// LZ4.
    Lz4(lz4::Lz4) = "lz4",
    /// LZ4 with a slower, better compressor.
    Lz4hc(lz4hc::Lz4hc) = "lz4hc",
    /// Zstandard.
    Zstd(zstd::Zstd) = "zstd",
    /// zlib.
    Deflate(deflate::Deflate) = "deflate",
    /// 842, as of IBM's accelerators.
    Sw842(sw842::Sw842) = "842",
}

/// Decompresses `object`, in `room` if it is in two parts, with a codec that wants it in one.
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

/// Zeroed memory for a C library.
pub(crate) struct Workspace(KVVec<u128>);

impl Workspace {
    /// Allocates at least `size` bytes. May sleep.
    fn new(size: usize) -> Result<Self> {
        let len = size.div_ceil(size_of::<u128>());
        Ok(Self(KVVec::from_elem(0, len, GFP_KERNEL | __GFP_NOWARN)?))
    }

    fn as_ptr<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }

    /// Becomes a copy of a workspace of the same size.
    fn copy_from(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(&other.0) {
            *to = *from;
        }
    }
}

/// Refuses parameters that an algorithm does not have.
fn no_level_no_dict(params: &Params) -> Result {
    if params.level.is_some() || !params.dict.is_empty() {
        return Err(EOPNOTSUPP);
    }
    Ok(())
}
