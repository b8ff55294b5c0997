#!/usr/bin/env python3
"""A hostile root: odd reads and writes of every file of the interface, ioctls and odd opens, by several processes at
once and under a hail of signals, while data is stored and verified.

fuzz.py SECONDS SEED DEVICE...     the devices are for writeback: one for each owner, and more for strangers

Each of the first disks has an owner, who sets it up and has two writers store data on it and verify that against a
model, until the owner starts over with other settings. Strangers do whatever comes to their mind with all files, and
with the data on other disks. As long as an owner has the disk open, nothing that strangers do to its files may change
what is stored on it.

What a process does follows from SEED, its name and the number of its turn, but for what the others do meanwhile. The
result is KTAP without numbers, with a table of what the kernel said how often.
"""

import collections
import ctypes
import errno
import fcntl
import json
import math
import mmap
import multiprocessing
import os
import random
import re
import select
import signal
import stat
import struct
import sys
import tempfile
import time
import traceback

from pages import PAGE, contents, difference
from sides import attempt, case, note
from values import NUMBERS, WORDS, damaged

OWNERS, WRITERS, STRANGERS = 3, 2, 3
MOST_DISKS = OWNERS + 5
REGION = 512  # Pages that a writer has. They share no folio of the page cache with another's.
ZEROES = bytes(PAGE)
# Calls that take longer than this are worth a look.
SLOW = 10
# Who has not come to an end so long after the time is up will not do so.
PATIENCE = 60 * int(os.environ.get("SLOWER", "1"))

CONTROL, DEBUG = "/sys/class/zram-control", "/sys/kernel/debug/zram"
FATAL = [signal.SIGKILL] * 6 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]

libc = ctypes.CDLL(None, use_errno=True)
for function, result, *types in [
    (libc.pread, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    (libc.pwrite, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    (libc.ioctl, ctypes.c_int, ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p),
    (libc.mmap, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64),
    (libc.fallocate, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
]:
    function.restype, function.argtypes = result, types

# What the last of a file's lines must look like when all of it is read at once.
FORMATS = {
    "disksize": rb"\d+", "initstate": rb"[01]", "comp_algorithm": rb"(\S+ )+", "recomp_algorithm": rb"#[123]: (\S+ )+|",
    "backing_dev": rb"none|/.*", "bd_stat": rb" *\d+ +\d+ +\d+", "io_stat": rb" *\d+ +\d+ 0 +\d+",
    "mm_stat": rb" *\d+( +\d+){8}", "debug_stat": rb"0 +0", "writeback_limit": rb"\d+",
    "writeback_limit_enable": rb"[01]", "writeback_batch_size": rb"[1-9]\d*", "compressed_writeback": rb"[01]",
}
DEBUG_FORMATS = {
    "block_state": rb" *\d+ +\d+\.000000 [s.][w.][h.][i.][r.][n.]|", "streams": rb"(\d+ )?\S+ \S+ \S+ \S+ \S+( \S+)?",
}
OURS = [*FORMATS, *"reset compact mem_limit mem_used_max idle writeback recompress algorithm_params".split()]

BLKROSET, BLKDISCARD, BLKSECDISCARD, BLKZEROOUT = 0x125D, 0x1277, 0x127D, 0x127F
IOCTLS = {name: int(number, 16) for name, number in re.findall(r"(\S+)=(\S+)", """
    BLKROSET=125D BLKROGET=125E BLKRRPART=125F BLKGETSIZE=1260 BLKFLSBUF=1261 BLKRASET=1262 BLKRAGET=1263 BLKFRASET=1264
    BLKFRAGET=1265 BLKSECTSET=1266 BLKSECTGET=1267 BLKSSZGET=1268 BLKPG=1269 BLKBSZGET=80081270 BLKBSZSET=40081271
    BLKGETSIZE64=80081272 BLKDISCARD=1277 BLKIOMIN=1278 BLKIOOPT=1279 BLKALIGNOFF=127A BLKPBSZGET=127B
    BLKDISCARDZEROES=127C BLKSECDISCARD=127D BLKROTATIONAL=127E BLKZEROOUT=127F BLKGETDISKSEQ=80081280
    BLKREPORTZONE=C0101282 BLKRESETZONE=40101283 BLKGETZONESZ=80041284 FIFREEZE=C0045877 FIONREAD=541B HDIO_GETGEO=0301
    HDIO_GET_IDENTITY=030D CDROMEJECT=5309 CDROMMULTISESSION=5310 CDROM_GET_CAPABILITY=5331 DVD_READ_STRUCT=5390
    SG_IO=2285 SG_GET_VERSION_NUM=2282 SCSI_IOCTL_SEND_COMMAND=1 SCSI_IOCTL_GET_IDLUN=5382 IOC_PR_REGISTER=401870C8
    IOC_OPAL_SAVE=411870DC LOOP_SET_FD=4C00 NVME_IOCTL_ADMIN_CMD=C0484E41 DM_VERSION=C138FD00""")}
# These take data away; BLKTRACESETUP starts to trace, which is not about us.
NOT_AT_RANDOM = [BLKDISCARD, BLKSECDISCARD, BLKZEROOUT, 0xC0481273]

ACCESS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, 3]
FLAGS = [getattr(os, name) for name in """O_EXCL O_DIRECT O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_PATH O_DIRECTORY
    O_NOFOLLOW O_NOATIME O_TMPFILE O_ASYNC O_NOCTTY""".split()] + [os.O_CREAT | os.O_EXCL]


def call(function, *arguments):
    """A call of libc that is not repeated after a signal: its result, or the name of the errno."""
    result = function(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "E?") if result < 0 else result


def numbers():
    """The disks that there are."""
    return [int(name[4:]) for name in os.listdir("/sys/block") if re.fullmatch(r"zram\d+", name)]


def disk(number):
    return f"/sys/block/zram{number}"


def node(number):
    return f"/dev/zram{number}"


def put(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def zspages():
    """Pages that zsmalloc has, for all of its users."""
    with open("/proc/sys/vm/stat_refresh", encoding="ascii") as file:
        file.read()
    with open("/proc/vmstat", encoding="ascii") as file:
        return int(re.search(r"nr_zspages (\d+)", file.read())[1])


class World:
    """What all processes know."""

    def __init__(self, seconds, seed, backings):
        self.seed, self.backings = seed, backings
        self.start = time.monotonic()
        self.end = self.start + seconds
        self.results = tempfile.mkdtemp(prefix="fuzz.", dir=".")
        # Who is there to be sent signals, and since when each has been in a call; and the file that is in fashion.
        people = OWNERS * (1 + WRITERS) + STRANGERS
        self.pids = multiprocessing.Array("i", people, lock=False)
        self.since = multiprocessing.Array("d", [math.inf] * people, lock=False)
        self.fashion = multiprocessing.Array("i", 2, lock=False)
        with open(f"{disk(0)}/comp_algorithm", encoding="ascii") as file:
            self.algorithms = file.read().replace("[", "").replace("]", "").split()
        self.major = os.major(os.stat(node(0)).st_rdev)
        generic = set()
        for root, directories, files in os.walk(disk(0)):
            # Block traces are no business of the driver.
            directories[:] = [d for d in directories if d != "trace"]
            generic.update(os.path.relpath(f"{root}/{f}", disk(0)) for f in files)
        self.generic = sorted(generic - set(OURS))
        self.dicts = []
        for size in 0, 7, 8, 16 << 10, 100 << 10:
            self.dicts.append(os.path.abspath(f"{self.results}/dict.{size}"))
            with open(self.dicts[-1], "wb") as file:
                file.write(b"".join(map(contents("text", 3), range(25)))[:size])


class Process:
    """One of those who take part. `counts` says what came of what, `trouble` what must not be."""

    def __init__(self, world, name, place):
        self.world, self.name, self.place = world, name, place
        self.counts, self.trouble, self.slowest = collections.Counter(), [], (0, "")
        self.memory = mmap.mmap(-1, 1 << 20)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.turn(0)

    def turn(self, number):
        self.rng = random.Random(f"{self.world.seed}:{self.name}:{number}")

    def chance(self, probability):
        return self.rng.random() < probability

    def over(self):
        return time.monotonic() > self.world.end

    def fork(self):
        """Starts to run, in a process of its own."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            # They end what sleeps, and nothing else.
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, lambda *_: None)
                signal.siginterrupt(number, self.chance(0.7))
            self.world.pids[self.place] = os.getpid()
            self.run()
            status = 0
        except BaseException:  # pylint: disable=broad-except
            self.trouble.append(traceback.format_exc())
        finally:
            self.world.pids[self.place], self.world.since[self.place] = 0, math.inf
            with open(f"{self.world.results}/{self.name}.{os.getpid()}", "w", encoding="utf-8") as file:
                json.dump([[[*k, n] for k, n in self.counts.items()], self.trouble[:5], self.slowest], file)
            os._exit(status)

    def count(self, what, outcome):
        self.counts[what, outcome if isinstance(outcome, str) else "OK"] += 1
        return outcome

    def timed(self, what, function, *arguments):
        """Calls, counts, and notes what took long; a timer may go off meanwhile."""
        if self.chance(0.1):
            signal.setitimer(signal.ITIMER_REAL, self.rng.uniform(1e-6, 0.003))
        start = self.world.since[self.place] = time.monotonic()
        outcome = attempt(function, *arguments)
        self.world.since[self.place] = math.inf
        self.slowest = max(self.slowest, (time.monotonic() - start, what))
        return self.count(what, outcome)

    def system(self, what, function, *arguments):
        return self.timed(what, call, function, *arguments)

    def doomed(self, function, *arguments):
        """Has a child do it, which is killed while it does, or before, or after."""
        kill = self.rng.choice(FATAL)
        pid = os.fork()
        if not pid:
            try:
                if kill != signal.SIGKILL:
                    signal.signal(kill, signal.SIG_DFL)
                function(*arguments)
            finally:
                os._exit(0)
        time.sleep(self.rng.choice([0, 0.0005, 0.001, 0.005, 0.02]))
        os.kill(pid, kill)
        _, status = os.waitpid(pid, 0)
        self.count("a process in a call", "killed" if os.WIFSIGNALED(status) else "too late")

    def put(self, path, data, what=None):
        """Writes at once."""
        what = what or f"{os.path.basename(path)} write"
        fd = attempt(os.open, path, os.O_WRONLY)
        if isinstance(fd, str):
            return self.count(what, fd)
        try:
            return self.system(what, libc.pwrite, fd, data, len(data), 0)
        finally:
            os.close(fd)

    def get(self, path):
        fd = attempt(os.open, path, os.O_RDONLY)
        if isinstance(fd, str):
            return self.count(f"{os.path.basename(path)} read", fd)
        try:
            return self.timed(f"{os.path.basename(path)} read", os.read, fd, 1 << 16)
        finally:
            os.close(fd)

    # --- values ---

    def number(self, low, high):
        return b"%d" % self.rng.randint(low, high) if self.chance(0.85) else self.rng.choice(NUMBERS)

    def algorithm(self):
        return self.rng.choice(self.world.algorithms).encode()

    def tokens(self, **keys):
        chosen = [k for k in keys if self.chance(0.45)]
        self.rng.shuffle(chosen)
        return b" ".join(b"%s=%s" % (k.replace("_", ".", k == "deflate_winbits").encode(), keys[k]) for k in chosen)

    def parameters(self):
        return self.tokens(algo=self.algorithm(), priority=self.number(0, 3), level=self.number(-3, 12),
                           deflate_winbits=self.number(8, 15), dict=self.rng.choice(self.world.dicts).encode())

    def recompression(self):
        kinds = [b"", b"type=idle", b"type=huge", b"type=huge_idle", b"priority=1", b"priority=2", b"priority=3"]
        return self.rng.choice(kinds) if self.chance(0.7) else self.tokens(
            type=self.rng.choice([b"idle", b"huge", b"huge_idle"]), priority=self.number(0, 4),
            threshold=self.number(0, 4000), max_pages=self.number(0, 50), algo=self.algorithm())

    def page(self):
        """Of a region: often one of a few, where writers meet jobs."""
        return self.rng.randrange(self.rng.choice([32, REGION]))

    def write_back(self):
        word = self.rng.choice([b"idle", b"huge", b"huge_idle", b"incompressible"])
        first = self.page() + self.rng.choice([0, 0, REGION])
        return self.rng.choice([
            word, b"type=" + word, b"page_index=%d" % first, b"page_indexes=%d-%d" % (first, first + 60),
            b"page_indexes=%d-%d type=%s" % (first, first + 200, word)])

    def size(self):
        return self.rng.choice(b"4096 64K 1M 4M 4194305 0x800000 16m 32M 3G 16T 16E 8E".split())

    def path(self):
        """Of a backing device that no owner has; or of none."""
        others = [*self.world.backings[OWNERS:], *map(node, range(OWNERS, MOST_DISKS))]
        return self.rng.choice([*others, "none", "/dev/null", "/", "/proc/self"]).encode()

    GOOD = {
        "disksize": size,
        "reset": lambda self: self.number(1, 3),
        "compact": lambda self: b"1",
        "mem_limit": lambda self: self.rng.choice([b"0", b"0", b"4096", b"300K", b"1M", b"16M", b"1G"]),
        "mem_used_max": lambda self: b"0",
        "idle": lambda self: self.rng.choice([b"all", b"0", b"1", b"2", b"3600"]),
        "comp_algorithm": algorithm,
        "algorithm_params": parameters,
        "recomp_algorithm": lambda self: self.tokens(algo=self.algorithm(), priority=self.number(0, 4)),
        "recompress": recompression,
        "backing_dev": path,
        "writeback": write_back,
        "writeback_limit": lambda self: self.number(0, 200),
        "writeback_limit_enable": lambda self: self.number(0, 1),
        "writeback_batch_size": lambda self: self.number(1, 64),
        "compressed_writeback": lambda self: self.rng.choice([b"0", b"1", b"y", b"n", b"on", b"off"]),
    }

    def value(self, name):
        """For a file: good, a number, a word, or any of them damaged."""
        data = self.GOOD[name](self) if name in self.GOOD and self.chance(0.6) else self.rng.choice(NUMBERS + WORDS)
        data = damaged(self.rng, data) if self.chance(0.25) else data
        # The table of a disk as large as this takes most of the memory that there is, which is not what we are after.
        if name == "disksize" and re.match(rb"\d+[pP]|0*\d{15,18}([^\d]|$)|0[xX]", data):
            return b"4M"
        return data


class Owner(Process):
    """Has a disk, gives it settings, and sees to it that it can be used."""

    def __init__(self, world, number):
        super().__init__(world, f"owner{number}", number)
        self.which = number
        self.file = f"{disk(number)}/%s".__mod__
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
        """A disk that is empty and open, if strangers let us. The first descriptor is exclusive, so that the disk can't
        become a backing device; then come those of the writers, who each get told of their own errors only."""
        if not os.path.exists(disk(self.which)):
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
            fd = self.count("open of a new disk", attempt(os.open, node(self.which), flags))
            if isinstance(fd, str):
                break
            fds.append(fd)
            self.size = os.lseek(fd, 0, os.SEEK_END) // PAGE
        # A stranger may have given it a size of his own before, or a backing device that anybody may write to: a zram disk.
        if len(fds) == 1 + 2 * WRITERS and self.size >= WRITERS * REGION and self.safe():
            return fds
        for fd in fds:
            os.close(fd)
        return None

    def safe(self):
        """Whether the backing device is the one that nobody else writes to, or none. To have a device open exclusively, as
        all of them are, keeps nobody from that."""
        kinds = {self.world.backings[self.which].encode(): "its own", b"none": "none"}
        got = self.get(self.file("backing_dev"))
        kind = "unknown" if isinstance(got, str) else kinds.get(got.strip(), "a stranger's")
        self.count("backing device of a new disk", kind)
        return kind in kinds.values()

    def settings(self):
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
        """Undoes what strangers may do, and may not hinder us for long."""
        # No room at all every now and then: a write that fails leaves what was there.
        self.put(self.file("mem_limit"), self.rng.choice([b"0", b"0", b"0", b"4096"]))
        self.put(self.file("writeback_limit_enable"), b"0")
        self.put(self.file("queue/discard_max_bytes"), b"2199023251456")
        fd = attempt(os.open, node(self.which), os.O_RDONLY)
        if not isinstance(fd, str):
            self.count("ioctl BLKROSET", attempt(fcntl.ioctl, fd, BLKROSET, struct.pack("i", 0)))
            os.close(fd)

    def watch(self, fds):
        """While writers write."""
        end = min(time.monotonic() + self.rng.uniform(1.5, 4), self.world.end)
        last = (self.size // REGION - 1) * REGION
        starts = [0, self.rng.choice([REGION, last, self.rng.randrange(1, self.size // REGION) * REGION])]
        writers = [Writer(self, w, fds[1 + 2 * w:][:2], end, start).fork() for w, start in enumerate(starts)]
        for pid in writers:
            while os.waitpid(pid, os.WNOHANG)[0] == 0:
                self.calm()
                for name in self.rng.sample(["idle", "recompress", "writeback", "compact"], 2):
                    self.put(self.file(name), self.GOOD[name](self))
                time.sleep(self.rng.uniform(0.05, 0.3))
        if int(self.get(self.file("io_stat")).split()[0]):
            self.trouble.append(f"{self.name}: {self.get(self.file('io_stat'))}: failed reads")
        # How far it got.
        for name, columns in ("bd_stat", "used reads writes"), ("io_stat", "failed_reads failed_writes 0 notify_free"):
            for column, value in zip(columns.split(), self.get(self.file(name)).split()):
                self.counts[f"pages, {name} {column}", "some"] += int(value)
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
        self.end, self.start, self.where = end, start, node(owner.which)
        self.pages = [[ZEROES]] * REGION
        # Pages of which the page cache may hold something else than the disk.
        self.stale = set()

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
        return (self.start + span.start) * PAGE

    def pieces(self, length):
        """Memory of that length, in one piece or several: direct I/O takes anything that is aligned to 512 bytes."""
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

    def stores(self, span, new, done, certain=True):
        """The pages of `span` are `new` now, or may be, if it was not done in full."""
        for n, page in zip(span, new):
            if done and certain:
                self.pages[n] = [page]
            elif page not in self.pages[n]:
                self.pages[n] = [*self.pages[n], page]

    def check(self, span, what, got):
        who = f"{self.name} on {self.where}: {what}"
        if isinstance(got, str) or len(got) != len(span) * PAGE:
            came = got if isinstance(got, str) else len(got)
            self.trouble.append(f"{who} of {len(span)} pages at {self.offset(span)}: {came}")
            return
        self.counts["pages", "verified"] += len(span)
        for i, n in enumerate(span):
            page = got[i * PAGE:(i + 1) * PAGE]
            if page not in self.pages[n]:
                found = difference(self.start + n, page, self.pages[n][-1])
                self.trouble.append(f"{who}: {found}, {len(self.pages[n])} possible")
            if page not in self.pages[n] or n not in self.stale:
                self.pages[n] = [page]

    def content(self, span):
        kind = self.rng.choice(["text", "text", "mix", "same", "zero", "random"])
        content = contents(kind, self.rng.randrange(1 << 16))
        return [content(n) for n in span]

    def write(self, span):
        new = self.content(span)
        pieces, data = self.pieces(len(span) * PAGE), b"".join(new)
        for piece in pieces:
            piece[:], data = data[:len(piece)], data[len(piece):]
        done = self.timed("direct write", os.pwritev, self.direct, pieces, self.offset(span))
        full = done == len(span) * PAGE
        self.stores(span, new, full)
        if full:
            self.stale.difference_update(span)

    def read_direct(self, span):
        pieces = self.pieces(len(span) * PAGE)
        # Such a read is also told of a buffered write that failed, anybody's and anywhere on the disk, once.
        for _ in range(20):
            done = self.timed("direct read", os.preadv, self.direct, pieces, self.offset(span))
            if done != "EIO":
                break
        return "direct read", done if isinstance(done, str) else b"".join(pieces)[:done]

    def read(self, span):
        if self.stale.isdisjoint(span) and self.chance(0.3):
            what, length = "buffered read", len(span) * PAGE
            self.check(span, what, self.timed(what, os.pread, self.buffered, length, self.offset(span)))
        else:
            self.check(span, *self.read_direct(span))

    def patch(self, span):
        """A buffered write of any length, by way of the page cache to the disk."""
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
        self.stores(span, new, full)
        if not full:
            self.stale.update(span)

    def take_away(self, span):
        """The outcome of one of the calls that leave zeroes."""
        start, length = self.offset(span), len(span) * PAGE
        name = self.rng.choice(["BLKDISCARD", "BLKZEROOUT", "fallocate"])
        if name == "fallocate":
            # Each keeps the size; the first punches a hole, the second zeroes.
            mode = self.rng.choice([0x01 | 0x02, 0x01 | 0x10])
            return self.system(name, libc.fallocate, self.direct, mode, start, length)
        return self.system(f"ioctl {name}", libc.ioctl, self.direct, IOCTLS[name], struct.pack("=QQ", start, length))

    def discard(self, span):
        done = self.take_away(span) == 0
        self.stores(span, [ZEROES] * len(span), done)
        if done:
            self.stale.difference_update(span)

    def dies(self, span):
        """Whoever is killed while storing leaves what was there, or what was to be there."""
        if self.chance(0.3):
            self.stores(span, [ZEROES] * len(span), True, certain=False)
            self.doomed(self.take_away, span)
        else:
            new = self.content(span)
            self.stores(span, new, True, certain=False)
            self.memory[:len(span) * PAGE] = b"".join(new)
            self.doomed(os.pwrite, self.direct, memoryview(self.memory)[:len(span) * PAGE], self.offset(span))
        self.check(span, *self.read_direct(span))


class Stranger(Process):
    """Does what nobody should."""

    def __init__(self, world, number):
        super().__init__(world, f"stranger{number}", OWNERS + number)
        self.kept, self.there = [], [0]

    def run(self):
        actions = [(self.write_file, 30), (self.read_file, 16), (self.ioctls, 9), (self.raw, 8), (self.odd_open, 5),
                   (self.session, 1), (self.control, 4), (self.nodes, 3), (self.old_file, 4)]
        turns = 0
        while not self.over():
            turns += 1
            self.turn(turns)
            for _ in range(self.rng.randrange(20, 200)):
                if self.chance(0.1):
                    self.there = numbers() or [0]
                action = self.rng.choices(*zip(*actions))[0]
                if action != self.session and self.chance(0.01):  # pylint: disable=comparison-with-callable
                    self.doomed(action)
                else:
                    action()
                if self.over():
                    break
            for fd, _ in self.kept:
                os.close(fd)
            self.kept = []

    def any_disk(self):
        if self.chance(0.3):
            return self.world.fashion[0]
        return self.rng.randrange(MOST_DISKS) if self.chance(0.1) else self.rng.choice(self.there)

    def any_file(self):
        """A path, and what to call it."""
        number, kind = self.any_disk(), self.rng.random()
        if kind < 0.7:
            name = OURS[self.world.fashion[1] % len(OURS)] if self.chance(0.3) else self.rng.choice(OURS)
            return f"{disk(number)}/{name}", name
        if kind < 0.85:
            name = self.rng.choice(self.world.generic)
            return f"{disk(number)}/{name}", name
        if kind < 0.95:
            name = self.rng.choice([*DEBUG_FORMATS])
            return f"{DEBUG}/zram{number}/{name}", name
        return f"{CONTROL}/{self.rng.choice(['hot_add', 'hot_remove'])}", "wrong way"

    def pointer(self):
        """Where what goes wrong is: nowhere, in the kernel, or at the end of everything."""
        return self.rng.choice([0, 1, 0x1000, 0xFFFF888000001000, 0xFFFFFFFFFFFFF000, (1 << 47) - PAGE, (1 << 64) - 1])

    def odd_size(self):
        return self.rng.choice([0, 1, 2, 7, 39, 40, 41, 511, 512, 513, 4095, 4096, 4097, 8192, 65535, 65536, 1 << 20])

    def odd_position(self):
        return self.rng.choice([0, 0, 0, 0, 1, 2, 255, 4095, 4096, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, -1])

    def flags(self, *access):
        flags = self.rng.choice(access)
        while self.chance(0.3):
            flags |= self.rng.choice(FLAGS)
        return flags

    def open(self, path, flags, what):
        fd = attempt(os.open, path, flags | os.O_CLOEXEC)
        if isinstance(fd, str):
            self.count(f"{what} open", fd)
            return None
        return fd

    def keep(self, fd, what):
        """Closes it, or does so later."""
        if self.chance(0.05) and len(self.kept) < 8:
            self.kept.append((fd, what))
        else:
            os.close(fd)

    # --- files ---

    def write_file(self):
        path, what = self.any_file()
        if what == "wrong way":
            return
        fd = self.open(path, self.flags(os.O_WRONLY, os.O_WRONLY, os.O_RDWR) if self.chance(0.1) else os.O_WRONLY, what)
        if fd is not None:
            for _ in range(self.rng.choice([1, 1, 2, 5])):
                self.write_fd(fd, what)
            self.keep(fd, what)

    def write_fd(self, fd, what):
        data = self.value(what)
        # Damaged by a signal, or by being sent in two.
        cut = self.rng.randrange(len(data) + 1) if self.chance(0.05) else len(data)
        for part in (data[:cut], data[cut:]) if cut < len(data) else (data,):
            position = self.odd_position() if self.chance(0.1) else 0
            if self.chance(0.02):
                self.system(f"{what} write", libc.pwrite, fd, self.pointer(), self.odd_size(), position)
            else:
                self.system(f"{what} write", libc.pwrite, fd, part, len(part), position)

    def read_file(self):
        path, what = self.any_file()
        fd = self.open(path, self.flags(os.O_RDONLY, os.O_RDWR) if self.chance(0.1) else os.O_RDONLY, what)
        if fd is not None:
            if path.endswith("hot_add"):
                self.control()
            else:
                self.read_fd(fd, what)
            self.keep(fd, what)

    def read_fd(self, fd, what):
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
        """What a whole file says is well-formed, whatever the others do meanwhile."""
        wanted = FORMATS.get(what) or DEBUG_FORMATS.get(what)
        if wanted is None or isinstance(got, str):
            return
        if not re.fullmatch(wanted, got.splitlines()[-1] if got else b"") or got and got[-1:] != b"\n":
            self.trouble.append(f"{what}: {got[-200:]}")
        self.counts["files", "well-formed"] += 1

    def old_file(self):
        """One that was opened a while ago; its disk may be gone."""
        if self.kept:
            fd, what = self.rng.choice(self.kept)
            mode = fcntl.fcntl(fd, fcntl.F_GETFL)
            if mode & os.O_PATH == 0:
                (self.read_fd if mode & os.O_ACCMODE == os.O_RDONLY else self.write_fd)(fd, what)

    def control(self):
        """Disks that come and go."""
        there = numbers()
        if len(there) < MOST_DISKS and self.chance(0.6):
            got = self.get(f"{CONTROL}/hot_add")
            if isinstance(got, bytes) and not re.fullmatch(rb"\d+\n", got):
                self.trouble.append(f"hot_add: {got}")
        else:
            data = b"%d" % self.rng.choice(there or [0]) if self.chance(0.5) else self.rng.choice(NUMBERS + WORDS)
            self.put(f"{CONTROL}/hot_remove", damaged(self.rng, data) if self.chance(0.2) else data)

    # --- disks ---

    def odd_open(self):
        number = self.any_disk()
        fd = self.open(node(number), self.flags(*ACCESS), "disk")
        if fd is not None:
            self.count("disk open", "OK")
            os.close(fd)

    def ioctls(self):
        which = self.any_disk()
        fd = self.open(node(which), self.rng.choice([os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_EXCL, 3]), "disk")
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
                # A disk that can only be read is a nuisance to its owner.
                if request == BLKROSET and which < OWNERS and self.chance(0.9):
                    continue
            if argument is not None:
                self.system(f"ioctl {name}", libc.ioctl, fd, request, argument)
        os.close(fd)

    def span(self, number):
        """Bytes of a disk to take away: none of those that an owner has."""
        if number < OWNERS or self.chance(0.3):
            bad = [(1, 4096), (0, 1), (0, (1 << 64) - 1), ((1 << 64) - 4096, 8192), (1 << 62, 4096),
                   (4096, 1 << 63)]
            return self.rng.choice([self.pointer(), struct.pack("=QQ", *self.rng.choice(bad))])
        return struct.pack("=QQ", self.rng.randrange(512) * PAGE, self.rng.choice([PAGE, 16 * PAGE, 512 * PAGE]))

    def partition(self):
        """The argument of BLKPG: to add one, to delete it, to resize it."""
        at = 512 << 10
        struct.pack_into("=qqi", self.memory, at, self.rng.choice([0, 4096, -1]), 1 << 20, self.rng.randrange(3))
        return struct.pack("=iiiiQ", self.rng.randrange(5), 0, 152, 0, self.address + at)

    def raw(self):
        """Reads and writes of any kind; of what an owner has only reads."""
        number = self.any_disk()
        writes = number >= OWNERS
        direct = self.rng.choice([0, os.O_DIRECT])
        fd = self.open(node(number), direct | (os.O_RDWR if writes else os.O_RDONLY), "disk")
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
        """A node of one's own, for a disk that may be gone."""
        path, number = f"{self.world.results}/node{os.getpid()}", self.rng.choice([*range(MOST_DISKS), 99, 1 << 19])
        attempt(os.mknod, path, stat.S_IFBLK | 0o600, os.makedev(self.world.major, number))
        fd = self.open(path, os.O_RDONLY if number < OWNERS else self.flags(os.O_RDONLY, os.O_RDWR), "own node")
        if fd is not None:
            self.timed("own node read", os.read, fd, PAGE)
            os.close(fd)
        attempt(os.unlink, path)

    def session(self):
        """What one does with a disk that nobody owns, from its settings to a writeback."""
        number = self.rng.randrange(OWNERS, MOST_DISKS)
        file = f"{disk(number)}/%s".__mod__
        for name in "reset comp_algorithm recomp_algorithm recomp_algorithm algorithm_params backing_dev".split():
            if self.chance(0.8):
                self.put(file(name), self.GOOD[name](self))
        self.put(file("disksize"), self.rng.choice([b"2M", b"8M"]))
        fd = self.open(node(number), os.O_RDWR | os.O_DIRECT, "disk")
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


def stack(pid):
    """Where a process is in the kernel."""
    with open(f"/proc/{pid}/stack", encoding="ascii") as file:
        return file.read()


def hail(world, left):
    """Sends signals to all until the time is up, and waits. The result is how many of each kind, and what is wrong with
    those who did not come to a good end."""
    rng = random.Random(f"{world.seed}:signals")
    sent, bad, moved, slow = collections.Counter(), [], 0, {}
    signals = sorted(signal.valid_signals() - {signal.SIGKILL})
    while left and time.monotonic() < world.end + PATIENCE:
        if time.monotonic() > moved + 0.3:
            moved = time.monotonic()
            for pid, since in zip(world.pids, world.since):
                if moved > since + SLOW and pid not in slow:
                    slow[pid] = attempt(stack, pid)
                    note(f"in a call for {moved - since:.0f} s: {slow[pid]}")
            world.fashion[0], world.fashion[1] = rng.randrange(OWNERS + 2), rng.randrange(99)
        pid, number = rng.choice(world.pids), rng.choice(signals)
        if pid and time.monotonic() < world.end and not isinstance(attempt(os.kill, pid, number), str):
            sent[number] += 1
            if number == signal.SIGSTOP:
                time.sleep(0.002)
                attempt(os.kill, pid, signal.SIGCONT)
        time.sleep(rng.uniform(0, 0.004))
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name = left.pop(pid, f"process {pid}")
            if status:
                bad.append(f"{name} ended with status {status:#x}")
    for pid in [*left, *filter(None, world.pids)]:
        bad.append(f"{left.get(pid, 'a writer')} hangs:\n{stack(pid)}")
        os.kill(pid, signal.SIGKILL)
    return sent, bad


def clear():
    """Removes all disks, in whatever order they let go of each other."""
    for _ in range(MOST_DISKS * 2):
        for number in numbers():
            attempt(put, f"{disk(number)}/reset", "1")
        for number in numbers():
            attempt(put, f"{CONTROL}/hot_remove", str(number))
        if not numbers():
            break
    return numbers()


# What must have been reached for the rest to mean anything: calls, as regular expressions, and their outcomes.
DEPTH = {f"{name} write": "OK" for name in Process.GOOD} | {
    ".* write": "EINVAL ERANGE EFAULT EINTR", ".* read": "EFAULT", "reset write": "OK EBUSY",
    "disksize write": "OK EBUSY", "hot_add read": "OK", "hot_remove write": "OK EBUSY ENODEV", "block_state read": "OK",
    "streams read": "OK", "a process in a call": "killed", "direct write": "OK EIO", "direct read": "OK",
    "buffered write": "OK", "buffered read": "OK", "ioctl BLKDISCARD": "OK", "ioctl BLKZEROOUT": "OK",
    "ioctl .*": "EINVAL ENOTTY EFAULT", "disk open": "EBUSY", "own node open": "ENXIO", "files": "well-formed",
    "pages": "verified",
} | {f"pages, {what}": "some" for what in ["bd_stat writes", "bd_stat reads", *map("block_state {}".format, "swhirn")]}


def missed(counts):
    for pattern, outcomes in DEPTH.items():
        reached = {outcome for (what, outcome), n in counts.items() if n and re.fullmatch(pattern, what)}
        for outcome in set(outcomes.split()) - reached:
            yield f"never: {pattern}: {outcome}"


def report(world):
    """What all have counted, and what they found wrong."""
    counts, trouble, slowest = collections.Counter(), [], (0, "")
    for name in os.listdir(world.results):
        if re.match("owner|stranger", name):
            with open(f"{world.results}/{name}", encoding="utf-8") as file:
                counted, found, slow = json.load(file)
            counts.update({(what, outcome): n for what, outcome, n in counted})
            trouble += found
            slowest = max(slowest, tuple(slow))
    return counts, trouble, slowest


def main(seconds, seed, *backings):
    before = zspages()
    world = World(float(seconds), seed, backings)
    people = [Owner(world, n) for n in range(OWNERS)] + [Stranger(world, n) for n in range(STRANGERS)]
    left = {person.fork(): person.name for person in people}
    sent, bad = hail(world, left)
    took = time.monotonic() - world.start
    case("everybody comes to an end", *bad)
    counts, trouble, slowest = report(world)
    case("what is stored stays readable, and files well-formed", *trouble[:10])
    case("every disk can be removed", *(f"left: {node(number)}" for number in clear()))
    case("the memory comes back", *([f"{before} pages before, {zspages()} after"] if zspages() > before else []))
    case("all of it was reached", *missed(counts))

    files = collections.defaultdict(dict)
    for (what, outcome), n in counts.items():
        files[what][outcome] = n
    calls = sum(n for (what, _), n in counts.items() if not re.match("pages|files", what))
    note(f"{calls} calls in {took:.0f} s, {calls / took:.0f} a second, the longest {slowest[1]}, {slowest[0]:.2f} s; "
         f"{sum(sent.values())} signals, each of {len(sent)} kinds {min(sent.values())} times at least")
    for what, outcomes in sorted(files.items()):
        often = sorted(outcomes.items(), key=lambda outcome: -outcome[1])
        note(f"  {what:32} " + ", ".join(f"{outcome} {n}" for outcome, n in often))
    note("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
