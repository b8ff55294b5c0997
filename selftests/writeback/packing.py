# SPDX-License-Identifier: GPL-2.0-only
"""Pages that share blocks of the backing device: how many do, how they are read, and what becomes of blocks that are freed in
part."""

import random
import subprocess
import threading
import time

from writeback.disk import READ, WRITE, Skipped, test
from zramtest.pages import FOUR_K, PAGE, contents
from zramtest.tasks import Background

# Of such pages three share a block.
THIRD = PAGE // 3 - 32


def start(disk, pages, backing, **settings):
    """Sets up a disk whose pages share blocks."""
    if disk.is_c:
        raise Skipped("C zram does not pack")
    disk.set_up(pages, backing_dev=backing, compressed_writeback=1, **settings)


def write_back(disk, wanted="all"):
    """Writes back all pages that are in memory."""
    disk.must("idle", "all")
    yield from disk.expect("writeback", disk.set("writeback", "idle"), wanted)


def own_pages(disk, size, count, first=0):
    """Writes pages, not all of them of one size, up to that one."""
    pages = {n: contents(size - n % 13, 1)(n) for n in range(first, first + count)}
    disk.model.update(pages)
    for at in range(first, first + count, 256):
        data = b"".join(pages[n] for n in range(at, min(at + 256, first + count)))
        if disk.write_bytes(0, at, data) != len(data):
            raise RuntimeError(f"cannot write at {at}")


@test((THIRD, 1500, 0.334), (PAGE // 5 - 32, 1500, 0.201), (PAGE // 2 + 100, 400, 1))
def density(disk, _, size, pages, most):
    """{1} pages of {0} bytes take {2} blocks for each page"""
    start(disk, pages, disk.whole)
    own_pages(disk, size, pages)
    yield from write_back(disk)
    yield from disk.expect("written back", len(disk.written()), pages)
    if disk.bd(0, "writes") > pages * most:
        yield f"{disk.bd(0, 'writes')} blocks are written"
    yield from disk.expect("bd_pack_stat", disk.pack("blocks"), disk.bd(0, "writes"))


@test((1000, 32, 97), (1000, 5, 97), (90, 32, 88))
def mixture(disk, _, pages, batch, least):
    """{0} pages of all sizes, batch size {1}: blocks are full to {2} of 100"""
    start(disk, pages, disk.whole, writeback_batch_size=batch)
    for first in range(0, pages, 10):
        disk.fill("any", first, 10, first)
    yield from write_back(disk)
    stored, blocks = disk.pack("stored"), disk.bd(0, "writes")
    if stored < blocks * PAGE * least / 100:
        yield f"{stored} bytes are in {blocks} blocks"


@test()
def gathered(disk, server):
    """neighbouring blocks are written by one request of up to 128 KiB"""
    start(disk, 200, server.path)
    disk.fill("random", 0, 128)
    own_pages(disk, THIRD, 60)
    requests = []
    server.hold = lambda kind, block: kind == WRITE and requests.append(block)
    yield from write_back(disk)
    blocks = disk.bd(0, "writes")
    if len(requests) > -(-blocks * PAGE // (128 << 10)) + 1:
        yield f"{len(requests)} requests for {blocks} blocks"


@test()
def neighbours(disk, server):
    """pages of one block are read with one request, in any order"""
    start(disk, 90, server.path)
    own_pages(disk, THIRD, 90)
    yield from write_back(disk)
    blocks = {}
    for page in range(90):
        before = disk.bd(0, "reads")
        seen = []
        server.fail = lambda kind, block, seen=seen: seen.append(block) is None
        disk.read(0, page, 1)
        if seen:
            blocks.setdefault(seen[0], []).append(page)
        yield from disk.expect("reads", disk.bd(0, "reads"), before + 1)
    server.calm()
    yield from disk.expect("blocks", sorted(map(len, blocks.values())), [3] * 30)
    dice, before = random.Random(1), disk.bd(0, "reads")
    order = list(blocks.values())
    dice.shuffle(order)
    # Up to 16 blocks at a time, and their pages at random.
    for first in range(0, 30, 15):
        pages = [page for block in order[first:first + 15] for page in block]
        dice.shuffle(pages)
        for page in pages:
            if disk.read(0, page, 1) != disk.wanted(page, 1):
                yield f"page {page} is wrong"
    yield from disk.expect("reads", disk.bd(0, "reads") - before, 30)


@test()
def not_stale(disk, server):
    """a block that was read, freed and written again is read again"""
    start(disk, 30, server.path)
    for turn in range(12):
        for n in range(30):
            disk.fill(THIRD, n, 1, turn + 1)
        yield from write_back(disk)
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 10)
        for page in random.Random(turn).sample(range(30), 30):
            if disk.read(0, page, 1) != disk.wanted(page, 1):
                yield f"turn {turn}: page {page} is wrong"
        if turn % 3 == 0:
            disk.drop(0, 30)
            yield from disk.expect("blocks in use", disk.bd(0, "count"), 0)
    if max((n for n in range(server.blocks) if any(server.block(n))), default=0) > 25:
        yield "blocks that are free are not used again"


@test()
def held_read(disk, server):
    """a block is freed and its pages are written anew while it is read; it is used again after the read"""
    start(disk, 30, server.path)
    own_pages(disk, THIRD, 3)
    yield from write_back(disk)
    old = disk.wanted(1, 1)
    server.hold = lambda kind, block: kind == READ
    reader = Background(disk.read, 0, 1, 1)
    if not server.waits(1):
        yield "no request comes"
    for n in range(3):
        disk.fill(THIRD, n, 1, 5)
    yield from write_back(disk)
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 2)
    server.release()
    if not reader.ends() or reader.result != old:
        yield "the read has other data than when it began"
    yield from disk.expect("blocks in use after that", disk.bd(0, "count"), 1)


@test()
def topped_up(disk, _):
    """on a full device, what was freed of blocks is filled"""
    start(disk, 60, disk.partial)
    own_pages(disk, THIRD, 27)
    yield from write_back(disk)
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 9)
    for turn in range(1, 5):
        gone = random.Random(turn).sample(sorted(disk.model), 9)
        for page in gone:
            disk.drop(page)
        for page in random.Random(turn).sample(sorted(set(range(60)) - set(disk.model)), 9):
            disk.fill(THIRD - 20, page, 1, turn)
        yield from write_back(disk)
        yield from disk.expect("written back", len(disk.written()), 27)
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 9)
        yield from disk.verify()
    if not 0 < disk.pack("rewritten") <= disk.pack("written"):
        yield f"{disk.pack('rewritten')} bytes were written again"


@test()
def merged(disk, _):
    """on a full device, blocks of which little is left make room for whole ones"""
    start(disk, 60, disk.partial)
    own_pages(disk, THIRD, 27)
    yield from write_back(disk)
    written = disk.bd(0, "writes")
    dice = random.Random(3)
    while len(disk.model) > 9:
        disk.drop(dice.choice(sorted(disk.model)))
    disk.fill("random", 30, 6)
    yield from write_back(disk)
    yield from disk.expect("written back", len(disk.written()), 15)
    yield from disk.verify()
    # As much as was there, once more, and what is new.
    if disk.bd(0, "writes") > written + 9 + 6:
        yield f"{disk.bd(0, 'writes') - written} blocks are written for 6"
    disk.fill("random", 36, 6)
    yield from write_back(disk, "ENOSPC")
    yield from disk.verify()


@test()
def not_in_vain(disk, _):
    """on a device that is full for good, nothing is written again"""
    start(disk, 60, disk.partial)
    own_pages(disk, THIRD, 40)
    yield from write_back(disk, "ENOSPC")
    yield from disk.expect("written back", len(disk.written()), 27)
    written = disk.bd(0, "writes")
    for _ in range(3):
        yield from write_back(disk, "ENOSPC")
    yield from disk.expect("blocks written", disk.bd(0, "writes"), written)


def fill_up(disk, server, seed):
    """Fills a device of 128 blocks, of which 2 are kept free, frees a third of that, and has as much to write back."""
    server.control("blocks", 128)
    start(disk, 520, server.path)
    own_pages(disk, THIRD, 3 * 126)
    yield from write_back(disk)
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 126)
    for page in random.Random(seed).sample(range(3 * 126), 130):
        disk.drop(page)
    own_pages(disk, THIRD, 60, 380)


@test(0, 4)
def bad_victims(disk, server, failing):
    """{0} of 16 requests for blocks that are to be filled up fail: the rest makes room"""
    yield from fill_up(disk, server, failing)
    turns = iter(range(10000))
    server.fail = lambda kind, block: kind == READ and next(turns) % 16 < failing
    yield from write_back(disk)
    server.calm()
    yield from disk.expect("in memory", set(disk.model) - disk.written(), set())
    own_pages(disk, THIRD, 55, 450)
    yield from write_back(disk)


@test((1, 3, "0 5 6"), (4, 12, "0"), (32, 40, "0"), (32, 40, "1"))
def bad_requests(disk, server, batch, pages, bad):
    """requests {2} fail, batch size {0}: their pages stay in memory, and are written the next time"""
    start(disk, pages * 3, server.path, writeback_batch_size=batch, writeback_limit=100 * FOUR_K, writeback_limit_enable=1)
    own_pages(disk, THIRD, pages * 3)
    turns, bad = iter(range(1000)), set(map(int, bad.split()))
    server.fail = lambda kind, block: kind == WRITE and next(turns) in bad
    yield from write_back(disk, "EIO")
    blocks = disk.bd(0, "count")
    yield from disk.expect("written back", len(disk.written()), 3 * blocks)
    yield from disk.expect("bd_stat, writes", disk.bd(0, "writes"), blocks)
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"%d\n" % ((100 - blocks) * FOUR_K))
    yield from disk.expect("still idle", disk.flags(0, "i"), set(disk.model) - disk.written())
    yield from disk.verify()
    server.calm()
    yield from write_back(disk)
    yield from disk.expect("then written back", [len(disk.written()), disk.bd(0, "count")], [3 * pages, pages])


@test("error", "flakey {} 0 0 100 1 error_writes", "flakey {} 0 0 100 1 error_reads")
def bad_while_full(disk, _, target):
    """a full device goes bad while blocks are filled up: {0}; nothing that was there is lost"""
    size = 8 * PAGE // 512
    mapped("create", "--table", f"0 {size} linear {disk.whole} 0")
    try:
        name = mapped("info", "-c", "--noheadings", "-o", "blkdevname").strip()
        start(disk, 60, f"/dev/{name}")
        own_pages(disk, THIRD, 21)
        yield from write_back(disk)
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 7)
        for page in range(0, 21, 2):
            disk.drop(page)
        disk.fill(THIRD - 20, 30, 12)
        remapped(f"0 {size} {target.format(disk.whole)}")
        try:
            disk.must("idle", "all")
            outcome = disk.set("writeback", "idle")
            if outcome not in ("EIO", "ENOSPC"):
                yield f"writeback: {outcome}"
            there = disk.written()
        finally:
            remapped(f"0 {size} linear {disk.whole} 0")
        yield from disk.expect("there meanwhile", there, set(range(1, 21, 2)))
        yield from disk.verify()
        yield from disk.books()
        yield from write_back(disk, "ENOSPC")
        yield from disk.expect("written back", len(disk.written()), 21)
        yield from disk.verify()
        disk.fresh()
    finally:
        mapped("remove", "--retry")
    disk.set_up(1)


def mapped(command, *arguments):
    """Does something with a device-mapper device, and returns what is said of it."""
    command = ["dmsetup", command, *arguments, "zram-small"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def remapped(table):
    """Puts another table in place."""
    mapped("suspend", "--noflush")
    mapped("load", "--table", table)
    mapped("resume")


@test()
def limited(disk, server):
    """the limit counts blocks, and those that are written again"""
    start(disk, 60, disk.partial, writeback_limit=5 * FOUR_K, writeback_limit_enable=1)
    own_pages(disk, THIRD, 27)
    yield from write_back(disk, "EIO")
    yield from disk.expect("written back", len(disk.written()), 15)
    disk.must("writeback_limit", 100 * FOUR_K)
    yield from write_back(disk)
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"%d\n" % (96 * FOUR_K))
    for page in list(disk.model)[::3]:
        disk.drop(page)
    disk.fill(THIRD - 20, 30, 9)
    before = disk.bd(0, "writes")
    yield from write_back(disk)
    left = 96 - (disk.bd(0, "writes") - before)
    yield from disk.expect("the limit, after some were filled up", disk.get(0, "writeback_limit"), b"%d\n" % (left * FOUR_K))


@test()
def grown(disk, _):
    """a disk grows: there are more blocks to use, and their bytes are counted"""
    start(disk, 100, disk.whole)
    disk.fill("random", 0, 100)
    yield from write_back(disk)
    disk.must("disksize", 1000 * PAGE)
    disk.pages = 1000
    disk.fill("random", 100, 300)
    own_pages(disk, THIRD, 600, 400)
    yield from write_back(disk)
    yield from disk.expect("blocks in use", disk.bd(0, "count"), 600)
    yield from disk.books()
    yield from disk.verify()
    disk.drop(0, 1000)
    yield from disk.expect("blocks in use at last", [disk.bd(0, "count"), disk.pack("stored")], [0, 0])


@test(10, 4096)
def under_fire(disk, _, blocks):
    """pages are read, written and discarded beside writebacks to a device of {0} blocks"""
    start(disk, 64, disk.partial if blocks == 10 else disk.whole, recomp_algorithm="algo=zstd")
    kinds = (THIRD, PAGE // 5, PAGE // 2 - 40, "text", "random", "same", PAGE - 500)
    stop, trouble = threading.Event(), []

    def own(dice, first):
        """Pages that are ours alone."""
        while not stop.is_set():
            page, count = first + dice.randrange(12), dice.randint(1, 4)
            what = dice.random()
            if what < 0.3:
                disk.fill(dice.choice(kinds), page, count, dice.randrange(100))
            elif what < 0.45:
                disk.drop(page, count)
            elif disk.read(0, page, count) != disk.wanted(page, count):
                trouble.append(f"page {page}, or {count} on")

    workers = [Background(own, random.Random(first), first) for first in (0, 16, 32, 48)]
    dice, end, outcomes = random.Random(blocks), time.monotonic() + 8, set()
    while time.monotonic() < end:
        disk.must("writeback_batch_size", dice.choice((1, 3, 32)))
        disk.must("idle", "all")
        outcomes.add(disk.set("writeback", dice.choice(("idle", "page_indexes=0-40", "page_indexes=20-63"))))
        if dice.random() < 0.2:
            disk.must("recompress", "type=idle")
    stop.set()
    if not all(worker.ends() for worker in workers):
        yield "somebody does not end"
    yield from trouble[:5]
    if not outcomes <= {"all", "ENOSPC"}:
        yield f"{outcomes}"
    disk.drop(0, 64)
    yield from disk.expect("blocks in use at last", [disk.bd(0, "count"), disk.pack("stored")], [0, 0])


@test(1, 2)
def interrupted_rewriting(disk, server, at):
    """a signal ends a writeback that fills blocks up, at request {0}; nothing is lost"""
    yield from fill_up(disk, server, at)
    before = disk.pack("written") // PAGE
    server.hold = lambda kind, block: kind == (READ, WRITE)[at - 1]
    disk.must("idle", "all")
    writer = disk.background("writeback", "idle")
    if not server.waits(1):
        yield "no request comes"
    writer.interrupt()
    time.sleep(0.1)
    server.release()
    if not writer.ends() or writer.result != "EINTR":
        yield f"writeback: {writer.result}"
    if disk.pack("written") // PAGE > before + 10:
        yield f"{disk.pack('written') // PAGE - before} blocks were written"
    yield from disk.books()
    yield from write_back(disk)
    yield from disk.expect("written back", disk.written(), set(disk.model))
