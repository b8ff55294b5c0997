#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compressed writeback of C zram and of ours: the same pages, in turn.

packed.py LOOP LOOP ROUNDS PAGES    a backing device for each
"""

import mmap
import os
import random
import statistics
import sys
import time

from zramtest.driver import Driver
from zramtest.files import read
from zramtest.ktap import case, end, note
from zramtest.pages import PAGE, contents

THIRD = PAGE // 3
# So many pages are read back, at most.
READS = 10000


def third(n):
    """Returns a page that is compressed about 3 to 1."""
    return contents(THIRD - 20 - n * 7919 % 300, 1)(n)


def memory(count):
    """Returns pages of this process, which are no zeroes."""
    pages = []
    with open("/proc/self/maps", encoding="ascii") as maps, open("/proc/self/mem", "rb", 0) as mem:
        for line in maps:
            span, mode, *_ = line.split()
            first, last = (int(part, 16) for part in span.split("-"))
            if mode[0] != "r" or "[v" in line:
                continue
            mem.seek(first)
            data = mem.read(min(last - first, 4 << 20))
            pages += [page for at in range(0, len(data), PAGE) if len(set(page := data[at:at + PAGE])) > 9]
    random.Random(1).shuffle(pages)
    return [pages[n % len(pages)] for n in range(count)]


def switches():
    """Returns how often a CPU has switched to another task."""
    return next(int(line.split()[1]) for line in read("/proc/stat").splitlines() if line.startswith("ctxt"))


class Subject:
    """A driver, and what is measured with it."""

    def __init__(self, name, backing):
        self.driver, self.backing = Driver(name), backing
        self.stat = f"/sys/block/{os.path.basename(backing)}/stat"

    def counted(self):
        """Returns how many requests the device has had, and how many bytes: read, and written."""
        words = [int(word) for word in read(self.stat).split()]
        return words[0], words[2] * 512, words[4], words[6] * 512

    def measure(self, pages, order):
        """Returns what a writeback of the pages and reading them back in some order takes, and what is wrong."""
        driver, trouble = self.driver, []
        driver.fresh()
        settings = {"comp_algorithm": "lz4", "backing_dev": self.backing, "compressed_writeback": 1, "disksize": len(pages) * PAGE}
        for attribute, value in settings.items():
            driver.put_or_raise(0, attribute, value)
        for first in range(0, len(pages), 250):
            driver.write_bytes(0, first, b"".join(pages[first:first + 250]))
        driver.put_or_raise(0, "idle", "all")
        before, start = self.counted(), time.monotonic()
        driver.put_or_raise(0, "writeback", "idle")
        write, after = time.monotonic() - start, self.counted()
        switched = switches()
        taken = driver.with_disk(0, os.O_RDONLY | os.O_DIRECT, lambda fd: self.read_back(fd, pages, order, trouble))
        last, switched = self.counted(), switches() - switched
        return {"time of the writeback": write, "bytes written": after[3] - before[3], "requests to write": after[2] - before[2],
                "time of the reads": taken, "bytes read": last[1] - after[1], "task switches of the reads": switched}, trouble

    @staticmethod
    def read_back(fd, pages, order, trouble):
        """Reads the pages. Returns how long that takes."""
        data, taken = mmap.mmap(-1, PAGE), 0
        for n in order:
            start = time.monotonic()
            os.preadv(fd, [data], n * PAGE)
            taken += time.monotonic() - start
            if data[:] != pages[n]:
                trouble.append(f"page {n} is wrong")
        return taken


def compare(kind, pages, subjects, rounds):
    """Measures both in turn, and prints the ratios."""
    order = random.Random(2).sample(range(len(pages)), min(len(pages), READS))
    ratios, trouble = {}, []
    for turn in range(rounds):
        found = {}
        for subject in subjects[::1 if turn % 2 else -1]:
            found[subject], wrong = subject.measure(pages, order)
            trouble += wrong[:3]
        theirs, ours = (found[subject] for subject in subjects)
        for name, value in ours.items():
            ratios.setdefault(name, []).append(value / theirs[name])
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        note(f"{kind}: {name}: {middle:.3f} [{low:.3f}, {high:.3f}] of C zram's")
    most = 0.45 if kind == "3 to 1" else 1
    if (middle := statistics.median(ratios["bytes written"])) > most:
        trouble.append(f"{middle:.2f} of what C zram writes")
    case(f"{kind}, {len(pages)} pages: at most {most} of what C zram writes, and {len(order)} are read back", *trouble)
    middle = statistics.median(ratios["task switches of the reads"])
    case(f"{kind}: a read takes less than 1.1 times the task switches of C zram", *([] if middle < 1.1 else [f"{middle:.2f} times as many"]))


def main(theirs, ours, rounds, pages):
    """Compares with each kind of pages."""
    subjects = Subject("zram", theirs), Subject("rzram", ours)
    count = int(pages)
    compare("3 to 1", [third(n) for n in range(count)], subjects, int(rounds))
    compare("memory", memory(count), subjects, int(rounds))
    for subject in subjects:
        subject.driver.fresh()
    end()


main(*sys.argv[1:])
