# SPDX-License-Identifier: GPL-2.0-only
"""Loads on disks: what is stored on them is verified."""

import glob
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from soak.load import DATA, IO, SWAP, Load, Wrong
from zramtest.files import errno_or, read, write
from zramtest.libc import die_with_parent
from zramtest.memory import hold
from zramtest.pages import PAGE, contents, run_of


class Io(Load):
    """fio verifies, with many threads, with one algorithm after the other."""

    counts = ("pages", "takes", "contended", "retries")

    def begin(self):
        names = self.driver.algorithms()
        self.rng.shuffle(names)
        self.names = itertools.cycle(names)

    def turn(self):
        jobs, each = 12, 1 << 20
        self.set_up(IO, jobs * each, next(self.names))
        command = (
            "setpriv --pdeathsig KILL fio --name=verify --ioengine=psync --direct=1 --thread --rw=randwrite "
            f"--bsrange=4k-256k --blockalign=4k --size={each} --offset_increment={each} --numjobs={jobs} "
            "--refill_buffers --buffer_compress_percentage=50 --verify=crc32c --verify_fatal=1 --verify_state_save=0 "
            f"--group_reporting --filename={self.driver.node(IO)} --randseed={self.rng.getrandbits(31)}")
        fio = subprocess.run(command.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = fio.stdout + fio.stderr
        if fio.returncode:
            raise Wrong(f"fio: {fio.returncode}\n{said[-2000:]}")
        self.always("failed reads and writes", self.driver.failures(IO), (0, 0))
        self.count("pages", jobs * each // PAGE)
        self.streams(IO)

    def end(self):
        self.driver.close(IO)


class Swap(Load):
    """Processes that may keep less memory than they have: some new ones each turn, and one that stays to the end."""

    counts = ("pages", "killed", "swapoffs", "failed swap-outs", "takes", "contended", "retries", "moved")

    def begin(self):
        self.cgroup = re.search(r"^\S+ (\S+) cgroup2 ", read("/proc/mounts"), re.M)[1]
        write(f"{self.cgroup}/cgroup.subtree_control", "+memory")
        self.groups = (f"{self.cgroup}/selftest-soak-{n}" for n in itertools.count())
        self.swapon()
        self.resident = self.hold(4000, "mix", 0, tempfile.mktemp())

    def swapon(self):
        """Sets the device up, and swaps to it."""
        settings = {"recomp_algorithm": f"algo={self.rng.choice(self.driver.algorithms())} priority=1"}
        if self.disks:
            settings["backing_dev"] = self.disks[0]
        settings["policy"] = self.policy()
        self.set_up(SWAP, self.rng.choice((64, 128)) << 20, self.rng.choice(("lz4", "lzo-rle", "zstd")), **settings)
        for command in ("mkswap", "-q"), ("swapon",):
            command = (*command, self.driver.node(SWAP))
            while (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
                if not self.scarce() and "busy" not in done.stderr:
                    raise Wrong(f"{command[0]} failed: {done.stderr}")
                time.sleep(0.1)

    def swapoff(self):
        """Takes everything back from the device. Not while memory runs out: the first to be killed then is who does so, which
        frees none, and there may be nobody else to kill before the kernel panics."""
        swapoff = ("swapoff", self.driver.node(SWAP))
        with self.calm:
            while (done := subprocess.run(swapoff, capture_output=True, text=True, check=False)).returncode:
                # A suspend interrupts swapoff.
                if "Interrupted" not in done.stderr:
                    raise Wrong(f"swapoff ended with {done.returncode}: {done.stderr}")
                time.sleep(0.1)
        reads, writes = self.driver.failures(SWAP)
        self.always("failed reads of swapped memory", reads, 0)
        self.count("failed swap-outs", writes)
        self.streams(SWAP)
        self.moved(SWAP)
        self.count("swapoffs")

    def hold(self, count, *arguments):
        """Starts a process that has to swap most of its memory. Returns what reap() wants."""
        group, born = next(self.groups), self.scarcity.value
        os.mkdir(group)
        write(f"{group}/memory.max", "12M")
        child = os.fork()
        if child == 0:
            status = 2
            try:
                die_with_parent()
                self.driver.close(SWAP)
                write(f"{group}/cgroup.procs", "0")
                write("/proc/self/oom_score_adj", "0")
                status = hold(count, *arguments)
            finally:
                sys.stdout.flush()
                os._exit(status)
        return child, group, count, born

    def reap(self, child, group, count, born):
        """Waits for such a process, which must have found its data, or been killed for memory."""
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.rmdir(group)
        if status == 0:
            self.count("pages", count)
        elif status == -signal.SIGKILL and self.scarce(born):
            self.count("killed")
        else:
            raise Wrong(f"a process with memory that was swapped ended with {status}")

    def turn(self):
        kinds = self.rng.choices(("mix", "text", "random"), k=2)
        for child in [self.hold(self.rng.randrange(1500, 4500), kind, 1) for kind in kinds]:
            self.reap(*child)
        if self.rng.random() < 0.1:
            limit = f"{self.resident[1]}/memory.max"
            write(limit, "max")
            self.swapoff()
            self.swapon()
            write(limit, "12M")

    def end(self):
        os.kill(self.resident[0], signal.SIGTERM)
        self.reap(*self.resident)
        self.swapoff()
        self.driver.close(SWAP)


class Data(Load):
    """A device with everything that can be done to its pages, and what must be in them after that."""

    counts = ("pages", "jobs", "takes", "contended", "retries", "written back", "moved")
    kinds = ("zero", "same", "text", "random", "any")
    size = 4096

    def begin(self):
        self.fresh()

    def fresh(self):
        """Sets the device up, and forgets its data."""
        first, second = self.rng.choices(self.driver.algorithms(), k=2)
        settings = {"recomp_algorithm": f"algo={second} priority={self.rng.randint(1, 3)}"}
        if self.disks:
            settings["backing_dev"] = self.disks[1]
            settings["compressed_writeback"] = self.rng.choice("01")
            settings["writeback_batch_size"] = str(self.rng.randint(1, 64))
        settings["policy"] = self.policy()
        self.set_up(DATA, self.size * PAGE, first, **settings)
        self.model = [("zero", 0)] * self.size  # what is in each page

    def turn(self):
        operations = (self.store, self.discard, self.verify, self.some_job)
        for operation in self.rng.choices(operations, (4, 1, 2, 2), k=40):
            count = self.rng.randint(1, 64)
            operation(self.rng.randrange(self.size - count), count)
        for first in range(0, self.size, 64):
            self.verify(first, 64)
        if self.rng.random() < 0.2:
            self.always("failed reads and writes", self.driver.failures(DATA), (0, 0))
            self.streams(DATA)
            self.count("written back", self.driver.bd(DATA, "writes"))
            self.moved(DATA)
            self.fresh()

    def store(self, first, count):
        """Writes pages."""
        new = (self.rng.choice(self.kinds), self.rng.randrange(1, 5))
        self.always("write", self.driver.write(DATA, first, count, *new), count * PAGE)
        self.model[first:first + count] = [new] * count

    def discard(self, first, count):
        """Discards pages."""
        self.always("discard", self.driver.discard(DATA, first * PAGE, count * PAGE), None)
        self.model[first:first + count] = [("zero", 0)] * count

    def verify(self, first, count):
        """Reads pages, and compares."""
        got = self.driver.read(DATA, first, count)
        if isinstance(got, str):
            raise Wrong(f"read of pages {first} to {first + count - 1}: {got}")
        for n, wanted in enumerate(self.model[first:first + count], first):
            page = got[(n - first) * PAGE:][:PAGE]
            if page != contents(*wanted)(n):
                raise Wrong(f"page {n} should be {wanted}, and is {page[:32].hex()}…")
        self.count("pages", count)

    def some_job(self, *_):
        """Starts a job."""
        self.job(DATA)
        self.count("jobs")

    def end(self):
        self.always("failed reads and writes", self.driver.failures(DATA), (0, 0))
        self.moved(DATA)
        self.driver.close(DATA)


class Devices(Load):
    """A device comes, is written, reset, written, and goes."""

    counts = ("pages",)

    def begin(self):
        self.names = self.driver.algorithms()

    def turn(self):
        added = self.driver.add()
        if isinstance(added, str):
            self.must("hot_add", added)
            return
        number = int(added)
        for _ in range(2):
            kind = self.rng.choice(("text", "random", "any"))
            done = all(self.put(number, *setting) for setting in (
                ("reset", "1"), ("comp_algorithm", self.rng.choice(self.names)), ("disksize", "8M")))
            if done:
                self.always("write", self.driver.write(number, 100, 64, kind), 64 * PAGE)
                wanted = run_of(kind, 1, 100, 64)
                if (got := self.driver.read(number, 100, 64)) != wanted:
                    raise Wrong(f"read: {got if isinstance(got, str) else 'other data'}")
                self.count("pages", 64)
        self.must("hot_remove", self.driver.remove(b"%d" % number))


class Jobs(Load):
    """Jobs and resets on the devices of the other loads, every file read, and memory compaction."""

    counts = ("jobs", "resets", "reads", "compactions")

    def turn(self):
        for _ in range(10):
            kind, = self.rng.choices((self.some_job, self.reset, self.look, self.compact), (10, 3, 10, 1))
            kind(self.rng.choice((IO, SWAP, DATA)))
            self.pause(0.2)

    def some_job(self, number):
        """Starts a job."""
        self.job(number)
        self.count("jobs")

    def reset(self, number):
        """Resets a device, without effect while others have it open, and without harm while they don't."""
        self.put(number, "reset", "1", "EBUSY")
        self.count("resets")

    def look(self, _):
        """Reads all files of any device, which may go meanwhile."""
        number = self.rng.choice(self.driver.numbers())
        files = [*glob.glob(f"{self.driver.disk(number)}/*_*"), *glob.glob(f"/sys/kernel/debug/zram/zram{number}/*")]
        for path in files:
            outcome = errno_or(self.driver.file_get, path)
            if isinstance(outcome, str):
                self.must(path, outcome, "EACCES", "EINVAL", "ENOENT", "ENODEV")
        self.count("reads", len(files))

    def compact(self, _):
        """Has the kernel compact memory, for which pages of zsmalloc move, too."""
        write("/proc/sys/vm/compact_memory", "1")
        self.count("compactions")
