# SPDX-License-Identifier: GPL-2.0-only
"""What is done to a whole disk, for disks of several sizes with the same amount of data.

The clock is the number of instructions, so that a time in nanoseconds is a count of them.
"""

import os
import re
import time

from data import PAGE, memory
from disks import MADV_PAGEOUT, SIDES, Zram, buffer, check, folder, libc, say, write

MIB = 1 << 20
# The first is full of data.
SIZES = {"100M": 100 * MIB, "1G": 1 << 30, "16G": 1 << 34, "1T": 1 << 40}
STORED = 100 * MIB // PAGE
NUMBER = 8


def read_by_line(path):
    """Reads a file whose position is a number of lines, which Python's own read() takes for one of bytes."""
    file = os.open(path, os.O_RDONLY)
    while os.read(file, 1 << 16):
        pass
    os.close(file)


class Scale:
    """One driver's disk of one size."""

    def __init__(self, side, size, sample, content):
        self.side, self.size, self.sample, self.content = side, size, sample, content
        self.bytes = SIZES[size]

    def cell(self, op, work):
        start = time.perf_counter_ns()
        work()
        taken = time.perf_counter_ns() - start
        say(cell=[self.size, op], side=self.side, sample=self.sample, value=taken)

    def set_up(self):
        """Sets a disk up, with a RAM disk behind it."""
        path = folder(self.side, NUMBER)
        write(f"{path}/comp_algorithm", "lz4")
        write(f"{path}/recomp_algorithm", "algo=zstd priority=1")
        write(f"{path}/backing_dev", "/dev/ram0")
        self.cell("disksize", lambda: write(f"{path}/disksize", str(self.bytes)))
        return Zram(self.side, NUMBER)

    def run(self):
        """Does everything once."""
        disk = self.set_up()
        fill = disk.each(os.pwritev, 0, self.content, MIB)
        fill()
        # No page is of these kinds: each looks at all pages and finds none.
        self.cell("writeback scan", lambda: write(f"{disk.sys}/writeback", "type=incompressible"))
        self.cell("recompress scan", lambda: write(f"{disk.sys}/recompress", "type=idle priority=1"))
        self.cell("idle", lambda: write(f"{disk.sys}/idle", "all"))
        self.cell("block_state", lambda: read_by_line(f"{disk.debug}/block_state"))
        self.cell("discard", lambda: disk.discard_range(0, self.bytes))
        self.cell("discard when empty", lambda: disk.discard_range(0, self.bytes))
        fill()
        disk.close()
        self.cell("reset", disk.reset)
        self.swapoff()

    def swapoff(self):
        """Takes a disk out of use as swap that has all of the data."""
        disk = Zram.make(self.side, NUMBER, "lz4", max(self.bytes, 2 * SIZES["100M"]))
        disk.make_swap()
        check(libc.swapon(disk.node.encode(), 0))
        pages = buffer(STORED)
        pages[:] = self.content[:]
        pages.madvise(MADV_PAGEOUT)
        self.cell("swapoff", lambda: check(libc.swapoff(disk.node.encode())))
        pages.close()
        disk.reset()


def run(samples):
    """Measures all sizes. A second C zram is measured only where that does not take long."""
    content = buffer(STORED)
    content[:] = memory(STORED)
    sizes = [size for size in SIZES if re.search(os.environ.get("SIZES", ""), size)]
    for sample in range(samples):
        for size in sizes:
            # The largest takes C zram some minutes.
            largest = size == "1T"
            for side in SIDES[:2] if largest else SIDES:
                if not largest or sample == 0:
                    Scale(side, size, sample, content).run()
