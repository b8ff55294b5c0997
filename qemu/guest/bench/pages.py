# SPDX-License-Identifier: GPL-2.0-only
"""The cells that are counted by the page: reads, writes, discards, swap, recompression."""

import functools
import itertools
import mmap
import os
import random
import re

from data import KINDS, PAGE
from disks import (
    ALGORITHMS, MADV_PAGEOUT, MADV_POPULATE_READ, SETTINGS, SIDES, Disk, Zram, buffer, check, choose, libc, say, swapped,
    write)

MIB = 1 << 20
# All of the cells are for these; of the other algorithms some are, on one kind of data.
MAIN = ALGORITHMS[:4]
BLOCK = ("first write 1M", "overwrite 1M", "read 1M", "overwrite 4K", "read 4K", "discard 1M", "discard 4K")
SWAP = ("swap-out", "swap-in", "slot free", "slot free, few")
# So few that this module's worker does not begin before the next tick of the clock.
FEW = 24
RECOMPRESS = ("recompress",)
FOR_ALL = BLOCK[:3]


def wanted(algorithm, kind, op):
    """Returns whether a cell is measured."""
    # No algorithm sees same-filled pages: they are measured once. From one algorithm to the same there is no way.
    if kind == "same" and (algorithm != "lz4" or op == "recompress") or (algorithm, op) == ("lz4", "recompress"):
        return False
    if algorithm not in MAIN and (kind != "memory" or op not in FOR_ALL):
        return False
    return bool(re.search(os.environ.get("CELLS", ""), f"{algorithm} {kind} {op}"))


def cases(ops):
    """The algorithms and kinds of data for which one of these operations is wanted."""
    return [case for case in itertools.product(ALGORITHMS, KINDS) if any(wanted(*case, op) for op in ops)]


class Bench:
    """Measures all cells with one instrument."""

    def __init__(self, meter, pages, samples):
        self.meter, self.pages, self.samples = meter, pages, samples
        self.memory = buffer(pages)
        self.data = {kind: make(pages) for kind, make in KINDS.items()}
        self.order = list(range(pages))
        random.Random(3).shuffle(self.order)

    def cell(self, sample, disk, algorithm, kind, op, work, again=False, pages=None):
        if not wanted(algorithm, kind, op):
            return work()
        result = self.meter.measure(work, again)
        return say(cell=[algorithm, kind, op], side=disk.side, sample=sample, pages=pages or self.pages, **result)

    def first(self, kind):
        return list(KINDS).index(kind) * self.pages

    def fill(self, disk, kind):
        self.memory[:] = self.data[kind]
        disk.each(os.pwritev, self.first(kind), self.memory, MIB)()

    def block(self, sample, disk, algorithm, kind):
        """Overwrites what is there, reads, discards and writes anew."""
        first, cell = self.first(kind), functools.partial(self.cell, sample, disk, algorithm, kind)
        self.memory[:] = self.data[kind]
        large, small = self.meter.large, self.meter.small
        whole = functools.partial(disk.each, first=first, memory=self.memory, step=large)
        single = functools.partial(disk.each, first=first, memory=self.memory, step=small, order=self.order)
        cell("overwrite 1M", whole(os.pwritev), again=True)
        if small:
            cell("overwrite 4K", single(os.pwritev))
        cell("read 1M", whole(os.preadv), again=True)
        if small:
            cell("read 4K", single(os.preadv))
        if self.memory[:] != self.data[kind]:
            raise ValueError(f"{disk.node} read what was not written")
        # A first call takes longer, whoever does what it asks for: it is for one page, and not measured.
        disk.discard_range(first * PAGE, PAGE)
        cell("discard 1M", whole(disk.discard))
        # How much memory the allocator has at hand shows in this one.
        cell("first write 1M", whole(os.pwritev))
        if small:
            cell("discard 4K", single(disk.discard))
            self.fill(disk, kind)

    def swap(self, sample, disk, algorithm, kind):
        """Swaps pages out and in, and frees them while they are in swap."""
        cell = functools.partial(self.cell, sample, disk, algorithm, kind)
        check(libc.swapon(disk.node.encode(), 0))
        memory = buffer(self.pages)
        out = functools.partial(memory.madvise, MADV_PAGEOUT)
        back = functools.partial(memory.madvise, MADV_POPULATE_READ)
        free = functools.partial(memory.madvise, mmap.MADV_DONTNEED)
        some = functools.partial(free, 0, FEW * PAGE)
        # The first round prepares: the pool has its pages then, or lacks them, as it will from then on.
        memory[:] = self.data[kind]
        out()
        back()
        memory[:] = self.data[kind]
        cell("swap-out", out)
        if swapped() < self.pages:
            raise ValueError(f"{self.pages - swapped()} pages did not go to {disk.node}")
        cell("swap-in", back)
        if memory[:] != self.data[kind]:
            raise ValueError(f"swap on {disk.node} gave back what was not put there")
        memory[:] = self.data[kind]
        out()
        cell("slot free", free)
        if self.meter.small:
            memory[:] = self.data[kind]
            out()
            cell("slot free, few", some, pages=FEW)
        memory.close()
        check(libc.swapoff(disk.node.encode()))

    def recompress(self, sample, side, algorithm, kind, number, size):
        """From lz4."""
        choose(side, number, algorithm, secondary=True)
        disk = Zram.make(side, number, "lz4", size)
        self.fill(disk, kind)
        self.cell(sample, disk, algorithm, kind, "recompress", lambda: write(f"{disk.sys}/recompress", "priority=1"))
        disk.close()
        disk.reset()

    def say_memory(self, side, algorithm, kind, number, size):
        """Says what the pages of a kind take on a disk of their own."""
        disk = Zram.make(side, number, algorithm, size)
        self.fill(disk, kind)
        compressed, used = disk.stored()
        say(cell=[algorithm, kind, "memory"], side=side, pages=self.pages, compressed=compressed, used=used)
        disk.close()
        disk.reset()

    def run(self, ram):
        """Measures. `ram` is a RAM disk for swap."""
        size = len(KINDS) * self.pages * PAGE
        numbers = itertools.count()
        block = {algorithm for algorithm, _ in cases(BLOCK)}
        disks = {algorithm: self.disks(next(numbers), algorithm, size) for algorithm in ALGORITHMS if algorithm in block}
        swaps = {algorithm: self.disks(next(numbers), algorithm, 2 * size) for algorithm in MAIN}
        for disk in (ram, *itertools.chain(*swaps.values())):
            disk.make_swap()
        ram_disk = Disk("ram", "/dev/ram1")
        spare = next(numbers)
        for algorithm, kind in cases(BLOCK):
            for disk in disks[algorithm]:
                self.say_memory(disk.side, algorithm, kind, spare, size)
                self.fill(disk, kind)
        for sample in range(self.samples):
            for algorithm, kind in cases(BLOCK):
                for disk in disks[algorithm]:
                    self.block(sample, disk, algorithm, kind)
                if algorithm == "lz4":
                    self.fill(ram_disk, kind)
                    self.block(sample, ram_disk, algorithm, kind)
            for algorithm, kind in cases(SWAP):
                for disk in swaps[algorithm]:
                    self.swap(sample, disk, algorithm, kind)
                if algorithm not in SETTINGS:
                    self.zswap(sample, ram, algorithm, kind)
                if algorithm == "lz4":
                    ram.side = "ram"
                    self.swap(sample, ram, algorithm, kind)
            for algorithm, kind in cases(RECOMPRESS):
                for side in SIDES:
                    self.recompress(sample, side, algorithm, kind, spare, size)
        for disk in (ram_disk, *itertools.chain(*disks.values())):
            disk.close()

    def disks(self, number, algorithm, size):
        return [Zram.make(side, number, algorithm, size) for side in SIDES]

    def zswap(self, sample, ram, algorithm, kind):
        """Swaps with zswap in front of a RAM disk."""
        ram.side = "zswap"
        write("/sys/module/zswap/parameters/compressor", algorithm)
        write("/sys/module/zswap/parameters/enabled", "Y")
        self.swap(sample, ram, algorithm, kind)
        write("/sys/module/zswap/parameters/enabled", "N")
