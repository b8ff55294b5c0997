// SPDX-License-Identifier: GPL-2.0

//! What user space writes to a file, parsed; no device is in sight.
//!
//! The functions take what the kernel's parsers of the same names take, and refuse what they refuse
//! with the same errno. They are written out so that they can be tested on any host.
//!
//! C sources: `lib/kstrtox.c`, `lib/cmdline.c`, `lib/string_helpers.c`

#![forbid(unsafe_code)]

#[path = "args/tokens.rs"]
mod tokens;

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

/// A number from 0 up, in decimal, hexadecimal or octal by its prefix.
///
/// # Errors
///
/// `ERANGE` if it is too large, `EINVAL` if it is anything else.
fn unsigned_any(arg: &[u8]) -> Result<u32> {
    let (digits, radix) = radix(arg.strip_prefix(b"+").unwrap_or(arg));
    u32::try_from(whole(digits, radix)?).map_err(|_| ERANGE)
}

/// Yes or no, as the first letters say.
///
/// # Errors
///
/// `EINVAL` if it is neither.
pub(crate) fn boolean(arg: &[u8]) -> Result<bool> {
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
    if line(arg) == b"all" {
        return Ok(Idle::All);
    }
    unsigned_any(arg).map(Idle::Age).map_err(|_| EINVAL)
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

/// The path of a file: as much as a path may have, without its newline.
pub(crate) fn path(arg: &[u8]) -> &[u8] {
    line(arg.get(..PATH_MAX.wrapping_sub(1)).unwrap_or(arg))
}

/// `arg` without the one newline that may end it.
pub(crate) fn line(arg: &[u8]) -> &[u8] {
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
    let number = |value| signed(value).map(|value| Some(value).filter(|&value| value != NOT_SET));
    let mut params = AlgorithmParams::default();
    for token in Tokens(arg) {
        let (key, value) = token.pair()?;
        match key {
            b"algo" => params.algorithm = Some(value),
            b"priority" => params.priority = Some(signed(value)?),
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
            (b"priority", value) => priority = signed(value)?,
            _ => {}
        }
    }
    Ok(RecompAlgorithm {
        name: name.ok_or(EINVAL)?,
        priority: secondary(priority)?,
    })
}

/// The priority of a secondary algorithm.
pub(crate) fn secondary(priority: i32) -> Result<u8> {
    match u8::try_from(priority) {
        Ok(priority @ 1..=3) => Ok(priority),
        _ => Err(EINVAL),
    }
}

/// Pages of a kind; with nothing set, all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) idle: bool,
    pub(crate) huge: bool,
    pub(crate) incompressible: bool,
}

impl Pages {
    fn parse(arg: &[u8]) -> Option<Self> {
        let (idle, huge, incompressible) = match arg {
            b"idle" => (true, false, false),
            b"huge" => (false, true, false),
            b"huge_idle" => (true, true, false),
            b"incompressible" => (false, false, true),
            _ => return None,
        };
        Some(Self {
            idle,
            huge,
            incompressible,
        })
    }
}

/// What to recompress, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recompress<'a> {
    pub(crate) pages: Pages,
    /// How many pages to try at most.
    pub(crate) max_pages: u64,
    /// Only pages of at least that size, in bytes, and only if they get smaller than that.
    pub(crate) threshold: usize,
    pub(crate) algorithm: Option<&'a [u8]>,
    pub(crate) priority: Option<i32>,
}

/// `type=idle|huge|huge_idle max_pages=N threshold=N algo=NAME priority=N`; other keys are ignored.
pub(crate) fn recompress(arg: &[u8]) -> Result<Recompress<'_>> {
    let mut request = Recompress {
        pages: Pages::default(),
        max_pages: u64::MAX,
        threshold: 0,
        algorithm: None,
        priority: None,
    };
    for token in Tokens(arg) {
        let (key, value) = token.pair()?;
        match key {
            b"type" => match Pages::parse(value) {
                Some(pages) if !pages.incompressible => request.pages = pages,
                // A second one that is unknown leaves the first in force, as in mainline.
                _ if request.pages == Pages::default() => return Err(EINVAL),
                _ => {}
            },
            b"max_pages" => request.max_pages = unsigned(value)?,
            b"threshold" => request.threshold = unsigned::<u32>(value)? as usize,
            b"algo" => request.algorithm = Some(value),
            b"priority" => request.priority = Some(signed(value)?),
            _ => {}
        }
    }
    Ok(request)
}

/// Which pages to write back, of those in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) pages: Pages,
    pub(crate) range: Range<usize>,
}

/// What to write back: `page_index=N` and `page_indexes=LOW-HIGH`, any number of them, then `type=` or
/// just `idle`, `huge`, `huge_idle` or `incompressible`, for the range named last; other keys are
/// ignored.
pub(crate) struct Writeback<'a> {
    tokens: Tokens<'a>,
    len: usize,
    range: Range<usize>,
}

impl<'a> Writeback<'a> {
    /// Begins to parse, for a disk of `len` pages.
    pub(crate) fn new(arg: &'a [u8], len: usize) -> Self {
        Self {
            tokens: Tokens(arg),
            len,
            range: 0..len,
        }
    }

    /// The next choice; nothing after the last.
    ///
    /// # Errors
    ///
    /// `ERANGE` for a number that is too large, or beyond the end; `EINVAL` for anything else.
    pub(crate) fn next(&mut self) -> Result<Option<Choice>> {
        while let Some(token) = self.tokens.next() {
            let pages = match token.pair() {
                Ok((b"page_index", value)) => {
                    let index = below(unsigned(value)?, self.len)?;
                    self.range = index..index.wrapping_add(1);
                    Pages::default()
                }
                Ok((b"page_indexes", value)) => {
                    self.range = indexes(value, self.len)?;
                    Pages::default()
                }
                Ok((b"type", kind)) => self.last(kind)?,
                Ok(_) => continue,
                Err(_) => self.last(token.key)?,
            };
            let range = self.range.clone();
            return Ok(Some(Choice { pages, range }));
        }
        Ok(None)
    }

    /// The kind of pages, after which nothing is looked at.
    fn last(&mut self, kind: &[u8]) -> Result<Pages> {
        self.tokens = Tokens(&[]);
        Pages::parse(kind).ok_or(EINVAL)
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
    let low = below(unsigned(low)?, len)?;
    let high = below(unsigned(high.strip_prefix(b"-").unwrap_or(high))?, len)?;
    if low > high {
        return Err(ERANGE);
    }
    Ok(low..high.wrapping_add(1))
}
