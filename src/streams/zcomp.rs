// SPDX-License-Identifier: GPL-2.0-only

//! One configured algorithm with its compression streams.

#![forbid(unsafe_code)]

use super::per_cpu::{
    Counts,
    PerCpuStreams,
    StreamGuard, //
};
use crate::zram::{
    abstractions::{
        bio::{
            Pieces,
            Reading,
            Writing, //
        },
        cpuhp::{
            Hotplug,
            HotplugState,
            Instance, //
        },
        page::PageBuf,
        racy::{
            RacyBytes,
            RacyPage,
            RacyPageMut, //
        },
        zsmalloc::Object, //
    },
    codecs::{
        Algorithm,
        Codec,
        CompressBuf,
        Context,
        Params, //
    }, //
};
use core::ops::Range;
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::Arc, //
};

/// A configured algorithm, with a stream for each CPU that is up.
pub(crate) struct Zcomp {
    codec: Codec,
    streams: PerCpuStreams<ZcompStrm>,
}

/// A compression stream: scratch memory that one compression or decompression at a time uses.
///
/// This is C zram's `struct zcomp_strm`, except that C copies objects to `local_copy`, and has no
/// pages in pieces.
struct ZcompStrm {
    /// The codec's own state.
    ctx: Context,
    /// Compressed data: the output of a compression until it is copied to the pool, or a copy of
    /// an object that is not decompressed in place.
    buffer: KVBox<CompressBuf>,
    /// A whole page, where the bio has it in pieces: gathered before it is compressed, or
    /// decompressed before it is scattered.
    local_copy: KVBox<PageBuf>,
}

impl Zcomp {
    /// Sets up `algorithm` with a stream for each CPU that is up, and registers it with CPU
    /// hotplug.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::new`]; `ENOMEM`.
    pub fn create(
        algorithm: Algorithm,
        params: Params,
        hotplug: &Arc<HotplugState<Self>>,
    ) -> Result<Instance<Self>> {
        let zcomp = Self {
            codec: Codec::new(algorithm, params)?,
            streams: PerCpuStreams::new()?,
        };
        Instance::new(hotplug, zcomp)
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.codec.algorithm()
    }

    /// Takes the stream of the CPU that the task runs on.
    ///
    /// The caller may hold the lock of a slot, but must not lock one while it holds the stream. So
    /// the stream is taken for each page anew, which costs 48 of the 34,000 instructions that write
    /// a page.
    ///
    /// Context: Process context. Sleeps while another task has the stream.
    #[inline]
    pub fn stream(&self) -> ZcompGuard<'_> {
        ZcompGuard {
            codec: &self.codec,
            strm: self.streams.take(),
        }
    }

    /// Allocates a stream that belongs to the caller.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn own_stream(&self) -> Result<OwnStream<'_>> {
        Ok(OwnStream {
            codec: &self.codec,
            strm: ZcompStrm::new(&self.codec)?,
        })
    }

    /// Returns whether `cpu` has a stream, and its counters, or `None` if `cpu` is impossible.
    ///
    /// Context: Process context. Sleeps while the stream is in use.
    pub fn counts(&self, cpu: CpuId) -> Option<(bool, Counts)> {
        self.streams.counts(cpu)
    }
}

impl Hotplug for Zcomp {
    fn prepare(&self, cpu: CpuId) -> Result {
        // Allocated before the cell's mutex is taken: the allocation may start memory reclaim,
        // which takes such mutexes to swap out to this device.
        let strm = ZcompStrm::new(&self.codec).inspect_err(|_| {
            pr_err!("no memory for a stream on CPU {}\n", cpu.as_u32());
        })?;
        self.streams.prepare(cpu, strm)
    }

    fn dead(&self, cpu: CpuId) {
        self.streams.dead(cpu);
    }
}

impl ZcompStrm {
    /// Allocates a stream for `codec`.
    ///
    /// Context: Process context. May sleep.
    fn new(codec: &Codec) -> Result<Self> {
        Ok(Self {
            ctx: codec.context()?,
            buffer: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
            local_copy: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
        })
    }
}

/// A stream that a task has taken, with its codec; released when dropped.
///
/// The methods allocate nothing. The errors of [`StreamGuard::stream`], which are never seen, pass
/// through all of them and are not listed.
pub(crate) struct ZcompGuard<'a> {
    codec: &'a Codec,
    strm: StreamGuard<'a, ZcompStrm>,
}

impl ZcompGuard<'_> {
    /// Returns the codec and the stream.
    fn parts(&mut self) -> Result<(&Codec, &mut ZcompStrm)> {
        Ok((self.codec, self.strm.stream()?))
    }

    /// Compresses `page` and returns the compressed data, or `None` if it would not be smaller than
    /// `limit` bytes.
    ///
    /// `limit` is at most a page.
    #[inline]
    pub fn compress(&mut self, page: RacyPage<'_>, limit: usize) -> Result<Option<&[u8]>> {
        let (codec, strm) = self.parts()?;
        let len = codec.compress(&mut strm.ctx, page, &mut strm.buffer, limit);
        Ok(worth_storing(len, &*strm.buffer, limit))
    }

    /// Copies `pieces` together in `local_copy`, for [`ZcompGuard::compress_gathered`], and returns
    /// that page.
    pub fn gather<T>(&mut self, pieces: &Pieces<'_, T, Writing>) -> Result<RacyPage<'_>> {
        let (_, strm) = self.parts()?;
        pieces.gather(&mut strm.local_copy);
        Ok(RacyPage::from(&*strm.local_copy))
    }

    /// Compresses the page that was last gathered and returns the compressed data, or the page
    /// itself if that would not be smaller than `limit` bytes.
    ///
    /// `limit` is at most a page.
    pub fn compress_gathered(&mut self, limit: usize) -> Result<RacyBytes<'_>> {
        let (codec, strm) = self.parts()?;
        let page = RacyPage::from(&*strm.local_copy);
        let len = codec.compress(&mut strm.ctx, page, &mut strm.buffer, limit);
        Ok(worth_storing(len, &*strm.buffer, limit).map_or(page.into(), RacyBytes::from))
    }

    /// Decompresses `object` to `page`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `object` is corrupt; the contents of `page` are unspecified then.
    #[inline]
    pub fn decompress_object(&mut self, object: &Object<'_>, page: RacyPageMut<'_>) -> Result {
        let (codec, strm) = self.parts()?;
        codec.decompress_object(&mut strm.ctx, object, &mut strm.buffer, page)
    }

    /// Decompresses `bytes` to `page`, with the errors of [`ZcompGuard::decompress_object`].
    pub fn decompress(&mut self, bytes: &[u8], page: RacyPageMut<'_>) -> Result {
        let (codec, strm) = self.parts()?;
        codec.decompress(&mut strm.ctx, bytes, page)
    }

    /// Replaces `page`, which has compressed data at `bytes`, by what that decompresses to.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the data is corrupt, or if the page has no such bytes.
    pub fn decompress_in_place(&mut self, page: &mut PageBuf, bytes: Range<usize>) -> Result {
        let (codec, strm) = self.parts()?;
        let from = page.0.get(bytes).ok_or(EINVAL)?;
        let data = strm.buffer.get_mut(..from.len()).ok_or(EINVAL)?;
        data.copy_from_slice(from);
        codec.decompress(&mut strm.ctx, data, RacyPageMut::from(page))
    }

    /// Decompresses `bytes` to `pieces`, by way of `local_copy`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `bytes` are corrupt; `pieces` are not written to then.
    pub fn decompress_bytes_to_pieces<T>(
        &mut self,
        bytes: &[u8],
        pieces: &Pieces<'_, T, Reading>,
    ) -> Result {
        let (codec, strm) = self.parts()?;
        let page = RacyPageMut::from(&mut *strm.local_copy);
        codec.decompress(&mut strm.ctx, bytes, page)?;
        pieces.scatter(&strm.local_copy.0);
        Ok(())
    }

    /// Decompresses `object` to `pieces`, by way of `local_copy`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `object` is corrupt; `pieces` are not written to then.
    pub fn decompress_to_pieces<T>(
        &mut self,
        object: &Object<'_>,
        pieces: &Pieces<'_, T, Reading>,
    ) -> Result {
        let (codec, strm) = self.parts()?;
        let page = RacyPageMut::from(&mut *strm.local_copy);
        codec.decompress_object(&mut strm.ctx, object, &mut strm.buffer, page)?;
        pieces.scatter(&strm.local_copy.0);
        Ok(())
    }
}

/// A stream that belongs to one task, with its codec.
///
/// Work in the background takes this rather than the stream of a CPU. Such a task may have a low
/// priority: others on that CPU would wait for as long as it is preempted with the stream.
pub(crate) struct OwnStream<'a> {
    codec: &'a Codec,
    strm: ZcompStrm,
}

impl OwnStream<'_> {
    /// Does what [`ZcompGuard::compress`] does.
    pub fn compress(&mut self, page: RacyPage<'_>, limit: usize) -> Option<&[u8]> {
        let Self { codec, strm } = self;
        let len = codec.compress(&mut strm.ctx, page, &mut strm.buffer, limit);
        worth_storing(len, &*strm.buffer, limit)
    }

    /// Does what [`ZcompGuard::decompress_object`] does, with its errors.
    pub fn decompress_object(&mut self, object: &Object<'_>, page: RacyPageMut<'_>) -> Result {
        let Self { codec, strm } = self;
        codec.decompress_object(&mut strm.ctx, object, &mut strm.buffer, page)
    }
}

/// Returns the first `len` bytes of `buffer`, the result of [`Codec::compress`], if they are fewer
/// than `limit`.
#[inline]
fn worth_storing(len: Option<usize>, buffer: &[u8], limit: usize) -> Option<&[u8]> {
    len.filter(|&len| len < limit)
        .and_then(|len| buffer.get(..len))
}
