// SPDX-License-Identifier: GPL-2.0

//! What user space writes to a file, parsed; no device is in sight.
//!
//! The functions take what the kernel's parsers of the same names take, and refuse what they refuse
//! with the same errno. They are written out so that they can be tested on any host.
//!
//! C sources: `lib/kstrtox.c`, `lib/cmdline.c`, `lib/string_helpers.c`

#![forbid(unsafe_code)]

use kernel::prelude::*;

/// The longest name of an algorithm that is looked at, its newline included.
const MAX_ALGORITHM: usize = 127;

/// A size in bytes, with a suffix from K to E if wanted; what follows is ignored. The result is
/// `None` if there is no number at all; a size too large for 64 bits is the largest.
pub(crate) fn size(arg: &[u8]) -> Option<u64> {
    let (digits, radix) = radix(arg);
    let number = number(digits, radix);
    if number.len == 0 {
        return None;
    }
    let shift = match digits.get(number.len).map(u8::to_ascii_uppercase) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        Some(b'P') => 50,
        Some(b'E') => 60,
        _ => 0,
    };
    let fits = number.value.leading_zeros() >= shift || number.value == 0;
    Some(if fits { number.value << shift } else { u64::MAX })
}

/// A number from 0 up, in decimal, perhaps with a `+` and a newline.
///
/// # Errors
///
/// `ERANGE` if it is too large for `T`, `EINVAL` if it is anything else.
pub(crate) fn unsigned<T: TryFrom<u64>>(arg: &[u8]) -> Result<T> {
    let value = whole(arg.strip_prefix(b"+").unwrap_or(arg), 10)?;
    T::try_from(value).map_err(|_| ERANGE)
}

/// A number in decimal, perhaps with a sign and a newline.
///
/// # Errors
///
/// `ERANGE` if it does not fit, `EINVAL` if it is anything else.
pub(crate) fn signed(arg: &[u8]) -> Result<i32> {
    match arg.strip_prefix(b"-") {
        Some(digits) => {
            let value = i64::try_from(whole(digits, 10)?).map_err(|_| ERANGE)?;
            i32::try_from(value.wrapping_neg()).map_err(|_| ERANGE)
        }
        None => unsigned::<u64>(arg).and_then(|value| i32::try_from(value).map_err(|_| ERANGE)),
    }
}

/// The name of an algorithm, without its newline.
///
/// # Errors
///
/// `E2BIG` if no algorithm's name is that long.
pub(crate) fn algorithm(arg: &[u8]) -> Result<&[u8]> {
    if arg.len() > MAX_ALGORITHM {
        return Err(E2BIG);
    }
    Ok(line(arg))
}

/// `arg` without the one newline that may end it.
pub(crate) fn line(arg: &[u8]) -> &[u8] {
    arg.strip_suffix(b"\n").unwrap_or(arg)
}

/// The digits after the prefix that tells the radix, and the radix: `0x`, `0` for octal, or none.
fn radix(arg: &[u8]) -> (&[u8], u64) {
    match arg {
        [b'0', b'x' | b'X', digits @ ..] if digits.first().is_some_and(u8::is_ascii_hexdigit) => {
            (digits, 16)
        }
        [b'0', ..] => (arg, 8),
        _ => (arg, 10),
    }
}

/// A number at the start of something.
struct Number {
    value: u64,
    overflow: bool,
    /// How many digits it has.
    len: usize,
}

fn number(arg: &[u8], radix: u64) -> Number {
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
        let next = number.value.checked_mul(radix).and_then(|value| value.checked_add(digit));
        number.overflow |= next.is_none();
        number.value = next.unwrap_or(u64::MAX);
        number.len = number.len.wrapping_add(1);
    }
    number
}

/// A number that is all of `arg`, but for a newline.
fn whole(arg: &[u8], radix: u64) -> Result<u64> {
    let number = number(arg, radix);
    if number.overflow {
        return Err(ERANGE);
    }
    match arg.get(number.len..) {
        Some(b"" | b"\n") if number.len > 0 => Ok(number.value),
        _ => Err(EINVAL),
    }
}
