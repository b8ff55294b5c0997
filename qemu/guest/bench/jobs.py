# SPDX-License-Identifier: GPL-2.0-only
"""What concurrent jobs get done, and how long others wait for a job of the driver."""

import itertools
import os
import random
import time

from data import PAGE, memory
from disks import MADV_PAGEOUT, SIDES, Disk, Zram, buffer, check, folder, libc, say, swapped, write

MIB = 1 << 20
JOBS = (1, 2, 4, 16)
JOB_SECONDS = 0.5


class Job:
    """A process that does I/O to pages of its own when it is told to."""

    def __init__(self, number, data):
        self.first, self.data = number * len(data) // PAGE, data
        orders, self.orders = os.pipe()
        self.results, self.result = os.pipe()
        if not os.fork():
            with open(orders, encoding="ascii") as lines:
                for line in lines:
                    self.work(*line.split(), lines)
            os._exit(0)

    def order(self, *words):
        os.write(self.orders, " ".join(map(str, words)).encode() + b"\n")

    def done(self):
        return float(os.read(self.results, 32))

    def work(self, node, call, step, seconds, lines):
        """Goes over its pages again and again, in random order, when it is told to begin; says how many a second."""
        disk, step, pages = Disk("", node), int(step), buffer(len(self.data) // PAGE)
        pages[:] = self.data
        order = list(range(len(pages) // step))
        random.Random(self.first).shuffle(order)
        each = [disk.each(getattr(os, call), self.first, pages, step, [n]) for n in order]
        os.write(self.result, b"0")
        next(lines)
        count, start = 0, time.monotonic()
        for work in itertools.cycle(each):
            work()
            count += 1
            taken = time.monotonic() - start
            if taken >= float(seconds):
                break
        disk.close()
        os.write(self.result, b"%f" % (count * step / PAGE / taken))


def throughput(pages, samples):
    """Counts the pages a second of several jobs at once."""
    data = memory(pages)
    jobs = [Job(number, data) for number in range(max(JOBS))]
    disks = [Zram.make(side, 0, "lz4", len(jobs) * len(data)) for side in SIDES]

    def run(disk, count, call, step):
        for job in jobs[:count]:
            job.order(disk.node, call, step, JOB_SECONDS)
        for job in jobs[:count]:
            job.done()
        for job in jobs[:count]:
            job.order("go")
        return sum(job.done() for job in jobs[:count])

    # First everything is written once.
    for disk in disks:
        run(disk, len(jobs), "pwritev", len(data))
    for sample in range(samples):
        for count, size, (op, call) in itertools.product(JOBS, ("64K", "4K"), (("write", "pwritev"), ("read", "preadv"))):
            for disk in disks:
                say(cell=["lz4", "memory", op, f"{size}, {count} jobs"], side=disk.side, sample=sample,
                    value=run(disk, count, call, int(size[:-1]) << 10))
    for disk in disks:
        disk.close()


def recompression(pages, samples):
    """How long reading mm_stat takes while all of a disk is recompressed."""
    for sample in range(samples):
        for side in SIDES[:2]:
            write(f"{folder(side, 1)}/recomp_algorithm", "algo=zstd priority=1")
            disk = Zram.make(side, 1, "lz4", pages * PAGE)
            content = buffer(pages)
            content[:] = memory(pages)
            disk.each(os.pwritev, 0, content, MIB)()
            child = os.fork()
            if not child:
                write(f"{disk.sys}/recompress", "algo=zstd")
                os._exit(0)
            times = []
            start = time.monotonic()
            while os.waitpid(child, os.WNOHANG)[0] == 0:
                before = time.monotonic()
                disk.stored()
                times.append(1000 * (time.monotonic() - before))
                time.sleep(0.01)
            say(recompression=side, sample=sample, seconds=time.monotonic() - start, reads=times)
            disk.close()
            disk.reset()


def exits(samples):
    """Counts the pages a second of a process that ends while 256 MiB of it are in swap."""
    pages, data = 1 << 16, memory(1 << 12)
    disks = [Zram.make(side, 1, "lz4", 2 * pages * PAGE) for side in SIDES]
    for disk in disks:
        disk.make_swap()
    for sample in range(samples):
        for disk in disks:
            check(libc.swapon(disk.node.encode(), 0))
            ready, told = os.pipe()
            wait, order = os.pipe()
            child = os.fork()
            if not child:
                content = buffer(pages)
                content[:] = data * (pages * PAGE // len(data))
                content.madvise(MADV_PAGEOUT)
                missing = swapped() < 0.99 * pages
                os.write(told, b"0")
                os.read(wait, 1)
                os._exit(missing)
            os.read(ready, 1)
            start = time.monotonic()
            os.write(order, b"0")
            status = os.waitpid(child, 0)[1]
            taken = time.monotonic() - start
            if status:
                raise ValueError(f"not all pages went to {disk.node}")
            say(cell=["lz4", "memory", "exit", "1 process"], side=disk.side, sample=sample, value=pages / taken)
            for file in ready, told, wait, order:
                os.close(file)
            check(libc.swapoff(disk.node.encode()))
    for disk in disks:
        disk.reset()
