// SPDX-License-Identifier: GPL-2.0-only

//! What user space writes to a file, parsed; no device is in sight.
//!
//! The functions take what the kernel's parsers of the same names take, and refuse what they refuse
//! with the same errno. They are written out so that they can be tested on any host.
//!
//! C sources: `lib/kstrtox.c`, `lib/cmdline.c`, `lib/string_helpers.c`

#![forbid(unsafe_code)]

mod tokens;

use crate::zram::jobs::{
    PageFilter,
    Selection, //
};
use core::ops::Range;
use kernel::prelude::*;
use tokens::{
    number,
    radix,
    whole,
    Tokens, //
};

/// The longest name of an algorithm that is looked at, its newline included.
const MAX_ALGORITHM: usize = 127;

/// The longest path, a NUL included.
const PATH_MAX: usize = 4096;

/// A size in bytes, with a suffix from K to E if wanted; what follows is ignored. The result is
/// `None` if there is no number at all; a size too large for 64 bits is the largest.
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

/// A number from 0 up, in decimal, perhaps with a `+` and a newline.
///
/// # Errors
///
/// `ERANGE` if it is too large for `T`, `EINVAL` if it is anything else.
pub(crate) fn kstrtouint<T: TryFrom<u64>>(arg: &[u8]) -> Result<T> {
    let value = whole(arg.strip_prefix(b"+").unwrap_or(arg), 10)?;
    T::try_from(value).map_err(|_| ERANGE)
}

/// A number in decimal, perhaps with a sign and a newline.
///
/// # Errors
///
/// `ERANGE` if it does not fit, `EINVAL` if it is anything else.
pub(crate) fn kstrtoint(arg: &[u8]) -> Result<i32> {
    match arg.strip_prefix(b"-") {
        Some(digits) => {
            let value = i64::try_from(whole(digits, 10)?).map_err(|_| ERANGE)?;
            i32::try_from(value.wrapping_neg()).map_err(|_| ERANGE)
        }
        None => kstrtouint::<u64>(arg).and_then(|value| i32::try_from(value).map_err(|_| ERANGE)),
    }
}

/// A number from 0 up, in decimal, hexadecimal or octal by its prefix.
///
/// # Errors
///
/// `ERANGE` if it is too large, `EINVAL` if it is anything else.
fn kstrtouint_any_base(arg: &[u8]) -> Result<u32> {
    let (digits, radix) = radix(arg.strip_prefix(b"+").unwrap_or(arg));
    u32::try_from(whole(digits, radix)?).map_err(|_| ERANGE)
}

/// Yes or no, as the first letters say.
///
/// # Errors
///
/// `EINVAL` if it is neither.
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

/// Which pages are idle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// All.
    All,
    /// Those that were not accessed for so many seconds.
    Age(u32),
}

/// `all`, or an age.
pub(crate) fn idle(arg: &[u8]) -> Result<Idle> {
    if strip_newline(arg) == b"all" {
        return Ok(Idle::All);
    }
    kstrtouint_any_base(arg).map(Idle::Age).map_err(|_| EINVAL)
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
    Ok(strip_newline(arg))
}

/// The path of a file: as much as a path may have, without its newline.
pub(crate) fn path(arg: &[u8]) -> &[u8] {
    strip_newline(arg.get(..PATH_MAX.wrapping_sub(1)).unwrap_or(arg))
}

/// `arg` without the one newline that may end it.
pub(crate) fn strip_newline(arg: &[u8]) -> &[u8] {
    arg.strip_suffix(b"\n").unwrap_or(arg)
}

/// Parameters of an algorithm.
#[derive(Default)]
pub(crate) struct AlgorithmParams<'a> {
    pub(crate) algorithm: Option<&'a [u8]>,
    pub(crate) priority: Option<i32>,
    pub(crate) level: Option<i32>,
    pub(crate) winbits: Option<i32>,
    /// The path of the dictionary.
    pub(crate) dict: Option<&'a [u8]>,
}

/// `algo=NAME priority=N level=N deflate.winbits=N dict=PATH`; other keys are ignored.
pub(crate) fn algorithm_params(arg: &[u8]) -> Result<AlgorithmParams<'_>> {
    /// What mainline takes as *not given*.
    const NOT_SET: i32 = i32::MIN;
    let number =
        |value| kstrtoint(value).map(|value| Some(value).filter(|&value| value != NOT_SET));
    let mut params = AlgorithmParams::default();
    for token in Tokens(arg) {
        let (key, value) = token.pair()?;
        match key {
            b"algo" => params.algorithm = Some(value),
            b"priority" => params.priority = Some(kstrtoint(value)?),
            b"level" => params.level = number(value)?,
            b"deflate.winbits" => params.winbits = number(value)?,
            b"dict" => params.dict = Some(value),
            _ => {}
        }
    }
    Ok(params)
}

/// A secondary algorithm, for recompression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecompAlgorithm<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) priority: u8,
}

/// `algo=NAME priority=N`; other keys are ignored.
pub(crate) fn recomp_algorithm(arg: &[u8]) -> Result<RecompAlgorithm<'_>> {
    let (mut name, mut priority) = (None, 1);
    for token in Tokens(arg) {
        match token.pair()? {
            (b"algo", value) => name = Some(value),
            (b"priority", value) => priority = kstrtoint(value)?,
            _ => {}
        }
    }
    Ok(RecompAlgorithm {
        name: name.ok_or(EINVAL)?,
        priority: secondary(priority)?,
    })
}

/// The priority of a secondary algorithm.
fn secondary(priority: i32) -> Result<u8> {
    match u8::try_from(priority) {
        Ok(priority @ 1..=3) => Ok(priority),
        _ => Err(EINVAL),
    }
}

/// Parses the name of a kind of pages.
fn page_filter(arg: &[u8]) -> Option<PageFilter> {
    let (idle, huge, incompressible) = match arg {
        b"idle" => (true, false, false),
        b"huge" => (false, true, false),
        b"huge_idle" => (true, true, false),
        b"incompressible" => (false, false, true),
        _ => return None,
    };
    Some(PageFilter {
        idle,
        huge,
        incompressible,
    })
}

/// What to recompress, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecompressArgs<'a> {
    pub(crate) filter: PageFilter,
    /// How many pages to try at most.
    pub(crate) max_pages: u64,
    /// Only pages of at least that size, in bytes, and only if they get smaller than that.
    pub(crate) threshold: usize,
    pub(crate) algorithm: Option<&'a [u8]>,
    pub(crate) priority: Option<i32>,
}

/// `type=idle|huge|huge_idle max_pages=N threshold=N algo=NAME priority=N`; other keys are ignored.
pub(crate) fn recompress(arg: &[u8]) -> Result<RecompressArgs<'_>> {
    let mut request = RecompressArgs {
        filter: PageFilter::default(),
        max_pages: u64::MAX,
        threshold: 0,
        algorithm: None,
        priority: None,
    };
    for token in Tokens(arg) {
        let (key, value) = token.pair()?;
        match key {
            b"type" => match page_filter(value) {
                Some(filter) if !filter.incompressible => request.filter = filter,
                // A second one that is unknown leaves the first in force, as in mainline.
                _ if request.filter == PageFilter::default() => return Err(EINVAL),
                _ => {}
            },
            b"max_pages" => request.max_pages = kstrtouint(value)?,
            b"threshold" => request.threshold = kstrtouint::<u32>(value)? as usize,
            b"algo" => request.algorithm = Some(value),
            b"priority" => request.priority = Some(kstrtoint(value)?),
            _ => {}
        }
    }
    Ok(request)
}

/// What to write back: `page_index=N` and `page_indexes=LOW-HIGH`, any number of them, then `type=` or
/// just `idle`, `huge`, `huge_idle` or `incompressible`, for the range named last; other keys are
/// ignored.
pub(crate) struct WritebackArgs<'a> {
    tokens: Tokens<'a>,
    len: usize,
    range: Range<usize>,
}

impl<'a> WritebackArgs<'a> {
    /// Begins to parse, for a disk of `len` pages.
    pub(crate) fn new(arg: &'a [u8], len: usize) -> Self {
        Self {
            tokens: Tokens(arg),
            len,
            range: 0..len,
        }
    }

    /// The next selection; nothing after the last.
    ///
    /// # Errors
    ///
    /// `ERANGE` for a number that is too large, or beyond the end; `EINVAL` for anything else.
    pub(crate) fn next(&mut self) -> Result<Option<Selection>> {
        while let Some(token) = self.tokens.next() {
            let filter = match token.pair() {
                Ok((b"page_index", value)) => {
                    let index = below(kstrtouint(value)?, self.len)?;
                    self.range = index..index.wrapping_add(1);
                    PageFilter::default()
                }
                Ok((b"page_indexes", value)) => {
                    self.range = indexes(value, self.len)?;
                    PageFilter::default()
                }
                Ok((b"type", kind)) => self.last(kind)?,
                Ok(_) => continue,
                Err(_) => self.last(token.key)?,
            };
            let range = self.range.clone();
            return Ok(Some(Selection { filter, range }));
        }
        Ok(None)
    }

    /// The kind of pages, after which nothing is looked at.
    fn last(&mut self, kind: &[u8]) -> Result<PageFilter> {
        self.tokens = Tokens(&[]);
        page_filter(kind).ok_or(EINVAL)
    }
}

fn below(index: usize, len: usize) -> Result<usize> {
    if index < len {
        Ok(index)
    } else {
        Err(ERANGE)
    }
}

fn indexes(arg: &[u8], len: usize) -> Result<Range<usize>> {
    let dash = arg.iter().position(|&byte| byte == b'-').ok_or(EINVAL)?;
    let (low, high) = arg.split_at_checked(dash).ok_or(EINVAL)?;
    let low = below(kstrtouint(low)?, len)?;
    let high = below(kstrtouint(high.strip_prefix(b"-").unwrap_or(high))?, len)?;
    if low > high {
        return Err(ERANGE);
    }
    Ok(low..high.wrapping_add(1))
}
