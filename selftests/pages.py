#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Pages whose content follows from a seed and their number: written, verified, or held in memory.

pages.py write  DEVICE FIRST COUNT KIND [SEED [STEP]]   direct I/O, STEP pages at a time
pages.py verify DEVICE FIRST COUNT KIND [SEED [STEP]]
pages.py hold   COUNT KIND ROUNDS [READY]               anonymous memory, filled and verified ROUNDS times; with READY
                                                        it then creates that file, waits for SIGTERM, verifies again
pages.py time   DEVICE FIRST COUNT KIND                 written one at a time: the microseconds that half of them took at
                                                        most, and the longest
pages.py torn_reads DEVICE PAGE KIND ROUNDS             one page written over, while a process reads it: no read may give
                                                        a part of one content and a part of the other

KIND is zero, same (one word all over), text (compressible), random (not so), or mix (the last three).
write prints how many pages it wrote, and the name of the errno that stopped it, if one did (exit status 1).
"""

import errno
import mmap
import os
import sys
import time

from zramtest.memory import hold
from zramtest.pages import PAGE, contents, difference


def chunks(device, flags, first, count, step):
    """Yields, for `step` pages at a time, the file, memory for them, the first page, and how many there are."""
    fd = os.open(device, flags | os.O_DIRECT)
    buffer = mmap.mmap(-1, step * PAGE)
    for start in range(first, first + count, step):
        pages = min(step, first + count - start)
        yield fd, memoryview(buffer)[: pages * PAGE], start, pages


def write(device, first, count, kind, seed=1, step=64):
    """Writes pages."""
    content = contents(kind, seed)
    written = 0
    for fd, buffer, start, pages in chunks(device, os.O_WRONLY, first, count, step):
        for i in range(pages):
            buffer[i * PAGE:(i + 1) * PAGE] = content(start + i)
        try:
            os.pwrite(fd, buffer, start * PAGE)
        except OSError as error:
            print(written, errno.errorcode[error.errno])
            return 1
        written += pages
    print(written)
    return 0


def clock(device, first, count, kind):
    """Writes pages one at a time, and measures."""
    content = contents(kind, 1)
    taken = []
    for fd, buffer, start, _ in chunks(device, os.O_WRONLY, first, count, 1):
        buffer[:] = content(start)
        begun = time.monotonic()
        os.pwrite(fd, buffer, start * PAGE)
        taken.append(round((time.monotonic() - begun) * 1e6))
    print(sorted(taken)[count // 2], max(taken))
    return 0


def verify(device, first, count, kind, seed=1, step=64):
    """Reads pages, and compares."""
    content = contents(kind, seed)
    for fd, buffer, start, pages in chunks(device, os.O_RDONLY, first, count, step):
        os.preadv(fd, [buffer], start * PAGE)
        for i in range(pages):
            got, want = buffer[i * PAGE:(i + 1) * PAGE], content(start + i)
            if got != want:
                print(difference(start + i, got, want))
                return 1
    return 0


def torn_reads(device, number, kind, rounds):
    """Reads a page while a child writes it over, in turn with two contents."""
    pages = [contents(kind, seed)(number) for seed in (1, 2)]
    write(device, number, 1, kind, 1, 1)
    child = os.fork()
    if not child:
        (fd, buffer, *_), = chunks(device, os.O_WRONLY, number, 1, 1)
        for turn in range(rounds):
            buffer[:] = pages[turn % 2]
            os.pwrite(fd, buffer, number * PAGE)
        os._exit(0)
    (fd, buffer, *_), = chunks(device, os.O_RDONLY, number, 1, 1)
    seen = [0, 0]
    while True:
        status = os.waitpid(child, os.WNOHANG)
        os.preadv(fd, [buffer], number * PAGE)
        if buffer not in pages:
            print(difference(number, buffer, pages[0]), difference(number, buffer, pages[1]), sep="\n")
            return 1
        seen[pages.index(buffer)] += 1
        if status[0]:
            print("seen", *seen)
            return 0 if all(seen) and not status[1] else 1


def main(command, *arguments):
    """Runs a command."""
    arguments = [int(a) if a.isdigit() else a for a in arguments]
    return {"write": write, "verify": verify, "time": clock, "torn_reads": torn_reads, "hold": hold}[command](*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
