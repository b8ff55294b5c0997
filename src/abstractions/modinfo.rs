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
static MODULE_VERSION: [u8; modinfo_len(KEY, VALUE)] = modinfo_line(KEY, VALUE);

const KEY: &str = "version";
const VALUE: &[&str] = &[VERSION];

/// Returns the length of the line for `key` and `value`, which is in parts.
pub(crate) const fn modinfo_len(key: &str, value: &[&str]) -> usize {
    let mut len = key.len() + 2;
    let mut part = 0;
    while part < value.len() {
        len += value[part].len();
        part += 1;
    }
    len
}

/// Returns the line for `key` and `value`, which is in parts: both with `=` between them, and a
/// NUL.
///
/// `LEN` is that of [`modinfo_len`].
pub(crate) const fn modinfo_line<const LEN: usize>(key: &str, value: &[&str]) -> [u8; LEN] {
    // The NUL at its end is there already.
    let (mut line, mut at) = put([0; LEN], 0, key);
    (line, at) = put(line, at, "=");
    let mut part = 0;
    while part < value.len() {
        (line, at) = put(line, at, value[part]);
        part += 1;
    }
    line
}

/// Returns `line` with `text` from `at` on, and where `text` ends.
const fn put<const LEN: usize>(mut line: [u8; LEN], at: usize, text: &str) -> ([u8; LEN], usize) {
    let text = text.as_bytes();
    let mut i = 0;
    while i < text.len() {
        line[at + i] = text[i];
        i += 1;
    }
    (line, at + i)
}
