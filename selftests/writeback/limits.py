# SPDX-License-Identifier: GPL-2.0-only
"""The writeback_limit, and backing devices that are full, vast, or used again and again."""

import os
import random
import subprocess

from writeback.disk import WRITE, pages_in, test
from zramtest.files import meminfo, write
from zramtest.pages import FOUR_K, PAGE, contents, run_of


# The most that fits into a limit, in pages. The file counts in 4 KiB, and rounds down to pages.
MOST = (1 << 64) // FOUR_K - 1


@test(
    (0, "1", "EIO", 0, 0), (1, "1", "EIO", 1, 0), (5, "1", "EIO", 5, 0), (16, "1", "all", 16, 0),
    (20, "1", "all", 16, 4), (5, "0", "all", 16, 5), (MOST, "1", "all", 16, MOST - 16),
)
def limit(disk, server, pages, enable, outcome, done, left):
    """16 pages with a writeback_limit of {0} pages, enabled: {1}"""
    disk.set_up(16, backing_dev=server.path, writeback_limit=pages * FOUR_K + FOUR_K - 1, writeback_limit_enable=enable)
    disk.fill("random", 0, 16)
    yield from disk.expect("outcome", disk.set("writeback", "huge"), outcome)
    yield from disk.expect("written back", len(disk.written()), done)
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"%d\n" % (left * FOUR_K))
    yield from disk.verify()
    disk.set("reset", "1")
    yield from disk.expect("after reset", disk.get(0, "writeback_limit"), b"%d\n" % (left * FOUR_K))
    disk.must("disksize", disk.pages * PAGE)
    disk.model = {}
    disk.must("writeback_limit_enable", "0")


@test(
    ("writeback_limit", 10 * FOUR_K, "1", 10), ("writeback_limit", MOST * FOUR_K, "1", MOST),
    ("writeback_limit_enable", "1", "0", 5), ("writeback_limit_enable", "0", "1", 5), known="pays back what was not paid",
)
def limit_meanwhile(disk, server, attribute, value, enabled, left):
    """{0} set to {1} while writes are under way that will fail, limited to 5 before: {2}"""
    disk.set_up(16, backing_dev=server.path, writeback_limit=5 * FOUR_K, writeback_limit_enable=enabled)
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
    yield from disk.expect("the limit", disk.get(0, "writeback_limit"), b"%d\n" % (left * FOUR_K))
    server.calm()
    disk.must("writeback_limit", 100 * FOUR_K)
    disk.must("writeback_limit_enable", 1)
    disk.must("writeback", "huge")
    yield from disk.expect("the limit, when it works", disk.get(0, "writeback_limit"), b"%d\n" % (96 * FOUR_K))


@test(known="requests for all pages at once use memory up")
def many(disk, _):
    """80,000 pages of one size with a batch size of 4294967295: all are written, with little memory"""
    base, count = "/sys/kernel/config/nullb/selftest", 80000
    os.mkdir(base)
    try:
        for name, value in ("size", 1024 * FOUR_K), ("blocksize", 4096), ("power", 1):
            write(f"{base}/{name}", value)
        disk.set_up(100000, backing_dev="/dev/selftest", writeback_batch_size=4294967295 if not disk.is_c else 64)
        for first in range(0, count, 500):
            disk.write_bytes(0, first, contents(400, 1)(1) * 500)
        # A few that are larger: they go first.
        disk.write_bytes(0, 1000, run_of("random", 1, 0, 100))
        before = least = meminfo("MemAvailable")
        disk.must("idle", "all")
        disk.must("writeback_limit", 100 * FOUR_K)
        disk.must("writeback_limit_enable", 1)
        yield from disk.expect("with a limit", disk.set("writeback", "idle"), "EIO")
        yield from disk.expect("the largest first", disk.written(), set(range(1000, 1100)))
        disk.must("writeback_limit_enable", 0)
        writer = disk.background("writeback", "idle")
        while not writer.ends(0.05):
            least = min(least, meminfo("MemAvailable"))
        yield from disk.expect("outcome", writer.result, "all")
        yield from disk.expect("blocks in use", disk.bd(0, "count"), count)
        yield from disk.expect("pages written", disk.bd(0, "writes"), count)
        if before - least > 40 * FOUR_K << 10:
            yield f"{before} KiB of memory were available before, {least} at the least"
        disk.fresh()
    finally:
        write(f"{base}/power", 0)
        os.rmdir(base)
    disk.set_up(1)


@test("0", "1")
def full(disk, _, compressed):
    """a backing device of 10½ blocks fills up, compressed_writeback {}"""
    disk.set_up(16, backing_dev=disk.partial, compressed_writeback=compressed)
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 8)
    disk.must("idle", "all")
    yield from disk.expect("outcome", disk.set("writeback", "idle"), "ENOSPC")
    # Where pages share blocks, one is kept free to make room again.
    most = 9 if disk.packs() else 10
    yield from disk.expect("blocks in use", disk.bd(0, "count"), most)
    yield from disk.expect("written back", len(disk.written()), 10)
    if not pages_in((8, 15)) <= disk.written():
        yield "the largest are not written first"
    yield from disk.verify()
    for turn in range(3):
        freed = sorted(disk.written())[turn::4]
        for page in freed:
            if turn == 0:
                disk.drop(page)
            else:
                disk.fill("text", page, 1, turn + 1)
        left = len(disk.model) - len(disk.written())
        disk.must("idle", "all")
        if disk.packs():
            outcome = disk.set("writeback", "idle")
            if outcome != ("ENOSPC" if set(disk.model) - disk.written() else "all") or disk.bd(0, "count") > most:
                yield f"{outcome} with {disk.bd(0, 'count')} blocks in use"
            yield from disk.verify()
            continue
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 10 - len(freed))
        yield from disk.expect("again", disk.set("writeback", "idle"), "ENOSPC" if left > len(freed) else "all")
        yield from disk.expect("blocks in use", disk.bd(0, "count"), min(10, 10 - len(freed) + left))
        yield from disk.verify()


@test(1, 8, 64, 128, known="takes a bit for each block, and their number wraps")
def vast(disk, _, tebibytes):
    """a backing device of {} TiB costs no more than the pages of the disk ask for"""
    there = 8 * PAGE
    table = f"0 {there} linear {disk.whole} 0\n{there} {(tebibytes << 31) - there} error\n"
    subprocess.run(["dmsetup", "create", "zram-vast"], input=table.encode(), check=True)
    try:
        name = subprocess.run(["dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", "zram-vast"], check=True,
                              stdout=subprocess.PIPE).stdout.decode().strip()
        disk.set_up(16, backing_dev=f"/dev/{name}")
        disk.must("reset", 1)
        disk.must("backing_dev", f"/dev/{name}")
        before = meminfo("MemAvailable")
        disk.must("disksize", 16 * PAGE)
        after = meminfo("MemAvailable")
        if before - after > 4096:
            yield f"{before} KiB of memory were available before, {after} are after"
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
            full = disk.bd(0, "count") >= (9 if disk.packs() else 10)
            if outcome not in ("all", "ENOSPC") or outcome == "ENOSPC" and not full:
                yield f"turn {turn}: {outcome} with {disk.bd(0, 'count')} blocks in use"
        elif disk.read(0, page, 1) != disk.wanted(page, 1):
            yield f"turn {turn}: page {page} is wrong"
        if turn % 100 == 99:
            yield from disk.verify()
