#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Two properties of every algorithm, with each of its parameters: a page that changes while it is written, as memory may with
direct I/O, is stored as some page, so that reads of it and a recompression succeed; and while pages are written and read,
from the first one on, no algorithm allocates memory for itself.

algorithms.py SECONDS      of writing a page that changes, for each

The result is KTAP without numbers.
"""

import mmap
import os
import random
import sys
import time

from zramtest.driver import Driver
from zramtest.files import errno_or, read, write
from zramtest.ktap import case, end, note, skip
from zramtest.pages import PAGE, contents
from zramtest.tasks import fork, kill

DICTIONARY = "dictionary"
TRACING = "/sys/kernel/debug/tracing"
PAGES = 64
DISK = 256

VARIANTS = [
    ("lzo-rle", ""), ("lzo", ""), ("lz4", ""), ("lz4", f"dict={DICTIONARY}"), ("lz4hc", ""), ("lz4hc", "level=12"),
    ("lz4hc", f"dict={DICTIONARY}"), ("zstd", ""), ("zstd", "level=-5"), ("zstd", "level=22"),
    ("zstd", f"dict={DICTIONARY}"), ("zstd", f"level=19 dict={DICTIONARY}"), ("deflate", ""),
    ("deflate", "deflate.winbits=-15"), ("deflate", "deflate.winbits=9"), ("deflate", "deflate.winbits=15"),
    ("deflate", "level=1 deflate.winbits=15"), ("842", ""), ("lzmem", ""), ("lzmem", "level=2"),
    ("lzmem", "level=3"),
]


driver = Driver()


def set_up(algorithm, parameters, secondary=None):
    """Makes the disk anew, with a second algorithm if there is to be one. Returns a file descriptor of it."""
    driver.put_or_raise(0, "reset", 1)
    driver.put_or_raise(0, "comp_algorithm", algorithm)
    if secondary:
        driver.put_or_raise(0, "recomp_algorithm", f"algo={secondary} priority=1")
    if parameters:
        driver.put_or_raise(0, "algorithm_params", f"algo={algorithm} {parameters}")
    driver.put_or_raise(0, "disksize", DISK * PAGE)
    return os.open(driver.node(0), os.O_RDWR | os.O_DIRECT)


def scribble(memory):
    """Changes the page for ever: all of it, pieces, single words; text, runs, noise."""
    rng = random.Random(9)
    text, noise = contents("text", 1), contents("random", 1)
    whole = [text(n) for n in range(20)] + [noise(0), text(20)[:PAGE // 2] + noise(1)[PAGE // 2:]]
    pieces = [rng.choice([text, noise])(n)[:length] for n in range(20) for length in (1, 4, 16, 60, 400)]
    pieces += [bytes([n]) * length for n in (0, 0, 255) for length in (4, 30, 700)]
    while True:
        for page in whole:
            memory[:] = page
            for _ in range(30):
                piece = rng.choice(pieces)
                at = rng.randrange(PAGE - len(piece))
                memory[at:at + len(piece)] = piece


def race(algorithm, parameters, seconds):
    """Writes the page as fast as it goes while it changes. Returns what went wrong, and how often it was written."""
    fd = set_up(algorithm, parameters, "zstd" if algorithm != "zstd" else "lz4")
    memory = mmap.mmap(-1, PAGE)
    room = mmap.mmap(-1, PAGE)
    child = fork(scribble, memory)
    trouble, turns, varied = [], 0, 0
    try:
        while not any(memory[:]):
            time.sleep(0.01)
        end = time.monotonic() + seconds
        while (time.monotonic() < end or turns < 3) and not trouble:
            # One page of memory, which becomes all pages of the disk.
            if (got := errno_or(os.pwritev, fd, [memoryview(memory)] * PAGES, 0)) != PAGES * PAGE:
                trouble.append(f"a write gives {got}")
            for n in range(PAGES):
                if (got := errno_or(os.preadv, fd, [room], n * PAGE)) != PAGE:
                    trouble.append(f"turn {turns}: a read of page {n} gives {got}")
                else:
                    varied += len(set(room[:])) > 1
            turns += 1
        if (got := driver.put(0, "recompress", "priority=1")) != "all":
            trouble.append(f"a recompression gives {got}")
        for n in range(PAGES):
            if (got := errno_or(os.preadv, fd, [room], n * PAGE)) != PAGE:
                trouble.append(f"after a recompression a read of page {n} gives {got}")
    finally:
        os.close(fd)
        kill(child)
    if not trouble and (turns == 0 or varied == 0):
        trouble.append(f"nothing was tried: {turns} turns, {varied} pages that are not of one byte")
    return trouble, turns


class Probe:
    """Counts calls of the functions that all memory comes from that an algorithm may ask for."""

    FUNCTIONS = {"kvmalloc": "kvrealloc_node_align_noprof", "vmalloc": "vrealloc_node_align_noprof"}

    def __enter__(self):
        probes = (f"p:codecs/{name} {function}\n" for name, function in self.FUNCTIONS.items())
        write(f"{TRACING}/kprobe_events", "".join(probes))
        for name in self.FUNCTIONS:
            write(f"{TRACING}/events/codecs/{name}/enable", "1")
        return self

    def __exit__(self, *_):
        for name in self.FUNCTIONS:
            write(f"{TRACING}/events/codecs/{name}/enable", "0")
        write(f"{TRACING}/kprobe_events", "".join(f"-:codecs/{name}\n" for name in self.FUNCTIONS))

    def hits(self):
        """Returns the number of calls so far."""
        lines = map(str.split, read(f"{TRACING}/kprobe_profile").splitlines())
        return sum(int(line[1]) for line in lines if line[0] in self.FUNCTIONS)


def allocations(algorithm, parameters, probe):
    """Writes and reads pages on each CPU. Returns what went wrong, such as memory that was allocated."""
    before = probe.hits()
    fd = set_up(algorithm, parameters)
    ready = probe.hits()
    trouble = [] if ready > before else ["setting up allocates nothing: this can't be seen here"]
    text, cpus = contents("text", 5), os.sched_getaffinity(0)
    memory = mmap.mmap(-1, PAGE)
    for cpu in cpus:
        os.sched_setaffinity(0, {cpu})
        for n in range(200):
            memory[:] = text(n)
            os.pwrite(fd, memory, n * PAGE)
            os.preadv(fd, [memory], n * PAGE)
            if memory[:] != text(n):
                trouble.append(f"CPU {cpu}: page {n} does not come back")
    os.sched_setaffinity(0, cpus)
    os.close(fd)
    if (more := probe.hits() - ready) != 0:
        trouble.append(f"{more} allocations while pages were written")
    return trouble


def main():
    """Tries each algorithm."""
    seconds = float(sys.argv[1])
    with open(DICTIONARY, "wb") as file:
        file.write(b"".join(contents("text", seed)(seed) for seed in range(4)))
    variants = [(algorithm, parameters) for algorithm, parameters in VARIANTS if algorithm in driver.algorithms()]
    for algorithm, parameters in variants:
        trouble, turns = race(algorithm, parameters, seconds)
        note(f"{turns * PAGES} pages")
        case(f"{algorithm} {parameters}".rstrip() + ": a page that changes", *trouble[:5])
    if os.path.exists(f"{TRACING}/kprobe_events"):
        with Probe() as probe:
            for algorithm, parameters in variants:
                trouble = allocations(algorithm, parameters, probe)
                case(f"{algorithm} {parameters}".rstrip() + ": allocates nothing under way", *trouble[:5])
    else:
        skip("nothing is allocated under way", "this kernel has no kprobes")
    driver.put_or_raise(0, "reset", 1)
    end()


main()
