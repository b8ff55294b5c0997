// SPDX-License-Identifier: GPL-2.0-only

//! Tokens and numbers, which the arguments of all files consist of.
//!
//! C sources: `lib/cmdline.c` (`next_arg`), `lib/kstrtox.c`

use kernel::prelude::*;

/// An iterator over the `key=value` tokens of a text, which are separated by blanks.
///
/// A value or a whole token may be in double quotes, which can't be escaped. A token is split at
/// its first `=` that is not its first character.
///
/// `next` splits like C's `next_arg()`, but it does not write to the text, and skips the blanks
/// before a token instead of those after it.
pub(super) struct Tokens<'a>(pub(super) &'a [u8]);

/// One token, without its quotes.
pub(super) struct Token<'a> {
    pub(super) key: &'a [u8],
    /// The value, or `None` if the token has no `=`.
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Token<'a> {
    /// Returns the key and the value.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the value is missing or empty.
    pub(super) fn pair(&self) -> Result<(&'a [u8], &'a [u8])> {
        let value = self.value.filter(|value| !value.is_empty());
        Ok((self.key, value.ok_or(EINVAL)?))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let args = trim_start(self.0);
        if args.is_empty() {
            return None;
        }
        let quoted = args.first() == Some(&b'"');
        let args = args.strip_prefix(b"\"").unwrap_or(args);
        let mut in_quote = quoted;
        let mut equals = None;
        let end = args.iter().enumerate().position(|(at, &byte)| {
            if is_space(byte) && !in_quote {
                return true;
            }
            if byte == b'=' && equals.is_none() && at > 0 {
                equals = Some(at);
            }
            in_quote ^= byte == b'"';
            false
        });
        let (token, rest) = args.split_at_checked(end.unwrap_or(args.len()))?;
        self.0 = rest;
        let (key, value) = match equals.and_then(|at| token.split_at_checked(at)) {
            Some((key, value)) => (key, value.strip_prefix(b"=")),
            None => (token, None),
        };
        let unquote = |bytes: &'a [u8]| bytes.strip_suffix(b"\"").unwrap_or(bytes);
        Some(match value {
            Some(value) => {
                let inner = value.strip_prefix(b"\"");
                let value = if quoted || inner.is_some() {
                    unquote(inner.unwrap_or(value))
                } else {
                    value
                };
                Token {
                    key,
                    value: Some(value),
                }
            }
            None => Token {
                key: if quoted { unquote(key) } else { key },
                value: None,
            },
        })
    }
}

/// Returns `arg` without the blanks that it starts with, like C's `skip_spaces()`.
fn trim_start(arg: &[u8]) -> &[u8] {
    let start = arg.iter().position(|&byte| !is_space(byte));
    start.and_then(|start| arg.get(start..)).unwrap_or(&[])
}

/// Returns what the kernel's `isspace()` does, for which the no-break space of Latin-1 is one, too.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

/// Returns the digits of a number, and its radix by its prefix: `0x`, `0` for octal, or none.
///
/// This is C's `_parse_integer_fixup_radix()` with base 0. A `0x` without a digit after it is an
/// octal 0, and the `0` of an octal number is one of its digits.
pub(super) fn radix(arg: &[u8]) -> (&[u8], u64) {
    match arg {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            (digits, 16)
        }
        [b'0', ..] => (arg, 8),
        _ => (arg, 10),
    }
}

/// A number at the start of a text.
pub(super) struct Number {
    /// The value, or `u64::MAX` if it does not fit.
    pub(super) value: u64,
    /// True if the value does not fit.
    pub(super) overflow: bool,
    /// The number of digits, which is 0 if there is no number.
    pub(super) len: usize,
}

/// Parses the digits that `arg` starts with, like C's `_parse_integer()`.
pub(super) fn number(arg: &[u8], radix: u64) -> Number {
    let mut number = Number {
        value: 0,
        overflow: false,
        len: 0,
    };
    for byte in arg {
        let digit = char::from(*byte).to_digit(16).map(u64::from);
        let Some(digit) = digit.filter(|&digit| digit < radix) else {
            break;
        };
        let next = number
            .value
            .checked_mul(radix)
            .and_then(|value| value.checked_add(digit));
        number.overflow |= next.is_none();
        number.value = next.unwrap_or(u64::MAX);
        number.len = number.len.wrapping_add(1);
    }
    number
}

/// Parses a number that is all of `arg`, but for a newline, like C's `_kstrtoull()`.
///
/// # Errors
///
/// `ERANGE` if the number starts with more digits than fit, even if something else follows;
/// `EINVAL` if `arg` is no number.
pub(super) fn whole(arg: &[u8], radix: u64) -> Result<u64> {
    let number = number(arg, radix);
    if number.overflow {
        return Err(ERANGE);
    }
    match arg.get(number.len..) {
        Some(b"" | b"\n") if number.len > 0 => Ok(number.value),
        _ => Err(EINVAL),
    }
}
