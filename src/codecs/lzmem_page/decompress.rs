// SPDX-License-Identifier: GPL-2.0-only

//! Decompression: first all literals, then sequence after sequence.
//!
//! Sequences are decompressed fast while the end of the page is not near, then exactly.

mod exact;
mod fast;
mod literals;
mod progress;
mod sequence;

use super::{
    bits::Region,
    codes::{
        READ,
        SETS, //
    },
    input::Input,
    Header,
    State,
    HEADER, //
};
use crate::zram::codecs::lz77::Corrupt;
use exact::exactly;
use fast::fast;
use literals::read_literals;
use progress::Progress;

/// Decompresses the block `head` followed by `tail` to the page at `dst`.
///
/// Bytes that lie across both parts are put together in `bridge`, which is as long as the block. It
/// may be empty if `tail` is.
///
/// # Errors
///
/// [`Corrupt`] if the block does not decompress to exactly a page, or `bridge` is too short. Then
/// `dst` holds anything.
///
/// # Safety
///
/// `dst` is valid for reads and writes of a page during the call. Others may read it or write to it
/// meanwhile; then it holds anything.
pub(crate) unsafe fn decompress(
    state: &mut State,
    head: &[u8],
    tail: &[u8],
    bridge: &mut [u8],
    dst: *mut u8,
) -> Result<(), Corrupt> {
    let mut input = Input::new(head, tail, bridge);
    let header = Header::from_bytes(input.take(HEADER)?)?;
    let codes = &READ[usize::from(header.set) % SETS];
    let room = state.sequences.room();
    if header.raw {
        let raw = input.take(header.literals)?;
        room.get_mut(..raw.len())
            .ok_or(Corrupt)?
            .copy_from_slice(raw);
    } else {
        let regions = [input.take(header.first)?, input.take(header.second)?];
        read_literals(codes, regions, room, header.literals)?;
    }
    let region = Region::new(input.rest()?)?;
    let literals = room.get(..header.literals).ok_or(Corrupt)?;
    // SAFETY: `dst` is valid for reads and writes of a page by the safety requirement. After the
    // literals there are eight bytes of `room`.
    unsafe {
        let now = Progress::start(header.sequences, room, dst);
        if codes.differences && !header.raw {
            let now = fast::<true>(codes, region, dst, now)?;
            exactly::<true>(codes, region, literals, dst, now)
        } else {
            let now = fast::<false>(codes, region, dst, now)?;
            exactly::<false>(codes, region, literals, dst, now)
        }
    }
}
