# SPDX-License-Identifier: GPL-2.0-only
"""Backing devices that fail, or go away."""

import os
import random
import subprocess
import threading
import time

from writeback.disk import ALGORITHMS, READ, WRITE, pages_in, test
from zramtest.files import write
from zramtest.pages import FOUR_K, PAGE
from zramtest.tasks import Background


# --- devices that fail -------------------------------------------------------------------------------------------------

@test(1, 4, 32)
def bad_writes(disk, server, batch):
    """3 of 16 writes fail, batch size {}"""
    disk.set_up(16, backing_dev=server.path, writeback_batch_size=batch, writeback_limit=100 * FOUR_K,
                writeback_limit_enable=1)
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 8)
    disk.must("idle", "all")
    turns = iter(range(1000))
    server.fail = lambda kind, block: kind == WRITE and next(turns) in (0, 5, 6)
    yield from disk.expect("outcome", disk.set("writeback", "idle"), "EIO")
    yield from disk.expect("written back", len(disk.written()), 13)
    yield from disk.expect("bd_stat", [disk.bd(0, "count"), disk.bd(0, "writes")], [13, 13])
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"%d\n" % (87 * FOUR_K))
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
    if len(lost) < 3 or (len(lost) > 3 and not disk.packs()):
        yield f"pages lost: {lost}"
    yield from disk.verify(lost)
    yield from disk.expect("reading all at once", disk.read(0, 0, 32), "EIO")
    # A buffered read ends before the first page that is lost.
    got = disk.buffered_read(0, 0, 32 * PAGE)
    if len(got) > min(lost) * PAGE or got != disk.wanted()[:len(got)]:
        yield f"reading all, buffered: {len(got)} bytes"
    yield from disk.books()
    if not disk.packs():
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 18)
    # One is overwritten, one discarded: they are no longer lost.
    disk.fill("text", min(lost))
    disk.drop(max(lost))
    yield from disk.verify(lost - {min(lost), max(lost)})
    server.calm()


def blocks_of(disk, server):
    """Pairs of a page and its block, found by reading each page. The reads fail, so that nothing is kept of the blocks."""
    for page in sorted(disk.written()):
        seen = []
        server.fail = lambda kind, block, seen=seen: seen.append(block) is None
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
    failed, spoilt = 0, {blocks[page] for page in range(12)}
    for page in range(24):
        got = disk.read(0, page, 1)
        failed += got == "EIO"
        if blocks.get(page) not in spoilt and got != good[page]:
            yield f"page {page}, which is good: {got if isinstance(got, str) else 'other data'}"
        elif isinstance(got, str) and got != "EIO":
            yield f"page {page}: {got}"
    if not failed:
        yield "nothing was found to be corrupt"
    for page, block in blocks.items():
        if block in spoilt:
            disk.drop(page)


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
        there = pages_in((0, 15 if writes == "EIO" else 23))
        yield from disk.expect("written back", disk.written(), there)
        yield from disk.verify(there if reads == "EIO" else ())
        yield from disk.books()
    finally:
        remap(disk, "linear {} 0")
    yield from disk.expect("writing, when it is good again", disk.set("writeback", "huge"), "all")


def remap(disk, target):
    """Puts another device-mapper target in place."""
    table = f"0 {8 * PAGE} {target.format(disk.base)}"
    for command in ["suspend", "--noflush"], ["load", "--table", table], ["resume"]:
        subprocess.run(["dmsetup", *command, "zram-selftest"], check=True, stdout=subprocess.DEVNULL)


# --- devices that go away ----------------------------------------------------------------------------------------------

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
    yield from disk.expect("written back", disk.written(), pages_in((0, 15)))
    yield from disk.verify(pages_in((0, 15)))
    yield from disk.books()
    yield from disk.expect("writing once more", disk.set("writeback", "huge"), "EIO")
    # What was not on the backing device works: pages can be written.
    disk.fill("text", 0, 16, 2)


@test()
def removed(disk, _):
    """the device is removed from the system under load"""
    base = "/sys/kernel/config/nullb/selftest"
    os.mkdir(base)
    try:
        for name, value in ("memory_backed", 1), ("size", 16), ("blocksize", PAGE), ("power", 1):
            write(f"{base}/{name}", value)
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
        write(f"{base}/power", 0)
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
