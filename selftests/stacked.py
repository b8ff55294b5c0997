#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Swap on a disk whose backing device needs memory itself, while memory is nearly gone: nothing stops, and no page is lost.

stacked.py BACKING BELOW COMPRESSED SCARCE      the backing device; the device that it encrypts to, or `none`; for
                                                compressed_writeback; how many MiB are free at most when memory is short

Processes fill more memory than there is, verify it and fill it anew, in any order. All that they swap out is written back
again and again, so that what they read comes from the backing device; a process that is ahead of writeback waits for it.
The result is KTAP without numbers.
"""

import collections
import itertools
import mmap
import os
import random
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.files import errno_or, meminfo, vmstat
from zramtest.ktap import case, end, note
from zramtest.libc import stay_in_memory
from zramtest.pages import PAGE, contents, difference, pool
from zramtest.tasks import fork, kill

MIB = 1 << 20
CHUNK = MIB // PAGE
WORKERS, ROUNDS = 3, 1
STORED = 16 * MIB    # more than this is not stored in memory, as long as writeback goes on
SLOWER = int(os.environ.get("SLOWER", "1"))
# How many MiB the processes have beyond MemAvailable, which is an estimate: in the stock kernel, seven more fitted into memory
# once, so that nothing was swapped. In a debug kernel eight have been enough.
SWAPPED = 20 if SLOWER == 1 else 8
# What has not ended after so many seconds is not going to.
PATIENCE = 300 * SLOWER


def content(worker, turn, chunk):
    """Returns the function from a page's number to what it holds: every other page is incompressible."""
    kinds = [contents(kind, turn * WORKERS + worker + 1) for kind in ("text", "random")]
    return lambda n: kinds[n % 2](chunk * CHUNK + n)


def work(driver, worker, chunks):
    """Fills memory, verifies all of it and fills it again."""
    memory = memoryview(mmap.mmap(-1, chunks * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def fill(turn, chunk):
        while driver.mm(0, "used") > STORED:
            time.sleep(0.01)
        page = content(worker, turn, chunk)
        for n in range(CHUNK):
            memory[chunk * MIB + n * PAGE:][:PAGE] = page(n)

    def verify(turn, chunk):
        page = content(worker, turn, chunk)
        for n in range(CHUNK):
            got = memory[chunk * MIB + n * PAGE:][:PAGE]
            if got != page(n):
                raise ValueError(f"process {worker}, round {turn}: {difference(chunk * CHUNK + n, bytes(got), page(n))}")

    for chunk in range(chunks):
        fill(0, chunk)
    for turn in range(ROUNDS):
        for chunk in random.Random(worker).sample(range(chunks), chunks):
            verify(turn, chunk)
            fill(turn + 1, chunk)
    for chunk in range(chunks):
        verify(ROUNDS, chunk)


def write_back(driver, workers):
    """Writes back all that is stored until the processes end. Returns how often each outcome came, the least
    memory that was free, in MiB, and the processes that did not end in time, and those that failed."""
    outcomes, least, failed = collections.Counter(), meminfo("MemFree"), []
    waiting, deadline = set(workers), time.monotonic() + PATIENCE
    for request in itertools.cycle(["idle", "idle", "huge"]):
        if request == "idle" and (outcome := driver.put(0, "idle", "all")) != "all":
            outcomes[f"idle: {outcome}"] += 1
        outcomes[driver.put(0, "writeback", request)] += 1
        least = min(least, meminfo("MemFree"))
        for worker in list(waiting):
            pid, status = os.waitpid(worker, os.WNOHANG)
            if pid:
                waiting.remove(worker)
                failed += [status] if status else []
        if not waiting or time.monotonic() > deadline:
            return outcomes, least >> 10, waiting, failed
        time.sleep(0.02)


def found(device):
    """Returns how often text and noise of some pages are found on a device: the first bytes that other pages have, too."""
    text, noise = ([page[8:24] for page in pages[:2]] for pages in pool())
    fd = os.open(device, os.O_RDONLY | os.O_DIRECT)
    size = os.lseek(fd, 0, os.SEEK_END)
    buffer = mmap.mmap(-1, MIB)
    counts = [0, 0]
    for at in range(0, size, MIB):
        data = buffer[:os.preadv(fd, [buffer], at)]
        for i, needles in enumerate((text, noise)):
            counts[i] += sum(data.count(needle) for needle in needles)
    os.close(fd)
    return counts


def main(backing, below, compressed, scarce):
    """Runs the processes over that backing device, and says what came of it."""
    driver = Driver()
    for attribute, value in ("backing_dev", backing), ("compressed_writeback", compressed), ("disksize", 256 * MIB):
        driver.put_or_raise(0, attribute, value)
    subprocess.run(["mkswap", "-q", driver.node(0)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "-p", "1000", driver.node(0)], check=True)
    swapped = vmstat("pswpin")
    available = meminfo("MemAvailable") >> 10
    chunks = (available + SWAPPED) // WORKERS
    workers = [fork(work, driver, worker, chunks) for worker in range(WORKERS)]
    stay_in_memory()
    start = time.monotonic()
    outcomes, least, waiting, failed = write_back(driver, workers)
    seconds = time.monotonic() - start
    kill(*waiting)
    case("the processes end, and find their pages as they left them", *([f"{len(waiting)} did not end"] if waiting else []),
         *(f"status {status}" for status in failed))
    # Where not even one page can be had for its buffers, a job ends with ENOMEM rather than have a task killed.
    without = f"{outcomes['ENOMEM']} of {outcomes.total()} jobs found no memory"
    case("writeback goes on, but for a tenth of the jobs at most, which find no memory",
         *outcomes.keys() - {"all", "ENOMEM"}, *([without] if outcomes["ENOMEM"] * 10 > outcomes.total() else []))
    case(f"memory was nearly gone: {scarce} MiB or less were free", *([f"{least} MiB"] if least > int(scarce) else []))
    written, read = driver.bd(0, "writes"), driver.bd(0, "reads")
    case("much was written back and read again", *([f"{written} and {read} blocks"] if min(written, read) < 1024 else []))
    reads, writes = driver.failures(0)
    case("no read failed", *([f"{reads} did"] if reads else []))
    note(f"{seconds:.0f} s, {available} MiB available at first, at least {least} MiB free, {vmstat('pswpin') - swapped} pages swapped in, {written} blocks written, "
         f"{read} read, {writes} writes failed, {without}")
    # What is swapped out last stays on the device.
    if below != "none":
        outcome = errno_or(found, backing), errno_or(found, below)
        readable = min(outcome[0]) > 10 if isinstance(outcome[0], list) else False
        case("what is written can be read on the encrypted device, and not below it",
             *([str(outcome)] if not readable or outcome[1] != [0, 0] else []))
    subprocess.run(["swapoff", driver.node(0)], check=True)
    driver.put_or_raise(0, "reset", 1)
    end()


if __name__ == "__main__":
    main(*sys.argv[1:])
