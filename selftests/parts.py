#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""I/O for parts of pages, where pages are larger than blocks: parts.py BACKING SEED

BACKING is a block device to write back to. Each case compares all of the disk with a model of it in the end.
"""

import mmap
import os
import random
import signal
import struct
import sys
import threading
import time

from zramtest.driver import Driver
from zramtest.ktap import case, end, note
from zramtest.pages import PAGE, contents

PAGES = 48
KINDS = ["zero", "same", "text", "random", "dense", "any"]


class Disk(Driver):
    """The driver under test, with one device and the bytes that should be in it."""

    def __init__(self, backing, seed):
        super().__init__()
        self.backing, self.rng = backing, random.Random(seed)
        self.block = int(self.get(0, "queue/logical_block_size"))
        self.blocks = PAGE // self.block
        self.model = bytearray()
        self.serial = 0

    def set_up(self, packed=0, algorithm="lz4", **settings):
        """Makes the device anew. With `packed` pages are written back as they are stored."""
        self.fresh()
        settings = {"comp_algorithm": algorithm, "recomp_algorithm": "algo=zstd priority=1", **settings}
        for attribute, value in settings.items():
            self.put_or_raise(0, attribute, value)
        self.put_or_raise(0, "compressed_writeback", packed)
        self.put_or_raise(0, "backing_dev", self.backing)
        self.put_or_raise(0, "disksize", PAGES * PAGE)
        self.model = bytearray(PAGES * PAGE)

    def data(self, kind, blocks):
        """Returns blocks of a kind that were not there before."""
        self.serial += 1
        numbers = range(self.serial, self.serial - -blocks // self.blocks)
        return b"".join(map(contents(kind, self.serial), numbers))[:blocks * self.block]

    # Operations count in blocks. Each returns None, or what is wrong.

    def store(self, first, blocks, kind, shift=0):
        """Writes blocks, from memory that begins `shift` bytes into a page."""
        data = self.data(kind, blocks)
        memory = mmap.mmap(-1, len(data) + PAGE)
        memory[shift:shift + len(data)] = data
        part = memoryview(memory)[shift:shift + len(data)]
        at = first * self.block
        done = self.with_disk(0, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, part, at))
        if done != len(data):
            return f"writing {blocks} blocks of {kind} at block {first}: {done}"
        self.model[at:at + len(data)] = data
        return None

    def fetch(self, first, blocks, shift=0):
        """Reads blocks, to memory that begins `shift` bytes into a page."""
        length, at = blocks * self.block, first * self.block
        memory = mmap.mmap(-1, length + 2 * PAGE)
        memory[:] = b"\xa5" * len(memory)
        part = memoryview(memory)[shift:shift + length]
        done = self.with_disk(0, os.O_RDONLY | os.O_DIRECT, lambda fd: os.preadv(fd, [part], at))
        if done != length:
            return f"reading {blocks} blocks at block {first}: {done}"
        if part != self.model[at:at + length]:
            return f"reading {blocks} blocks at block {first}: wrong data"
        if memory[:shift].strip(b"\xa5") or memory[shift + length:].strip(b"\xa5"):
            return f"reading {blocks} blocks at block {first}: memory beside the buffer has changed"
        return None

    def drop(self, first, blocks):
        """Discards blocks: pages that are discarded as a whole are zero after it, parts of pages stay."""
        if (outcome := self.discard(0, first * self.block, blocks * self.block)) is not None:
            return f"discarding {blocks} blocks at block {first}: {outcome}"
        for page in range(-(-first // self.blocks), (first + blocks) // self.blocks):
            self.model[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
        return None

    def clear(self, first, blocks):
        """Zeroes blocks."""
        if (outcome := self.zero(0, first * self.block, blocks * self.block)) is not None:
            return f"zeroing {blocks} blocks at block {first}: {outcome}"
        self.model[first * self.block:(first + blocks) * self.block] = bytes(blocks * self.block)
        return None

    def put_page(self, page, attribute):
        """Writes a page back, or recompresses all of them."""
        argument = f"page_index={page}" if attribute == "writeback" else "algo=zstd"
        outcome = self.put(0, attribute, argument)
        return None if outcome == "all" else f"{attribute}, {argument}: {outcome}"

    def verify(self):
        """Returns what is wrong with all of the disk."""
        got = self.read(0, 0, PAGES)
        if isinstance(got, str):
            return f"reading everything: {got}"
        wrong = [at // self.block for at in range(0, len(got), self.block)
                 if got[at:at + self.block] != self.model[at:at + self.block]]
        return f"wrong blocks, {self.blocks} to a page: {wrong[:40]}" if wrong else None


CASES = []


def test(*rows):
    """Makes cases of a function, one for each row of arguments. Its docstring names it."""

    def add(function):
        CASES.extend((function, row if isinstance(row, tuple) else (row,)) for row in rows or ((),))
        return function

    return add


def states(disk, page):
    """Brings a page into each state, one after the other. Yields its name, and what is wrong."""
    first = page * disk.blocks
    yield "never written", disk.drop(first, disk.blocks)
    for kind in KINDS:
        yield kind, disk.store(first, disk.blocks, kind)
        if kind != "zero" and kind != "same":
            for job in "recompress", "writeback":
                trouble = disk.store(first, disk.blocks, kind) or disk.put_page(page, "recompress" if job == "recompress" else job)
                yield f"{kind}, {job}", trouble
            trouble = disk.store(first, disk.blocks, kind) or disk.put_page(page, "recompress")
            yield f"{kind}, recompress and writeback", trouble or disk.put_page(page, "writeback")


@test(0, 1)
def each_state(disk, packed):
    """a part of a page in each state is written, and read, with compressed_writeback={}"""
    disk.set_up(packed)
    for at in range(disk.blocks):
        for count in {1, disk.blocks // 2, disk.blocks - 1} if at else {1, disk.blocks - 1}:
            kind, count = disk.rng.choice(KINDS), min(count, disk.blocks - at)
            for name, trouble in states(disk, 5):
                trouble = trouble or disk.fetch(5 * disk.blocks + at, count)
                trouble = trouble or disk.store(5 * disk.blocks + at, count, kind)
                trouble = trouble or disk.fetch(5 * disk.blocks, disk.blocks)
                if trouble:
                    yield f"{name}; then {count} blocks of {kind} at block {at}: {trouble}"
    yield disk.verify()


@test()
def is_a_whole_write(disk):
    """a part makes a page, and is counted as one"""
    disk.set_up()
    yield disk.store(3 * disk.blocks + 1, 1, "random")
    got = [disk.mm(0, name) for name in ("orig", "same", "huge")]
    if got != [PAGE, 0, 0]:
        yield f"one block of noise: orig, same, huge are {got}"
    yield disk.clear(3 * disk.blocks + 1, 1)
    got = [disk.mm(0, name) for name in ("orig", "compr", "used", "same")]
    if got != [PAGE, 0, 0, 1]:
        yield f"zeroed again: orig, compr, used, same are {got}"
    for at in range(disk.blocks):
        yield disk.store(7 * disk.blocks + at, 1, "random")
    got = [disk.mm(0, name) for name in ("orig", "huge")]
    if got != [2 * PAGE, 1]:
        yield f"all blocks of a page, one by one: orig, huge are {got}"
    yield disk.verify()


@test()
def parts_stay(disk):
    """discards of parts leave them, free what is whole, and are counted so"""
    disk.set_up()
    for page in range(8):
        yield disk.store(page * disk.blocks, disk.blocks, "text")
    before = int(disk.get(0, "io_stat").split()[3])
    for first, count, whole in [(1, disk.blocks - 1, 0), (0, disk.blocks - 1, 0), (1, disk.blocks, 0), (1, 2 * disk.blocks, 1),
                                (2 * disk.blocks, disk.blocks + 1, 1), (4 * disk.blocks - 1, 2 * disk.blocks + 2, 2)]:
        yield disk.drop(first, count)
        freed = int(disk.get(0, "io_stat").split()[3])
        if freed - before != whole:
            yield f"discarding {count} blocks at block {first}: {freed - before} pages are counted"
        before = freed
        yield disk.verify()


@test()
def at_the_limit(disk):
    """at mem_limit a part of a page can be written that takes no more memory"""
    disk.set_up(mem_limit=PAGE * 16)
    trouble = page = 0
    while not trouble and page < PAGES:
        trouble = disk.store(page * disk.blocks, disk.blocks, "random")
        page += 1
    if not trouble:
        yield "no limit"
    for page in range(4):
        yield disk.store(page * disk.blocks + 1, 1, "random")
    if not disk.store((PAGES - 1) * disk.blocks + 1, disk.blocks - 1, "random"):
        yield "a new page is stored"
    yield disk.verify()


@test(("lz4", 0), ("lz4", 1), ("zstd", 0), ("lzo-rle", 1), ("842", 0), ("deflate", 0), ("lzmem", 1))
def at_random(disk, algorithm, packed):
    """operations at random: {}, compressed_writeback={}"""
    rng = disk.rng
    disk.set_up(packed, algorithm)
    total = PAGES * disk.blocks
    for number in range(400):
        count = rng.choice([1, 1, 1, 2, disk.blocks - 1, disk.blocks, disk.blocks + 1, rng.randint(1, 6 * disk.blocks)])
        first = rng.randrange(total - count + 1)
        shift = rng.choice([0, 0, 0, rng.randrange(0, PAGE, 512)]) if MINE else 0
        page = first // disk.blocks
        name, call = rng.choice([
            ("store", lambda: disk.store(first, count, rng.choice(KINDS), shift)),
            ("store", lambda: disk.store(first, count, rng.choice(KINDS), shift)),
            ("fetch", lambda: disk.fetch(first, count, shift)),
            ("drop", lambda: disk.drop(first, count)),
            ("clear", lambda: disk.clear(first, count)),
            ("writeback", lambda: disk.put_page(page, "writeback")),
            ("recompress", lambda: disk.put_page(page, "recompress")),
        ])
        if trouble := call():
            yield f"operation {number}, {name}: {trouble}"
    yield disk.verify()


class Crowd:
    """Processes that use the same pages at once, each for itself; a process returns what is wrong by its exit status."""

    def __init__(self, disk):
        self.disk, self.children, self.stop = disk, {}, threading.Event()

    def add(self, name, function):
        """Has a process run the function, which returns what is wrong."""
        pid = os.fork()
        if not pid:
            try:
                trouble = function()
            except OSError as error:
                trouble = str(error)
            if trouble:
                note(f"{name}: {trouble}")
            os._exit(bool(trouble))
        self.children[pid] = name

    def jobs(self, *names):
        """Runs jobs, one after the other, until `wait`."""

        def run():
            while not self.stop.is_set():
                for name in names:
                    self.disk.put(0, *{"recompress": ("recompress", "algo=zstd"), "idle": ("idle", "all"),
                                       "writeback": ("writeback", f"page_indexes=0-{PAGES - 1}"),
                                       "compact": ("compact", 1)}[name])
                    time.sleep(0.01)

        threading.Thread(target=run).start()

    def wait(self):
        """Waits for the processes. Yields what is wrong."""
        while self.children:
            pid, status = os.wait()
            if status:
                yield f"{self.children[pid]}: wrong, see above"
            del self.children[pid]
        self.stop.set()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()


def version(kind, number, page, block, size):
    """Returns what a block of a page holds in one of its versions."""
    whole = contents(kind, 1)(page)[block * size:(block + 1) * size]
    return struct.pack("=QII", number, page, block) + whole[16:]


def own_blocks(disk, pages, block, rounds, kind):
    """Writes one block of each of the pages, again and again, and verifies it just after and before the next time. Returns what
    is wrong."""
    fd = os.open(disk.node(0), os.O_RDWR | os.O_DIRECT)
    out, into = mmap.mmap(-1, disk.block), mmap.mmap(-1, disk.block)
    for turn in range(rounds):
        for page in pages:
            place = (page * disk.blocks + block) * disk.block
            old, new = (version(kind, turn + i, page, block, disk.block) for i in range(2))
            for what in (old if turn else None), new:
                if what is new:
                    out[:] = new
                    os.pwrite(fd, out, place)
                if what:
                    os.preadv(fd, [into], place)
                    if into[:] != what:
                        return f"page {page}, turn {turn}: {'what was just written' if what is new else 'the last write'} is lost"
    return None


@test(("text", ()), ("random", ()), ("any", ("recompress", "compact")), ("text", ("writeback",)),
      ("any", ("idle", "writeback", "recompress")))
def nothing_is_lost(disk, kind, jobs):
    """each block of the same pages is written by a process of its own: {}, beside {}"""
    disk.set_up()
    crowd = Crowd(disk)
    for block in range(disk.blocks):
        crowd.add(f"block {block}", lambda block=block: own_blocks(disk, range(6), block, 60, kind))
    crowd.jobs(*jobs)
    yield from crowd.wait()


@test((), ("writeback",), ("recompress", "compact"))
def whole_and_part(disk, *jobs):
    """one process writes and discards a whole page, others its first block, beside {}"""
    disk.set_up()
    rest = slice(disk.block, PAGE)
    done = mmap.mmap(-1, 1)

    def whole():
        fd = os.open(disk.node(0), os.O_RDWR | os.O_DIRECT)
        memory = mmap.mmap(-1, PAGE)
        try:
            for turn in range(400):
                data = contents(KINDS[turn % len(KINDS)], turn + 1)(5)
                if turn % 5 == 4:
                    data = bytes(PAGE)
                    disk.discard(0, 5 * PAGE, PAGE)
                else:
                    memory[:] = data
                    os.pwrite(fd, memory, 5 * PAGE)
                for _ in range(3):
                    os.preadv(fd, [memory], 5 * PAGE)
                    if memory[rest] != data[rest]:
                        return f"turn {turn}: what was just written is lost"
        finally:
            done[0] = 1
        return None

    def part():
        # The block may be discarded or written over, so nothing is verified of it.
        fd = os.open(disk.node(0), os.O_RDWR | os.O_DIRECT)
        memory = mmap.mmap(-1, disk.block)
        turn = 0
        while not done[0]:
            turn += 1
            memory[:] = contents("any", turn % 256)(0)[:disk.block]
            os.pwrite(fd, memory, 5 * PAGE)

    crowd = Crowd(disk)
    crowd.add("the whole page", whole)
    for number in range(3):
        crowd.add(f"its first block, {number}", part)
    crowd.jobs(*jobs)
    yield from crowd.wait()


@test()
def torn(disk):
    """a block that is read while it is written over is the old one or the new one"""
    disk.set_up()
    versions = [contents("text", seed)(9)[:disk.block] for seed in (1, 2)]
    place = 9 * PAGE + disk.block

    def writes():
        fd = os.open(disk.node(0), os.O_RDWR | os.O_DIRECT)
        memory = mmap.mmap(-1, disk.block)
        for turn in range(2000):
            memory[:] = versions[turn % 2]
            os.pwrite(fd, memory, place)

    def reads():
        fd = os.open(disk.node(0), os.O_RDWR | os.O_DIRECT)
        memory = mmap.mmap(-1, disk.block)
        for _ in range(2000):
            os.preadv(fd, [memory], place)
            if memory[:] not in [bytes(disk.block)] + versions:
                return "a mix"
        return None

    crowd = Crowd(disk)
    crowd.add("writer", writes)
    crowd.add("reader", reads)
    yield from crowd.wait()


MINE = sys.argv[1] != "zram"


def main(backing, seed, *names):
    """Runs the cases, or those that are named."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    disk = Disk(backing, int(seed))
    note(f"{disk.blocks} blocks of {disk.block} bytes to a page")
    for function, row in CASES:
        if names and function.__name__ not in names:
            continue
        name = function.__doc__.format(*[" ".join(a) if isinstance(a, tuple) else a for a in row], "nothing")
        try:
            troubles = [trouble for trouble in function(disk, *row) if trouble]
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            troubles = [f"{type(error).__name__}: {error}"]
        failed = disk.failures(0)
        if failed != (0, 0) and function is not at_the_limit:
            troubles.append(f"failed reads and writes: {failed}")
        case(f"{function.__name__}: {name}", *troubles[:8])
    end()


main(*sys.argv[2:])
