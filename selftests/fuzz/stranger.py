# SPDX-License-Identifier: GPL-2.0-only
"""Strangers, who do what nobody should."""

import fcntl
import mmap
import os
import re
import select
import stat
import struct

from fuzz.process import CONTROL, DEBUG, DEBUG_FORMATS, FORMATS, MOST_DISKS, OURS, OWNERS, Process, driver
from zramtest.files import errno_or
from zramtest.ioctls import IOCTLS
from zramtest.libc import libc
from zramtest.pages import PAGE, contents
from zramtest.values import NUMBERS, WORDS, damaged

# These take data away; the last, BLKTRACESETUP, starts block traces, which are not the driver's.
NOT_AT_RANDOM = [IOCTLS["BLKDISCARD"], IOCTLS["BLKSECDISCARD"], IOCTLS["BLKZEROOUT"], 0xC0481273]

ACCESS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, 3]
FLAGS = [getattr(os, name) for name in """O_EXCL O_DIRECT O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_PATH O_DIRECTORY
    O_NOFOLLOW O_NOATIME O_TMPFILE O_ASYNC O_NOCTTY""".split()] + [os.O_CREAT | os.O_EXCL]


class Stranger(Process):
    """Does what nobody should."""

    def __init__(self, world, number):
        super().__init__(world, f"stranger{number}", OWNERS + number)
        self.open_files, self.there = [], [0]

    def run(self):
        actions = [(self.write_file, 30), (self.read_file, 16), (self.ioctls, 9), (self.raw, 8), (self.odd_open, 5),
                   (self.session, 1), (self.control, 4), (self.nodes, 3), (self.old_file, 4)]
        turns = 0
        while not self.over():
            turns += 1
            self.turn(turns)
            for _ in range(self.rng.randrange(20, 200)):
                if self.chance(0.1):
                    self.there = driver.numbers() or [0]
                action = self.rng.choices(*zip(*actions))[0]
                if action != self.session and self.chance(0.01):  # pylint: disable=comparison-with-callable
                    self.doomed(action)
                else:
                    action()
                if self.over():
                    break
            for fd, _ in self.open_files:
                os.close(fd)
            self.open_files = []

    def any_disk(self):
        """Returns the number of a disk, which may not be there."""
        if self.chance(0.3):
            return self.world.in_focus[0]
        return self.rng.randrange(MOST_DISKS) if self.chance(0.1) else self.rng.choice(self.there)

    def any_file(self):
        """Returns a path, and what to call it."""
        number, kind = self.any_disk(), self.rng.random()
        if kind < 0.7:
            name = OURS[self.world.in_focus[1] % len(OURS)] if self.chance(0.3) else self.rng.choice(OURS)
            return f"{driver.disk(number)}/{name}", name
        if kind < 0.85:
            name = self.rng.choice(self.world.generic)
            return f"{driver.disk(number)}/{name}", name
        if kind < 0.95:
            name = self.rng.choice([*DEBUG_FORMATS])
            return f"{DEBUG}/zram{number}/{name}", name
        return f"{CONTROL}/{self.rng.choice(['hot_add', 'hot_remove'])}", "wrong way"

    def pointer(self):
        """Returns an address that is wrong: nowhere, in the kernel, or at the end of everything."""
        return self.rng.choice([0, 1, 0x1000, 0xFFFF888000001000, 0xFFFFFFFFFFFFF000, (1 << 47) - PAGE, (1 << 64) - 1])

    def odd_size(self):
        return self.rng.choice([0, 1, 2, 7, 39, 40, 41, 511, 512, 513, 4095, 4096, 4097, 8192, 65535, 65536, 1 << 20])

    def odd_position(self):
        return self.rng.choice([0, 0, 0, 0, 1, 2, 255, 4095, 4096, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, -1])

    def flags(self, *access):
        """Returns an access mode, and any flags."""
        flags = self.rng.choice(access)
        while self.chance(0.3):
            flags |= self.rng.choice(FLAGS)
        return flags

    def open(self, path, flags, what):
        """Opens a file. Returns None if that fails."""
        fd = errno_or(os.open, path, flags | os.O_CLOEXEC)
        if isinstance(fd, str):
            self.count(f"{what} open", fd)
            return None
        return fd

    def keep(self, fd, what):
        """Closes it, or does so later."""
        if self.chance(0.05) and len(self.open_files) < 8:
            self.open_files.append((fd, what))
        else:
            os.close(fd)

    # --- files ---

    def write_file(self):
        """Writes to any file."""
        path, what = self.any_file()
        if what == "wrong way":
            return
        fd = self.open(path, self.flags(os.O_WRONLY, os.O_WRONLY, os.O_RDWR) if self.chance(0.1) else os.O_WRONLY, what)
        if fd is not None:
            for _ in range(self.rng.choice([1, 1, 2, 5])):
                self.write_fd(fd, what)
            self.keep(fd, what)

    def write_fd(self, fd, what):
        """Writes something to a file that is open."""
        data = self.value(what)
        # At times the value comes in two parts.
        cut = self.rng.randrange(len(data) + 1) if self.chance(0.05) else len(data)
        for part in (data[:cut], data[cut:]) if cut < len(data) else (data,):
            position = self.odd_position() if self.chance(0.1) else 0
            if self.chance(0.02):
                self.system(f"{what} write", libc.pwrite, fd, self.pointer(), self.odd_size(), position)
            else:
                self.system(f"{what} write", libc.pwrite, fd, part, len(part), position)

    def read_file(self):
        """Reads any file."""
        path, what = self.any_file()
        fd = self.open(path, self.flags(os.O_RDONLY, os.O_RDWR) if self.chance(0.1) else os.O_RDONLY, what)
        if fd is not None:
            if path.endswith("hot_add"):
                self.control()
            else:
                self.read_fd(fd, what)
            self.keep(fd, what)

    def read_fd(self, fd, what):
        """Reads a file that is open, and does to it what else can be done to one."""
        for _ in range(self.rng.choice([1, 1, 1, 2, 5])):
            kind = self.rng.random()
            if kind < 0.5:
                got = self.timed(f"{what} read", os.pread, fd, 1 << 16, 0)
                self.looks_right(what, got)
            elif kind < 0.9:
                address = self.pointer() if self.chance(0.05) else self.address + self.rng.randrange(99)
                size = min(self.odd_size(), 1 << 19)
                self.system(f"{what} read", libc.pread, fd, address, size, self.odd_position())
            elif kind < 0.95:
                self.timed(f"{what} lseek", os.lseek, fd, self.odd_position(), self.rng.randrange(6))
                self.timed(f"{what} read", os.read, fd, self.odd_size())
            else:
                self.timed(f"{what} ioctl", fcntl.ioctl, fd, self.rng.choice(list(IOCTLS.values())), b"\0" * 64)
                self.system(f"{what} mmap", libc.mmap, None, PAGE, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
                poll = select.poll()
                poll.register(fd)
                self.timed(f"{what} poll", poll.poll, 0)

    def looks_right(self, what, got):
        """Checks that what a whole file says is well-formed, whatever the others do meanwhile."""
        wanted = FORMATS.get(what) or DEBUG_FORMATS.get(what)
        if wanted is None or isinstance(got, str):
            return
        if not re.fullmatch(wanted, got.splitlines()[-1] if got else b"") or got and got[-1:] != b"\n":
            self.trouble.append(f"{what}: {got[-200:]}")
        self.counts["files", "well-formed"] += 1

    def old_file(self):
        """Uses a file that was opened a while ago; its disk may be gone."""
        if self.open_files:
            fd, what = self.rng.choice(self.open_files)
            mode = fcntl.fcntl(fd, fcntl.F_GETFL)
            if mode & os.O_PATH == 0:
                (self.read_fd if mode & os.O_ACCMODE == os.O_RDONLY else self.write_fd)(fd, what)

    def control(self):
        """Has disks come and go."""
        there = driver.numbers()
        if len(there) < MOST_DISKS and self.chance(0.6):
            got = self.get(f"{CONTROL}/hot_add")
            if isinstance(got, bytes) and not re.fullmatch(rb"\d+\n", got):
                self.trouble.append(f"hot_add: {got}")
        else:
            data = b"%d" % self.rng.choice(there or [0]) if self.chance(0.5) else self.rng.choice(NUMBERS + WORDS)
            self.put(f"{CONTROL}/hot_remove", damaged(self.rng, data) if self.chance(0.2) else data)

    # --- disks ---

    def odd_open(self):
        """Opens a disk in any way."""
        number = self.any_disk()
        fd = self.open(driver.node(number), self.flags(*ACCESS), "disk")
        if fd is not None:
            self.count("disk open", "OK")
            os.close(fd)

    def ioctls(self):
        """Does ioctls to a disk, with arguments that are often wrong."""
        which = self.any_disk()
        fd = self.open(driver.node(which), self.rng.choice([os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_EXCL, 3]), "disk")
        if fd is None:
            return
        for _ in range(self.rng.choice([1, 1, 3])):
            if self.chance(0.15):
                low = self.rng.getrandbits(8)
                request = self.rng.choice([self.rng.getrandbits(32), 0x1200 | low, 0x5300 | low])
                name = "at random"
            else:
                name, request = self.rng.choice(list(IOCTLS.items()))
            if request & 0xFFFF in NOT_AT_RANDOM or request in NOT_AT_RANDOM:
                argument = self.span(which) if request in IOCTLS.values() else None
            else:
                number = struct.pack("=i", self.rng.choice([0, 1, -1, 512, 4096, 8192, 1 << 30]))
                argument = self.rng.choice([
                    self.pointer(), number, self.rng.randbytes(256), self.partition(), self.rng.choice([0, 8, 4096])])
                # The owner could do little with a disk that is read-only.
                if request == IOCTLS["BLKROSET"] and which < OWNERS and self.chance(0.9):
                    continue
            if argument is not None:
                self.system(f"ioctl {name}", libc.ioctl, fd, request, argument)
        os.close(fd)

    def span(self, number):
        """Returns bytes of a disk to take away: none of those that an owner has."""
        if number < OWNERS or self.chance(0.3):
            bad = [(1, 4096), (0, 1), (0, (1 << 64) - 1), ((1 << 64) - 4096, 8192), (1 << 62, 4096),
                   (4096, 1 << 63)]
            return self.rng.choice([self.pointer(), struct.pack("=QQ", *self.rng.choice(bad))])
        return struct.pack("=QQ", self.rng.randrange(512) * PAGE, self.rng.choice([PAGE, 16 * PAGE, 512 * PAGE]))

    def partition(self):
        """Returns an argument of BLKPG: to add a partition, to delete it, to resize it."""
        at = 512 << 10
        struct.pack_into("=qqi", self.memory, at, self.rng.choice([0, 4096, -1]), 1 << 20, self.rng.randrange(3))
        return struct.pack("=iiiiQ", self.rng.randrange(5), 0, 152, 0, self.address + at)

    def raw(self):
        """Reads and writes in any way; of what an owner has it only reads."""
        number = self.any_disk()
        writes = number >= OWNERS
        direct = self.rng.choice([0, os.O_DIRECT])
        fd = self.open(driver.node(number), direct | (os.O_RDWR if writes else os.O_RDONLY), "disk")
        if fd is None:
            return
        page = self.rng.randrange(1024) * PAGE
        offset = self.rng.choice([page, page + self.rng.randrange(PAGE), self.odd_position(), 1 << 34])
        size = self.rng.choice([PAGE, 4 * PAGE, 33 * PAGE, self.odd_size()])
        address = self.pointer() if self.chance(0.05) else self.address + self.rng.choice([0, 0, 512, 1, 4095])
        size = min(size, (1 << 20) - PAGE)
        if writes and self.chance(0.6):
            self.memory[:size] = (contents(self.rng.choice(["text", "mix", "random"]), 5)(offset % 1000) * 256)[:size]
            self.system("raw write", libc.pwrite, fd, address, size, offset)
            if self.chance(0.2):
                self.timed("raw fsync", os.fsync, fd)
            if self.chance(0.2):
                self.system("raw fallocate", libc.fallocate, fd, self.rng.randrange(256), offset, size)
        elif self.chance(0.7):
            self.system("raw read", libc.pread, fd, address, size, offset)
        elif self.chance(0.5):
            flags = self.rng.choice([os.RWF_NOWAIT, os.RWF_NOWAIT | os.RWF_HIPRI, 1 << self.rng.randrange(10)])
            self.timed("raw preadv2", os.preadv, fd, [memoryview(self.memory)[:PAGE]], page, flags)
        else:
            with open("/dev/null", "wb") as sink:
                self.timed("raw sendfile", os.sendfile, sink.fileno(), fd, max(offset, 0), size)
                self.timed("raw copy_file_range", os.copy_file_range, fd, sink.fileno(), size)
            self.timed("raw ftruncate", os.ftruncate, fd, max(offset, 0))
        os.close(fd)

    def nodes(self):
        """Makes and uses a node of its own, for a disk that may be gone."""
        path, number = f"{self.world.results}/node{os.getpid()}", self.rng.choice([*range(MOST_DISKS), 99, 1 << 19])
        errno_or(os.mknod, path, stat.S_IFBLK | 0o600, os.makedev(self.world.major, number))
        fd = self.open(path, os.O_RDONLY if number < OWNERS else self.flags(os.O_RDONLY, os.O_RDWR), "own node")
        if fd is not None:
            self.timed("own node read", os.read, fd, PAGE)
            os.close(fd)
        errno_or(os.unlink, path)

    def session(self):
        """Does with a disk that nobody owns what one does with it, from its settings to a writeback."""
        number = self.rng.randrange(OWNERS, MOST_DISKS)
        file = f"{driver.disk(number)}/%s".__mod__
        for name in "reset comp_algorithm recomp_algorithm recomp_algorithm algorithm_params backing_dev".split():
            if self.chance(0.8):
                self.put(file(name), self.GOOD[name](self))
        self.put(file("disksize"), self.rng.choice([b"2M", b"8M"]))
        fd = self.open(driver.node(number), os.O_RDWR | os.O_DIRECT, "disk")
        if fd is None:
            return
        for _ in range(self.rng.randrange(8)):
            content = contents(self.rng.choice(["text", "mix", "random"]), self.rng.randrange(99))
            self.memory[:16 * PAGE] = b"".join(map(content, range(16)))
            self.system("raw write", libc.pwrite, fd, self.address, 16 * PAGE, self.rng.randrange(512) * PAGE)
        for name in "idle recompress writeback compact mem_used_max writeback".split():
            self.put(file(name), self.GOOD[name](self))
        self.system("raw read", libc.pread, fd, self.address, 64 * PAGE, 0)
        os.close(fd)
