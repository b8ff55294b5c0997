# SPDX-License-Identifier: GPL-2.0-only
"""Marks of idleness, block_state, and recompression."""

import time

from writeback.disk import pages_in, test
from zramtest.pages import PAGE


# --- marks of idleness -------------------------------------------------------------------------------------------------

@test()
def ages(disk, server):
    """idle by age: marks what is old, removes the marks of all else"""
    disk.set_up(24, backing_dev=server.path)
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 4)
    disk.fill("same", 12, 4)
    time.sleep(2.5)
    disk.fill("text", 16, 8)
    disk.read(0, 4, 2)
    old = pages_in((0, 3), (6, 11))
    seconds = {page: int(line[13:25]) for line in disk.state(0).splitlines() for page in [int(line[:12])]}
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    for age, marked in (
        # Pages are marked that were last accessed before that second, not in it.
        (int(uptime) - seconds[0] - 1, old), (int(uptime) - seconds[16] + 5, set()), (hex(int(uptime) - seconds[0] - 1), old),
        ("all", set(disk.model) - pages_in((12, 15))), (int(uptime) - seconds[0] - 1, old), (int(uptime) + 1000, old),
    ):
        disk.must("idle", age)
        yield from disk.expect(f"idle {age}", disk.flags(0, "i"), marked)
    disk.read(0, 0, 1)
    disk.fill("text", 1, 1, 2)
    yield from disk.expect("idle after access", disk.flags(0, "i"), old - {0, 1})
    disk.must("writeback", "type=idle")
    yield from disk.expect("written back", disk.written(), old - {0, 1})
    yield from disk.expect("idle after that", disk.flags(0, "i"), set())
    disk.must("idle", "all")
    yield from disk.expect("what is written is never idle", disk.flags(0, "i") & disk.written(), set())
    for bad in "foo", "-1", "4294967296", "all ":
        yield from disk.expect(f"idle {bad!r}", disk.set("idle", bad), "EINVAL")


@test(
    (0, 4096, range(2, 12)), (2, 4096, range(2, 12)), (5, 4096, range(5, 12)), (11, 4096, [11]), (12, 4096, []), (1 << 20, 4096, []),
    (0, 40, []), (0, 41, [2]), (5, 120, [5, 6]), (5, 121, [5, 6, 7]),
)
def positions(disk, _, position, size, pages):
    """block_state: a read of {1} bytes at slot {0}"""
    disk.set_up(16)
    disk.fill("text", 2, 10)
    got = [int(line[:12]) for line in disk.state(0, size, position).splitlines()]
    yield from disk.expect("pages", got, list(pages))


# --- recompression -----------------------------------------------------------------------------------------------------

# Pages 0-7 are text, 8-15 dense, 16-23 random, 24-27 of one word; 0-3, 8-11 and 16-19 are idle. lz4 makes dense ones huge.
IDLE, DENSE, TEXT = pages_in((0, 3), (8, 11), (16, 19)), pages_in((8, 15)), pages_in((0, 7))


RANDOM, TRIED = pages_in((16, 23)), pages_in((8, 23))


def recompressible(disk, **settings):
    """Makes a disk with pages of all kinds."""
    disk.set_up(32, **settings)
    disk.fill("text", 0, 8)
    disk.fill("dense", 8, 8)
    disk.fill("random", 16, 8)
    disk.fill("same", 24, 4)


# The pages that get smaller, and those that are found to be incompressible.
@test(
    ("priority=1", TEXT | DENSE, RANDOM), ("algo=zstd", TEXT | DENSE, RANDOM), ("foo=bar", TEXT | DENSE, RANDOM),
    ("type=idle", IDLE - RANDOM, IDLE & RANDOM), ("type=huge", DENSE, RANDOM), ("type=huge_idle", IDLE & DENSE, IDLE & RANDOM),
    ("type=huge algo=zstd priority=1", DENSE, RANDOM), (f"threshold={PAGE * 7 // 8}", DENSE, RANDOM), (f"threshold={PAGE * 13 // 16}", DENSE, RANDOM),
    (f"threshold={PAGE * 3 // 4}", set(), TRIED), ("threshold=1", set(), TRIED | TEXT), (f"type=idle threshold={PAGE * 3 // 4}", set(), IDLE & TRIED),
    ("max_pages=0", set(), set()), ("max_pages=1000", TEXT | DENSE, RANDOM),
    ("type=foo", "EINVAL", set()), ("type=", "EINVAL", set()), ("idle", "EINVAL", set()), ("priority=0", "EINVAL", set()),
    ("priority=2", "EINVAL", set()), ("priority=4", "EINVAL", set()), ("algo=lz4", "EINVAL", set()),
    ("algo=foo", "EINVAL", set()), ("algo=zstd priority=2", "EINVAL", set()), (f"threshold={PAGE}", "EINVAL", set()),
    ("threshold=x", "EINVAL", set()), ("max_pages=x", "EINVAL", set()), ("priority=99999999999", "ERANGE", set()),
)
def recompression(disk, _, request, better, worse):
    """recompress {!r}"""
    yield from recompressed(disk, request, better, worse)


@test(
    ("page_index=8", {8}, set()), ("page_index=16", set(), {16}), ("page_index=24 page_index=31", set(), set()),
    ("page_indexes=6-17", pages_in((6, 15)), {16, 17}), ("page_indexes=0-31", TEXT | DENSE, RANDOM),
    ("page_index=3 type=idle page_indexes=10-20", {3, 10, 11}, pages_in((16, 19))), ("page_index=0 page_index=0 page_indexes=0-1", {0, 1}, set()),
    ("type=huge page_indexes=0-9", {8, 9}, set()), (f"threshold={PAGE * 7 // 8} page_indexes=0-9", {8, 9}, set()),
    ("page_indexes=0-15 max_pages=0", set(), set()), ("page_index=32", "ERANGE", set()), ("page_index=0 page_indexes=30-32", "ERANGE", set()),
    ("page_indexes=2-1", "ERANGE", set()), ("page_indexes=2", "EINVAL", set()), ("page_index=x", "EINVAL", set()),
    ("page_index=", "EINVAL", set()), ("page_index=0 type=foo", "EINVAL", set()), ("page_index=99999999999999999999", "ERANGE", set()),
    known="its recompress does not take page_index",
)
def recompression_by_index(disk, _, request, better, worse):
    """recompress {!r}"""
    yield from recompressed(disk, request, better, worse)


def recompressed(disk, request, better, worse):
    """Has pages of all kinds recompressed: some get smaller, others are found to be incompressible."""
    recompressible(disk, recomp_algorithm="algo=zstd")
    disk.must("idle", "all")
    for page in set(disk.model) - IDLE:
        disk.read(0, page, 1)
    yield from disk.expect("idle before", disk.flags(0, "i"), IDLE)
    outcome, better = (better, set()) if isinstance(better, str) else ("all", better)
    before, stored = times(disk), disk.mm(0, "compr")
    yield from disk.expect("outcome", disk.set("recompress", request), outcome)
    yield from disk.expect("recompressed", disk.flags(0, "r"), better)
    yield from disk.expect("incompressible", disk.flags(0, "n"), worse)
    yield from disk.expect("huge", disk.flags(0, "h"), TRIED - better)
    yield from disk.expect("idle", disk.flags(0, "i"), IDLE - better - worse)
    # C zram forgets the times of pages that it recompresses.
    if not disk.is_c:
        yield from disk.expect("times", times(disk), before)
        name, pages, *size, unchanged, failed = disk.get(0, "recomp_stat").removeprefix(b"#1: ").split()
        yield from disk.expect("recomp_stat", [name, *map(int, (pages, unchanged, failed))], [b"zstd", len(better), len(worse), 0])
        saved = int(size[0]) - int(size[1])
        yield from disk.expect("bytes saved by recomp_stat", saved, stored - disk.mm(0, "compr"))
    if (disk.mm(0, "compr") < stored) != bool(better):
        yield f"{stored} bytes stored before, {disk.mm(0, 'compr')} after"
    # Pages that are known to be incompressible are not tried again; all others are.
    yield from disk.verify()
    disk.must("recompress", "priority=1")
    yield from disk.expect("recompressed in the end", disk.flags(0, "r"), (TEXT | DENSE) - worse)


def times(disk):
    """Returns the times of last access in block_state."""
    return [line[:32] for line in disk.state(0).splitlines()]


@test("0", "1")
def priorities(disk, server, compressed):
    """four algorithms, one after the other, then writeback with compressed_writeback {}"""
    disk.fresh()
    for number, algorithm in enumerate(("deflate", "lz4hc", "zstd"), 1):
        disk.must("recomp_algorithm", f"algo={algorithm} priority={number}")
    if not disk.is_c:
        yield from disk.expect("recomp_stat of a blank device", disk.get(0, "recomp_stat"), b"")
    disk.must("algorithm_params", "priority=3 level=19")
    again = {"backing_dev": server.path, "compressed_writeback": compressed, "comp_algorithm": "lzo-rle"}
    for attribute, value in again.items():
        disk.must(attribute, value)
    disk.model, disk.pages = {}, 32
    disk.must("disksize", 32 * PAGE)
    for kind, first in ("text", 0), ("dense", 8), ("random", 16):
        disk.fill(kind, first, 8)
    for turn in range(2):
        for number in 1, 2, 3:
            stored = disk.mm(0, "compr")
            disk.must("recompress", f"priority={number}")
            if disk.mm(0, "compr") > stored or (turn and disk.mm(0, "compr") != stored):
                yield f"priority {number}, turn {turn}: {stored} bytes stored before, {disk.mm(0, 'compr')} after"
            yield from disk.expect("incompressible", disk.flags(0, "n"), TRIED if turn or number == 3 else set())
            yield from disk.verify()
    yield from disk.expect("recompressed", disk.flags(0, "r"), TEXT | DENSE)
    # A page that is written to again starts from the first algorithm.
    disk.fill("text", 2, 1, 5)
    disk.drop(3)
    disk.fill("dense", 20, 1, 6)
    yield from disk.expect("recompressed, after writes", disk.flags(0, "r"), (TEXT | DENSE) - {2, 3})
    yield from disk.expect("incompressible, after writes", disk.flags(0, "n"), TRIED - {20})
    disk.must("writeback", "page_indexes=0-31")


@test(1, 5, 23)
def attempts(disk, _, pages):
    """max_pages={}: so many are tried, the largest first"""
    recompressible(disk, recomp_algorithm="algo=zstd")
    disk.must("recompress", f"type=huge max_pages={pages}")
    yield from disk.expect("tried", len(disk.flags(0, "r") | disk.flags(0, "n")), min(pages, 16))
    disk.must("recompress", f"max_pages={pages}")
    tried = disk.flags(0, "r") | disk.flags(0, "n")
    yield from disk.expect("tried", len(tried), min(2 * pages, 16 + min(pages, 8)))
    if tried & TEXT and not TRIED <= tried:
        yield f"not the largest first: {sorted(tried)}"
