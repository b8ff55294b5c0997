// SPDX-License-Identifier: GPL-2.0-only

//! Tokens and numbers: what the arguments of all files are made of.
//!
//! C sources: `lib/cmdline.c` (`next_arg`), `lib/kstrtox.c`

use kernel::prelude::*;

/// Splits `key=value` tokens at blanks; values, or whole tokens, may be in double quotes.
pub(super) struct Tokens<'a>(pub(super) &'a [u8]);

pub(super) struct Token<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Token<'a> {
    /// # Errors
    ///
    /// `EINVAL` without a value, or with an empty one.
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

fn trim_start(arg: &[u8]) -> &[u8] {
    let start = arg.iter().position(|&byte| !is_space(byte));
    start.and_then(|start| arg.get(start..)).unwrap_or(&[])
}

/// What the kernel's `isspace` says: Latin-1's no-break space is one.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

/// The digits after the prefix that tells the radix, and the radix: `0x`, `0` for octal, or none.
pub(super) fn radix(arg: &[u8]) -> (&[u8], u64) {
    match arg {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            (digits, 16)
        }
        [b'0', ..] => (arg, 8),
        _ => (arg, 10),
    }
}

/// A number at the start of something.
pub(super) struct Number {
    pub(super) value: u64,
    pub(super) overflow: bool,
    /// How many digits it has.
    pub(super) len: usize,
}

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

/// A number that is all of `arg`, but for a newline.
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
