# SPDX-License-Identifier: GPL-2.0-only
"""Owners of disks, and their writers, who know what is stored there."""

import collections
import fcntl
import os
import struct
import time

from fuzz.process import CONTROL, DEBUG, OWNERS, REGION, STRANGERS, WRITERS, Process, driver
from zramtest.files import errno_or
from zramtest.ioctls import IOCTLS
from zramtest.libc import libc
from zramtest.pages import PAGE, contents, difference

ZEROES = bytes(PAGE)


class Owner(Process):
    """Has a disk, gives it settings, and sees to it that it can be used."""

    def __init__(self, world, number):
        super().__init__(world, f"owner{number}", number)
        self.which = number
        self.file = f"{driver.disk(number)}/%s".__mod__
        self.turns = 0

    def run(self):
        while not self.over():
            self.turns += 1
            self.turn(self.turns)
            fds = self.set_up()
            if fds:
                self.watch(fds)
                for fd in fds:
                    os.close(fd)

    def set_up(self):
        """Returns descriptors of a disk that is empty, or None if strangers do not let us. The first descriptor is exclusive,
        so that the disk can't become a backing device; then come those of the writers, who each get told of their own
        errors only."""
        if not os.path.exists(driver.disk(self.which)):
            self.get(f"{CONTROL}/hot_add")
            return None
        if isinstance(self.put(self.file("reset"), b"1"), str):
            time.sleep(0.002)
            return None
        for name, value in self.settings():
            self.put(self.file(name), value)
        self.calm()
        size = self.rng.choice(b"4M 8M 0x1000000 70000000 1G 1T".split())
        if isinstance(self.put(self.file("disksize"), size), str):
            return None
        fds = []
        for flags in [os.O_RDWR | os.O_EXCL] + [os.O_RDWR, os.O_RDWR | os.O_DIRECT] * WRITERS:
            fd = self.count("open of a new disk", errno_or(os.open, driver.node(self.which), flags))
            if isinstance(fd, str):
                break
            fds.append(fd)
            self.size = os.lseek(fd, 0, os.SEEK_END) // PAGE
        # A stranger may have been faster, with another size, or with a zram disk as backing device, which all may write to.
        if len(fds) == 1 + 2 * WRITERS and self.size >= WRITERS * REGION and self.safe():
            return fds
        for fd in fds:
            os.close(fd)
        return None

    def safe(self):
        """Returns whether the backing device is the one that nobody else writes to, or none. To have a device open
        exclusively, as all of them are, keeps nobody from writing to it."""
        kinds = {self.world.backings[self.which].encode(): "its own", b"none": "none"}
        got = self.get(self.file("backing_dev"))
        kind = "unknown" if isinstance(got, str) else kinds.get(got.strip(), "a stranger's")
        self.count("backing device of a new disk", kind)
        return kind in kinds.values()

    def settings(self):
        """Yields settings for a new disk."""
        if self.chance(0.9):
            yield "comp_algorithm", self.algorithm()
        for priority in range(1, self.rng.randrange(1, 5)):
            yield "recomp_algorithm", b"algo=%s priority=%d" % (self.algorithm(), priority)
        if self.chance(0.4):
            yield "algorithm_params", self.parameters()
        if self.chance(0.8):
            yield "backing_dev", self.world.backings[self.which].encode()
        yield "compressed_writeback", self.rng.choice([b"0", b"1"])

    def calm(self):
        """Undoes what strangers may do, which is not to hinder us for long."""
        # Every now and then there is no room at all: a write that fails must leave the page as it was.
        self.put(self.file("mem_limit"), self.rng.choice([b"0", b"0", b"0", b"4096"]))
        self.put(self.file("writeback_limit_enable"), b"0")
        self.put(self.file("queue/discard_max_bytes"), b"2199023251456")
        fd = errno_or(os.open, driver.node(self.which), os.O_RDONLY)
        if not isinstance(fd, str):
            self.count("ioctl BLKROSET", errno_or(fcntl.ioctl, fd, IOCTLS["BLKROSET"], struct.pack("i", 0)))
            os.close(fd)

    def watch(self, fds):
        """Starts the writers, and has jobs run while they write."""
        end = min(time.monotonic() + self.rng.uniform(1.5, 4), self.world.end)
        last = (self.size // REGION - 1) * REGION
        starts = [0, self.rng.choice([REGION, last, self.rng.randrange(1, self.size // REGION) * REGION])]
        writers = [Writer(self, w, fds[1 + 2 * w:][:2], end, start).fork() for w, start in enumerate(starts)]
        for pid in writers:
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                self.calm()
                for name in self.rng.sample(["idle", "recompress", "writeback", "compact", "policy"], 2):
                    self.put(self.file(name), self.GOOD[name](self))
                time.sleep(self.rng.uniform(0.05, 0.3))
        if int(self.get(self.file("io_stat")).split()[0]):
            self.trouble.append(f"{self.name}: {self.get(self.file('io_stat'))}: failed reads")
        # Count what was reached, for `missed`.
        for name, columns in ("bd_stat", "used reads writes"), ("io_stat", "failed_reads failed_writes 0 notify_free"):
            for column, value in zip(columns.split(), self.get(self.file(name)).split()):
                self.counts[f"pages, {name} {column}", "some"] += int(value)
        # The writers have read all pages at last, so that few are idle.
        if self.chance(0.3):
            self.put(self.file("idle"), b"all")
        with open(f"{DEBUG}/zram{self.which}/block_state", "rb") as file:
            for line in iter(file.readline, b""):
                flags = line[-7:-1].decode().replace(".", "")
                self.counts.update((f"pages, block_state {flag}", "some") for flag in flags)


class Writer(Process):
    """Has a region of an owner's disk, and knows what is there: what each page may hold, most often one thing."""

    def __init__(self, owner, number, fds, end, start):
        place = OWNERS + STRANGERS + owner.which * WRITERS + number
        super().__init__(owner.world, f"{owner.name}.writer{number}", place)
        self.turn(owner.turns)
        self.buffered, self.direct = fds
        self.end, self.start, self.where = end, start, driver.node(owner.which)
        self.pages = [[ZEROES]] * REGION
        # What was last done to each page, and what came of it: the way to a page that is wrong.
        self.past = [collections.deque(maxlen=8) for _ in range(REGION)]
        # Pages of which the page cache may hold something else than the disk: a direct write makes the cache forget them only
        # if it did not fail, and strangers who read fill the cache meanwhile.
        self.stale = set()
        # Of these, pages that the cache may write to the disk yet.
        self.dirty = set()

    def over(self):
        return time.monotonic() > self.end

    def run(self):
        actions = [self.write, self.write, self.write, self.read, self.read, self.read, self.patch, self.discard]
        while not self.over() and len(self.trouble) < 3:
            first = self.page()
            span = range(first, min(first + self.rng.choice([1, 1, 2, 5, 16, 40]), REGION))
            if self.chance(0.01):
                self.dies(span)
            else:
                self.rng.choice(actions)(span)
            time.sleep(self.rng.uniform(0, 0.03))
        for first in range(0, REGION, 64):
            self.check(range(first, first + 64), *self.read_direct(range(first, first + 64)))

    def offset(self, span):
        """Returns where on the disk these pages are."""
        return (self.start + span.start) * PAGE

    def pieces(self, length):
        """Returns memory of that length, in one piece or several: direct I/O takes anything that is aligned to 512 bytes."""
        at = self.rng.choice([0, 0, 512, 1024, 3584])
        memory = memoryview(self.memory)
        if self.chance(0.6):
            return [memory[at:at + length]]
        pieces, gap = [], self.rng.choice([0, 512, 1536])
        while length:
            size = min(length, self.rng.choice([512, 1024, 2560, PAGE, 3 * PAGE]))
            pieces.append(memory[at:at + size])
            at, length = at + size + gap, length - size
        return pieces

    def stores(self, span, new, done, what, certain=True):
        """Notes that the pages of `span` are `new` now, or may be, if it was not done in full."""
        for n, page in zip(span, new):
            self.past[n].append(f"{what} of {len(span)} at {span.start}, done {done}, certain {certain}: {page[:4].hex()}")
            if done and certain:
                self.pages[n] = [page]
            elif page not in self.pages[n]:
                self.pages[n] = [*self.pages[n], page]

    def check(self, span, what, got):
        """Compares what was read with what the pages may hold."""
        who = f"{self.name} on {self.where}: {what}"
        if isinstance(got, str) or len(got) != len(span) * PAGE:
            came = got if isinstance(got, str) else len(got)
            self.trouble.append(f"{who} of {len(span)} pages at {self.offset(span)}: {came}")
            return
        self.counts["pages", "verified"] += len(span)
        for i, n in enumerate(span):
            page = got[i * PAGE:(i + 1) * PAGE]
            self.past[n].append(f"{what} of {len(span)} at {span.start}: {page[:4].hex()}")
            if page not in self.pages[n]:
                found = difference(self.start + n, page, self.pages[n][-1])
                past = "; ".join(self.past[n])
                self.trouble.append(f"{who}: {found}, {len(self.pages[n])} possible; before: {past}")
            if page not in self.pages[n] or n not in self.dirty:
                self.pages[n] = [page]

    def leaves_cache(self, span, full):
        """Notes whether the page cache has forgotten these pages."""
        if full:
            self.stale.difference_update(span)
            self.dirty.difference_update(span)
        else:
            self.stale.update(span)

    def content(self, span):
        """Returns new content for these pages."""
        kind = self.rng.choice(["text", "text", "mix", "same", "zero", "random"])
        content = contents(kind, self.rng.randrange(1 << 16))
        return [content(n) for n in span]

    def write(self, span):
        """Writes pages with direct I/O."""
        new = self.content(span)
        pieces, data = self.pieces(len(span) * PAGE), b"".join(new)
        for piece in pieces:
            piece[:], data = data[:len(piece)], data[len(piece):]
        done = self.timed("direct write", os.pwritev, self.direct, pieces, self.offset(span))
        full = done == len(span) * PAGE
        self.stores(span, new, full, f"direct write ({done})")
        self.leaves_cache(span, full)

    def read_direct(self, span):
        """Reads with direct I/O. Returns what it did, and the data or the errno."""
        pieces = self.pieces(len(span) * PAGE)
        # Such a read also reports, once, that a buffered write failed, whoever did it and wherever on the disk.
        for _ in range(20):
            done = self.timed("direct read", os.preadv, self.direct, pieces, self.offset(span))
            if done != "EIO":
                break
        return "direct read", done if isinstance(done, str) else b"".join(pieces)[:done]

    def read(self, span):
        """Reads pages in either way, and checks them."""
        if self.stale.isdisjoint(span) and self.chance(0.3):
            what, length = "buffered read", len(span) * PAGE
            self.check(span, what, self.timed(what, os.pread, self.buffered, length, self.offset(span)))
        else:
            self.check(span, *self.read_direct(span))

    def patch(self, span):
        """Writes any number of bytes, by way of the page cache to the disk."""
        if self.stale.intersection(span):
            return
        self.check(span, *self.read_direct(span))
        start = self.rng.randrange(len(span) * PAGE)
        data = self.rng.randbytes(self.rng.choice([1, 7, 512, 4000])) * self.rng.choice([1, 1, 30])
        old = b"".join(self.pages[n][0] for n in span)
        data = data[:len(old) - start]
        whole = old[:start] + data + old[start + len(data):]
        new = [whole[i * PAGE:(i + 1) * PAGE] for i in range(len(span))]
        done = self.timed("buffered write", os.pwrite, self.buffered, data, self.offset(span) + start)
        synced = self.timed("fsync", os.fsync, self.buffered)
        full = done == len(data) and synced is None
        self.stores(span, new, full, f"patch ({done}, {synced})")
        if not full:
            self.stale.update(span)
            self.dirty.update(span)

    def take_away(self, span):
        """Does one of the calls that leave zeroes. Returns its outcome."""
        start, length = self.offset(span), len(span) * PAGE
        name = self.rng.choice(["BLKDISCARD", "BLKZEROOUT", "fallocate"])
        if name == "fallocate":
            # Each keeps the size; the first punches a hole, the second zeroes.
            mode = self.rng.choice([0x01 | 0x02, 0x01 | 0x10])
            return self.system(name, libc.fallocate, self.direct, mode, start, length)
        return self.system(f"ioctl {name}", libc.ioctl, self.direct, IOCTLS[name], struct.pack("=QQ", start, length))

    def discard(self, span):
        """Takes pages away."""
        done = self.take_away(span) == 0
        self.stores(span, [ZEROES] * len(span), done, "discard")
        self.leaves_cache(span, done)

    def dies(self, span):
        """Has a child killed while it stores: then there is what was there, or what was to be there."""
        if self.chance(0.3):
            self.stores(span, [ZEROES] * len(span), True, "killed discard", certain=False)
            self.doomed(self.take_away, span)
        else:
            new = self.content(span)
            self.stores(span, new, True, "killed direct write", certain=False)
            self.memory[:len(span) * PAGE] = b"".join(new)
            self.doomed(os.pwrite, self.direct, memoryview(self.memory)[:len(span) * PAGE], self.offset(span))
            self.leaves_cache(span, False)
        self.check(span, *self.read_direct(span))
