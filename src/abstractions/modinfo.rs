// SPDX-License-Identifier: GPL-2.0-only

//! The module's version, which `modinfo` and `/sys/module/rust_zram/version` show.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)
//!
//! Upstream this would be a key of the `module!` macro, in `rust/macros/module.rs`.

/// The version of the module; CHANGELOG.md says what each brought.
const VERSION: &str = "0.9.0";

/// The line of `.modinfo` that `MODULE_VERSION()` makes in C.
// As `module!` has it: what only the linker keeps comes into a second section of that name, in
// which modpost looks for a license.
#[used(compiler)]
#[link_section = ".modinfo"]
static MODULE_VERSION: [u8; modinfo_len(KEY, VERSION)] = modinfo_line(KEY, VERSION);

const KEY: &str = "version";

/// Returns the length of the line for `key` and `value`.
pub(crate) const fn modinfo_len(key: &str, value: &str) -> usize {
    key.len() + value.len() + 2
}

/// Returns the line for `key` and `value`: both with `=` between them, and a NUL.
///
/// `LEN` is that of [`modinfo_len`].
pub(crate) const fn modinfo_line<const LEN: usize>(key: &str, value: &str) -> [u8; LEN] {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    // The NUL at its end is there already.
    let mut line = [0; LEN];
    let mut at = 0;
    while at < LEN - 1 {
        line[at] = if at < key.len() {
            key[at]
        } else if at == key.len() {
            b'='
        } else {
            value[at - key.len() - 1]
        };
        at += 1;
    }
    line
}
