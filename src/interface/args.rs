// SPDX-License-Identifier: GPL-2.0-only

//! Parsers of the text that user space writes to files.
//!
//! [`memparse`], [`kstrtouint`], [`kstrtoint`] and [`kstrtobool`] accept what the C functions of
//! these names accept, and refuse the rest with the same errno; each says where its interface
//! differs. An argument is a slice without NUL bytes, not a C string. They are not bindings so that
//! `selftests/host/` can test this file on any host.
//!
//! The others parse the arguments of one file each, as the functions in `zram_drv.c` do.
//!
//! C sources: `lib/kstrtox.c`, `lib/cmdline.c`, `lib/string_helpers.c`,
//! `drivers/block/zram/zram_drv.c`

#![forbid(unsafe_code)]

mod numbers;
mod policy;
mod tokens;

use crate::zram::jobs::{
    PageFilter,
    Selection, //
};
use core::ops::Range;
use kernel::prelude::*;
use numbers::kstrtouint_any_base;
pub(crate) use numbers::{
    kstrtobool,
    kstrtoint,
    kstrtouint,
    memparse, //
};
pub(crate) use policy::policy;
use tokens::Tokens;

/// The longest name of an algorithm, with its newline: one less than C's `CRYPTO_MAX_ALG_NAME`.
const MAX_ALGORITHM: usize = 127;

/// The longest path, with its NUL.
const PATH_MAX: usize = 4096;

/// The pages that a write to `idle` marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// All pages.
    All,
    /// Pages that were not accessed for this number of seconds.
    Age(u32),
}

/// Parses the argument of `idle`: `all`, or an age in seconds.
///
/// # Errors
///
/// `EINVAL` for anything else, an age that does not fit included.
pub(crate) fn idle(arg: &[u8]) -> Result<Idle> {
    if strip_newline(arg) == b"all" {
        return Ok(Idle::All);
    }
    kstrtouint_any_base(arg).map(Idle::Age).map_err(|_| EINVAL)
}

/// Returns the name of an algorithm, without the newline that may end it.
///
/// # Errors
///
/// `E2BIG` for more than 127 bytes, newline included.
pub(crate) fn algorithm(arg: &[u8]) -> Result<&[u8]> {
    if arg.len() > MAX_ALGORITHM {
        return Err(E2BIG);
    }
    Ok(strip_newline(arg))
}

/// Returns the path of a file, without the newline that may end it.
///
/// As in mainline a longer path is first cut off at `PATH_MAX - 1` bytes.
pub(super) fn path(arg: &[u8]) -> &[u8] {
    strip_newline(arg.get(..PATH_MAX.wrapping_sub(1)).unwrap_or(arg))
}

/// Returns `arg` without the one newline that may end it.
pub(super) fn strip_newline(arg: &[u8]) -> &[u8] {
    arg.strip_suffix(b"\n").unwrap_or(arg)
}

/// Arguments of `algorithm_params`; `None` for one that was not given.
#[derive(Default)]
pub(crate) struct AlgorithmParams<'a> {
    /// The name of the algorithm to set the parameters of.
    pub algorithm: Option<&'a [u8]>,
    /// The priority of the algorithm to set the parameters of.
    pub priority: Option<i32>,
    /// The compression level.
    pub level: Option<i32>,
    /// The window size of deflate, as for zlib.
    pub winbits: Option<i32>,
    /// The path of the dictionary.
    pub dict: Option<&'a [u8]>,
}

/// Parses `algo=NAME priority=N level=N deflate.winbits=N dict=PATH`.
///
/// Other keys are ignored, and the last one of several counts.
///
/// # Errors
///
/// `EINVAL` for a key without a value; those of [`kstrtoint`] for a number.
pub(crate) fn algorithm_params(arg: &[u8]) -> Result<AlgorithmParams<'_>> {
    /// C's `ZCOMP_PARAM_NOT_SET`, which a user may also write.
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

/// Arguments of `recomp_algorithm`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecompAlgorithm<'a> {
    /// The name of the algorithm to recompress pages with.
    pub name: &'a [u8],
    /// The priority that it gets, from 1 to 3.
    pub priority: u8,
}

/// Parses `algo=NAME priority=N`; the priority is 1 by default.
///
/// Other keys are ignored, and the last one of several counts.
///
/// # Errors
///
/// `EINVAL` for a key without a value, no algorithm, or another priority than 1 to 3; those of
/// [`kstrtoint`] for the priority.
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

/// Returns the priority of a secondary algorithm, or `EINVAL` if there is no such priority.
fn secondary(priority: i32) -> Result<u8> {
    match u8::try_from(priority) {
        Ok(priority @ 1..=3) => Ok(priority),
        _ => Err(EINVAL),
    }
}

/// Parses the value of `type=`, or returns `None` if it is unknown.
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

/// Arguments of `recompress`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecompressArgs<'a> {
    /// The pages to try; all by default.
    pub filter: PageFilter,
    /// The most pages to try; no limit by default.
    pub max_pages: u64,
    /// The size, in bytes, from which on pages are tried, and below which a result is kept; 0, for
    /// no such limits, by default.
    pub threshold: usize,
    /// The name of the algorithm to recompress pages with.
    pub algorithm: Option<&'a [u8]>,
    /// The priority of the algorithm to recompress pages with.
    pub priority: Option<i32>,
}

/// Parses `type=idle|huge|huge_idle max_pages=N threshold=N algo=NAME priority=N`.
///
/// Other keys are ignored, and the last one of several counts. [`PageRanges`] has those that select
/// pages by their indexes.
///
/// # Errors
///
/// `EINVAL` for a key without a value or another type; those of [`kstrtouint`] and [`kstrtoint`]
/// for a number.
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
                // As in mainline, an unknown type is ignored after a known one.
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

/// Parser of the arguments of `recompress` that select pages by their indexes.
///
/// These are any number of `page_index=N` and `page_indexes=LOW-HIGH`. Other keys are ignored.
pub(crate) struct PageRanges<'a> {
    tokens: Tokens<'a>,
    /// The number of pages of the disk.
    len: usize,
}

impl<'a> PageRanges<'a> {
    /// Starts to parse `arg`, for a disk of `len` pages.
    pub fn new(arg: &'a [u8], len: usize) -> Self {
        Self {
            tokens: Tokens(arg),
            len,
        }
    }

    /// Parses up to the next range and returns it, or `None` at the end.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a key without a value; those of [`WritebackArgs::next`] for a range.
    pub fn next(&mut self) -> Result<Option<Range<usize>>> {
        for token in self.tokens.by_ref() {
            let (key, value) = token.pair()?;
            if let Some(range) = page_range(key, value, self.len)? {
                return Ok(Some(range));
            }
        }
        Ok(None)
    }
}

/// Parser of the arguments of `writeback`.
///
/// These are any number of `page_index=N` and `page_indexes=LOW-HIGH`, each of which selects all
/// pages in its range. `type=idle|huge|huge_idle|incompressible`, or the word alone, ends them: it
/// selects by its filter from the last range, or from the whole disk if there was none. Other keys
/// are ignored.
pub(crate) struct WritebackArgs<'a> {
    tokens: Tokens<'a>,
    /// The number of pages of the disk.
    len: usize,
    /// The last range.
    range: Range<usize>,
}

impl<'a> WritebackArgs<'a> {
    /// Starts to parse `arg`, for a disk of `len` pages.
    pub fn new(arg: &'a [u8], len: usize) -> Self {
        Self {
            tokens: Tokens(arg),
            len,
            range: 0..len,
        }
    }

    /// Parses up to the next selection and returns it, or `None` at the end.
    ///
    /// # Errors
    ///
    /// `ERANGE` for a number that does not fit, a page beyond the disk, or `LOW` above `HIGH`;
    /// `EINVAL` for another type or word, or a malformed number.
    pub fn next(&mut self) -> Result<Option<Selection>> {
        while let Some(token) = self.tokens.next() {
            let filter = match token.pair() {
                Ok((b"type", kind)) => self.last(kind)?,
                Ok((key, value)) => match page_range(key, value, self.len)? {
                    Some(range) => {
                        self.range = range;
                        PageFilter::default()
                    }
                    None => continue,
                },
                Err(_) => self.last(token.key)?,
            };
            let range = self.range.clone();
            return Ok(Some(Selection { filter, range }));
        }
        Ok(None)
    }

    /// Parses the type, which ends the arguments: the rest is ignored, as in mainline.
    fn last(&mut self, kind: &[u8]) -> Result<PageFilter> {
        self.tokens = Tokens(&[]);
        page_filter(kind).ok_or(EINVAL)
    }
}

/// Parses `page_index=N` or `page_indexes=LOW-HIGH`, for a disk of `len` pages.
///
/// Returns `None` for any other key.
fn page_range(key: &[u8], value: &[u8], len: usize) -> Result<Option<Range<usize>>> {
    match key {
        b"page_index" => {
            let index = below(kstrtouint(value)?, len)?;
            Ok(Some(index..index.wrapping_add(1)))
        }
        b"page_indexes" => indexes(value, len).map(Some),
        _ => Ok(None),
    }
}

/// Returns `index`, or `ERANGE` if it is not below `len`.
fn below(index: usize, len: usize) -> Result<usize> {
    if index < len {
        Ok(index)
    } else {
        Err(ERANGE)
    }
}

/// Parses `LOW-HIGH`, both inclusive, for a disk of `len` pages.
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
