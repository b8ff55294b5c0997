// SPDX-License-Identifier: GPL-2.0-only

//! Fuzzes the compressor of LZMEM: `qemu/fuzz lzmem_page`.
//!
//! The input is a page, which must become a block that both decompressors read, with each effort,
//! whatever was in the state before. Then the page changes while it is compressed, and must become
//! the block of some page.

#![no_main]

extern crate self as kernel;
pub(crate) use lz77::page;

mod common;

use common::{
    decompress,
    lz77,
    lzmem::{
        meaning,
        state::{
            EFFORTS,
            NONE,
            ROOM,
            USED, //
        }, //
    },
    zram, //
};
use lz77::{
    in_room,
    lying,
    PAGE, //
};
use zram::codecs::lzmem_page::{
    self,
    Effort, //
};

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

fn compress(page: &[u8], limit: usize, effort: Effort) -> Option<Vec<u8>> {
    USED.with_borrow_mut(|state| {
        in_room(page, ROOM, |page, dst| {
            let dst = dst.try_into().expect("it is that long");
            // SAFETY: `page` is valid for reads of a page.
            unsafe { lzmem_page::compress(state, page, dst, limit, effort) }
        })
    })
}

/// Returns the page of a block, which both decompressors must make of it.
fn page_of(block: &[u8]) -> Vec<u8> {
    let page = decompress(block, block.len());
    assert!(page.as_ref().ok() == meaning(block).as_ref());
    page.expect("a block")
}

/// Tries an input.
///
/// # Safety
///
/// `data` is valid for reads of `size` bytes.
#[no_mangle]
unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> i32 {
    // SAFETY: `data` is valid for reads of `size` bytes by the safety requirement.
    let Some((choice, input)) = (unsafe { common::input(data, size) }) else {
        return 0;
    };
    // A short input is the start of a page, or repeats itself.
    let more: &[u8] = if choice & 1 > 0 && !input.is_empty() {
        input
    } else {
        &[0]
    };
    let all = input.iter().chain(more.iter().cycle());
    let page: Vec<u8> = all.copied().take(PAGE).collect();
    let limit = usize::from(choice >> 4);
    for effort in EFFORTS {
        let block = compress(&page, NONE, effort).expect("there is no limit");
        assert!(page_of(&block) == page);
        if let Some(other) = compress(&page, limit, effort) {
            assert!(other.len() <= limit && other == block);
        }
        let share = 1 << (choice >> 1 & 7);
        let block = lying(choice.into(), share, || compress(&page, NONE, effort));
        page_of(&block.expect("there is no limit"));
    }
    0
}
