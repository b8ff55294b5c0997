# SPDX-License-Identifier: GPL-2.0-only
"""For how long preemption is off in the drivers: in sections that they open, and in those that the kernel opens in calls from them.

The clock is the number of instructions.
"""

import functools
import mmap
import os
import subprocess

from data import PAGE, memory
from disks import MADV_PAGEOUT, MADV_POPULATE_READ, MODULES, SIDES, Disk, Zram, buffer, check, libc, say
from tracer import Trace

ALGORITHMS = ("lz4", "zstd")
NUMBER = 8
# The second C zram has such a section, of so many turns of a loop, in each bio (qemu/peer).
ADDED = 10_000


class PreemptOff:
    """Measures the longest section, how many there are, and what all of them take."""

    def __init__(self, pages):
        self.pages, self.trace = pages, Trace()
        self.content = buffer(pages)
        self.content[:] = memory(pages)
        # What the shortest section takes is the events' own: nothing else but a word or two is read or written in it.
        disk = Disk("ram", "/dev/ram0")
        self.floor = min(section.taken for section in self.trace.of(disk.each(os.pwritev, 0, self.content, PAGE)))
        disk.close()
        self.seen = dict.fromkeys(SIDES[:2], 0)
        self.sections = []

    def measure(self, disk, work):
        """Does some work, and returns what the sections of the disk's driver were: values, and the longest of them."""
        module = MODULES[SIDES.index(disk.side)]
        self.sections = self.trace.of(work)
        opened = [section for section in self.sections if section.opened_by(module)]
        inside = [section for section in self.sections if section.called_from(module)]
        longest = max(inside, key=lambda section: section.taken, default=None)
        return {
            "opened": len(opened), "opened, longest": max([section.taken - self.floor for section in opened], default=0),
            "in calls, longest": longest.taken - self.floor if longest else 0,
            "in calls, a page": sum(section.taken - self.floor for section in inside) / self.pages,
        }, longest

    def cell(self, disk, sample, cell, work):
        values, longest = self.measure(disk, work)
        for name, value in values.items():
            say(cell=[*cell, name], side=disk.side, sample=sample, value=value)
        say(sections=cell, side=disk.side, sample=sample, all=len(self.sections), left_out=self.trace.left_out,
            longest=longest.where() if longest else "")
        self.seen[disk.side] += bool(longest)

    def fio(self, disk, sample, algorithm):
        """Single pages, in random order."""
        for op in "randwrite", "randread", "randtrim":
            command = ["fio", "--name=fio", f"--filename={disk.node}", "--direct=1", "--ioengine=psync", "--thread", "--bs=4k",
                       f"--rw={op}", f"--size={self.pages * PAGE}", f"--randseed={sample + 1}", "--refill_buffers",
                       "--buffer_compress_percentage=60", "--output=/dev/null", "--eta=never"]
            self.cell(disk, sample, [algorithm, f"fio {op}"], functools.partial(subprocess.run, command, check=True))

    def swap(self, disk, sample, algorithm):
        """Pages that go to swap and come back, and some that are freed there."""
        disk.make_swap()
        check(libc.swapon(disk.node.encode(), 0))
        pages = buffer(self.pages)
        pages[:] = self.content[:]
        self.cell(disk, sample, [algorithm, "swap-out"], functools.partial(pages.madvise, MADV_PAGEOUT))
        self.cell(disk, sample, [algorithm, "swap-in"], functools.partial(pages.madvise, MADV_POPULATE_READ))
        pages[:] = self.content[:]
        pages.madvise(MADV_PAGEOUT)
        self.cell(disk, sample, [algorithm, "slot free"], functools.partial(pages.madvise, mmap.MADV_DONTNEED))
        pages.close()
        check(libc.swapoff(disk.node.encode()))

    def control(self):
        """Fails if a section that was added to C zram on purpose is not found."""
        disk = Zram.make("twin", NUMBER, "lz4", self.pages * PAGE)
        found, _ = self.measure(disk, disk.each(os.pwritev, 0, self.content, PAGE))
        disk.close()
        disk.reset()
        say(control=found)
        if found["opened"] < self.pages // 2 or not ADDED < found["opened, longest"] < 4 * ADDED:
            raise ValueError(f"a section was added on purpose, and this was found: {found}")

    def run(self, samples):
        """Measures everything for each driver in turn."""
        self.control()
        for sample in range(samples):
            for algorithm in ALGORITHMS:
                for side in SIDES[:2]:
                    disk = Zram.make(side, NUMBER, algorithm, 4 * self.pages * PAGE)
                    self.fio(disk, sample, algorithm)
                    self.swap(disk, sample, algorithm)
                    disk.reset()
        if not all(self.seen.values()):
            raise ValueError(f"sections in calls from the drivers, windows with some: {self.seen}")
