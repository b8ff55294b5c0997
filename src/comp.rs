// SPDX-License-Identifier: GPL-2.0

//! One configured algorithm, and what its streams do.

#![forbid(unsafe_code)]

use crate::zram::{
    abstractions::{
        bio::{
            Pieces,
            Reading,
            Writing, //
        },
        codec::{
            Algorithm,
            Codec,
            Context,
            Params,
            Room, //
        },
        cpuhp::{
            Hotplug,
            Instance,
            State, //
        },
        page::{
            Buffer,
            Bytes,
            Source,
            Target, //
        },
        zsmalloc::Object,
    },
    cells::{
        Cells,
        Counts,
        Taken, //
    },
};
use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::Arc, //
};

/// One configured algorithm.
pub(crate) struct Comp {
    algorithm: Algorithm,
    streams: Instance<Streams>,
}

/// What CPU hotplug sees of it.
pub(crate) struct Streams {
    codec: Codec,
    cells: Cells,
}

/// What one compression or decompression at a time needs.
pub(crate) struct Stream {
    context: Context,
    data: KVBox<Room>,
    /// A page on its way from or to pieces of pages.
    page: KVBox<Buffer>,
}

impl Comp {
    /// Sets up `algorithm`, with a stream for each CPU that is up. May sleep; takes the CPU hotplug
    /// lock.
    ///
    /// # Errors
    ///
    /// Those of [`Codec::new`]; `ENOMEM`.
    pub(crate) fn new(
        algorithm: Algorithm,
        params: Params,
        hotplug: &Arc<State<Streams>>,
    ) -> Result<Self> {
        let streams = Streams {
            codec: Codec::new(algorithm, params)?,
            cells: Cells::new()?,
        };
        Ok(Self {
            algorithm,
            streams: Instance::new(hotplug, streams)?,
        })
    }

    /// Which algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes the stream of the CPU that the task runs on. May sleep.
    ///
    /// May be called with a slot locked; no slot may be locked while the stream is held. So it is
    /// taken for each page anew, which costs 48 of the 34,000 instructions that write a page.
    #[inline]
    pub(crate) fn stream(&self) -> StreamGuard<'_> {
        let Streams { codec, cells } = &*self.streams;
        StreamGuard {
            codec,
            taken: cells.take(),
        }
    }

    /// Whether `cpu` has a stream, and how it was used; nothing for an impossible CPU. Sleeps while
    /// the stream is in use.
    pub(crate) fn counts(&self, cpu: CpuId) -> Option<(bool, Counts)> {
        self.streams.cells.counts(cpu)
    }
}

impl Hotplug for Streams {
    fn prepare(&self, cpu: CpuId) -> Result {
        // Allocated before the cell's mutex is taken: memory reclaim, which that may start, takes such
        // mutexes to swap out to this device.
        let stream = Stream::new(&self.codec).inspect_err(|_| {
            pr_err!("no memory for a stream on CPU {}\n", cpu.as_u32());
        })?;
        self.cells.prepare(cpu, stream)
    }

    fn dead(&self, cpu: CpuId) {
        self.cells.dead(cpu);
    }
}

impl Stream {
    fn new(codec: &Codec) -> Result<Self> {
        Ok(Self {
            context: codec.context()?,
            data: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
            page: KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)?,
        })
    }
}

/// A stream in use, bound to its task; released when dropped.
pub(crate) struct StreamGuard<'a> {
    codec: &'a Codec,
    taken: Taken<'a>,
}

impl StreamGuard<'_> {
    fn parts(&mut self) -> Result<(&Codec, &mut Stream)> {
        Ok((self.codec, self.taken.stream()?))
    }

    /// Compresses `page`. The result is what to store, or nothing if that is not smaller than `limit`, which
    /// is a page at most.
    #[inline]
    pub(crate) fn pack(&mut self, page: Source<'_>, limit: usize) -> Result<Option<&[u8]>> {
        let (codec, stream) = self.parts()?;
        let len = codec.compress(&mut stream.context, page, &mut stream.data, limit);
        Ok(packed(len, &*stream.data, limit))
    }

    /// Puts `pieces` together to the page that [`StreamGuard::pack_gathered`] compresses.
    pub(crate) fn gather<T>(&mut self, pieces: &Pieces<'_, T, Writing>) -> Result<Source<'_>> {
        let (_, stream) = self.parts()?;
        pieces.gather(&mut stream.page);
        Ok(Source::from(&*stream.page))
    }

    /// Compresses the page that was last gathered, or leaves it as it is if it does not get smaller than
    /// `limit`. The result is what to store.
    pub(crate) fn pack_gathered(&mut self, limit: usize) -> Result<Bytes<'_>> {
        let (codec, stream) = self.parts()?;
        let page = Source::from(&*stream.page);
        let len = codec.compress(&mut stream.context, page, &mut stream.data, limit);
        Ok(packed(len, &*stream.data, limit).map_or(page.into(), Bytes::from))
    }

    /// Decompresses `object` to `page`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is corrupt; then the page holds anything.
    #[inline]
    pub(crate) fn unpack(&mut self, object: &Object<'_>, page: Target<'_>) -> Result {
        let (codec, stream) = self.parts()?;
        codec.unpack(&mut stream.context, object, &mut stream.data, page)
    }

    /// Decompresses `bytes` to `page`; like [`StreamGuard::unpack`].
    #[cfg(CONFIG_FAULT_INJECTION)]
    pub(crate) fn unpack_bytes(&mut self, bytes: &[u8], page: Target<'_>) -> Result {
        let (codec, stream) = self.parts()?;
        codec.decompress(&mut stream.context, bytes, page)
    }

    /// Copies `object` as it is to the start of `page`, and fills the rest with zeroes.
    pub(crate) fn copy_object(&mut self, object: &Object<'_>, page: &mut Buffer) -> Result {
        let (_, stream) = self.parts()?;
        let copy = stream.data.first_chunk_mut().ok_or(EINVAL)?;
        let bytes = object.read(copy);
        let (data, rest) = page.0.split_at_mut_checked(bytes.len()).ok_or(EINVAL)?;
        data.copy_from_slice(&bytes);
        rest.fill(0);
        Ok(())
    }

    /// Decompresses what the first `len` bytes of `page` hold, to `page`; like
    /// [`StreamGuard::unpack`].
    pub(crate) fn unpack_in_place(&mut self, page: Target<'_>, len: usize) -> Result {
        let (codec, stream) = self.parts()?;
        let data = stream.data.get_mut(..len).ok_or(EINVAL)?;
        page.copy_to(data);
        codec.decompress(&mut stream.context, data, page)
    }

    /// Decompresses `object` to `pieces`; like [`StreamGuard::unpack`].
    pub(crate) fn unpack_to_pieces<T>(
        &mut self,
        object: &Object<'_>,
        pieces: &Pieces<'_, T, Reading>,
    ) -> Result {
        let (codec, stream) = self.parts()?;
        let page = Target::from(&mut *stream.page);
        codec.unpack(&mut stream.context, object, &mut stream.data, page)?;
        pieces.scatter(&stream.page.0);
        Ok(())
    }
}

/// What compressing a page to `data` returned, if it is worth storing.
#[inline]
fn packed(len: Option<usize>, data: &[u8], limit: usize) -> Option<&[u8]> {
    len.filter(|&len| len < limit)
        .and_then(|len| data.get(..len))
}
