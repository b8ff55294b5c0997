# SPDX-License-Identifier: GPL-2.0-only
"""How long single reads, writes and faults take, in percentiles; and the work of kswapd.

The clock is the number of instructions, so that a time in nanoseconds is a count of them.
"""

import mmap
import os
import random
import time

from data import PAGE, memory
from disks import MADV_PAGEOUT, SIDES, Zram, buffer, check, libc, read, say

PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
ALGORITHMS = ("lz4", "zstd")
NUMBER = 8


def tell(cell, side, sample, times):
    """Says the percentiles of some times, and the mean."""
    times = sorted(times)
    for name, part in PERCENTILES.items():
        say(cell=[*cell, name], side=side, sample=sample, value=times[min(int(part * len(times)), len(times) - 1)])
    say(cell=[*cell, "mean"], side=side, sample=sample, value=sum(times) / len(times))


def each(order, call):
    """Returns how long each call takes."""
    now, times = time.perf_counter_ns, []
    for number in order:
        start = now()
        call(number)
        times.append(now() - start)
    return times


def single(side, sample, algorithm, content):
    """Reads and writes of one page."""
    pages = len(content) // PAGE
    order = list(range(pages))
    random.Random(sample).shuffle(order)
    disk = Zram.make(side, NUMBER, algorithm, len(content))
    view = memoryview(content)
    parts = [[view[at:at + PAGE]] for at in range(0, len(content), PAGE)]
    disk.each(os.pwritev, 0, content, 1 << 20)()
    for op, call in ("write 4K", os.pwritev), ("read 4K", os.preadv):
        tell([algorithm, op], side, sample, each(order, lambda n: call(disk.file, parts[n], n * PAGE)))
    disk.close()
    disk.reset()


def faults(side, sample, algorithm, content):
    """Faults on pages that are in swap."""
    pages = len(content) // PAGE
    order = list(range(pages))
    random.Random(sample).shuffle(order)
    disk = Zram.make(side, NUMBER, algorithm, 2 * len(content))
    disk.make_swap()
    check(libc.swapon(disk.node.encode(), 0))
    mine = buffer(pages)
    mine[:] = content[:]
    mine.madvise(MADV_PAGEOUT)
    tell([algorithm, "swap-in"], side, sample, each(order, lambda n: mine[n * PAGE]))
    mine.close()
    check(libc.swapoff(disk.node.encode()))
    disk.reset()


def kswapd():
    """Returns the process ID of kswapd."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if read(f"/proc/{pid}/comm").startswith("kswapd"):
            return int(pid)
    raise LookupError("no kswapd")


def reclaim(side, sample, algorithm, content, pid):
    """More memory is used than there is: says how long kswapd computes for a page that is swapped out."""

    def swapped_out():
        return next(int(line.split()[1]) for line in read("/proc/vmstat").splitlines() if line.startswith("pswpout "))

    def spent():
        return int(read(f"/proc/{pid}/schedstat").split()[0])

    total = next(int(line.split()[1]) for line in read("/proc/meminfo").splitlines() if line.startswith("MemAvailable")) << 10
    disk = Zram.make(side, NUMBER, algorithm, 2 * total)
    disk.make_swap()
    check(libc.swapon(disk.node.encode(), 0))
    before, start = swapped_out(), spent()
    mine = mmap.mmap(-1, total * 5 // 4 // len(content) * len(content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(mine), len(content)):
        mine[at:at + len(content)] = content[:]
        # Pages come slowly enough for kswapd to keep up.
        time.sleep(0.05)
    time.sleep(0.5)
    pages = swapped_out() - before
    if pages < 1000:
        raise ValueError(f"only {pages} pages were swapped out")
    say(cell=[algorithm, "kswapd", "per page"], side=side, sample=sample, value=(spent() - start) / pages)
    mine.close()
    check(libc.swapoff(disk.node.encode()))
    disk.reset()


def run(pages, samples):
    """Measures everything for each driver in turn."""
    content = buffer(pages)
    content[:] = memory(pages)
    pid = kswapd()
    for sample in range(samples):
        for algorithm in ALGORITHMS:
            for measure in (single, faults):
                for side in SIDES:
                    measure(side, sample, algorithm, content)
            for side in SIDES:
                reclaim(side, sample, algorithm, content, pid)
