// SPDX-License-Identifier: GPL-2.0-only

//! LZMEM, this module's own algorithm for pages of memory: [`lzmem_pieces`].

use super::{
    lzmem_page::{
        Corrupt,
        Effort,
        State, //
    },
    lzmem_pieces,
    Backend,
    CompressBuf,
    Params, //
};
use crate::zram::abstractions::{
    racy::{
        RacyPage,
        RacyPageMut, //
    },
    zsmalloc::Object, //
};
use kernel::prelude::*;

/// LZMEM with a level from 1 to 3.
///
/// A higher level takes more time to compress, and makes most blocks smaller. They take no more
/// time to decompress. There is no dictionary: the codes are made for memory already.
pub(crate) struct Lzmem {
    effort: Effort,
}

/// The memory of one compression or decompression at a time, allocated as zeroes.
#[repr(transparent)]
pub(crate) struct Context(State);

// SAFETY: `State` consists of integers, for which all zeroes is a valid value.
unsafe impl Zeroable for Context {}

impl Backend for Lzmem {
    type Context = KVBox<Context>;

    fn new(name: &str, params: Params) -> Result<Self> {
        params.no_dict(name)?;
        let effort = match params.level_in(name, 1, 1..=3)? {
            1 => Effort::Fast,
            2 => Effort::Lazy,
            _ => Effort::Shortest,
        };
        Ok(Self { effort })
    }

    fn context(&self) -> Result<Self::Context> {
        KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)
    }

    #[inline(never)]
    fn compress(
        &self,
        context: &mut Self::Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize> {
        // SAFETY: `src` is valid for reads of a page by the invariants of `RacyPage`.
        unsafe { lzmem_pieces::compress(&mut context.0, src.as_ptr(), dst, limit, self.effort) }
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Self::Context, src: &[u8], dst: RacyPageMut<'_>) -> Result {
        decompress(context, src, &[], &mut [], dst)
    }

    #[inline(never)]
    fn decompress_object(
        &self,
        context: &mut Self::Context,
        object: &Object<'_>,
        room: &mut CompressBuf,
        dst: RacyPageMut<'_>,
    ) -> Result {
        let parts = object.read_parts();
        let (head, tail) = parts.slices();
        decompress(context, head, tail, room, dst)
    }
}

/// Decompresses the block `head` followed by `tail` to the page `dst`.
///
/// Unless `tail` is empty, `room` is at least as long as both together.
///
/// # Errors
///
/// `EINVAL` if the block does not decompress to exactly a page. Then `dst` holds anything.
fn decompress(
    context: &mut Context,
    head: &[u8],
    tail: &[u8],
    room: &mut [u8],
    mut dst: RacyPageMut<'_>,
) -> Result {
    // SAFETY: `dst` is valid for reads and writes of a page by the invariants of `RacyPageMut`.
    unsafe { lzmem_pieces::decompress(&mut context.0, head, tail, room, dst.as_ptr()) }
        .map_err(|Corrupt| EINVAL)
}
