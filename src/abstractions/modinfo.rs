// SPDX-License-Identifier: GPL-2.0-only

//! The module's version, which `modinfo` and `/sys/module/rust_zram/version` show.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)
//!
//! Upstream this would be a key of the `module!` macro, in `rust/macros/module.rs`.

/// The version of the module; CHANGELOG.md says what each brought.
const VERSION: &str = "0.9.0";

const KEY: &str = "version=";
const LEN: usize = KEY.len() + VERSION.len() + 1;

/// The line of `.modinfo` that `MODULE_VERSION()` makes in C.
// As `module!` has it: what only the linker keeps comes into a second section of that name, in
// which modpost looks for a license.
#[used(compiler)]
#[link_section = ".modinfo"]
static MODULE_VERSION: [u8; LEN] = {
    let (key, version) = (KEY.as_bytes(), VERSION.as_bytes());
    // The NUL at its end is there already.
    let mut line = [0; LEN];
    let mut at = 0;
    while at < LEN - 1 {
        line[at] = if at < key.len() {
            key[at]
        } else {
            version[at - key.len()]
        };
        at += 1;
    }
    line
};
