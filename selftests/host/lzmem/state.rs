// SPDX-License-Identifier: GPL-2.0-only

//! What the tests and fuzz targets of LZMEM compress with, for a page of any size.

use crate::{
    lz77::{
        filled,
        PAGE, //
    },
    zram::codecs::lzmem_page::{
        Effort,
        State, //
    }, //
};
use std::cell::RefCell;

/// The room that a compressor has.
pub const ROOM: usize = 2 * PAGE;

/// A limit that nothing exceeds.
pub const NONE: usize = usize::MAX;

pub const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Lazy, Effort::Shortest];

/// Returns a state of bytes `byte`.
pub fn state(byte: u8) -> Box<State> {
    // SAFETY: A `State` consists of integers, for which any bytes are a valid value.
    unsafe { filled(byte) }
}

thread_local! {
    /// The state of all that does not say otherwise, with what was left in it.
    pub static USED: RefCell<Box<State>> = RefCell::new(state(0));
}
