"""Writeback, marks of idleness, recompression and the parameters of algorithms: what they do to which pages, under fire too.

writeback.py MODULE NBD PARTIAL WHOLE BASE DM     the module; a network block device without a server; loop devices of
                                                  10½ and of 4096 blocks; one more, and a device-mapper device on it

After each case all of the data is compared with what was stored, read in several ways, and the statistics with
block_state. A case is a function with rows of arguments that yields what is wrong.
"""

import ctypes
import mmap
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from backing import Background, Server, Write
from pages import PAGE
from sides import Side, case, content, note

READ, WRITE = Server.READ, Server.WRITE
ALGORITHMS = "lzo-rle lzo lz4 lz4hc zstd deflate 842".split()
CASES = []


def test(*rows, known=None):
    """Cases of a function, one for each row; `known` says why C zram fails."""

    def add(function):
        for row in rows or ((),):
            CASES.append((function, row if isinstance(row, tuple) else (row,), known))
        return function

    return add


def same_pages(*ranges):
    return {n for first, last in ranges for n in range(first, last + 1)}


def bytes_of(kind, seed, number):
    """As sides.content. Pages of `dense` have no repetitions, but few different bytes: lz4 calls them huge, zstd does not."""
    if kind == "dense":
        page = bytes(byte & 0x3F for byte in content("random", seed)(number)[8:])
        return seed.to_bytes(4, "big") + number.to_bytes(4, "big") + page
    return content(kind, seed)(number)


class Disk(Side):
    """The driver under test, with one device, and what should be on it."""

    def set_up(self, pages, **settings):
        self.fresh()
        self.pages, self.model = pages, {}
        for attribute, value in settings.items():
            self.must(attribute, value)
        self.must("disksize", pages * PAGE)

    def set(self, attribute, value):
        return self.put(0, attribute, str(value).encode())

    def must(self, attribute, value):
        outcome = self.set(attribute, value)
        if outcome != "all":
            raise RuntimeError(f"{attribute} <- {value}: {outcome}")

    def background(self, attribute, value):
        return Write(f"{self.disk(0)}/{attribute}", str(value).encode())

    def fill(self, kind, first, count=1, seed=1):
        data = mmap.mmap(-1, count * PAGE)
        for n in range(first, first + count):
            page = bytes_of(kind, seed, n)
            data.write(page)
            self.model[n] = page
        outcome = self.using(0, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, data, first * PAGE))
        if outcome != count * PAGE:
            raise RuntimeError(f"writing {count} pages at {first}: {outcome}")

    def drop(self, first, count=1):
        self.discard(0, first * PAGE, count * PAGE)
        for n in range(first, first + count):
            self.model.pop(n, None)

    def wanted(self, first=0, count=None):
        return b"".join(self.model.get(n, bytes(PAGE)) for n in range(first, first + (count or self.pages)))

    # --- reading all of it, in several ways ---

    def pieces(self, _):
        """Direct I/O to memory that is aligned to 512 bytes, in pieces that neither begin nor end where pages do."""
        data = mmap.mmap(-1, (self.pages + 1) * PAGE)
        lengths, at, parts = [512, 3584, 1024, 4096, 7168, 512, 4608, 2560], 512, []
        while at < 512 + self.pages * PAGE:
            length = min(lengths[len(parts) % len(lengths)], 512 + self.pages * PAGE - at)
            parts.append(memoryview(data)[at:at + length])
            at += length

        def read(fd):
            position = 0
            for first in range(0, len(parts), 64):
                chunk = parts[first:first + 64]
                position += os.preadv(fd, chunk, position)
            return bytes(data[512:512 + position])

        # 64 pieces are whole pages: eight times the sum of the lengths.
        return self.using(0, os.O_RDONLY | os.O_DIRECT, read)

    def buffered(self, _):
        return self.buffered_read(0, 0, self.pages * PAGE)

    def direct(self, _):
        return self.read(0, 0, self.pages)

    def single(self, lost):
        """Page by page; those that are lost yield EIO."""
        pages = {n: self.read(0, n, 1) for n in range(self.pages)}
        if {n for n, page in pages.items() if page == "EIO"} != set(lost):
            return f"EIO on pages {[n for n, page in pages.items() if page == 'EIO']} instead of {sorted(lost)}"
        return b"".join(self.wanted(n, 1) if page == "EIO" else page for n, page in pages.items())

    def verify(self, lost=()):
        ways = [self.single] if lost else [self.direct, self.buffered, self.pieces]
        for way in ways:
            # Known of C zram, and not the subject here.
            if way == self.pieces and self.is_c:
                continue
            got = way(lost)
            if isinstance(got, str):
                yield f"reading, {way.__name__}: {got}"
                continue
            wrong = [n for n in range(self.pages) if got[n * PAGE:(n + 1) * PAGE] != self.model.get(n, bytes(PAGE))]
            if wrong:
                yield f"reading, {way.__name__}: pages {wrong} are wrong"

    # --- the books ---

    def books(self):
        """Statistics agree with block_state, and that is as it should be."""
        state = self.state(0)
        if isinstance(state, str):
            yield f"block_state: {state}"
            return
        lines = [state[at:at + 40] for at in range(0, len(state), 40)]
        form = re.compile(rb" *(\d+) +(\d+)\.000000 ([s.])([w.])([h.])([i.])([r.])([n.])\n")
        slots = [form.fullmatch(line) for line in lines]
        if not all(slots):
            yield f"block_state has a line like {lines[slots.index(None)]}"
            return
        indexes = [int(slot[1]) for slot in slots]
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if indexes != sorted(set(indexes)) or indexes[-1:] > [self.pages - 1]:
            yield "block_state is not in order"
        if not set(self.model) <= set(indexes):
            yield f"block_state lacks pages {sorted(set(self.model) - set(indexes))}"
        if any(int(slot[2]) > now for slot in slots):
            yield "block_state has times that are to come"
        written = sum(slot[4] == b"w" for slot in slots)
        counted = {
            "bd_stat, blocks": (self.bd(0, "count"), written),
            "mm_stat, data": (self.mm(0, "orig"), len(slots) * PAGE),
            "mm_stat, same": (self.mm(0, "same"), sum(slot[3] == b"s" for slot in slots)),
            "mm_stat, huge": (self.mm(0, "huge"), sum(slot[5] == b"h" and slot[4] != b"w" for slot in slots)),
        }
        for name, (got, wanted) in counted.items():
            if got != wanted:
                yield f"{name}: {got}, by block_state {wanted}"
        if written == len(slots) and self.mm(0, "compr"):
            yield f"all pages are written back, still {self.mm(0, 'compr')} bytes are stored"

    def written(self):
        return self.flags(0, "w")

    def expect(self, what, got, wanted):
        if got != wanted:
            yield f"{what}: {show(got)} instead of {show(wanted)}"


def show(value):
    return sorted(value) if isinstance(value, set) else value


# --- which pages are written back ----------------------------------------------------------------------------------------

# Pages 0-7 and 40-47 are text, 8-15 and 32-39 random, 16-19 of one word each; 20-31 there are none. 0-15 are idle, 10 and
# 11 incompressible.
OLD, HUGE = (0, 15), ((8, 15), (32, 39))


@test(("page_indexes=6-33 type=huge", same_pages((6, 15), (32, 33))), known="a page that is chosen twice is written twice")
@test(
    ("idle", same_pages(OLD)), ("type=idle", same_pages(OLD)),
    ("huge", same_pages(*HUGE)), ("type=huge", same_pages(*HUGE)),
    ("huge_idle", same_pages((8, 15))), ("type=huge_idle", same_pages((8, 15))),
    ("incompressible", {10, 11}), ("type=incompressible", {10, 11}),
    (" type=huge\n", same_pages(*HUGE)), ("type=huge page_index=0", same_pages(*HUGE)), ("type=idle type=foo", same_pages(OLD)),
    ("page_index=5", {5}), ("page_index=47", {47}), ("page_index=16", set()), ("page_index=24", set()),
    ("page_index=3 page_index=9", {3, 9}), ("page_indexes=4-8", same_pages((4, 8))), ("page_indexes=6-6", {6}),
    ("page_indexes=0-47", same_pages(OLD, (32, 47))),
    ("page_indexes=0-3 page_index=20 page_indexes=30-33", same_pages((0, 3), (32, 33))),
    ("", set()), ("foo=bar", set()), ("foo=bar page_index=1", {1}),
    ("type=foo", "EINVAL"), ("foo", "EINVAL"), ("type=", "EINVAL"), ("page_index", "EINVAL"), ("page_index=x", "EINVAL"),
    ("page_index=-1", "EINVAL"), ("page_index=0x1", "EINVAL"), ("page_indexes=7", "EINVAL"), ("page_indexes=1-", "EINVAL"),
    ("page_index=48", "ERANGE"), ("page_indexes=9-8", "ERANGE"), ("page_indexes=0-48", "ERANGE"),
    ("page_index=18446744073709551616", "ERANGE"), ("page_index=1 page_index=99", "ERANGE"), ("page_index=1 foo", "EINVAL"),
)
def choice(disk, server, request, wanted):
    """writeback of {!r}"""
    disk.set_up(48, backing_dev=server.path, recomp_algorithm="algo=zstd")
    disk.fill("random", 10, 2)
    disk.must("recompress", "type=huge")
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 2)
    disk.fill("random", 12, 4)
    disk.fill("same", 16, 4)
    disk.must("idle", "all")
    disk.fill("random", 32, 8)
    disk.fill("text", 40, 8)
    before = disk.mm(0, "compr"), disk.state(0)
    outcome, pages = (wanted, set()) if isinstance(wanted, str) else ("all", wanted)
    yield from disk.expect("outcome", disk.set("writeback", request), outcome)
    yield from disk.expect("written back", disk.written(), pages)
    yield from disk.expect("bd_stat", [disk.bd(0, "count"), disk.bd(0, "writes"), server.written], [len(pages)] * 3)
    huge = {n for n in pages if n in same_pages(*HUGE)}
    gain = before[0] - disk.mm(0, "compr")
    if gain < len(huge) * PAGE or (gain > len(huge) * PAGE) != bool(pages - huge):
        yield f"of {len(pages)} pages, {len(huge)} huge, {gain} bytes are gone"
    # All else stays as it was: the flags of other pages, times, and those flags of these that say what is stored.
    lines = []
    for line in before[1].splitlines():
        if int(line[:12]) in pages:
            line = line[:34] + b"w" + line[35:36] + b"." + line[37:]
        lines.append(line)
    after = disk.state(0).splitlines()
    if after != lines:
        yield f"block_state: {next(pair for pair in zip(after, lines) if pair[0] != pair[1])}"


@test(
    ("disksize", "huge", "EINVAL"), ("nothing", "huge", "ENODEV"), ("nothing", "foo", "ENODEV"),
)
def unready(disk, server, state, request, wanted):
    """writeback without {}, of {!r}"""
    disk.fresh()
    disk.pages, disk.model = 4, {}
    if state == "disksize":
        disk.must("backing_dev", server.path)
        yield from disk.expect("outcome", disk.set("writeback", request), wanted)
        disk.must("disksize", 4 * PAGE)
    else:
        disk.must("disksize", 4 * PAGE)
        yield from disk.expect("outcome", disk.set("writeback", request), wanted)


# --- how many at a time, and what arrives ---------------------------------------------------------------------------------


@test("0", "1")
def batches(disk, _, compressed):
    """batch sizes 1 to 64, compressed_writeback {}"""
    first = {batch: sum(range(1, batch)) for batch in range(1, 66)}
    disk.set_up(first[65], backing_dev=disk.whole, compressed_writeback=compressed)
    for at in range(0, disk.pages, 260):
        disk.fill("mix", at, min(260, disk.pages - at))
    for batch in range(1, 65):
        disk.must("writeback_batch_size", batch)
        disk.must("writeback", f"page_indexes={first[batch]}-{first[batch + 1] - 1}")
    yield from disk.expect("written back", disk.written(), {n for n in disk.model if n % 4})


@test((1, 20), (2, 20), (32, 64), (33, 64), (64, 64), (64, 10), (4294967295, 64))
def in_flight(disk, server, batch, pages):
    """{1} pages with a batch size of {0}: so many are on their way at a time"""
    disk.set_up(pages, backing_dev=server.path, writeback_batch_size=batch if batch < 1000 or not disk.is_c else 64)
    disk.fill("random", 0, pages)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    if not server.waits(min(batch, pages)):
        yield f"{len(server.held)} requests come"
    if server.waits(min(batch, pages) + 1, 0.1):
        yield f"{len(server.held)} requests come at once"
    server.release()
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    yield from disk.expect("written back", len(disk.written()), pages)


@test(*(("0", algorithm) for algorithm in ALGORITHMS[2:3]), *(("1", algorithm) for algorithm in ALGORITHMS))
def arrives(disk, server, compressed, algorithm):
    """what the backing device gets, with compressed_writeback {} and {}"""
    disk.set_up(32, backing_dev=server.path, compressed_writeback=compressed, comp_algorithm=algorithm)
    disk.fill("text", 0, 16)
    disk.fill("random", 16, 16)
    disk.must("idle", "all")
    stored = disk.mm(0, "compr") - 16 * PAGE
    disk.must("writeback", "type=idle")
    blocks = {server.block(n) for n in range(server.blocks)}
    plain = {n for n, page in disk.model.items() if page in blocks}
    yield from disk.expect("plain pages there", plain, same_pages((16, 31)) if compressed == "1" else set(disk.model))
    if compressed == "1":
        # A page as it is stored, and zeroes behind it.
        arrived = sum(len(block.rstrip(b"\0")) for block in blocks if block not in disk.model.values())
        if not stored - 16 * 8 <= arrived <= stored:
            yield f"{arrived} bytes there that are not zero, {stored} were stored"


# --- limits ----------------------------------------------------------------------------------------------------------------


@test(
    ("0", "1", "EIO", 0, "0"), ("1", "1", "EIO", 1, "0"), ("5", "1", "EIO", 5, "0"), ("16", "1", "all", 16, "0"),
    ("20", "1", "all", 16, "4"), ("5", "0", "all", 16, "5"), ("18446744073709551615", "1", "all", 16, "18446744073709551599"),
)
def limit(disk, server, pages, enable, outcome, done, left):
    """16 pages with a writeback_limit of {0}, enabled: {1}"""
    disk.set_up(16, backing_dev=server.path, writeback_limit=pages, writeback_limit_enable=enable)
    disk.fill("random", 0, 16)
    yield from disk.expect("outcome", disk.set("writeback", "huge"), outcome)
    yield from disk.expect("written back", len(disk.written()), done)
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), f"{left}\n".encode())
    yield from disk.verify()
    disk.set("reset", "1")
    yield from disk.expect("after reset", disk.get(0, "writeback_limit"), f"{left}\n".encode())
    disk.must("disksize", disk.pages * PAGE)
    disk.model = {}
    disk.must("writeback_limit_enable", "0")


@test(
    ("writeback_limit", "10", "1", "10"), ("writeback_limit", "18446744073709551615", "1", "18446744073709551615"),
    ("writeback_limit_enable", "1", "0", "5"), ("writeback_limit_enable", "0", "1", "5"), known="pays back what was not paid",
)
def limit_meanwhile(disk, server, attribute, value, enabled, left):
    """{0} set to {1} while writes are under way that will fail, limited to 5 before: {2}"""
    disk.set_up(16, backing_dev=server.path, writeback_limit=5, writeback_limit_enable=enabled)
    disk.fill("random", 0, 4)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    if not server.waits(4):
        yield f"{len(server.held)} requests come"
    disk.must(attribute, value)
    server.fail = lambda kind, block: kind == WRITE
    server.release()
    if not writer.ends() or writer.result != "EIO":
        yield f"writeback: {writer.result}"
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), f"{left}\n".encode())
    server.calm()
    disk.must("writeback_limit", 100)
    disk.must("writeback_limit_enable", 1)
    disk.must("writeback", "huge")
    yield from disk.expect("the limit, when it works", disk.get(0, "writeback_limit"), b"96\n")


@test(known="requests for all pages at once use memory up")
def many(disk, _):
    """80,000 pages of one size with a batch size of 4294967295: all are written, with little memory"""
    base, count = "/sys/kernel/config/nullb/selftest", 80000
    os.mkdir(base)
    try:
        for name, value in ("size", 1024), ("blocksize", PAGE), ("power", 1):
            put(f"{base}/{name}", value)
        disk.set_up(100000, backing_dev="/dev/selftest", writeback_batch_size=4294967295 if not disk.is_c else 64)
        data = mmap.mmap(-1, 500 * PAGE)
        data.write(content(400, 1)(1) * 500)
        for first in range(0, count, 500):
            disk.using(0, os.O_WRONLY | os.O_DIRECT, lambda fd, at=first: os.pwrite(fd, data, at * PAGE))
        # A few that are larger: they go first.
        large = mmap.mmap(-1, 100 * PAGE)
        large.write(b"".join(map(content("random", 1), range(100))))
        disk.using(0, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, large, 1000 * PAGE))
        before = least = available()
        disk.must("idle", "all")
        disk.must("writeback_limit", 100)
        disk.must("writeback_limit_enable", 1)
        yield from disk.expect("with a limit", disk.set("writeback", "idle"), "EIO")
        yield from disk.expect("the largest first", disk.written(), set(range(1000, 1100)))
        disk.must("writeback_limit_enable", 0)
        writer = disk.background("writeback", "idle")
        while not writer.ends(0.05):
            least = min(least, available())
        yield from disk.expect("outcome", writer.result, "all")
        yield from disk.expect("blocks in use", disk.bd(0, "count"), count)
        yield from disk.expect("pages written", disk.bd(0, "writes"), count)
        if before - least > 40 << 10:
            yield f"{before} KiB of memory were available before, {least} at the least"
        disk.fresh()
    finally:
        put(f"{base}/power", 0)
        os.rmdir(base)
    disk.set_up(1)


def available():
    """Memory that processes could have, in KiB."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


@test("0", "1")
def full(disk, _, compressed):
    """a backing device of 10½ blocks fills up, compressed_writeback {}"""
    disk.set_up(16, backing_dev=disk.partial, compressed_writeback=compressed)
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 8)
    disk.must("idle", "all")
    yield from disk.expect("outcome", disk.set("writeback", "idle"), "ENOSPC")
    yield from disk.expect("written back", len(disk.written()), 10)
    if not same_pages((8, 15)) <= disk.written():
        yield "the largest are not written first"
    yield from disk.verify()
    for turn in range(3):
        freed = sorted(disk.written())[turn::4]
        for page in freed:
            if turn == 0:
                disk.drop(page)
            else:
                disk.fill("text", page, 1, turn + 1)
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 10 - len(freed))
        left = len(disk.model) - 10 + len(freed)
        disk.must("idle", "all")
        yield from disk.expect("again", disk.set("writeback", "idle"), "ENOSPC" if left > len(freed) else "all")
        yield from disk.expect("blocks in use", disk.bd(0, "count"), min(10, 10 - len(freed) + left))
        yield from disk.verify()


@test(1, 8, 64, 128, known="takes a bit for each block, and their number wraps")
def vast(disk, _, tebibytes):
    """a backing device of {} TiB costs no more than the pages of the disk ask for"""
    table = f"0 32768 linear {disk.whole} 0\n32768 {(tebibytes << 31) - 32768} error\n"
    subprocess.run(["dmsetup", "create", "zram-vast"], input=table.encode(), check=True)
    try:
        name = subprocess.run(["dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", "zram-vast"], check=True,
                              stdout=subprocess.PIPE).stdout.decode().strip()
        disk.set_up(16, backing_dev=f"/dev/{name}")
        disk.must("reset", 1)
        disk.must("backing_dev", f"/dev/{name}")
        before = available()
        disk.must("disksize", 16 * PAGE)
        if before - available() > 4096:
            yield f"{before} KiB of memory were available before, {available()} are after"
        disk.fill("random", 0, 16)
        yield from disk.expect("outcome", disk.set("writeback", "huge"), "all")
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 16)
        yield from disk.verify()
        disk.fresh()
    finally:
        subprocess.run(["dmsetup", "remove", "--retry", "zram-vast"], check=True)
    disk.set_up(1)


@test("0", "1")
def reuse(disk, _, compressed):
    """600 random writes, discards and writebacks on a device with 10 blocks, compressed_writeback {}"""
    dice = random.Random(f"reuse {compressed}")
    disk.set_up(24, backing_dev=disk.partial, compressed_writeback=compressed, writeback_batch_size=3)
    for turn in range(600):
        page, what = dice.randrange(24), dice.random()
        if what < 0.4:
            disk.fill(dice.choice(("text", "random", "same")), page, dice.randint(1, min(3, 24 - page)), turn)
        elif what < 0.5:
            disk.drop(page)
        elif what < 0.9:
            outcome = disk.set("writeback", f"page_index={page}")
            if outcome not in ("all", "ENOSPC") or (outcome == "ENOSPC") != (outcome != "all" and disk.bd(0, "count") == 10):
                yield f"turn {turn}: {outcome} with {disk.bd(0, 'count')} blocks in use"
        elif disk.read(0, page, 1) != disk.wanted(page, 1):
            yield f"turn {turn}: page {page} is wrong"
        if turn % 100 == 99:
            yield from disk.verify()


# --- devices that fail -----------------------------------------------------------------------------------------------------


@test((1, "0"), (4, "0"), (32, "0"), (32, "1"))
def bad_writes(disk, server, batch, compressed):
    """3 of 16 writes fail, batch size {}, compressed_writeback {}"""
    disk.set_up(16, backing_dev=server.path, writeback_batch_size=batch, compressed_writeback=compressed, writeback_limit=100,
                writeback_limit_enable=1)
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 8)
    disk.must("idle", "all")
    turns = iter(range(1000))
    server.fail = lambda kind, block: kind == WRITE and next(turns) in (0, 5, 6)
    yield from disk.expect("outcome", disk.set("writeback", "idle"), "EIO")
    yield from disk.expect("written back", len(disk.written()), 13)
    yield from disk.expect("bd_stat", [disk.bd(0, "count"), disk.bd(0, "writes")], [13, 13])
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"87\n")
    left = set(disk.model) - disk.written()
    yield from disk.expect("still idle", disk.flags(0, "i"), left)
    yield from disk.verify()
    server.calm()
    disk.must("idle", "all")
    yield from disk.expect("once more", disk.set("writeback", "idle"), "all")
    yield from disk.expect("then written back", len(disk.written()), 16)


@test("0", "1")
def bad_reads(disk, server, compressed):
    """blocks that cannot be read, compressed_writeback {}: EIO on their pages and no other"""
    disk.set_up(32, backing_dev=server.path, compressed_writeback=compressed)
    disk.fill("mix", 0, 32)
    disk.must("writeback", "page_indexes=0-23")
    bad = {1, 4, 5}
    lost = {page for page, block in blocks_of(disk, server) if block in bad}
    server.fail = lambda kind, block: kind == READ and block in bad
    yield from disk.expect("pages lost", len(lost), 3)
    yield from disk.verify(lost)
    yield from disk.expect("reading all at once", disk.read(0, 0, 32), "EIO")
    # The page cache has what came before.
    got = disk.buffered_read(0, 0, 32 * PAGE)
    if len(got) > min(lost) * PAGE or got != disk.wanted()[:len(got)]:
        yield f"reading all, buffered: {len(got)} bytes"
    yield from disk.books()
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 18)
    # One is overwritten, one discarded: they are no longer lost.
    disk.fill("text", min(lost))
    disk.drop(max(lost))
    yield from disk.verify(lost - {min(lost), max(lost)})
    server.calm()


def blocks_of(disk, server):
    """Pairs of a page and its block, found by reading each page."""
    for page in sorted(disk.written()):
        seen = []
        server.fail = lambda kind, block, seen=seen: bool(seen.append(block))
        disk.read(0, page, 1)
        yield page, seen[0]
    server.calm()


@test(*ALGORITHMS)
def corrupt(disk, server, algorithm):
    """compressed blocks that are not what was written, {}: EIO or other data on their pages, the rest verifies"""
    disk.set_up(24, backing_dev=server.path, compressed_writeback=1, comp_algorithm=algorithm)
    disk.fill("text", 0, 24)
    disk.must("writeback", "page_indexes=0-15")
    good = dict(disk.model)
    dice = random.Random(algorithm)
    junk = [bytes(PAGE), b"\xff" * PAGE, dice.randbytes(PAGE), b"\0\1" * (PAGE // 2)]
    blocks = dict(blocks_of(disk, server))
    for page in range(12):
        block = server.block(blocks[page])
        spoilt = junk[page] if page < len(junk) else bytearray(block)
        for _ in range(1 << page - 4 if page >= 4 else 0):
            spoilt[dice.randrange(400)] ^= 1 << dice.randrange(8)
        server.data[blocks[page] * PAGE:(blocks[page] + 1) * PAGE] = spoilt
    failed = 0
    for page in range(24):
        got = disk.read(0, page, 1)
        failed += got == "EIO"
        if page >= 12 and got != good[page]:
            yield f"page {page}, which is good: {got if isinstance(got, str) else 'other data'}"
        elif isinstance(got, str) and got != "EIO":
            yield f"page {page}: {got}"
    if not failed:
        yield "nothing was found to be corrupt"
    disk.drop(0, 12)


@test(
    ("error", "EIO", "EIO"), ("flakey {} 0 0 100 1 error_writes", "EIO", "all"), ("flakey {} 0 0 100 1 error_reads", "all", "EIO"),
    ("flakey {} 0 0 100", "EIO", "EIO"),
)
def mapped(disk, _, target, writes, reads):
    """a device-mapper target goes bad: {0}"""
    disk.set_up(32, backing_dev=disk.mapper)
    disk.fill("random", 0, 32)
    disk.must("writeback", "page_indexes=0-15")
    remap(disk, target)
    try:
        yield from disk.expect("writing", disk.set("writeback", "page_indexes=16-23"), writes)
        there = same_pages((0, 15 if writes == "EIO" else 23))
        yield from disk.expect("written back", disk.written(), there)
        yield from disk.verify(there if reads == "EIO" else ())
        yield from disk.books()
    finally:
        remap(disk, "linear {} 0")
    yield from disk.expect("writing, when it is good again", disk.set("writeback", "huge"), "all")


def remap(disk, target):
    table = f"0 {4096 * 8} {target.format(disk.base)}"
    for command in ["suspend", "--noflush"], ["load", "--table", table], ["resume"]:
        subprocess.run(["dmsetup", *command, "zram-selftest"], check=True, stdout=subprocess.DEVNULL)


# --- devices that go away --------------------------------------------------------------------------------------------------


@test("0", "1")
def pulled(disk, server, compressed):
    """the device is pulled away while pages are written to it and read from it, compressed_writeback {}"""
    disk.set_up(48, backing_dev=server.path, compressed_writeback=compressed, writeback_batch_size=8)
    disk.fill("text", 0, 24)
    disk.fill("random", 24, 24)
    disk.must("writeback", "page_indexes=0-15")
    server.hold = lambda kind, block: True
    writer = disk.background("writeback", "huge")
    readers = [Background(disk.read, 0, page, 1) for page in range(4)]
    if not server.waits(12):
        yield f"{len(server.held)} requests come"
    server.pull()
    if not writer.ends() or writer.result != "EIO":
        yield f"writeback: {writer.result}"
    for reader in readers:
        if not reader.ends() or reader.result != "EIO":
            yield f"reading: {reader.result if isinstance(reader.result, (str, type(None))) else 'data'}"
    yield from disk.expect("written back", disk.written(), same_pages((0, 15)))
    yield from disk.verify(same_pages((0, 15)))
    yield from disk.books()
    yield from disk.expect("writing once more", disk.set("writeback", "huge"), "EIO")
    # The rest of the device works: nothing that was on the other is needed.
    disk.fill("text", 0, 16, 2)


@test()
def removed(disk, _):
    """the device is removed from the system under load"""
    base = "/sys/kernel/config/nullb/selftest"
    os.mkdir(base)
    try:
        for name, value in ("memory_backed", 1), ("size", 16), ("blocksize", PAGE), ("power", 1):
            with open(f"{base}/{name}", "w", encoding="ascii") as file:
                file.write(str(value))
        disk.set_up(512, backing_dev="/dev/selftest")
        disk.fill("random", 0, 256)
        disk.fill("random", 256, 256)
        disk.must("writeback", "page_indexes=0-127")
        stop, seen = threading.Event(), set()

        def read(dice):
            while not stop.is_set():
                page = dice.randrange(128)
                got = disk.read(0, page, 1)
                seen.add(got if isinstance(got, str) else got == disk.model[page])

        readers = [Background(read, random.Random(n)) for n in range(3)]
        writer = disk.background("writeback", "huge")
        time.sleep(0.1)
        with open(f"{base}/power", "w", encoding="ascii") as file:
            file.write("0")
        time.sleep(0.2)
        stop.set()
        if not all(reader.ends() for reader in readers) or not writer.ends():
            yield "somebody does not end"
        if seen - {True, "EIO"}:
            yield f"readers saw {seen}"
        yield from disk.verify(disk.written())
        yield from disk.books()
        disk.fresh()
    finally:
        os.rmdir(base)
    disk.set_up(1)


# --- while others use the device -------------------------------------------------------------------------------------------


@test(("0", 4), ("1", 64))
def meanwhile(disk, server, compressed, batch):
    """pages are read, overwritten and discarded while they are written, compressed_writeback {}, batch size {}"""
    disk.set_up(64, backing_dev=server.path, compressed_writeback=compressed, writeback_batch_size=batch)
    disk.fill("random", 0, 64)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    if not server.waits(batch):
        yield f"{len(server.held)} requests come"
    yield from disk.expect("pages 0 to 15", disk.read(0, 0, 16) == disk.wanted(0, 16), True)
    for page in range(16, 24):
        disk.fill("text", page, 1, 2)
    disk.fill("random", 24, 8, 3)
    disk.drop(32, 8)
    disk.fill("same", 40, 8)
    disk.drop(48, 4)
    disk.fill("random", 48, 4, 4)
    server.release()
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    # What was touched stays; it may still be written if that was before it was chosen or sent.
    yield from disk.expect("written back", disk.written(), same_pages((52, 63)))
    yield from disk.books()
    yield from disk.verify()
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 12)
    disk.must("writeback", "huge")
    yield from disk.expect("then written back", disk.written(), same_pages((0, 15), (24, 31), (48, 63)))


@test("0", "1")
def asynchronous(disk, server, compressed):
    """reads of written pages do not wait for each other, nor others for them, compressed_writeback {}"""
    disk.set_up(32, backing_dev=server.path, compressed_writeback=compressed)
    disk.fill("text", 0, 32)
    disk.must("writeback", "page_indexes=0-23")
    server.hold = lambda kind, block: kind == READ
    readers = {page: Background(disk.read, 0, page, 1) for page in range(8)}
    readers[8] = Background(disk.read, 0, 8, 16)
    if not server.waits(24):
        yield f"{len(server.held)} of 24 requests come"
    other = Background(disk.read, 0, 24, 8)
    if not other.ends(5) or other.result != disk.wanted(24, 8):
        yield "pages in memory cannot be read meanwhile"
    yield from disk.expect("bd_stat, reads", disk.bd(0, "reads"), 24)
    server.release()
    for page, reader in readers.items():
        if not reader.ends() or reader.result != disk.wanted(page, 16 if page == 8 else 1):
            yield f"the read at page {page} went wrong"


@test("0", "1", known="a write does not wait, but its read may get other data")
def held(disk, server, compressed):
    """one read is held up by the device: all else goes on, the page's own writes among it, compressed_writeback {}"""
    queue = f"{disk.disk(0)}/queue/discard_max_bytes"
    disk.set_up(2048, backing_dev=server.path, compressed_writeback=compressed, recomp_algorithm="algo=zstd")
    disk.fill("random", 0, 16)
    disk.fill("text", 16, 16)
    disk.fill("text", 1024, 256)
    disk.must("idle", "all")
    disk.must("writeback", "page_indexes=0-3 page_indexes=16-19")
    disk.drop(1024, 256)
    old = {page: disk.model[page] for page in (0, 1, 2, 16)}
    server.hold = lambda kind, block: kind == READ
    readers = {page: Background(disk.read, 0, page, 1) for page in old}
    if not server.waits(4):
        yield f"{len(server.held)} requests come"
    server.hold = lambda kind, block: False
    for name, function, *arguments in (
        ("a write of a page that is read", disk.fill, "text", 0, 1, 2),
        ("a discard of a page that is read", disk.drop, 1),
        ("the same page, read once more", disk.read, 0, 0, 1),
        ("a page in memory", disk.read, 0, 5, 1),
        ("another page on the device", disk.read, 0, 3, 1),
        ("statistics", disk.get, 0, "mm_stat"),
        ("block_state", disk.state, 0),
        ("idle", disk.must, "idle", "all"),
        ("compact", disk.must, "compact", "1"),
        ("a write where compact was", disk.fill, "mix", 1024, 8),
        ("queue/discard_max_bytes", disk.file_put, queue, b"1048576"),
        ("recompress", disk.must, "recompress", "priority=1"),
        ("writeback of what was written meanwhile", disk.must, "writeback", "page_index=0 page_indexes=1024-1031"),
        ("its other pages are written over", disk.fill, "random", 2, 1, 3),
    ):
        call = Background(function, *arguments)
        if not call.ends(10):
            yield f"this waits: {name}"
    if 0 not in disk.written():
        yield "page 0 was not written back anew"
    server.release()
    for page, reader in readers.items():
        if not reader.ends() or reader.result != old[page]:
            yield f"the read of page {page} has other data than when it began"
    if disk.bd(0, "count") != len(disk.written()):
        yield f"{disk.bd(0, 'count')} blocks are in use, {len(disk.written())} pages written"


@test("0", "1")
def overlapping(disk, _, compressed):
    """overlapping reads and writes of many pages beside writebacks, compressed_writeback {}"""
    disk.set_up(96, backing_dev=disk.whole, compressed_writeback=compressed, recomp_algorithm="algo=zstd")
    disk.fill("mix", 0, 96)
    disk.must("writeback", "page_indexes=0-95")
    stop, trouble = threading.Event(), []

    def shared(dice):
        """Pages that nobody changes."""
        while not stop.is_set():
            first = dice.randrange(48)
            count = dice.randint(1, 48 - first)
            if disk.read(0, first, count) != disk.wanted(first, count):
                trouble.append(f"pages {first} and on, {count} of them")

    def own(dice, first):
        """Pages that are ours alone."""
        while not stop.is_set():
            page, count = first + dice.randrange(8), dice.randint(1, 8)
            what = dice.random()
            if what < 0.3:
                disk.fill(dice.choice(("text", "random", "dense", "same")), page, count, dice.randrange(100))
            elif what < 0.4:
                disk.drop(page, count)
            elif disk.read(0, page, count) != disk.wanted(page, count):
                trouble.append(f"page {page}, of one's own, or {count} on")

    workers = [Background(shared, random.Random(n)) for n in range(2)]
    workers += [Background(own, random.Random(first), first) for first in (48, 64, 80)]
    end, dice, rounds = time.monotonic() + 4, random.Random(compressed), 0
    while time.monotonic() < end:
        rounds += 1
        disk.must("writeback_batch_size", dice.choice((1, 4, 32)))
        disk.must("idle", "all")
        disk.must(*dice.choice((("writeback", "idle"), ("writeback", "huge"), ("writeback", "page_indexes=40-90"),
                                ("recompress", "type=idle"), ("recompress", "priority=1 threshold=3000"))))
    stop.set()
    if not all(worker.ends() for worker in workers):
        yield "somebody does not end"
    yield from trouble[:5]
    if rounds < 5:
        yield f"only {rounds} rounds"


@test("0", "1")
def swap(disk, server, compressed):
    """swap slots are freed while they are written; others come back from the device, compressed_writeback {}"""
    disk.set_up(2048, backing_dev=server.path, compressed_writeback=compressed, writeback_batch_size=16)
    subprocess.run(["mkswap", "-q", disk.node(0)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "-p", "1000", disk.node(0)], check=True)
    try:
        areas = []
        for seed in range(2):
            memory = mmap.mmap(-1, 200 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            memory.write(wanted(seed))
            memory.madvise(21)  # MADV_PAGEOUT
            areas.append(memory)
        if disk.mm(0, "orig") < 390 * PAGE:
            yield f"of 400 pages {disk.mm(0, 'orig') // PAGE} are in swap"
        disk.must("idle", "all")
        server.hold = lambda kind, block: kind == WRITE
        writer = disk.background("writeback", "idle")
        if not server.waits(16):
            yield f"{len(server.held)} requests come"
        areas.pop(0).close()
        server.release()
        if not writer.ends() or writer.result != "all":
            yield f"writeback: {writer.result}"
        count, data = disk.bd(0, "count"), disk.mm(0, "orig") // PAGE
        if count != len(disk.written()) or not 190 <= count <= data <= 202:
            yield f"{count} blocks are in use and {data} pages stored for 200 that are left"
        if memory_of(areas[0]) != wanted(1):
            yield "other data comes back from swap"
        areas.pop().close()
        if disk.mm(0, "orig") > PAGE or disk.bd(0, "count") > 1:
            yield f"without a page in swap, {disk.mm(0, 'orig') // PAGE} are stored and {disk.bd(0, 'count')} blocks in use"
    finally:
        server.calm()
        subprocess.run(["swapoff", disk.node(0)], check=True)
    disk.set_up(1)


def wanted(seed):
    return b"".join(content("text", seed)(n) for n in range(200))


def memory_of(area):
    """Read by another process: this one cannot answer requests while it waits for a page itself."""
    page = ctypes.addressof(ctypes.c_char.from_buffer(area)) // PAGE
    command = ["dd", f"if=/proc/{os.getpid()}/mem", "bs=4k", f"skip={page}", f"count={len(area) // PAGE}", "status=none"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


# --- resets, signals, and who waits for whom -------------------------------------------------------------------------------


@test(
    ("reset", "reset"), ("removal", "hot_remove"),
)
def ended(disk, server, name, how):
    """a {} waits for the writeback, then all is gone"""
    disk.set_up(32, backing_dev=server.path, writeback_batch_size=8)
    disk.fill("random", 0, 32)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    server.waits(8)
    path = f"{disk.control}/hot_remove" if how == "hot_remove" else f"{disk.disk(0)}/reset"
    resetter = Write(path, b"0" if how == "hot_remove" else b"1")
    if resetter.ends(0.3):
        yield f"it does not wait: {resetter.result}"
    server.release()
    if not writer.ends() or writer.result not in ("all", "ENODEV"):
        yield f"writeback: {writer.result}"
    if not resetter.ends() or resetter.result != "all":
        yield f"{name}: {resetter.result}"
    if how == "reset":
        got = [disk.get(0, file) for file in ("disksize", "initstate", "backing_dev", "bd_stat")]
        yield from disk.expect("then", got, [b"0\n", b"0\n", b"none\n", b"%8d %8d %8d\n" % (0, 0, 0)])
    disk.set_up(32, backing_dev=server.path)


@test(("0", 1), ("0", 8), ("1", 8), known="a writeback cannot be interrupted")
def interrupted(disk, server, compressed, batch):
    """a signal ends a writeback, compressed_writeback {}, batch size {}; statistics say how far it came"""
    disk.set_up(128, backing_dev=server.path, compressed_writeback=compressed, writeback_batch_size=batch, writeback_limit=1000,
                writeback_limit_enable=1)
    disk.fill("mix", 0, 128)
    disk.must("idle", "all")
    server.hold = lambda kind, block: kind == WRITE and server.written >= 20
    writer = disk.background("writeback", "idle")
    if not server.waits(batch):
        yield f"{len(server.held)} requests come"
    writer.interrupt()
    time.sleep(0.1)
    server.release()
    if not writer.ends() or writer.result != "EINTR":
        yield f"writeback: {writer.result}"
    done = len(disk.written())
    if not 20 <= done <= 20 + 2 * batch:
        yield f"{done} of 96 pages are written back"
    numbers = [disk.bd(0, "count"), disk.bd(0, "writes"), 1000 - int(disk.get(0, "writeback_limit"))]
    yield from disk.expect("bd_stat and the limit", numbers, [done] * 3)
    yield from disk.verify()
    disk.must("idle", "all")
    yield from disk.expect("the next writeback", disk.set("writeback", "idle"), "all")
    yield from disk.expect("leaves nothing", len(disk.written()), 96)


@test(known="a writeback cannot be interrupted")
def killed(disk, server):
    """a process that is killed during its writeback ends"""
    disk.set_up(128, backing_dev=server.path)
    disk.fill("random", 0, 128)
    server.hold = lambda kind, block: kind == WRITE
    with subprocess.Popen(["sh", "-c", f"echo huge >{disk.disk(0)}/writeback"]) as process:
        server.waits(32)
        process.kill()
        server.release()
        if process.wait(20) != -9:
            yield f"exit status {process.returncode}"
    if len(disk.written()) > 64:
        yield f"{len(disk.written())} of 128 pages are written back"


def shell(disk, attribute, value, name="bash"):
    """A process that writes to a file once: bash does not try again after EINTR, but does not take SIGQUIT."""
    return subprocess.Popen([name, "-c", f"echo {value} >{disk.disk(0)}/{attribute}"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def put(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def stopped(process, go_on):
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    go_on()
    time.sleep(0.2)
    process.send_signal(signal.SIGCONT)


def traced(process, go_on):
    with subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(process.pid)]) as tracer:
        time.sleep(1)
        go_on()
        process.wait(120)
        tracer.wait(20)


def frozen(process, go_on):
    group = "/sys/fs/cgroup/zram-selftest"
    os.mkdir(group)
    try:
        put(f"{group}/cgroup.procs", process.pid)
        put(f"{group}/cgroup.freeze", 1)
        time.sleep(0.3)
        go_on()
        time.sleep(0.2)
        put(f"{group}/cgroup.freeze", 0)
        process.wait(120)
    finally:
        os.rmdir(group)


def suspended(process, go_on):
    """All tasks are frozen for a second, and thawed."""
    go_on()
    put("/sys/module/suspend/parameters/pm_test_delay", 1)
    put("/sys/power/pm_freeze_timeout", 1000)
    put("/sys/power/pm_test", "freezer")
    try:
        put("/sys/power/state", "freeze")
    finally:
        put("/sys/power/pm_test", "none")


@test(*((job, how) for job in ("writeback", "recompress") for how in (stopped, traced, frozen, suspended)))
def undisturbed(disk, server, job, how):
    """a {} goes on while its process is {.__name__}"""
    # The server is frozen with all others.
    whole = job == "writeback" and how == suspended
    pages = 2048 if whole else 512
    disk.set_up(pages, backing_dev=disk.whole if whole else server.path, recomp_algorithm="algo=zstd",
                algorithm_params="algo=zstd level=22", writeback_batch_size=1 if whole else 32)
    for at in range(0, pages, 256):
        disk.fill("random" if job == "writeback" else "text", at, 256)
    server.hold = lambda kind, block: kind == WRITE
    done = disk.written if job == "writeback" else lambda: disk.flags(0, "r")
    with shell(disk, job, "huge" if job == "writeback" else "priority=1") as process:
        if job == "recompress" or whole:
            while not done() and process.poll() is None:
                time.sleep(0.01)
        else:
            server.waits(32)
        if process.poll() is not None:
            yield "it is over too soon"
        how(process, server.release)
        output = process.communicate(timeout=120)[0]
    yield from disk.expect("outcome", (process.returncode, output), (0, b""))
    yield from disk.expect("pages done", len(done()), pages)
    disk.must("writeback_batch_size", 32)


@test("writeback", "recompress")
def frozen_alone(disk, server, job):
    """a {} whose process is frozen by a control group of the first version goes on, and holds up no other"""
    disk.set_up(256, backing_dev=server.path, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("random" if job == "writeback" else "text", 0, 256)
    server.hold = lambda kind, block: kind == WRITE
    done = disk.written if job == "writeback" else lambda: disk.flags(0, "r")
    group = "zram-freezer/selftest"
    os.mkdir("zram-freezer")
    subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "none", "zram-freezer"], check=True)
    try:
        os.mkdir(group)
        with shell(disk, job, "huge" if job == "writeback" else "priority=1") as process:
            if job == "writeback":
                server.waits(32)
            else:
                while not done() and process.poll() is None:
                    time.sleep(0.01)
            put(f"{group}/cgroup.procs", process.pid)
            put(f"{group}/freezer.state", "FROZEN")
            if len(done()) == 256:
                yield "it is over too soon"
            server.release()
            other = disk.background("recompress", "priority=1")
            if not other.ends(30):
                yield "another job waits"
            yield from disk.expect("pages done", len(done()), 256)
            put(f"{group}/freezer.state", "THAWED")
            output = process.communicate(timeout=120)[0]
        other.ends(30)
        yield from disk.expect("outcome", (process.returncode, output), (0, b""))
        os.rmdir(group)
    finally:
        subprocess.run(["umount", "zram-freezer"], check=False)
        os.rmdir("zram-freezer")


@test((signal.SIGKILL,), (signal.SIGTERM,), (signal.SIGQUIT,), known="a recompression cannot be interrupted")
def ends_by(disk, _, number):
    """{!r} ends a recompression after a whole page, and the next one does the rest"""
    disk.set_up(512, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("text", 0, 256)
    disk.fill("text", 256, 256)
    with shell(disk, "recompress", "priority=1", "dash") as process:
        while not disk.flags(0, "r") and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        start = time.monotonic()
        process.wait(60)
        took = time.monotonic() - start
    yield from disk.expect("exit status", process.returncode, -number)
    done = len(disk.flags(0, "r"))
    if not 0 < done < 512 or took > 2:
        yield f"{done} of 512 pages are done, and it took {took:.1f} s"
    yield from disk.verify()
    job = disk.background("recompress", "priority=1")
    time.sleep(0.05)
    job.interrupt()
    if not job.ends() or job.result != "EINTR":
        yield f"with a handler: {job.result}"


FILES = "initstate mm_stat io_stat bd_stat debug_stat disksize comp_algorithm backing_dev writeback_limit".split()


@test("writeback", "recompress", known="statistics wait")
def statistics(disk, server, what):
    """statistics are there at once during a long {}"""
    disk.set_up(2048, backing_dev=server.path, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("random" if what == "writeback" else "text", 0, 256)
    disk.fill("random" if what == "writeback" else "text", 256, 256)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background(what, "type=huge" if what == "writeback" else "priority=1")
    if what == "writeback":
        server.waits(32)
    else:
        time.sleep(0.1)
    times = {}

    def look():
        for _ in range(10):
            for file in FILES:
                start = time.monotonic()
                disk.get(0, file)
                times.setdefault(file, []).append(time.monotonic() - start)

    looker = Background(look)
    if not looker.ends(10):
        yield f"this blocks: {FILES[len(times) - 1] if times else FILES[0]}"
    elif writer.ends(0) and what == "recompress":
        yield "the recompression was over too soon"
    # How long it takes when nothing else wants the processor.
    slow = {file: min(taken) for file, taken in times.items() if min(taken) > 0.005}
    if slow:
        yield f"these take long: {slow}"
    server.release()
    writer.interrupt()
    writer.ends()
    looker.ends()


@test("0", "1")
def crowded(disk, server, compressed):
    """settings, marks and other jobs during a writeback, compressed_writeback {}: nobody blocks for ever"""
    disk.set_up(64, backing_dev=server.path, compressed_writeback=compressed, recomp_algorithm="algo=zstd")
    disk.fill("text", 0, 32)
    disk.fill("random", 32, 32)
    disk.must("idle", "all")
    server.hold = lambda kind, block: kind == WRITE
    jobs = [disk.background("writeback", "type=idle")]
    server.waits(32)
    jobs += [disk.background(*job) for job in (
        ("writeback", "type=huge"), ("recompress", "priority=1"), ("idle", "all"), ("compact", "1"), ("mem_limit", "1G"),
        ("mem_used_max", "0"), ("writeback_limit", "5"), ("writeback_batch_size", "7"), ("writeback", "page_indexes=0-63"))]
    time.sleep(0.2)
    server.release()
    for job in jobs:
        if not job.ends() or job.result != "all":
            yield f"{job.result}"
    yield from disk.expect("each page is written once", [server.written, disk.bd(0, "writes")], [64, 64])
    yield from disk.expect("written back", len(disk.written()), 64)


# --- marks of idleness -----------------------------------------------------------------------------------------------------


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
    old = same_pages((0, 3), (6, 11))
    seconds = {page: int(line[13:25]) for line in disk.state(0).splitlines() for page in [int(line[:12])]}
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    for age, marked in (
        # The mark is for what was last accessed before, not at, that second.
        (int(uptime) - seconds[0] - 1, old), (int(uptime) - seconds[16] + 5, set()), (hex(int(uptime) - seconds[0] - 1), old),
        ("all", set(disk.model) - same_pages((12, 15))), (int(uptime) - seconds[0] - 1, old), (int(uptime) + 1000, old),
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


# --- recompression -----------------------------------------------------------------------------------------------------------

# Pages 0-7 are text, 8-15 dense, 16-23 random, 24-27 of one word; 0-3, 8-11 and 16-19 are idle. lz4 makes dense ones huge.
IDLE, DENSE, TEXT = same_pages((0, 3), (8, 11), (16, 19)), same_pages((8, 15)), same_pages((0, 7))


RANDOM, TRIED = same_pages((16, 23)), same_pages((8, 23))


def recompressible(disk, **settings):
    disk.set_up(32, **settings)
    disk.fill("text", 0, 8)
    disk.fill("dense", 8, 8)
    disk.fill("random", 16, 8)
    disk.fill("same", 24, 4)


# The pages that get smaller, and those that are found to be incompressible.
@test(
    ("priority=1", TEXT | DENSE, RANDOM), ("algo=zstd", TEXT | DENSE, RANDOM), ("foo=bar", TEXT | DENSE, RANDOM),
    ("type=idle", IDLE - RANDOM, IDLE & RANDOM), ("type=huge", DENSE, RANDOM), ("type=huge_idle", IDLE & DENSE, IDLE & RANDOM),
    ("type=huge algo=zstd priority=1", DENSE, RANDOM), ("threshold=3500", DENSE, RANDOM), ("threshold=3200", DENSE, RANDOM),
    ("threshold=3000", set(), TRIED), ("threshold=1", set(), TRIED | TEXT), ("type=idle threshold=3000", set(), IDLE & TRIED),
    ("max_pages=0", set(), set()), ("max_pages=1000", TEXT | DENSE, RANDOM),
    ("type=foo", "EINVAL", set()), ("type=", "EINVAL", set()), ("idle", "EINVAL", set()), ("priority=0", "EINVAL", set()),
    ("priority=2", "EINVAL", set()), ("priority=4", "EINVAL", set()), ("algo=lz4", "EINVAL", set()),
    ("algo=foo", "EINVAL", set()), ("algo=zstd priority=2", "EINVAL", set()), ("threshold=4096", "EINVAL", set()),
    ("threshold=x", "EINVAL", set()), ("max_pages=x", "EINVAL", set()), ("priority=99999999999", "ERANGE", set()),
)
def recompression(disk, _, request, better, worse):
    """recompress {!r}"""
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
    # C zram forgets them.
    if not disk.is_c:
        yield from disk.expect("times", times(disk), before)
    if (disk.mm(0, "compr") < stored) != bool(better):
        yield f"{stored} bytes stored before, {disk.mm(0, 'compr')} after"
    # What is known to be incompressible is not tried again; all else is.
    yield from disk.verify()
    disk.must("recompress", "priority=1")
    yield from disk.expect("recompressed in the end", disk.flags(0, "r"), (TEXT | DENSE) - worse)


def times(disk):
    return [line[:32] for line in disk.state(0).splitlines()]


@test("0", "1")
def priorities(disk, server, compressed):
    """four algorithms, one after the other, then writeback with compressed_writeback {}"""
    disk.fresh()
    for number, algorithm in enumerate(("deflate", "lz4hc", "zstd"), 1):
        disk.must("recomp_algorithm", f"algo={algorithm} priority={number}")
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


# --- parameters --------------------------------------------------------------------------------------------------------------


def dictionary(size):
    """The path of a dictionary with so many bytes of text."""
    path = f"dictionary.{size}"
    with open(path, "wb") as file:
        file.write(b"".join(content("text", 3)(n) for n in range(60))[:size])
    return os.path.abspath(path)


DEFAULTS = {}


# Against the default: is less stored, as much, more, or anything.
@test(
    ("lz4", "level=1", "="), ("lz4", "level=10", ">"), ("lz4", "level=1000", ">"), ("lz4", "dict=32768", "<"),
    ("lz4", "dict=65536", "<"), ("lz4", "dict=8", "?"), ("lz4", "level=5 dict=32768", "<"), ("lz4hc", "level=1", ">"),
    ("lz4hc", "level=9", "="), ("lz4hc", "level=12", "<="), ("lz4hc", "level=16", "<="), ("lz4hc", "dict=32768", "<"),
    ("lz4hc", "level=3 dict=65536", "<"), ("zstd", "level=3", "="), ("zstd", "level=1", "?"), ("zstd", "level=-5", ">"),
    ("zstd", "level=-131072", ">"), ("zstd", "level=22", "<="), ("zstd", "dict=32768", "<"), ("zstd", "level=19 dict=100000", "<"),
    ("zstd", "dict=1", "?"), ("deflate", "level=-1", "="), ("deflate", "level=0", ">"), ("deflate", "level=1", ">"),
    ("deflate", "level=9", "?"), ("deflate", "level=6 deflate.winbits=-15", "?"), ("deflate", "deflate.winbits=-9", ">"),
    ("deflate", "deflate.winbits=9", ">"), ("deflate", "deflate.winbits=15", "?"), ("deflate", "deflate.winbits=12", "?"),
    ("zstd", "level=-2147483648", "="), ("lzo", "level=-2147483648", "="), ("lzo-rle", "", "="), ("842", "", "="),
    ("lz4", "level=0", "EINVAL"), ("lz4", "level=-1", "EINVAL"), ("lz4", "dict=7", "EINVAL"), ("lz4", "dict=65537", "EINVAL"),
    ("lz4hc", "level=0", "EINVAL"), ("lz4hc", "level=17", "EINVAL"), ("zstd", "level=23", "EINVAL"),
    ("zstd", "level=-131073", "EINVAL"), ("deflate", "level=10", "EINVAL"), ("deflate", "level=-2", "EINVAL"),
    ("deflate", "deflate.winbits=8", "EINVAL"), ("deflate", "deflate.winbits=16", "EINVAL"),
    ("deflate", "deflate.winbits=-16", "EINVAL"), ("deflate", "deflate.winbits=-8", "EINVAL"),
    ("deflate", "dict=32768", "ENOTSUP"), ("lzo", "level=1", "ENOTSUP"), ("lzo-rle", "dict=32768", "ENOTSUP"),
    ("842", "level=1", "ENOTSUP"),
)
def parameters(disk, server, algorithm, text, wanted_outcome):
    """{} with {!r}"""
    text = re.sub(r"dict=(\d+)", lambda match: f"dict={dictionary(int(match[1]))}", text)
    for params in [text] if algorithm in DEFAULTS else ["", text]:
        disk.fresh()
        disk.must("comp_algorithm", algorithm)
        disk.must("backing_dev", server.path)
        disk.must("compressed_writeback", "1")
        if params:
            disk.must("algorithm_params", f"algo={algorithm} {params}")
        outcome = disk.set("disksize", 32 * PAGE)
        if outcome != "all":
            break
        disk.pages, disk.model = 32, {}
        disk.fill("text", 0, 16)
        disk.fill("any", 16, 16)
        yield from disk.verify()
        stored = disk.mm(0, "compr")
        before = DEFAULTS.setdefault(algorithm, stored)
    if wanted_outcome.startswith("E"):
        yield from disk.expect("disksize", outcome, wanted_outcome)
        # A failure takes all settings back.
        disk.set_up(32)
        disk.fill("text", 0, 4)
        return
    yield from disk.expect("disksize", outcome, "all")
    sign = "<" if stored < before else ">" if stored > before else "="
    if wanted_outcome != "?" and sign not in wanted_outcome:
        yield f"{stored} bytes stored, without {before}"
    disk.must("writeback", "page_indexes=0-31")


def main(module, nbd, partial, whole, base, mapper, *names):
    disk = Disk("zram")
    disk.is_c = module == "zram"
    disk.partial, disk.whole, disk.base, disk.mapper = partial, whole, base, mapper
    for function, row, known in CASES:
        name = f"{function.__name__}: {function.__doc__.format(*row)}"
        if names and function.__name__ not in names:
            continue
        server = Server(nbd)
        disk.model, disk.pages = {}, 1

        def run():
            yield from function(disk, server, *row)
            server.calm()
            yield from disk.books()
            yield from disk.verify()
            yield from disk.books()

        try:
            troubles = list(run())
        except (OSError, RuntimeError, AttributeError, TypeError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            troubles = [f"{type(error).__name__}: {error}"]
        server.calm()
        disk.fresh()
        server.end()
        if troubles and disk.is_c and known:
            case(f"{name} # XFAIL C zram: {known}")
            troubles = []
        else:
            case(name, *troubles)
    note("end")


main(*sys.argv[1:])
