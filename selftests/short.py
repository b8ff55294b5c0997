#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Memory is used up for some seconds, and I/O waits for it: nothing fails, and nothing is lost.

short.py MAPPING FOLDER     the device-mapper device to write back to, of 64 MiB, and an empty folder to mount at

A process writes to one disk until there is no memory left for what it stores. Then another syncs a file on the second,
and one reads pages of a third that are on the backing device, which answers no sooner than there is memory again. Only
swap-out may fail for want of memory. The result is KTAP without numbers.
"""

import mmap
import os
import signal
import struct
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.files import errno_or, meminfo, vmstat, write
from zramtest.ktap import case, end, note
from zramtest.libc import libc, stay_in_memory
from zramtest.pages import PAGE, contents
from zramtest.tasks import fork, kill

FILL, FILES, BACK = range(3)
STEP = (1 << 20) // PAGE
READ = 32 * STEP
FILE = 8 * STEP
LEAVE = 96  # megabytes of memory that there are to use up
VICTIMS = 24
SHORT = 2
# What has not happened after so many seconds is not going to happen.
PATIENCE = 40 * int(os.environ.get("SLOWER", "1"))
# Huge pages of 2 MiB, as in lib.sh.
RESERVED = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"


def run(*command):
    """Runs a command without its output."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def until(condition, seconds=PATIENCE):
    """Waits for a condition. Returns whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Task:
    """A process that stays in memory, and does what it is told to when it is told to. Both talk by shared memory."""

    READY, GO, STOP, DONE, COUNT, FAILED, SECONDS, SAID = range(8)

    def __init__(self, prepare):
        self.shared = mmap.mmap(-1, PAGE)
        self.child = fork(self.run, prepare)
        if not until(lambda: self[Task.READY]):
            raise TimeoutError("a process did not get ready")

    def run(self, prepare):
        """Prepares, waits until it is told to go, works, and says what came of it."""
        work = prepare(self)
        stay_in_memory()
        self[Task.READY] = 1
        while not self[Task.GO]:
            time.sleep(0.02)
        start = time.monotonic()
        outcome = str(errno_or(work)).encode()
        self[Task.SECONDS] = int((time.monotonic() - start) * 1000)
        self.shared[Task.SAID * 8:Task.SAID * 8 + len(outcome)] = outcome
        self[Task.DONE] = 1

    def __getitem__(self, place):
        return struct.unpack_from("=Q", self.shared, place * 8)[0]

    def __setitem__(self, place, value):
        struct.pack_into("=Q", self.shared, place * 8, value)

    @property
    def said(self):
        return self.shared[Task.SAID * 8:].rstrip(b"\0").decode()

    def ends(self):
        """Returns whether it ends in time; a task that does not can't be killed either, if it waits for memory."""
        if not until(lambda: os.waitpid(self.child, os.WNOHANG)[0]):
            return False
        return self[Task.DONE] == 1


def victim():
    """Starts a process for the kernel to kill, in place of those that are needed. Returns its ID."""

    def wait():
        write("/proc/self/oom_score_adj", 1000)
        while True:
            signal.pause()

    return fork(wait)


def filler(driver):
    """Writes one page after the other to a disk, until it is told to stop; one that fails once more."""

    def prepare(task):
        disk = os.open(driver.node(FILL), os.O_RDWR | os.O_DIRECT)
        page, random = mmap.mmap(-1, PAGE), contents("random", 3)
        for n in range(STEP):
            random(n)

        def work():
            while not task[Task.STOP]:
                page[:] = random(task[Task.COUNT])
                try:
                    os.pwrite(disk, page, task[Task.COUNT] * PAGE)
                    task[Task.COUNT] += 1
                except OSError:
                    task[Task.FAILED] += 1
            return "OK"

        return work

    return prepare


def syncer(folder):
    """Returns what prepares a file to be synced."""

    def prepare(_):
        file = os.open(f"{folder}/file", os.O_RDWR | os.O_CREAT)
        random = contents("random", 5)
        for n in range(FILE):
            os.pwrite(file, random(n), n * PAGE)
        return lambda: os.fsync(file) or "OK"

    return prepare


def reader(driver):
    """Reads all at once, to one place: what comes is looked at when there is memory again. That place begins within a page, so
    that each page that is read takes one of its own until it is there."""

    def prepare(_):
        disk = os.open(driver.node(BACK), os.O_RDONLY | os.O_DIRECT)
        room = memoryview(mmap.mmap(-1, (STEP + 1) * PAGE))[512:][:STEP * PAGE]
        rooms = [room] * (READ // STEP)
        return lambda: os.preadv(disk, rooms, 0)

    return prepare


def used_up(task):
    """Returns whether the filler gets no further for a second; it may fail, which is another thing."""

    def stands():
        if task[Task.FAILED]:
            return True
        before = task[Task.COUNT]
        time.sleep(1)
        return task[Task.COUNT] == before

    return until(stands)


def outcome(name, task, wanted, *trouble):
    """Prints a case: the task ended, with the outcome that is wanted."""
    ended = task.ends()
    note(f"{name}: {task.said or 'waits'} after {task[Task.SECONDS] / 1000:.1f} s")
    if not ended:
        return case(name, "it does not end when there is memory again", *trouble)
    return case(name, *([] if task.said == wanted else [f"{task.said} instead of {wanted}"]), *trouble)


def failures(driver, number):
    """Returns the failed reads and writes of a disk, if there were any, as trouble of a case."""
    counts = driver.failures(number)
    return [] if counts == (0, 0) else [f"io_stat counts {counts} as failed"]


def prepare_disks(driver, mapping, folder):
    """Sets the disks up, and has a file be written when it is synced, and not before."""
    name = subprocess.run(("dmsetup", "info", "--columns", "--noheadings", "-o", "blkdevname", mapping), check=True,
                          capture_output=True, text=True).stdout.strip()
    for number, attribute, text in (
            (FILL, "disksize", "2G"), (FILES, "disksize", "128M"),
            (BACK, "backing_dev", f"/dev/{name}"), (BACK, "disksize", "64M")):
        driver.put_or_raise(number, attribute, text)
    for first in range(0, READ, STEP):
        driver.write(BACK, first, STEP, "random")
    driver.put(BACK, "writeback", b"huge")
    if driver.bd(BACK, "count") != READ:
        raise RuntimeError(f"{driver.bd(BACK, 'count')} pages were written back")
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", driver.node(FILES))
    run("mount", "-o", "commit=600", driver.node(FILES), folder)
    # A file is written when it is synced, not before.
    write("/proc/sys/vm/dirty_writeback_centisecs", 0)
    write("/proc/sys/vm/dirty_background_bytes", 500 << 20)
    write("/proc/sys/vm/dirty_bytes", 600 << 20)


def main(mapping, folder):
    """Runs all of it."""
    driver = Driver()
    prepare_disks(driver, mapping, folder)
    fill, read = Task(filler(driver)), Task(reader(driver))
    victims = [victim() for _ in range(VICTIMS)]
    kills = vmstat("oom_kill")
    os.sync()
    sync = Task(syncer(folder))
    run("dmsetup", "suspend", "--noflush", "--nolockfs", mapping)
    write("/proc/sys/vm/drop_caches", 3)
    write(RESERVED, max(0, meminfo("MemAvailable") // 1024 - LEAVE) // 2)
    reserve = mmap.mmap(-1, 8 << 20)
    stay_in_memory()
    give_back = os.open(RESERVED, os.O_WRONLY)

    fill[Task.GO] = 1
    short = used_up(fill)
    sync[Task.GO] = read[Task.GO] = 1
    time.sleep(SHORT)
    # The filler stops first: the others are to get the memory.
    fill[Task.STOP] = 1
    reserve.close()
    os.pwrite(give_back, b"0", 0)
    libc.munlockall()
    run("dmsetup", "resume", mapping)

    note(f"{vmstat('oom_kill') - kills} processes were killed")
    case("memory is used up", *([] if short else ["there was still some"]))
    failed = fill[Task.FAILED]
    outcome("a direct write waits", fill, "OK", *([f"{failed} failed"] if failed else []), *failures(driver, FILL))
    check_pages(driver, "what was written last is there", FILL, 3, max(0, fill[Task.COUNT] - 4 * STEP), fill[Task.COUNT])
    outcome("fsync waits", sync, "OK", *failures(driver, FILES))
    check_file(driver, folder)
    outcome("a read of pages that were written back waits", read, str(READ * PAGE), *failures(driver, BACK))
    check_pages(driver, "they are what was written", BACK, 1, 0, READ)
    kill(*victims)
    end()


def check_pages(driver, name, disk, seed, start, end):
    """Prints a case: these pages are what was written."""
    random = contents("random", seed)
    for first in range(start, end, STEP):
        pages = range(first, min(first + STEP, end))
        got = driver.read(disk, first, len(pages))
        if got != b"".join(map(random, pages)):
            case(name, got if isinstance(got, str) else f"not so in pages {pages}")
            return
    case(name)


def check_file(driver, folder):
    """As it is on the disk, not in the page cache."""
    trouble = []
    for command in ("umount", folder), ("mount", driver.node(FILES), folder):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            trouble.append(f"{command[0]}: {done.returncode} {done.stderr}")
    data, random = errno_or(driver.file_get, f"{folder}/file", FILE * PAGE + 1), contents("random", 5)
    if isinstance(data, str):
        trouble.append(f"reading it: {data}")
    elif lost := [n for n in range(FILE) if data[n * PAGE:(n + 1) * PAGE] != random(n)]:
        trouble.append(f"{len(lost)} of {FILE} pages are wrong")
    made = errno_or(lambda: os.close(os.open(f"{folder}/new", os.O_WRONLY | os.O_CREAT)))
    if made:
        trouble.append(f"a new file: {made}")
    case("the file is there after a remount, and a new one can be made", *trouble)


if __name__ == "__main__":
    main(*sys.argv[1:])
