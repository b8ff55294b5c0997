// SPDX-License-Identifier: GPL-2.0-only

//! Fuzzes the decompressor of LZMEM: `qemu/fuzz lzmem_block`.
//!
//! The input is taken for a block, then made a valid one, and then that is broken in one place. The
//! reference must agree each time, whatever was in the state before.

#![no_main]

extern crate self as kernel;
pub(crate) use lz77::page;

mod common;

use common::{
    decompress,
    lz77,
    lzmem::{
        blocks::of_any,
        meaning, //
    },
    zram, //
};
use lz77::Random;

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

/// Checks a block, also in two parts, and returns whether it is one.
fn check(block: &[u8], choice: u16) -> bool {
    let expected = meaning(block);
    for split in [usize::from(choice) % (block.len() + 1), block.len()] {
        assert!(decompress(block, split).ok() == expected);
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
    // SAFETY: `data` is valid for reads of `size` bytes by the safety requirement.
    let Some((choice, input)) = (unsafe { common::input(data, size) }) else {
        return 0;
    };
    check(input, choice);
    let mut block = of_any(input);
    assert!(check(&block, choice));
    Random(choice.into()).damage(&mut block);
    check(&block, choice);
    0
}
