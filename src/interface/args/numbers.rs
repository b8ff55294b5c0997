// SPDX-License-Identifier: GPL-2.0-only

//! Numbers, as the kernel's parsers of the same names accept them.
//!
//! C sources: `lib/kstrtox.c`, `lib/cmdline.c`

#![forbid(unsafe_code)]

use super::tokens::{
    number,
    radix,
    whole, //
};
use kernel::prelude::*;

/// Parses a size in bytes, or returns `None` if `arg` does not start with a number.
///
/// The number is decimal, or hexadecimal or octal by its prefix, without a sign. A suffix of `K`,
/// `M`, `G`, `T`, `P` or `E`, of either case, multiplies it by a power of 1024. Whatever follows is
/// ignored. A size beyond 64 bits becomes `u64::MAX`.
///
/// C's `memparse()` returns 0 where there is no number; its callers compare a pointer to the end of
/// the parsed text with the start. Here `None` says the same.
pub(crate) fn memparse(arg: &[u8]) -> Option<u64> {
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
    Some(if fits {
        number.value << shift
    } else {
        u64::MAX
    })
}

/// Parses an unsigned decimal number, which a `+` may precede and a newline may follow.
///
/// This is C's `kstrtou16()`, `kstrtouint()`, `kstrtoul()` or `kstrtoull()`, depending on the
/// unsigned type `T`, with base 10.
///
/// # Errors
///
/// `ERANGE` if the number does not fit; `EINVAL` if `arg` is anything else.
pub(crate) fn kstrtouint<T: TryFrom<u64>>(arg: &[u8]) -> Result<T> {
    let value = whole(arg.strip_prefix(b"+").unwrap_or(arg), 10)?;
    T::try_from(value).map_err(|_| ERANGE)
}

/// Parses a decimal number, which a sign may precede and a newline may follow.
///
/// This is C's `kstrtoint()` with base 10.
///
/// # Errors
///
/// `ERANGE` if the number does not fit; `EINVAL` if `arg` is anything else.
pub(crate) fn kstrtoint(arg: &[u8]) -> Result<i32> {
    match arg.strip_prefix(b"-") {
        Some(digits) => {
            let value = i64::try_from(whole(digits, 10)?).map_err(|_| ERANGE)?;
            i32::try_from(value.wrapping_neg()).map_err(|_| ERANGE)
        }
        None => kstrtouint::<u64>(arg).and_then(|value| i32::try_from(value).map_err(|_| ERANGE)),
    }
}

/// Parses an unsigned number that is decimal, or hexadecimal or octal by its prefix, and which a
/// `+` may precede and a newline may follow.
///
/// This is C's `kstrtouint()` with base 0.
///
/// # Errors
///
/// `ERANGE` if the number does not fit; `EINVAL` if `arg` is anything else.
pub(super) fn kstrtouint_any_base(arg: &[u8]) -> Result<u32> {
    let (digits, radix) = radix(arg.strip_prefix(b"+").unwrap_or(arg));
    u32::try_from(whole(digits, radix)?).map_err(|_| ERANGE)
}

/// Parses a boolean by its first letter, or by the first two for `on` and `off`.
///
/// This is C's `kstrtobool()`.
///
/// # Errors
///
/// `EINVAL` if `arg` is neither true nor false.
pub(crate) fn kstrtobool(arg: &[u8]) -> Result<bool> {
    match arg {
        [b'e' | b'E' | b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => {
            Ok(true)
        }
        [b'd' | b'D' | b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => {
            Ok(false)
        }
        _ => Err(EINVAL),
    }
}
