#!/usr/bin/env python3
"""Memory is used up for some seconds, and I/O waits for it: nothing fails, and nothing is lost.

short.py MAPPING FOLDER     the device-mapper device to write back to, of 64 MiB, and an empty folder to mount at

A process writes to one disk until there is no memory left for what it stores. Then another syncs a file on the second,
and one reads pages of a third that are on the backing device, which answers no sooner than there is memory again. Only
swap-out may fail for want of memory. The result is KTAP without numbers.
"""

import ctypes
import mmap
import os
import signal
import struct
import subprocess
import sys
import time

from pages import PAGE
from sides import Side, attempt, case, content, note

FILL, FILES, BACK = range(3)
STEP = 256
READ = 32 * STEP
FILE = 8 * STEP
LEAVE = 96  # megabytes of memory that there are to use up
VICTIMS = 24
SHORT = 2
# Whoever waits this long for something that is about to happen waits in vain.
PATIENCE = 40 * int(os.environ.get("SLOWER", "1"))
RESERVED = "/proc/sys/vm/nr_hugepages"
libc = ctypes.CDLL(None, use_errno=True)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def table(path, name):
    with open(path, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.split()[0].rstrip(":") == name)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def stay():
    """In memory, whatever happens."""
    write("/proc/self/oom_score_adj", -1000)
    everything = 1 | 2  # MCL_CURRENT, MCL_FUTURE
    if libc.mlockall(everything):
        raise OSError(ctypes.get_errno(), "mlockall")


def until(condition, seconds=PATIENCE):
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
        self.child = os.fork()
        if not self.child:
            status = 1
            try:
                work = prepare(self)
                stay()
                self[Task.READY] = 1
                while not self[Task.GO]:
                    time.sleep(0.02)
                start = time.monotonic()
                outcome = str(attempt(work)).encode()
                self[Task.SECONDS] = int((time.monotonic() - start) * 1000)
                self.shared[Task.SAID * 8:Task.SAID * 8 + len(outcome)] = outcome
                self[Task.DONE] = 1
                status = 0
            finally:
                os._exit(status)
        if not until(lambda: self[Task.READY]):
            raise TimeoutError("a process did not get ready")

    def __getitem__(self, place):
        return struct.unpack_from("=Q", self.shared, place * 8)[0]

    def __setitem__(self, place, value):
        struct.pack_into("=Q", self.shared, place * 8, value)

    @property
    def said(self):
        return self.shared[Task.SAID * 8:].rstrip(b"\0").decode()

    def ends(self):
        """Whether it ends in time; a task that does not can't be killed either, if it waits for memory."""
        if not until(lambda: os.waitpid(self.child, os.WNOHANG)[0]):
            return False
        return self[Task.DONE] == 1


def victim():
    """A process for the kernel to kill: it may do so for whoever is not here on purpose."""
    child = os.fork()
    if not child:
        write("/proc/self/oom_score_adj", 1000)
        while True:
            signal.pause()
    return child


def filler(side):
    """Writes one page after the other to a disk, until it is told to stop; one that fails once more."""

    def prepare(task):
        disk = os.open(side.node(FILL), os.O_RDWR | os.O_DIRECT)
        page, random = mmap.mmap(-1, PAGE), content("random", 3)
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
    def prepare(_):
        file = os.open(f"{folder}/file", os.O_RDWR | os.O_CREAT)
        random = content("random", 5)
        for n in range(FILE):
            os.pwrite(file, random(n), n * PAGE)
        return lambda: os.fsync(file) or "OK"

    return prepare


def reader(side):
    """Reads all at once, to one place: what comes is looked at when there is memory again. That place begins within a page, so
    that each page that is read takes one of its own until it is there."""

    def prepare(_):
        disk = os.open(side.node(BACK), os.O_RDONLY | os.O_DIRECT)
        room = memoryview(mmap.mmap(-1, (STEP + 1) * PAGE))[512:][:STEP * PAGE]
        rooms = [room] * (READ // STEP)
        return lambda: os.preadv(disk, rooms, 0)

    return prepare


def used_up(task):
    """Whether the filler gets no further for a second; it may fail, which is another thing."""

    def stands():
        if task[Task.FAILED]:
            return True
        before = task[Task.COUNT]
        time.sleep(1)
        return task[Task.COUNT] == before

    return until(stands)


def outcome(name, task, wanted, *trouble):
    ended = task.ends()
    note(f"{name}: {task.said or 'waits'} after {task[Task.SECONDS] / 1000:.1f} s")
    if not ended:
        return case(name, "it does not end when there is memory again", *trouble)
    return case(name, *([] if task.said == wanted else [f"{task.said} instead of {wanted}"]), *trouble)


def failures(side, number):
    """The failed reads and writes of a disk, if there were any."""
    counts = side.get(number, "io_stat").split()[:2]
    return [] if counts == [b"0", b"0"] else [f"io_stat counts {counts} as failed"]


def prepare_disks(side, mapping, folder):
    name = subprocess.run(("dmsetup", "info", "--columns", "--noheadings", "-o", "blkdevname", mapping), check=True,
                          capture_output=True, text=True).stdout.strip()
    for number, attribute, text in (
            (FILL, "disksize", b"2G"), (FILES, "disksize", b"128M"),
            (BACK, "backing_dev", f"/dev/{name}".encode()), (BACK, "disksize", b"64M")):
        if (outcome := side.put(number, attribute, text)) != "all":
            raise RuntimeError(f"{attribute} of {number}: {outcome}")
    for first in range(0, READ, STEP):
        side.write(BACK, first, STEP, "random")
    side.put(BACK, "writeback", b"huge")
    if side.bd(BACK, "count") != READ:
        raise RuntimeError(f"{side.bd(BACK, 'count')} pages were written back")
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", side.node(FILES))
    run("mount", "-o", "commit=600", side.node(FILES), folder)
    # A file is written when it is synced, not before.
    write("/proc/sys/vm/dirty_writeback_centisecs", 0)
    write("/proc/sys/vm/dirty_background_bytes", 500 << 20)
    write("/proc/sys/vm/dirty_bytes", 600 << 20)


def main(mapping, folder):
    side = Side("zram")
    prepare_disks(side, mapping, folder)
    fill, read = Task(filler(side)), Task(reader(side))
    victims = [victim() for _ in range(VICTIMS)]
    kills = table("/proc/vmstat", "oom_kill")
    os.sync()
    sync = Task(syncer(folder))
    run("dmsetup", "suspend", "--noflush", "--nolockfs", mapping)
    write("/proc/sys/vm/drop_caches", 3)
    write(RESERVED, max(0, table("/proc/meminfo", "MemAvailable") // 1024 - LEAVE) // 2)
    reserve = mmap.mmap(-1, 8 << 20)
    stay()
    give_back = os.open(RESERVED, os.O_WRONLY)

    fill[Task.GO] = 1
    short = used_up(fill)
    sync[Task.GO] = read[Task.GO] = 1
    time.sleep(SHORT)
    # All but the filler shall have what there will be.
    fill[Task.STOP] = 1
    reserve.close()
    os.pwrite(give_back, b"0", 0)
    libc.munlockall()
    run("dmsetup", "resume", mapping)

    note(f"{table('/proc/vmstat', 'oom_kill') - kills} processes were killed")
    case("memory is used up", *([] if short else ["there was still some"]))
    failed = fill[Task.FAILED]
    outcome("a direct write waits", fill, "OK", *([f"{failed} failed"] if failed else []), *failures(side, FILL))
    check_pages(side, "what was written last is there", FILL, 3, max(0, fill[Task.COUNT] - 4 * STEP), fill[Task.COUNT])
    outcome("fsync waits", sync, "OK", *failures(side, FILES))
    check_file(side, folder)
    outcome("a read of pages that were written back waits", read, str(READ * PAGE), *failures(side, BACK))
    check_pages(side, "they are what was written", BACK, 1, 0, READ)
    for child in victims:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    note("end")


def check_pages(side, name, disk, seed, start, end):
    random = content("random", seed)
    for first in range(start, end, STEP):
        pages = range(first, min(first + STEP, end))
        got = side.read(disk, first, len(pages))
        if got != b"".join(map(random, pages)):
            case(name, got if isinstance(got, str) else f"not so in pages {pages}")
            return
    case(name)


def check_file(side, folder):
    """As it is on the disk, not in the page cache."""
    trouble = []
    for command in ("umount", folder), ("mount", side.node(FILES), folder):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            trouble.append(f"{command[0]}: {done.returncode} {done.stderr}")
    data, random = attempt(side.file_get, f"{folder}/file", FILE * PAGE + 1), content("random", 5)
    if isinstance(data, str):
        trouble.append(f"reading it: {data}")
    elif lost := [n for n in range(FILE) if data[n * PAGE:(n + 1) * PAGE] != random(n)]:
        trouble.append(f"{len(lost)} of {FILE} pages are wrong")
    made = attempt(lambda: os.close(os.open(f"{folder}/new", os.O_WRONLY | os.O_CREAT)))
    if made:
        trouble.append(f"a new file: {made}")
    case("the file is there after a remount, and a new one can be made", *trouble)


if __name__ == "__main__":
    main(*sys.argv[1:])
