# SPDX-License-Identifier: GPL-2.0-only
"""The common part of owners, writers and strangers: calls that are counted and may be interrupted, and values to write."""

import collections
import ctypes
import json
import math
import mmap
import multiprocessing
import os
import random
import re
import signal
import tempfile
import time
import traceback

from zramtest.driver import Driver
from zramtest.files import errno_or
from zramtest.libc import libc, outcome
from zramtest.pages import run_of
from zramtest.values import NUMBERS, WORDS, Dice, damaged

OWNERS, WRITERS, STRANGERS = 3, 2, 3
MOST_DISKS = OWNERS + 5
REGION = 512  # Pages that a writer has. They share no folio of the page cache with another's.

CONTROL, DEBUG = "/sys/class/zram-control", "/sys/kernel/debug/zram"
FATAL = [signal.SIGKILL] * 6 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
driver = Driver()

# What the last line of each file must look like when the file is read at once.
FORMATS = {
    "disksize": rb"\d+", "initstate": rb"[01]", "comp_algorithm": rb"(\S+ )+", "recomp_algorithm": rb"#[123]: (\S+ )+|",
    "bd_pack_stat": rb" *\d+( +\d+){3}", "recomp_stat": rb"#[123]: \S+( +\d+){5}|", "backing_dev": rb"none|/.*",
    "bd_stat": rb" *\d+ +\d+ +\d+", "io_stat": rb" *\d+ +\d+ 0 +\d+", "policy": rb"off|\w+=\d+%?( \w+=\d+%?)*",
    "policy_stat": rb"busy_ms \d+|",
    "mm_stat": rb" *\d+( +\d+){8}", "debug_stat": rb"0 +0", "writeback_limit": rb"\d+",
    "writeback_limit_enable": rb"[01]", "writeback_batch_size": rb"[1-9]\d*", "compressed_writeback": rb"[01]",
}
DEBUG_FORMATS = {
    "block_state": rb" *\d+ +\d+\.000000 [s.][w.][h.][i.][r.][n.]|", "streams": rb"(\d+ )?\S+ \S+ \S+ \S+ \S+( \S+)?",
    "ages": rb"\d+( \d+){4}|",
}
OURS = [*FORMATS, *"reset compact mem_limit mem_used_max idle writeback recompress algorithm_params".split()]


class World:
    """The knowledge that all processes share."""

    def __init__(self, seconds, seed, backings):
        self.seed, self.backings = seed, backings
        self.start = time.monotonic()
        self.end = self.start + seconds
        self.results = tempfile.mkdtemp(prefix="fuzz.", dir=".")
        # The processes that may be sent signals, since when each has been in a call, and in which; and the disk and the
        # file that strangers choose more often than others for a moment.
        people = OWNERS * (1 + WRITERS) + STRANGERS
        self.pids = multiprocessing.Array("i", people, lock=False)
        self.since = multiprocessing.Array("d", [math.inf] * people, lock=False)
        self.calls = [multiprocessing.Array("c", 64, lock=False) for _ in range(people)]
        self.in_focus = multiprocessing.Array("i", 2, lock=False)
        self.algorithms = driver.algorithms()
        self.major = os.major(os.stat(driver.node(0)).st_rdev)
        generic = set()
        for root, directories, files in os.walk(driver.disk(0)):
            # Block traces are not the driver's.
            directories[:] = [d for d in directories if d != "trace"]
            generic.update(os.path.relpath(f"{root}/{f}", driver.disk(0)) for f in files)
        self.generic = sorted(generic - set(OURS))
        self.dicts = []
        for size in 0, 7, 8, 16 << 10, 100 << 10:
            self.dicts.append(os.path.abspath(f"{self.results}/dict.{size}"))
            with open(self.dicts[-1], "wb") as file:
                file.write(run_of("text", 3, 0, 25)[:size])

    def call(self, place):
        """Returns the name of the last call of a process."""
        return self.calls[place].value.decode()


class Process(Dice):
    """One of those who take part. `counts` says how often a call had which outcome, `trouble` what must not be."""

    def __init__(self, world, name, place):
        self.world, self.name, self.place = world, name, place
        self.counts, self.trouble, self.slowest = collections.Counter(), [], (0, "")
        self.memory = mmap.mmap(-1, 1 << 20)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.turn(0)

    def turn(self, number):
        """Begins a turn: what happens in it follows from its number."""
        self.rng = random.Random(f"{self.world.seed}:{self.name}:{number}")

    def over(self):
        """Returns whether the time is up."""
        return time.monotonic() > self.world.end

    def fork(self):
        """Starts to run, in a process of its own. Returns its ID."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            # Signals interrupt calls that sleep, and do nothing else.
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

    def count(self, what, came):
        """Counts what came of a call, and returns it."""
        self.counts[what, came if isinstance(came, str) else "OK"] += 1
        return came

    def timed(self, what, function, *arguments):
        """Calls, counts, and notes what took long; a timer may go off meanwhile."""
        if self.chance(0.1):
            signal.setitimer(signal.ITIMER_REAL, self.rng.uniform(1e-6, 0.003))
        self.world.calls[self.place].value = what[:63].encode()
        start = self.world.since[self.place] = time.monotonic()
        came = errno_or(function, *arguments)
        self.world.since[self.place] = math.inf
        self.slowest = max(self.slowest, (time.monotonic() - start, what))
        return self.count(what, came)

    def system(self, what, function, *arguments):
        """Does the same with a function of libc, which does not try again after a signal."""
        return self.timed(what, outcome, function, *arguments)

    def doomed(self, function, *arguments):
        """Has a child call a function, and kills it meanwhile, or before, or after."""
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
        fd = errno_or(os.open, path, os.O_WRONLY)
        if isinstance(fd, str):
            return self.count(what, fd)
        try:
            return self.system(what, libc.pwrite, fd, data, len(data), 0)
        finally:
            os.close(fd)

    def get(self, path):
        """Reads at once."""
        fd = errno_or(os.open, path, os.O_RDONLY)
        if isinstance(fd, str):
            return self.count(f"{os.path.basename(path)} read", fd)
        try:
            return self.timed(f"{os.path.basename(path)} read", os.read, fd, 1 << 16)
        finally:
            os.close(fd)

    # --- values ---

    def algorithm(self):
        return self.rng.choice(self.world.algorithms).encode()

    def parameters(self):
        """Returns a value for algorithm_params."""
        return self.tokens(algo=self.algorithm(), priority=self.number(0, 3), level=self.number(-3, 12),
                           deflate_winbits=self.number(8, 15), dict=self.rng.choice(self.world.dicts).encode())

    def recompression(self):
        """Returns a value for recompress."""
        kinds = [b"", b"type=idle", b"type=huge", b"type=huge_idle", b"priority=1", b"priority=2", b"priority=3"]
        return self.rng.choice(kinds) if self.chance(0.7) else self.tokens(
            type=self.rng.choice([b"idle", b"huge", b"huge_idle"]), priority=self.number(0, 4),
            threshold=self.number(0, 4000), max_pages=self.number(0, 50), algo=self.algorithm())

    def page(self):
        """Returns a page of a region: often one of a few, where writers meet jobs."""
        return self.rng.randrange(self.rng.choice([32, REGION]))

    def write_back(self):
        """Returns a value for writeback."""
        word = self.rng.choice([b"idle", b"huge", b"huge_idle", b"incompressible"])
        first = self.page() + self.rng.choice([0, 0, REGION])
        return self.rng.choice([
            word, b"type=" + word, b"page_index=%d" % first, b"page_indexes=%d-%d" % (first, first + 60),
            b"page_indexes=%d-%d type=%s" % (first, first + 200, word)])

    def size(self):
        """Returns a value for disksize."""
        return self.rng.choice(b"4096 64K 1M 4M 4194305 0x800000 16m 32M 3G 16T 16E 8E".split())

    def path(self):
        """Returns the path of a backing device that no owner has, or of none."""
        others = [*self.world.backings[OWNERS:], *map(driver.node, range(OWNERS, MOST_DISKS))]
        return self.rng.choice([*others, "none", "/dev/null", "/", "/proc/self"]).encode()

    def policy(self):
        """Returns a policy."""
        rules = self.rng.sample([
            b"recompress_idle=%d" % self.rng.randint(1, 3), b"writeback_idle=%d" % self.rng.randint(1, 3),
            b"writeback_incompressible=1", self.rng.choice([b"high=64K", b"high=1M low=4K", b"high=90% low=50%", b"high=2%"]),
        ], self.rng.randint(1, 4))
        return self.rng.choice([b"off", b" ".join(rules), b" ".join([*rules, b"cpu=%d" % self.rng.randint(1, 100)])])

    GOOD = {
        "policy": policy,
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
        """Returns what to write to a file: a good value, a number, a word, or any of them damaged."""
        data = self.GOOD[name](self) if name in self.GOOD and self.chance(0.6) else self.rng.choice(NUMBERS + WORDS)
        data = damaged(self.rng, data) if self.chance(0.25) else data
        # The table of a disk as large as this would take most of the memory, which is not what this test is about.
        if name == "disksize" and re.match(rb"\d+[pP]|0*\d{15,18}([^\d]|$)|0[xX]", data):
            return b"4M"
        return data
