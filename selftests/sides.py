"""The C driver and ours, side by side in one kernel: the same operations on either, with comparable outcomes.

A selftest loads both first, ours with coexist=1. An operation never raises for what the kernel says: its outcome is
then the name of the errno.
"""

import errno
import fcntl
import functools
import mmap
import os
import re
import struct
import time

from pages import PAGE, contents

BLKDISCARD = 0x1277
BLKZEROOUT = 0x127F


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


@functools.cache
def content(kind, seed):
    """As in pages.py; a number means so many incompressible bytes in each page, and any means all sizes at once."""
    noise = contents("random", seed)
    if kind == "any":
        return lambda n: cut(noise(n), (seed * 37 + n * 811) % PAGE)
    if isinstance(kind, int):
        return lambda n: cut(noise(n), kind)
    return contents(kind, seed)


def cut(page, length):
    return page[:length] + bytes(PAGE - length)


class Side:
    """One driver, and what a test holds of it."""

    def __init__(self, name, backings=()):
        self.name = name
        self.control = f"/sys/class/{name}-control"
        self.backings = backings
        self.held = {}

    def disk(self, number):
        return f"/sys/block/{self.name}{number}"

    def node(self, number):
        return f"/dev/{self.name}{number}"

    def numbers(self):
        """The devices that there are."""
        return sorted(int(n[len(self.name):]) for n in os.listdir("/sys/block") if re.match(self.name + r"\d", n))

    def attributes(self):
        """The files of a device, without what tells it from any other."""
        files = {e.name for e in os.scandir(self.disk(self.numbers()[0])) if e.is_file()}
        return files - {"dev", "diskseq", "uevent"}

    def plain(self, data):
        """What the kernel said, with the names that differ by intent replaced."""
        for number, path in enumerate(self.backings):
            data = data.replace(path.encode(), b"{%d}" % number)
        return data.replace(self.name.encode(), b"zram")

    def named(self, data):
        """The reverse, for what is written."""
        for number, path in enumerate(self.backings):
            data = data.replace(b"{%d}" % number, path.encode())
        return data.replace(b"{link}", f"{self.name}.link".encode()).replace(b"{zram}", self.name.encode())

    # --- files ---

    def file_get(self, path, size=1 << 16):
        fd = os.open(path, os.O_RDONLY)
        try:
            return self.plain(os.read(fd, size))
        finally:
            os.close(fd)

    def file_put(self, path, data):
        fd = os.open(path, os.O_WRONLY)
        try:
            done = os.write(fd, self.named(data))
        finally:
            os.close(fd)
        # A path of another length is still the whole of it.
        return "all" if done == len(self.named(data)) else done

    def get(self, number, attribute):
        return attempt(self.file_get, f"{self.disk(number)}/{attribute}")

    def put(self, number, attribute, data):
        return attempt(self.file_put, f"{self.disk(number)}/{attribute}", data)

    def mode(self, number, attribute):
        return attempt(lambda: oct(os.stat(f"{self.disk(number)}/{attribute}").st_mode))

    def control_file(self, _, name):
        """The mode of a file of the class, and what the direction that it lacks yields."""
        path = f"{self.control}/{name}"
        wrong = attempt(self.file_put, path, b"1") if name == "hot_add" else attempt(self.file_get, path)
        return attempt(lambda: oct(os.stat(path).st_mode)), wrong

    def add(self):
        return attempt(self.file_get, f"{self.control}/hot_add")

    def remove(self, data):
        return attempt(self.file_put, f"{self.control}/hot_remove", data)

    def state(self, number, size=1 << 20, position=0):
        """One read of block_state."""

        def read():
            fd = os.open(f"/sys/kernel/debug/{self.name}/{self.name}{number}/block_state", os.O_RDONLY)
            try:
                os.lseek(fd, position, os.SEEK_SET)
                return os.read(fd, size)
            finally:
                os.close(fd)

        return attempt(read)

    def idle_before(self, number, page):
        """Mark idle by age: what was accessed with the pages before this one, or at most three seconds later."""
        last = max(int(line[13:25]) for line in self.state(number).splitlines() if int(line[:12]) < page)
        return self.put(number, "idle", b"%d" % (int(time.clock_gettime(time.CLOCK_BOOTTIME)) - last - 3))

    def wait(self, _, seconds):
        time.sleep(seconds)

    # --- the block device ---

    def using(self, number, flags, function):
        def use():
            fd = os.open(self.node(number), flags)
            try:
                return function(fd)
            finally:
                os.close(fd)

        return attempt(use)

    def write(self, number, first, count, kind, seed=1):
        """Direct, whole pages."""
        page = content(kind, seed)
        data = mmap.mmap(-1, count * PAGE)
        for n in range(first, first + count):
            data.write(page(n))
        return self.using(number, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, data, first * PAGE))

    def read(self, number, first, count):
        data = mmap.mmap(-1, count * PAGE)
        return self.using(number, os.O_RDONLY | os.O_DIRECT,
                          lambda fd: bytes(data[:os.preadv(fd, [data], first * PAGE)]))

    def buffered_write(self, number, offset, length, kind, seed=1):
        page = content(kind, seed)
        pages = range(offset // PAGE, (offset + length) // PAGE + 1)
        data = b"".join(map(page, pages))[offset % PAGE:][:length]

        def write(fd):
            done = os.pwrite(fd, data, offset)
            return f"{done} {attempt(os.fsync, fd)}"

        return self.using(number, os.O_WRONLY, write)

    def buffered_read(self, number, offset, length):
        return self.using(number, os.O_RDONLY, lambda fd: os.pread(fd, length, offset))

    def discard(self, number, offset, length):
        return self.using(number, os.O_WRONLY,
                          lambda fd: fcntl.ioctl(fd, BLKDISCARD, struct.pack("=QQ", offset, length)) and None)

    def zero(self, number, offset, length):
        return self.using(number, os.O_WRONLY,
                          lambda fd: fcntl.ioctl(fd, BLKZEROOUT, struct.pack("=QQ", offset, length)) and None)

    def open(self, number, flags=0):
        """Hold the device open until close()."""
        fd = attempt(os.open, self.node(number), os.O_RDONLY | flags)
        if isinstance(fd, str):
            return fd
        self.held.setdefault(number, []).append(fd)
        return None

    def close(self, number):
        if self.held.get(number):
            os.close(self.held[number].pop())

    def fresh(self):
        """One blank device, number 0, as new."""
        for number in list(self.held):
            while self.held[number]:
                self.close(number)
        for number in self.numbers():
            if self.remove(b"%d" % number) != "all":
                raise RuntimeError(f"cannot remove {self.node(number)}")
        if self.add() != b"0\n":
            raise RuntimeError(f"no first device of {self.name}")

    # --- numbers ---

    def mm(self, number, column):
        columns = "orig compr used limit max same compacted huge huge_since".split()
        return int(self.get(number, "mm_stat").split()[columns.index(column)])

    def bd(self, number, column):
        return int(self.get(number, "bd_stat").split()[["count", "reads", "writes"].index(column)])

    def flags(self, number, letter):
        """The slots that have this flag in block_state."""
        state = self.state(number)
        return {int(line[:12]) for line in state.splitlines() if letter.encode() in line[33:]}


def case(name, *trouble):
    """KTAP for the shell to number: no trouble is success."""
    print(f"{'not ok' if trouble else 'ok'} {name}")
    for line in trouble:
        for part in str(line).splitlines():
            print("#", part)
    print(end="", flush=True)
    return not trouble


def note(text):
    print("#", text, flush=True)
