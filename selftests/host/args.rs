// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of the parsers: `rustc --test --edition 2021 selftests/host/args.rs`.
//!
//! The expected results are those of the kernel's parsers for the same input: `lib/kstrtox.c`,
//! `lib/cmdline.c`, and `writeback_store()` and `recompress_store()` of mainline's driver.

// The parsers need errno values from the `kernel` crate, and the slot's attributes the page size.
extern crate self as kernel;

pub mod page {
    pub const PAGE_SIZE: usize = 4096;
    pub const PAGE_SHIFT: usize = 12;
}

pub mod prelude {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Errno {
        Inval,
        Range,
        TooBig,
    }
    pub const EINVAL: Errno = Errno::Inval;
    pub const ERANGE: Errno = Errno::Range;
    pub const E2BIG: Errno = Errno::TooBig;
    pub type Result<T = (), E = Errno> = core::result::Result<T, E>;
}

#[path = "../../src"]
mod zram {
    #[allow(unused_imports)]
    pub mod abstractions {
        pub mod atomic;
    }

    pub mod device {
        pub mod policy;
        pub(crate) use policy::{
            Marks,
            Policy,
            Watermarks, //
        };
    }

    pub mod interface {
        pub mod args;
    }

    pub mod jobs {
        pub mod selection;
        pub(crate) use selection::{
            PageFilter,
            Selection, //
        };
    }

    #[allow(dead_code)]
    pub mod store {
        pub mod word;
        pub(crate) use word::SlotAttr;
    }
}

use prelude::*;
use zram::{
    device::Marks,
    interface::args::*,
    jobs::{
        PageFilter,
        Selection, //
    }, //
};

#[test]
fn sizes() {
    for (arg, expected) in [
        ("0", Some(0)),
        ("1", Some(1)),
        ("16M", Some(16 << 20)),
        ("16Mfoo", Some(16 << 20)),
        ("16m\n", Some(16 << 20)),
        ("0x10k", Some(16 << 10)),
        ("0x", Some(0)),
        ("010", Some(8)),
        ("08", Some(0)),
        ("1E", Some(1 << 60)),
        ("15E", Some(15 << 60)),
        ("16E", Some(u64::MAX)),
        ("0E", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", Some(u64::MAX)),
        ("99999999999999999999999K", Some(u64::MAX)),
        ("", None),
        ("K", None),
        (" 1", None),
        ("-1", None),
        ("+1", None),
        ("foo", None),
    ] {
        assert_eq!(memparse(arg.as_bytes()), expected, "{arg:?}");
    }
}

#[test]
fn unsigned_numbers() {
    for (arg, expected) in [
        ("1", Ok(1)),
        ("+1", Ok(1)),
        ("01", Ok(1)),
        ("65535\n", Ok(65535)),
        ("65536", Err(ERANGE)),
        ("99999999999999999999999", Err(ERANGE)),
        // Overflow is reported before a bad character behind it.
        ("99999999999999999999999x", Err(ERANGE)),
        ("", Err(EINVAL)),
        ("\n", Err(EINVAL)),
        ("+", Err(EINVAL)),
        ("++1", Err(EINVAL)),
        ("-1", Err(EINVAL)),
        (" 1", Err(EINVAL)),
        ("1 ", Err(EINVAL)),
        ("1\n\n", Err(EINVAL)),
        ("0x1", Err(EINVAL)),
    ] {
        assert_eq!(kstrtouint::<u16>(arg.as_bytes()), expected, "{arg:?}");
    }
}

#[test]
fn signed_numbers() {
    for (arg, expected) in [
        ("-1", Ok(-1)),
        ("-0", Ok(0)),
        ("+7", Ok(7)),
        ("2147483647", Ok(i32::MAX)),
        ("-2147483648", Ok(i32::MIN)),
        ("2147483648", Err(ERANGE)),
        ("-2147483649", Err(ERANGE)),
        ("-9223372036854775809", Err(ERANGE)),
        ("-", Err(EINVAL)),
        ("--1", Err(EINVAL)),
        ("-+1", Err(EINVAL)),
        ("junk", Err(EINVAL)),
    ] {
        assert_eq!(kstrtoint(arg.as_bytes()), expected, "{arg:?}");
    }
}

#[test]
fn booleans() {
    for yes in ["1", "y", "Yes", "true", "on", "ON", "enable", "1junk"] {
        assert_eq!(kstrtobool(yes.as_bytes()), Ok(true), "{yes:?}");
    }
    for no in ["0", "n", "No", "foo", "off", "OF", "disable"] {
        assert_eq!(kstrtobool(no.as_bytes()), Ok(false), "{no:?}");
    }
    for neither in ["", "2", "o", "ox", "\n", " 1"] {
        assert_eq!(kstrtobool(neither.as_bytes()), Err(EINVAL), "{neither:?}");
    }
}

#[test]
fn ages() {
    for (arg, expected) in [
        ("all", Ok(Idle::All)),
        ("all\n", Ok(Idle::All)),
        ("0", Ok(Idle::Age(0))),
        ("0x10\n", Ok(Idle::Age(16))),
        ("010", Ok(Idle::Age(8))),
        ("+3", Ok(Idle::Age(3))),
        ("4294967295", Ok(Idle::Age(u32::MAX))),
        // Mainline returns EINVAL for any error here, overflow too.
        ("4294967296", Err(EINVAL)),
        ("all ", Err(EINVAL)),
        ("all\n\n", Err(EINVAL)),
        ("-1", Err(EINVAL)),
        ("", Err(EINVAL)),
    ] {
        assert_eq!(idle(arg.as_bytes()), expected, "{arg:?}");
    }
}

#[test]
fn algorithm_names() {
    assert_eq!(algorithm(b"lz4\n"), Ok(&b"lz4"[..]));
    assert_eq!(algorithm(b"lz4 \n"), Ok(&b"lz4 "[..]));
    assert_eq!(algorithm(&[b'x'; 127]), Ok(&[b'x'; 127][..]));
    assert_eq!(algorithm(&[b'x'; 128]), Err(E2BIG));
}

#[test]
fn recompression_algorithms() {
    let parse = |arg: &'static str| recomp_algorithm(arg.as_bytes());
    let chosen = |name: &'static str, priority| {
        Ok(RecompAlgorithm {
            name: name.as_bytes(),
            priority,
        })
    };
    assert_eq!(parse("algo=zstd"), chosen("zstd", 1));
    assert_eq!(parse("  algo=zstd priority=3\n"), chosen("zstd", 3));
    assert_eq!(
        parse("priority=2 algo=lz4 other=1 algo=zstd"),
        chosen("zstd", 2)
    );
    assert_eq!(parse("algo=\"zstd\" \"priority=2\""), chosen("zstd", 2));
    assert_eq!(parse("algo=a\"b c\""), chosen("a\"b c\"", 1));
    for bad in [
        "",
        "zstd",
        "algo=",
        "algo=zstd priority",
        "algo=zstd priority=0",
    ] {
        assert_eq!(parse(bad), Err(EINVAL), "{bad:?}");
    }
    assert_eq!(parse("algo=zstd priority=4"), Err(EINVAL));
    assert_eq!(parse("priority=99999999999 algo=zstd"), Err(ERANGE));
    // A token that begins with `=` is all key, as in next_arg(): it has no value.
    assert_eq!(parse("=x algo=zstd"), Err(EINVAL));
}

#[test]
fn parameters() {
    let params = algorithm_params(b"level=8 dict=/etc/a priority=-1 deflate.winbits=15").unwrap();
    assert_eq!((params.level, params.winbits), (Some(8), Some(15)));
    assert_eq!(
        (params.dict, params.priority),
        (Some(&b"/etc/a"[..]), Some(-1))
    );
    assert!(params.algorithm.is_none());
    // Mainline takes this number for a level that was not given.
    assert_eq!(algorithm_params(b"level=-2147483648").unwrap().level, None);
    assert!(algorithm_params(b"").unwrap().level.is_none());
    assert!(algorithm_params(b"\n").unwrap().level.is_none());
    for (arg, error) in [
        ("foo", EINVAL),
        ("level=x", EINVAL),
        ("level=3000000000", ERANGE),
    ] {
        assert_eq!(
            algorithm_params(arg.as_bytes()).err(),
            Some(error),
            "{arg:?}"
        );
    }
}

#[test]
fn recompression() {
    let request =
        recompress(b"type=huge_idle max_pages=7 threshold=3000 algo=zstd priority=2").unwrap();
    assert!(request.filter.huge && request.filter.idle && !request.filter.incompressible);
    assert_eq!((request.max_pages, request.threshold), (7, 3000));
    assert_eq!(
        (request.algorithm, request.priority),
        (Some(&b"zstd"[..]), Some(2))
    );
    assert_eq!(recompress(b"").unwrap().max_pages, u64::MAX);
    // An unknown type is an error only if no known one came before it.
    assert!(recompress(b"type=huge type=foo").unwrap().filter.huge);
    for (arg, error) in [
        ("type=foo", EINVAL),
        ("type=incompressible", EINVAL),
        ("idle", EINVAL),
        ("threshold=4294967296", ERANGE),
        ("max_pages=-1", EINVAL),
    ] {
        assert_eq!(recompress(arg.as_bytes()).err(), Some(error), "{arg:?}");
    }
}

fn ranges(arg: &str) -> Result<Vec<core::ops::Range<usize>>> {
    let mut parser = PageRanges::new(arg.as_bytes(), 100);
    let mut ranges = Vec::new();
    while let Some(range) = parser.next()? {
        ranges.push(range);
    }
    Ok(ranges)
}

#[test]
fn recompression_by_index() {
    for (arg, expected) in [
        ("", Ok(vec![])),
        ("type=huge max_pages=7", Ok(vec![])),
        ("type=idle page_index=5", Ok(vec![5..6])),
        // The order does not matter, unlike that of writeback's arguments.
        (
            "page_indexes=5-7 type=idle page_index=99\n",
            Ok(vec![5..8, 99..100]),
        ),
        ("page_index=100", Err(ERANGE)),
        ("page_indexes=7-5", Err(ERANGE)),
        ("page_indexes=5-100", Err(ERANGE)),
        ("page_indexes=5", Err(EINVAL)),
        ("page_index=-1", Err(EINVAL)),
        ("page_index=99999999999999999999", Err(ERANGE)),
        ("page_index=1 page_index=", Err(EINVAL)),
    ] {
        assert_eq!(ranges(arg), expected, "{arg:?}");
    }
    assert!(recompress(b"page_index=5 page_indexes=5-7").is_ok());
}

fn selections(arg: &str) -> Result<Vec<(PageFilter, core::ops::Range<usize>)>> {
    let mut request = WritebackArgs::new(arg.as_bytes(), 100);
    let mut selections = Vec::new();
    while let Some(Selection { filter, range }) = request.next()? {
        selections.push((filter, range));
    }
    Ok(selections)
}

#[test]
fn writeback() {
    let all = PageFilter::default();
    let huge = PageFilter { huge: true, ..all };
    let idle = PageFilter { idle: true, ..all };
    for (arg, expected) in [
        ("", Ok(vec![])),
        ("other=1", Ok(vec![])),
        ("huge", Ok(vec![(huge, 0..100)])),
        ("type=huge\n", Ok(vec![(huge, 0..100)])),
        ("page_index=5", Ok(vec![(all, 5..6)])),
        (
            "page_indexes=5-7 page_index=99",
            Ok(vec![(all, 5..8), (all, 99..100)]),
        ),
        // A type ends the parsing, and applies to the range that was named last.
        (
            "page_indexes=0-9 type=idle junk=",
            Ok(vec![(all, 0..10), (idle, 0..10)]),
        ),
        ("page_index=100", Err(ERANGE)),
        ("page_indexes=7-5", Err(ERANGE)),
        ("page_indexes=5-100", Err(ERANGE)),
        ("page_indexes=5", Err(EINVAL)),
        ("page_index=-1", Err(EINVAL)),
        ("page_index=99999999999999999999", Err(ERANGE)),
        ("type=foo", Err(EINVAL)),
        ("foo", Err(EINVAL)),
        ("page_index=1 page_index=", Err(EINVAL)),
    ] {
        assert_eq!(selections(arg), expected, "{arg:?}");
    }
}

/// What the file `policy` shows after `arg` was written to it.
fn shown(arg: &str) -> Result<String> {
    policy(arg.as_bytes()).map(|policy| policy.to_string())
}

#[test]
fn policies() {
    let all = "recompress_idle=1 writeback_idle=2 writeback_incompressible=3 high=9% low=8% cpu=4";
    let backwards =
        "cpu=4 low=8% high=9% writeback_incompressible=3 writeback_idle=2 recompress_idle=1";
    for (arg, text) in [
        ("off", "off"),
        ("off\n", "off"),
        (all, all),
        (backwards, all),
        ("writeback_idle=+5\n", "writeback_idle=5"),
        ("recompress_idle=4294967295", "recompress_idle=4294967295"),
        ("high=80M\n", "high=83886080 low=73400320"),
        ("high=1K low=1", "high=1024 low=1"),
        ("high=2T low=1G", "high=2199023255552 low=1073741824"),
        ("high=100%\n", "high=100% low=87%"),
        ("high=2%", "high=2% low=1%"),
    ] {
        assert_eq!(shown(arg), Ok(text.to_string()), "{arg:?}");
        // What is shown can be written.
        assert_eq!(shown(text), Ok(text.to_string()));
    }
    for arg in [
        "",
        " ",
        "\n",
        "OFF",
        "off ",
        "off high=5%",
        "on",
        "high",
        "high=",
        "low=5%",
        "cpu=5",
        "high=5% low=5%",
        "high=5% low=6%",
        "high=5 low=6",
        "high=5% low=1",
        "high=101%",
        "high=0%",
        "high=%",
        "high=5%%",
        "high=0x10",
        "high=-1",
        "high=1k",
        "high=1KB",
        "high=0",
        "recompress_idle=0",
        "recompress_idle=-1",
        "recompress_idle=1 recompress_idle=1",
        "recompress_idle=4294967296",
        "recompress_idle=1s",
        "writeback_idle=",
        "writeback_idle=1 cpu=0",
        "writeback_idle=1 cpu=101",
        "writeback_idle=1 cpu=5%",
        "writeback_idle=1 more=1",
        "type=idle",
    ] {
        assert_eq!(shown(arg), Err(EINVAL), "{arg:?}");
    }
}

#[test]
fn watermarks() {
    let marks = |arg: &str, limit: Option<usize>, new_pages, has_backing| {
        let marks = policy(arg.as_bytes())
            .unwrap()
            .marks(limit, new_pages, has_backing);
        marks.map(|Marks { high, low }| (high, low))
    };
    // In bytes, whatever the limit.
    assert_eq!(marks("high=8M low=4M", None, 0, false), Some((2048, 1024)));
    assert_eq!(
        marks("high=8M low=4M", Some(9000), 8900, true),
        Some((2048, 1024))
    );
    // In parts of the limit, if there is one.
    assert_eq!(
        marks("high=90% low=50%", Some(1000), 970, true),
        Some((900, 500))
    );
    assert_eq!(marks("high=90% low=50%", None, 0, true), None);
    // Where pages can be written, the limit is a watermark, too, and some room is made below it.
    assert_eq!(
        marks("high=8M low=4M", Some(1500), 1460, true),
        Some((1460, 1024))
    );
    assert_eq!(
        marks("writeback_idle=5", Some(3200), 3200, true),
        Some((3200, 3100))
    );
    assert_eq!(marks("writeback_idle=5", Some(3200), 3200, false), None);
    assert_eq!(marks("writeback_idle=5", None, 0, true), None);
    assert_eq!(marks("off", Some(3200), 3200, true), None);
    assert_eq!(
        marks("high=8M low=8388607", None, 0, true),
        Some((2048, 1984))
    );
    // Numbers that are no number of pages.
    assert_eq!(marks("high=5 low=4", None, 0, false), Some((0, 0)));
    assert_eq!(marks("high=100% low=99%", Some(1), 1, true), Some((1, 0)));
}
