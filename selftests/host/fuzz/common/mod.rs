// SPDX-License-Identifier: GPL-2.0-only

//! What the fuzz targets of LZMEM share: the module, the reference, and what an input consists of.

#[path = "../../../../src"]
pub mod zram {
    pub mod codecs {
        #[allow(dead_code)]
        pub mod lz77;
        #[allow(dead_code, unused_imports)] // Each target uses one direction.
        pub mod lzmem_page;
    }
}

#[allow(dead_code)]
#[path = "../../lz77/mod.rs"]
pub mod lz77;
#[allow(dead_code)]
#[path = "../../lzmem/mod.rs"]
pub mod lzmem;

use lz77::{
    filled,
    to_page, //
};
use std::{
    cell::RefCell,
    slice, //
};
use zram::codecs::lzmem_page::{
    self,
    Corrupt,
    State, //
};

thread_local! {
    /// The state of all inputs, with what was left in it.
    pub static STATE: RefCell<Box<State>> = {
        // SAFETY: A `State` consists of integers, for which any bytes are a valid value.
        RefCell::new(unsafe { filled(0) })
    };
}

/// Decompresses a block that is passed in two parts, the second of which begins at `split`.
pub fn decompress(block: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    STATE.with_borrow_mut(|state| {
        to_page(block, split, |head, tail, bridge, dst| {
            // SAFETY: `dst` is valid for reads and writes of a page.
            unsafe { lzmem_page::decompress(state, head, tail, bridge, dst) }
        })
    })
}

/// Returns the choice that an input begins with, and the rest of it.
///
/// # Safety
///
/// `data` is valid for reads of `size` bytes during `'a`.
pub unsafe fn input<'a>(data: *const u8, size: usize) -> Option<(u16, &'a [u8])> {
    // SAFETY: `data` is valid for reads of `size` bytes by the safety requirement.
    let all = unsafe { slice::from_raw_parts(data, size) };
    let (choice, rest) = all.split_first_chunk()?;
    Some((u16::from_le_bytes(*choice), rest))
}
