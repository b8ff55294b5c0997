// SPDX-License-Identifier: GPL-2.0-only

//! Fuzzes the decompressor of LZMEM: `qemu/fuzz lzmem_block`.
//!
//! The input is taken for a block, then made a valid one, and then that is broken in one place. The
//! reference must agree each time, whatever was in the state before.

#![no_main]

#[path = "../../../src"]
mod zram {
    pub mod codecs {
        #[allow(dead_code)]
        pub mod lz77;
        #[allow(dead_code)]
        pub mod lzmem_page;
    }
}

#[allow(dead_code)]
#[path = "../lz77/mod.rs"]
mod lz77;
#[allow(dead_code)]
#[path = "../lzmem/mod.rs"]
mod lzmem;

use lz77::{
    filled,
    to_page,
    Random, //
};
use lzmem::{
    blocks::of_any,
    meaning, //
};
use std::{
    cell::RefCell,
    slice, //
};
use zram::codecs::lzmem_page::State;

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

thread_local! {
    static STATE: RefCell<Box<State>> = {
        // SAFETY: A `State` consists of integers, for which any bytes are a valid value.
        RefCell::new(unsafe { filled(0) })
    };
}

/// Checks a block, also in two parts, and returns whether it is one.
fn check(block: &[u8], choice: u16) -> bool {
    let expected = meaning(block);
    for split in [usize::from(choice) % (block.len() + 1), block.len()] {
        let result = STATE.with_borrow_mut(|state| {
            to_page(block, split, |head, tail, bridge, dst| {
                // SAFETY: `dst` is valid for reads and writes of a page.
                unsafe { zram::codecs::lzmem_page::decompress(state, head, tail, bridge, dst) }
            })
        });
        assert!(result.ok() == expected);
    }
    expected.is_some()
}

/// Tries an input.
///
/// # Safety
///
/// `data` is valid for reads of `size` bytes.
#[no_mangle]
unsafe extern "C" fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> i32 {
    let Some(size) = size.checked_sub(2) else {
        return 0;
    };
    // SAFETY: `data` is valid for reads of `size` bytes after the first two by the safety
    // requirement.
    let input = unsafe { slice::from_raw_parts(data.add(2), size) };
    // SAFETY: `data` is valid for reads of two bytes by the safety requirement.
    let choice = unsafe { data.cast::<u16>().read_unaligned() };
    check(input, choice);
    let mut block = of_any(input);
    assert!(check(&block, choice));
    Random(choice.into()).damage(&mut block);
    check(&block, choice);
    0
}
