#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Swap slots that are freed, and the memory of what was in them.

freed.py FOLDER            all cases, as KTAP without numbers; FOLDER is for files
freed.py FOLDER PAGES      only swaps so many pages out, frees them, and ends
"""

import mmap
import os
import random
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.files import read, vmstat, write
from zramtest.ktap import case, check, end
from zramtest.memory import page_out
from zramtest.pages import PAGE, run_of
from zramtest.tasks import fork

SIZE = 256 << 20
ORIG, COMPR, USED = range(3)
# What the header of a swap area takes, and pages of the pool that are not full.
SMALL = 16 * PAGE


class Disk(Driver):
    """The device, and swap on it."""

    def mm(self, column):
        """Returns a number of mm_stat."""
        return int(read(f"{self.disk(0)}/mm_stat").split()[column])

    def swap_on(self, algorithm="lz4"):
        """Gives the device a size, and has the kernel swap to it."""
        self.must("reset", 1)
        self.must("comp_algorithm", algorithm)
        self.must("disksize", SIZE)
        subprocess.run(["mkswap", self.node(0)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["swapon", self.node(0)], check=True)

    def swap_off(self):
        """Ends that."""
        subprocess.run(["swapoff", self.node(0)], check=True)

    def must(self, attribute, value):
        """Writes to an attribute, which takes it."""
        write(f"{self.disk(0)}/{attribute}", str(value))

    @staticmethod
    def pool_without_asking():
        """Returns what all pools use, as the memory management counts it: that frees nothing."""
        # Each CPU keeps a part of a counter to itself for a while.
        write("/proc/sys/vm/stat_refresh", "1")
        return vmstat("nr_zspages") * PAGE


def swapped():
    """Returns how many pages of this process are in swap."""
    status = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines())
    return int(status["VmSwap"].split()[0]) * 1024 // PAGE


def filled(kind, count, seed=1):
    """Returns memory with these pages, of which most are in swap, and their content."""
    data = run_of(kind, seed, 0, count)
    memory = mmap.mmap(-1, len(data), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(data)
    before = swapped()
    for _ in range(20):
        page_out(memory)
        if swapped() >= before + count * 3 // 4:
            break
        # Those that a CPU has not put on its lists yet are left out.
        time.sleep(0.1)
    return memory, data


def exact(disk):
    """Statistics are exact as soon as slots are freed."""
    for algorithm in "lz4", "zstd":
        disk.swap_on(algorithm)
        before = [disk.mm(column) for column in (ORIG, COMPR, USED)]
        memory, data = filled("text", 3000)
        there = swapped()
        memory.madvise(mmap.MADV_DONTNEED, 0, 1000 * PAGE)
        check(f"{algorithm}: a third is freed: pages", swapped(), there - 1000)
        stored = (disk.mm(ORIG) - before[0]) // PAGE
        check(f"{algorithm}: a third is freed: pages stored", stored, there - 1000)
        check(f"{algorithm}: the rest comes back", memory[1000 * PAGE:] == data[1000 * PAGE:], True)
        page_out(memory)
        memory.close()
        after = [disk.mm(column) for column in (ORIG, COMPR)]
        check(f"{algorithm}: all are freed: pages and bytes", after, before[:2])
        used = disk.mm(USED)
        case(f"{algorithm}: all are freed: memory", *([] if used <= before[2] + SMALL else [f"{before[2]} bytes before, {used} after"]))
        disk.swap_off()


def by_itself(disk):
    """The worker comes without being called for."""
    disk.swap_on()
    disk.mm(USED)
    before = disk.pool_without_asking()
    for turn in range(5):
        # These are fewer, and less, than what has it come earlier.
        memory, _ = filled(PAGE // 3, (96 << 10) // (PAGE // 3), turn)
        full = disk.pool_without_asking()
        memory.close()
        time.sleep(0.5 * int(os.environ.get("SLOWER", "1")))
        used = disk.pool_without_asking()
        case(f"turn {turn}: half a second later the memory is there",
             *([] if before == used < full - PAGE else [f"{before} bytes, then {full}, then {used}"]))
    disk.swap_off()


def at_the_limit(disk):
    """At mem_limit the room of freed slots can be used at once."""
    disk.swap_on()
    for turn in range(5):
        first, _ = filled("random", 1000, turn)
        second = mmap.mmap(-1, 60 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        second.write(run_of("random", turn + 100, 0, 60))
        # A thirty-second is kept for what replaces something.
        disk.must("mem_limit", disk.mm(USED) * 32 // 31 + PAGE)
        first.madvise(mmap.MADV_DONTNEED, 0, 60 * PAGE)
        page_out(second)
        disk.must("mem_limit", 0)
        good = second[:] == run_of("random", turn + 100, 0, 60)
        check(f"turn {turn}: what was written there comes back", good, True)
        first.close()
        second.close()
    check("no write failed", read(f"{disk.disk(0)}/io_stat").split()[1], "0")
    disk.swap_off()


def churn(seed, seconds):
    """Fills memory, has it swapped, frees parts of it and verifies the others, for so long."""
    dice, until = random.Random(seed), time.monotonic() + seconds
    turn = 0
    while time.monotonic() < until:
        turn += 1
        memory, data = filled(dice.choice(["text", "random", "mix", "any"]), 600, seed * 1000 + turn)
        gone = [False] * 600
        for _ in range(30):
            first, count = dice.randrange(600), dice.randrange(1, 40)
            count = min(count, 600 - first)
            if dice.random() < 0.5:
                memory.madvise(mmap.MADV_DONTNEED, first * PAGE, count * PAGE)
                gone[first:first + count] = [True] * count
            for page in range(first, first + count):
                want = bytes(PAGE) if gone[page] else data[page * PAGE:(page + 1) * PAGE]
                if memory[page * PAGE:(page + 1) * PAGE] != want:
                    print(f"turn {turn}, page {page}: not what was there")
                    os._exit(1)
            if dice.random() < 0.3:
                page_out(memory)
        memory.close()
    os._exit(0)


def together(disk):
    """Processes swap and free on all CPUs, while these come and go."""
    disk.swap_on()
    before = [disk.mm(column) for column in (ORIG, COMPR)]
    seconds = 15 * int(os.environ.get("SLOWER", "1"))
    children = [fork(churn, seed, seconds) for seed in range(4)]
    cpus, dice, cycles = [1, 2, 3], random.Random(1), 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        cpu = f"/sys/devices/system/cpu/cpu{dice.choice(cpus)}/online"
        write(cpu, "0")
        time.sleep(0.05)
        write(cpu, "1")
        cycles += 1
    results = [os.waitpid(child, 0)[1] for child in children]
    check("all pages are what they were", results, [0] * 4)
    case("CPUs came and went", *([] if cycles > 3 else [f"{cycles} times"]))
    check("nothing is left", [disk.mm(column) for column in (ORIG, COMPR)], before)
    used = disk.mm(USED)
    case("nor is memory", *([] if used <= 4 * SMALL else [f"{used} bytes"]))
    disk.swap_off()


def main(_, pages=None):
    """Runs the cases."""
    if pages:
        memory, _ = filled("text", int(pages))
        found = swapped()
        memory.close()
        sys.exit(found < int(pages) // 2)
    disk = Disk()
    freed = vmstat("pswpout")
    exact(disk)
    by_itself(disk)
    at_the_limit(disk)
    together(disk)
    case("pages were swapped out", *([] if vmstat("pswpout") > freed + 10000 else ["too few"]))
    end()


main(*sys.argv[1:])
