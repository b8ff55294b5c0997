# SPDX-License-Identifier: GPL-2.0-only
"""Reads, writes, discards and swap beside a writeback."""

import ctypes
import os
import random
import subprocess
import threading
import time

from writeback.disk import READ, WRITE, pages_in, test
from zramtest.memory import anonymous, page_out
from zramtest.pages import PAGE, run_of
from zramtest.tasks import Background


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
    yield from disk.expect("written back", disk.written(), pages_in((52, 63)))
    yield from disk.books()
    yield from disk.verify()
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 12)
    disk.must("writeback", "huge")
    yield from disk.expect("then written back", disk.written(), pages_in((0, 15), (24, 31), (48, 63)))


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
    if not disk.packs() and disk.bd(0, "count") != len(disk.written()):
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
            areas.append(anonymous(run_of("text", seed, 0, 200)))
            page_out(areas[-1])
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
        pages = len(disk.written())
        if (count > pages if disk.packs() else count != pages) or not 190 <= pages <= data <= 202:
            yield f"{count} blocks are in use and {data} pages stored for 200 that are left"
        if memory_of(areas[0]) != run_of("text", 1, 0, 200):
            yield "other data comes back from swap"
        areas.pop().close()
        if disk.mm(0, "orig") > PAGE or disk.bd(0, "count") > 1:
            yield f"without a page in swap, {disk.mm(0, 'orig') // PAGE} are stored and {disk.bd(0, 'count')} blocks in use"
    finally:
        server.calm()
        subprocess.run(["swapoff", disk.node(0)], check=True)
    disk.set_up(1)


def memory_of(area):
    """Read by another process: this one cannot answer requests while it waits for a page itself."""
    page = ctypes.addressof(ctypes.c_char.from_buffer(area)) // PAGE
    command = ["dd", f"if=/proc/{os.getpid()}/mem", f"bs={PAGE}", f"skip={page}", f"count={len(area) // PAGE}", "status=none"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
