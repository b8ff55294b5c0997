# SPDX-License-Identifier: GPL-2.0-only
"""Parts of pages that are on the backing device, where pages are larger than blocks; see parts.py for all else about parts."""

import mmap
import os

from writeback.disk import READ, Skipped, test
from zramtest.pages import PAGE, contents
from zramtest.tasks import Background


def block_size(disk):
    """Returns the size of a block, if that is less than a page."""
    size = int(disk.get(0, "queue/logical_block_size"))
    if size == PAGE:
        raise Skipped("a page has one block")
    return size


def start(disk, page, block, seed):
    """Starts to write a block of a page, which is in the model from then on. Returns the call, and its result if it is good."""
    size = block_size(disk)
    data = contents("random", seed)(page)[:size]
    memory = mmap.mmap(-1, size)
    memory.write(data)
    place = page * PAGE + block * size
    whole = bytearray(disk.model.get(page, bytes(PAGE)))
    whole[block * size:(block + 1) * size] = data
    disk.model[page] = bytes(whole)
    write = Background(disk.with_disk, 0, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, memory, place))
    return write, size


def ends(*writes):
    """Yields what is wrong with writes of parts, which are to end now."""
    for write, size in writes:
        if not write.ends() or write.result != size:
            yield f"writing a part: {write.result}"


def written_over(disk, server):
    disk.fill("random", 3, 1, 5)


def discarded(disk, server):
    disk.drop(3)


def filled(disk, server):
    disk.fill("same", 3, 1, 5)


def moved(disk, server):
    disk.fill("text", 3, 1, 5)
    disk.must("writeback", "page_index=3")


def moved_twice(disk, server):
    moved(disk, server)
    disk.fill("random", 3, 1, 6)
    disk.must("writeback", "page_index=3")


def nothing(disk, server):
    pass


@test(*((name, kind, compressed) for name in "nothing written_over discarded filled moved moved_twice".split()
        for kind, compressed in (("text", "0"), ("text", "1"), ("random", "1"))), known="what was written meanwhile is lost")
def part_meanwhile(disk, server, name, kind, compressed):
    """a part of a page is written, and while the device reads the rest of it: {0}; {1}, compressed_writeback {2}"""
    size = block_size(disk)
    disk.set_up(16, backing_dev=server.path, compressed_writeback=compressed)
    disk.fill(kind, 0, 8)
    disk.must("writeback", "page_indexes=0-7")
    server.hold = lambda kind, block: kind == READ
    # What comes meanwhile is written over by the part, which ends later.
    before = dict(disk.model)
    part = start(disk, 3, 1, 9)
    data = disk.model[3][size:2 * size]
    if not server.waits(1):
        yield "the device is not asked"
    disk.model = before
    globals()[name](disk, server)
    yield from disk.expect("bd_stat, reads", disk.bd(0, "reads"), 1)
    whole = disk.model.get(3, bytes(PAGE))
    disk.model[3] = whole[:size] + data + whole[2 * size:]
    server.release()
    yield from ends(part)
    yield from disk.expect("bd_stat, reads in the end", disk.bd(0, "reads"), 2 if name.startswith("moved") else 1)
    yield from disk.expect("written back", disk.written(), {0, 1, 2, 4, 5, 6, 7})
    if not disk.packs():
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 7)
    yield from disk.expect("failed", disk.failures(0), (0, 0))


@test("0", "1")
def all_parts(disk, server, compressed):
    """all parts of a page are written while the device reads it for the first one, compressed_writeback {}"""
    size = block_size(disk)
    disk.set_up(8, backing_dev=server.path, compressed_writeback=compressed)
    disk.fill("text", 0, 8)
    disk.must("writeback", "page_indexes=0-7")
    server.hold = lambda kind, block: kind == READ
    parts = [start(disk, 3, block, 9 + block) for block in range(PAGE // size)]
    if not server.waits(len(parts)):
        yield f"{len(server.held)} of {len(parts)} requests come"
    # Others do not wait for them.
    disk.fill("random", 4, 1, 5)
    yield from disk.expect("page 4", disk.read(0, 4, 1) == disk.wanted(4, 1), True)
    server.release()
    yield from ends(*parts)
    if not disk.packs():
        yield from disk.expect("blocks in use", disk.bd(0, "count"), 6)


@test("0", "1")
def part_fails(disk, server, compressed):
    """the device fails to read a page for a write of a part of it: that fails, and the page is as it was, compressed_writeback {}"""
    block_size(disk)
    disk.set_up(8, backing_dev=server.path, compressed_writeback=compressed)
    disk.fill("text", 0, 8)
    disk.must("writeback", "page_indexes=0-7")
    server.fail = lambda kind, block: kind == READ
    before = dict(disk.model)
    part, _ = start(disk, 3, 1, 9)
    disk.model = before
    yield from disk.expect("outcome", (part.ends(), part.result), (True, "EIO"))
    yield from disk.expect("failed reads and writes", disk.failures(0), (0, 1))
    server.calm()
    yield from disk.verify()
    yield from ends(start(disk, 3, 1, 9))
