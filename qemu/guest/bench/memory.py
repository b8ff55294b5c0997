# SPDX-License-Identifier: GPL-2.0-only
"""What the drivers take of memory besides the pages: metadata, and streams."""

import os
import re

from data import PAGE, same
from disks import ALGORITHMS, SIDES, Zram, buffer, folder, read, say, write

MIB = 1 << 20


def free():
    """Returns the number of free bytes, including those that CPUs have at hand, with all that is kept without need given back."""
    write("/proc/sys/vm/drop_caches", "3")
    write("/proc/sys/vm/compact_memory", "1")
    in_zones = next(int(line.split()[1]) for line in read("/proc/meminfo").splitlines() if "MemFree" in line) << 10
    at_hand = sum(map(int, re.findall(r"^ +count: +(\d+)", read("/proc/zoneinfo"), re.M)))
    return in_zones + at_hand * PAGE


def metadata():
    """Says how many bytes of memory a slot of a new disk takes, and one of a disk with a page stored in each."""
    pages = 1 << 18
    for side in SIDES[:2]:
        before = free()
        write(f"{folder(side, 6)}/disksize", str(pages * PAGE))
        new = free()
        disk = Zram(side, 6)
        memory = buffer(256)
        memory[:] = same(256)
        start = free()
        for first in range(0, pages, 256):
            disk.each(os.pwritev, first, memory, MIB)()
        full = free()
        disk.close()
        disk.reset()
        say(metadata=side, new=(before - new) / pages, full=(before - new + start - full) / pages)


def streams(samples):
    """Says how many bytes of memory the streams of a CPU take, by algorithm: what a disk of the least size takes."""
    disks = 8
    for sample in range(samples):
        for algorithm in ALGORITHMS:
            for side in SIDES[:2]:
                before = free()
                made = [Zram.make(side, 2 + number, algorithm, PAGE) for number in range(disks)]
                taken = before - free()
                for disk in made:
                    disk.close()
                    disk.reset()
                say(streams=algorithm, side=side, sample=sample, value=taken / disks / os.cpu_count())
