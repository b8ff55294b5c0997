// SPDX-License-Identifier: GPL-2.0-only

//! One configured algorithm, and what its streams do.

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
            Instance,
            State, //
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

/// A compression stream: the state that one compression or decompression at a time uses.
struct ZcompStrm {
    ctx: Context,
    /// Compressed data, on its way to the pool or from it.
    buffer: KVBox<CompressBuf>,
    /// A copy of a page that a bio has in pieces, on its way from or to these.
    local_copy: KVBox<PageBuf>,
}

impl Zcomp {
    /// Sets up `algorithm`, with a stream for each CPU that is up, and registers it with CPU hotplug.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::new`]; `ENOMEM`.
    pub(crate) fn create(
        algorithm: Algorithm,
        params: Params,
        hotplug: &Arc<State<Self>>,
    ) -> Result<Instance<Self>> {
        let zcomp = Self {
            codec: Codec::new(algorithm, params)?,
            streams: PerCpuStreams::new()?,
        };
        Instance::new(hotplug, zcomp)
    }

    /// Returns the algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.codec.algorithm()
    }

    /// Takes the stream of the CPU that the task runs on.
    ///
    /// May be called with a slot locked; no slot may be locked while the stream is held. So it is
    /// taken for each page anew, which costs 48 of the 34,000 instructions that write a page.
    ///
    /// Context: Process context. May sleep.
    #[inline]
    pub(crate) fn stream(&self) -> ZcompGuard<'_> {
        ZcompGuard {
            codec: &self.codec,
            strm: self.streams.take(),
        }
    }

    /// Returns whether `cpu` has a stream, and how it was used; `None` for an impossible CPU.
    ///
    /// Context: Process context. Sleeps while the stream is in use.
    pub(crate) fn counts(&self, cpu: CpuId) -> Option<(bool, Counts)> {
        self.streams.counts(cpu)
    }
}

impl Hotplug for Zcomp {
    fn prepare(&self, cpu: CpuId) -> Result {
        // Allocated before the cell's mutex is taken: memory reclaim, which that may start, takes such
        // mutexes to swap out to this device.
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
    fn new(codec: &Codec) -> Result<Self> {
        Ok(Self {
            ctx: codec.context()?,
            buffer: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
            local_copy: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
        })
    }
}

/// A stream in use, bound to its task; released when dropped.
pub(crate) struct ZcompGuard<'a> {
    codec: &'a Codec,
    strm: StreamGuard<'a, ZcompStrm>,
}

impl ZcompGuard<'_> {
    /// Returns the codec and the stream. The error is never seen: see [`StreamGuard::stream`].
    fn parts(&mut self) -> Result<(&Codec, &mut ZcompStrm)> {
        Ok((self.codec, self.strm.stream()?))
    }

    /// Compresses `page`, and returns what to store, or `None` if that is not smaller than `limit`, which is a
    /// page at most.
    #[inline]
    pub(crate) fn compress(&mut self, page: RacyPage<'_>, limit: usize) -> Result<Option<&[u8]>> {
        let (codec, strm) = self.parts()?;
        let len = codec.compress(&mut strm.ctx, page, &mut strm.buffer, limit);
        Ok(worth_storing(len, &*strm.buffer, limit))
    }

    /// Puts `pieces` together to the page that [`ZcompGuard::compress_gathered`] compresses, and returns that.
    pub(crate) fn gather<T>(&mut self, pieces: &Pieces<'_, T, Writing>) -> Result<RacyPage<'_>> {
        let (_, strm) = self.parts()?;
        pieces.gather(&mut strm.local_copy);
        Ok(RacyPage::from(&*strm.local_copy))
    }

    /// Compresses the page that was last gathered, and returns what to store: the page as it is, if it does not get
    /// smaller than `limit`.
    pub(crate) fn compress_gathered(&mut self, limit: usize) -> Result<RacyBytes<'_>> {
        let (codec, strm) = self.parts()?;
        let page = RacyPage::from(&*strm.local_copy);
        let len = codec.compress(&mut strm.ctx, page, &mut strm.buffer, limit);
        Ok(worth_storing(len, &*strm.buffer, limit).map_or(page.into(), RacyBytes::from))
    }

    /// Decompresses `object` to `page`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is corrupt; then the page holds anything.
    #[inline]
    pub(crate) fn decompress_object(
        &mut self,
        object: &Object<'_>,
        page: RacyPageMut<'_>,
    ) -> Result {
        let (codec, strm) = self.parts()?;
        codec.decompress_object(&mut strm.ctx, object, &mut strm.buffer, page)
    }

    /// Decompresses `bytes` to `page`; like [`ZcompGuard::decompress_object`].
    #[cfg(CONFIG_FAULT_INJECTION)]
    pub(crate) fn decompress(&mut self, bytes: &[u8], page: RacyPageMut<'_>) -> Result {
        let (codec, strm) = self.parts()?;
        codec.decompress(&mut strm.ctx, bytes, page)
    }

    /// Copies `object` as it is to the start of `page`, and fills the rest with zeroes.
    pub(crate) fn copy_object(&mut self, object: &Object<'_>, page: &mut PageBuf) -> Result {
        let (_, strm) = self.parts()?;
        let copy = strm.buffer.first_chunk_mut().ok_or(EINVAL)?;
        let bytes = object.read(copy);
        let (data, rest) = page.0.split_at_mut_checked(bytes.len()).ok_or(EINVAL)?;
        data.copy_from_slice(&bytes);
        rest.fill(0);
        Ok(())
    }

    /// Decompresses what the first `len` bytes of `page` hold, to `page`; like [`ZcompGuard::decompress_object`].
    pub(crate) fn decompress_in_place(&mut self, page: RacyPageMut<'_>, len: usize) -> Result {
        let (codec, strm) = self.parts()?;
        let data = strm.buffer.get_mut(..len).ok_or(EINVAL)?;
        page.copy_to(data);
        codec.decompress(&mut strm.ctx, data, page)
    }

    /// Decompresses `object` to `pieces`; like [`ZcompGuard::decompress_object`].
    pub(crate) fn decompress_to_pieces<T>(
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

/// Returns the first `len` bytes of `buffer`, which a codec has compressed a page to, if that is less than `limit`.
#[inline]
fn worth_storing(len: Option<usize>, buffer: &[u8], limit: usize) -> Option<&[u8]> {
    len.filter(|&len| len < limit)
        .and_then(|len| buffer.get(..len))
}
