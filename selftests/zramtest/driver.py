# SPDX-License-Identifier: GPL-2.0-only
"""A zram driver and its devices: mainline's or ours, or both, in one kernel, ours loaded with coexist=1.

An operation does not raise what the kernel says: its outcome is then the name of the errno, which can be compared.
"""

import fcntl
import mmap
import os
import re
import struct
import time

from zramtest.files import errno_or
from zramtest.ioctls import IOCTLS
from zramtest.pages import BLOCK, FOUR_K, PAGE, run_of


class Driver:
    """One driver by its name, and the files that a test has open."""

    def __init__(self, name="zram", backings=()):
        self.name = name
        self.control = f"/sys/class/{name}-control"
        self.backings = backings
        self.held = {}

    def disk(self, number):
        """Returns the path of a device's attributes."""
        return f"/sys/block/{self.name}{number}"

    def node(self, number):
        """Returns the path of a device."""
        return f"/dev/{self.name}{number}"

    def numbers(self):
        """Returns the numbers of the devices that there are."""
        return sorted(int(n[len(self.name):]) for n in os.listdir("/sys/block") if re.match(self.name + r"\d", n))

    def attributes(self):
        """Returns the names of a device's files, without those that tell it from any other."""
        files = {e.name for e in os.scandir(self.disk(self.numbers()[0])) if e.is_file()}
        return files - {"dev", "diskseq", "uevent"}

    # Two drivers are told the same, and say the same, but for their own names and those of their backing devices.

    def neutral(self, data):
        """Replaces the names in what the kernel said: backing devices by {0}, {1} and so on, the driver's by zram."""
        for number, path in enumerate(self.backings):
            data = data.replace(path.encode(), b"{%d}" % number)
        return data.replace(self.name.encode(), b"zram")

    def specific(self, data):
        """Puts the names of this driver into what is to be written."""
        for number, path in enumerate(self.backings):
            data = data.replace(b"{%d}" % number, path.encode())
        return data.replace(b"{link}", f"{self.name}.link".encode()).replace(b"{zram}", self.name.encode())

    # --- files ---

    def file_get(self, path, size=1 << 16):
        """Returns what one read of a file gives. Raises OSError."""
        fd = os.open(path, os.O_RDONLY)
        try:
            return self.neutral(os.read(fd, size))
        finally:
            os.close(fd)

    def file_put(self, path, data):
        """Writes once to a file. Returns "all", or how many bytes were taken. Raises OSError."""
        data = self.specific(data if isinstance(data, bytes) else str(data).encode())
        fd = os.open(path, os.O_WRONLY)
        try:
            done = os.write(fd, data)
        finally:
            os.close(fd)
        # The names of the drivers differ in length, so the number of bytes is not compared if all were taken.
        return "all" if done == len(data) else done

    def get(self, number, attribute):
        """Returns what an attribute says."""
        return errno_or(self.file_get, f"{self.disk(number)}/{attribute}")

    def put(self, number, attribute, data):
        """Writes to an attribute. Returns "all" if that was taken."""
        return errno_or(self.file_put, f"{self.disk(number)}/{attribute}", data)

    def put_or_raise(self, number, attribute, data):
        """Writes to an attribute. Raises RuntimeError if that is not taken."""
        if (outcome := self.put(number, attribute, data)) != "all":
            raise RuntimeError(f"{self.name}{number}/{attribute} <- {data}: {outcome}")

    def mode(self, number, attribute):
        """Returns the mode of an attribute."""
        return errno_or(lambda: oct(os.stat(f"{self.disk(number)}/{attribute}").st_mode))

    def control_file(self, _, name):
        """Returns the mode of a file of the class, and the outcome of what it is not for: reading, or writing."""
        path = f"{self.control}/{name}"
        wrong = errno_or(self.file_put, path, b"1") if name == "hot_add" else errno_or(self.file_get, path)
        return errno_or(lambda: oct(os.stat(path).st_mode)), wrong

    def add(self):
        """Reads hot_add."""
        return errno_or(self.file_get, f"{self.control}/hot_add")

    def remove(self, data):
        """Writes to hot_remove."""
        return errno_or(self.file_put, f"{self.control}/hot_remove", data)

    def state(self, number, size=1 << 20, position=0):
        """Returns one read of block_state."""

        def read():
            fd = os.open(f"/sys/kernel/debug/{self.name}/{self.name}{number}/block_state", os.O_RDONLY)
            try:
                os.lseek(fd, position, os.SEEK_SET)
                return os.read(fd, size)
            finally:
                os.close(fd)

        return errno_or(read)

    def idle_before(self, number, page):
        """Marks by age what was accessed with the pages before this one, or at most three seconds later."""
        last = max(int(line[13:25]) for line in self.state(number).splitlines() if int(line[:12]) < page)
        return self.put(number, "idle", int(time.clock_gettime(time.CLOCK_BOOTTIME)) - last - 3)

    def wait(self, _, seconds):
        """Sleeps."""
        time.sleep(seconds)

    # --- the block device ---

    def with_disk(self, number, flags, function):
        """Returns what the function returns for a file descriptor of the device."""

        def call():
            fd = os.open(self.node(number), flags)
            try:
                return function(fd)
            finally:
                os.close(fd)

        return errno_or(call)

    def write_bytes(self, number, first, data):
        """Writes whole pages from page `first` on, with direct I/O."""
        memory = mmap.mmap(-1, len(data))
        memory.write(data)
        return self.with_disk(number, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, memory, first * PAGE))

    def write(self, number, first, count, kind, seed=1):
        """Writes pages of a kind, see pages.contents, with direct I/O."""
        return self.write_bytes(number, first, run_of(kind, seed, first, count))

    def read(self, number, first, count):
        """Reads whole pages with direct I/O."""
        data = mmap.mmap(-1, count * PAGE)
        return self.with_disk(number, os.O_RDONLY | os.O_DIRECT,
                              lambda fd: bytes(data[:os.preadv(fd, [data], first * PAGE)]))

    def write_blocks(self, number, first, count, kind, seed=1):
        """Writes blocks of pages of a kind with direct I/O, which may begin and end in the middle of pages."""
        data = self.span(first * BLOCK, count * BLOCK, kind, seed)
        memory = mmap.mmap(-1, len(data))
        memory.write(data)
        return self.with_disk(number, os.O_WRONLY | os.O_DIRECT, lambda fd: os.pwrite(fd, memory, first * BLOCK))

    def read_blocks(self, number, first, count):
        """Reads blocks with direct I/O."""
        data = mmap.mmap(-1, count * BLOCK)
        return self.with_disk(number, os.O_RDONLY | os.O_DIRECT,
                              lambda fd: bytes(data[:os.preadv(fd, [data], first * BLOCK)]))

    @staticmethod
    def span(offset, length, kind, seed):
        """Returns the bytes that pages of a kind have there."""
        first, last = offset // PAGE, (offset + length) // PAGE
        return run_of(kind, seed, first, last - first + 1)[offset % PAGE:][:length]

    def buffered_write(self, number, offset, length, kind, seed=1):
        """Writes any bytes through the page cache, and syncs."""
        data = self.span(offset, length, kind, seed)

        def write(fd):
            done = os.pwrite(fd, data, offset)
            return f"{done} {errno_or(os.fsync, fd)}"

        return self.with_disk(number, os.O_WRONLY, write)

    def buffered_read(self, number, offset, length):
        """Reads any bytes through the page cache."""
        return self.with_disk(number, os.O_RDONLY, lambda fd: os.pread(fd, length, offset))

    def discard(self, number, offset, length, ioctl="BLKDISCARD"):
        """Discards bytes."""
        span = struct.pack("=QQ", offset, length)
        return self.with_disk(number, os.O_WRONLY, lambda fd: fcntl.ioctl(fd, IOCTLS[ioctl], span) and None)

    def zero(self, number, offset, length):
        """Zeroes bytes."""
        return self.discard(number, offset, length, "BLKZEROOUT")

    def open(self, number, flags=0):
        """Holds the device open until close()."""
        fd = errno_or(os.open, self.node(number), os.O_RDONLY | flags)
        if isinstance(fd, str):
            return fd
        self.held.setdefault(number, []).append(fd)
        return None

    def close(self, number):
        """Closes what was opened last."""
        if self.held.get(number):
            os.close(self.held[number].pop())

    def fresh(self):
        """Leaves one blank device, number 0, as new."""
        for number in list(self.held):
            while self.held[number]:
                self.close(number)
        for number in self.numbers():
            if self.remove(b"%d" % number) != "all":
                raise RuntimeError(f"cannot remove {self.node(number)}")
        if self.add() != b"0\n":
            raise RuntimeError(f"no first device of {self.name}")

    # --- what it says ---

    def algorithms(self, number=0):
        """Returns the names of the algorithms that there are."""
        return self.get(number, "comp_algorithm").decode().replace("[", "").replace("]", "").split()

    def mm(self, number, column):
        """Returns a column of mm_stat."""
        columns = "orig compr used limit max same compacted huge huge_since".split()
        return int(self.get(number, "mm_stat").split()[columns.index(column)])

    def bd(self, number, column):
        """Returns a column of bd_stat, in pages."""
        pages, rest = divmod(int(self.get(number, "bd_stat").split()[["count", "reads", "writes"].index(column)]), FOUR_K)
        if rest:
            raise ValueError(f"{column} of bd_stat counts a part of a page")
        return pages

    def failures(self, number):
        """Returns how many reads and writes failed since the device was set up."""
        return tuple(map(int, self.get(number, "io_stat").split()[:2]))

    def flags(self, number, letter):
        """Returns the slots that have this flag in block_state."""
        state = self.state(number)
        return {int(line[:12]) for line in state.splitlines() if letter.encode() in line[33:]}
