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

use lz77::to_page;
use lzmem::state::USED;
use std::slice;
use zram::codecs::lzmem_page::{
    self,
    Corrupt, //
};

/// Decompresses a block that is passed in two parts, the second of which begins at `split`.
pub fn decompress(block: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    USED.with_borrow_mut(|state| {
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
