#!/usr/bin/env python3
"""Everything at once on one module: I/O, swap, jobs, devices, CPUs that come and go, memory that runs out, suspend.

soak.py [--minutes N] [--until LOAD=TURNS] LOAD…    with TEST_SEED, and two DISKS to write back to, in the environment

Each load is a process of its own that takes turn after turn, until the minutes are over, or one of them has had its turns.
What they do follows from the seed, when they do it from the scheduler. Whatever is wrong in one of them ends all: data
that is not what was stored, an errno without a reason, or a load that does not get on. While memory runs out a swap-out
may fail, and what a file of the module is asked to do, and each is counted; a read, and any other write, waits.
"""

import argparse
import ctypes
import glob
import itertools
import mmap
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import pages
from pages import PAGE
from sides import Side, attempt, case, content, note

CPUS = "/sys/devices/system/cpu"
POWER = "/sys/power"
libc = ctypes.CDLL(None, use_errno=True)
# Whoever has not ended a turn for so many seconds hangs.
PATIENCE = 300 * int(os.environ.get("SLOWER", "1"))
IO, SWAP, DATA = range(3)  # whose device is which; those above come and go


class Wrong(Exception):
    """What a load found."""


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def write(path, text):
    """With one system call: Python's files try again, or take EAGAIN for no error."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def vmstat(name):
    return int(re.search(rf"^{name} (\d+)$", read("/proc/vmstat"), re.M)[1])


def available():
    """Kilobytes of memory."""
    return int(re.search(r"MemAvailable: *(\d+)", read("/proc/meminfo"))[1])


def die_with_parent():
    death_signal = 1  # PR_SET_PDEATHSIG
    libc.prctl(death_signal, signal.SIGKILL)


class Load:
    """One kind of load. A turn is a piece of it that takes seconds."""

    counts = ()  # what it counts beside its turns, and the errnos that want of memory excuses

    def __init__(self, options, scarcity, calm):
        self.name = type(self).__name__.lower()
        self.rng = random.Random(f"{options.seed} {self.name}")
        self.side = Side("zram")
        self.disks = options.disks
        self.scarcity = scarcity  # how often memory began or ceased to run out: odd while it does
        self.calm = calm  # held while memory runs out, and by who can't have that
        self.before = 0
        self.turns = multiprocessing.Value("Q", lock=False)
        self.stop = multiprocessing.Value("b", lock=False)
        counts = (*self.counts, "ENOMEM", "EIO")
        self.counted = {name: multiprocessing.Value("Q", lock=False) for name in counts}
        self.trouble = multiprocessing.SimpleQueue()
        self.others = ()

    @staticmethod
    def lacks():
        """What this machine lacks for it, if it does."""

    def begin(self):
        """Before the first turn."""

    def turn(self):
        raise NotImplementedError

    def end(self):
        """After the last turn."""

    def run(self):
        die_with_parent()
        write("/proc/self/oom_score_adj", "-1000")
        try:
            self.begin()
            while not self.stop.value:
                self.before = self.scarcity.value
                self.turn()
                self.turns.value += 1
            self.end()
        except BaseException as error:
            self.trouble.put(str(error) if isinstance(error, Wrong) else traceback.format_exc())
            sys.exit(1)

    def count(self, name, number=1):
        self.counted[name].value += number

    def pause(self, seconds):
        """Sleep, unless it is time to end."""
        end = time.monotonic() + seconds
        while not self.stop.value and time.monotonic() < end:
            time.sleep(0.1)

    # --- outcomes ---

    def scarce(self, since=None):
        """Whether memory ran out at any time in this turn, or since it had begun or ceased to do so that often."""
        since = self.before if since is None else since
        return self.scarcity.value != since or since % 2 == 1

    def must(self, what, outcome, *allowed, wanted="all"):
        """Whether it was done. It may end with the errnos allowed, and with others while memory runs out."""
        if outcome == wanted:
            return True
        if outcome in allowed:
            return False
        if self.scarce() and outcome in ("ENOMEM", "EIO"):
            self.count(outcome)
            return False
        raise Wrong(f"{what}: {outcome!r} instead of {wanted!r}")

    def always(self, what, outcome, wanted):
        """It was done, however little memory there was."""
        if outcome != wanted:
            raise Wrong(f"{what}: {outcome!r} instead of {wanted!r}")

    def put(self, number, attribute, text, *allowed):
        outcome = self.side.put(number, attribute, text.encode())
        return self.must(f"{attribute} of {number} <- {text}", outcome, *allowed)

    # --- devices ---

    def set_up(self, number, size, algorithm, **settings):
        """Make a device new, and keep it open, so that nobody resets it. If it is not held, too, who tries that keeps others
        from opening it for a moment; but mkswap and swapon want to hold it themselves."""
        self.side.close(number)
        flags = 0 if number == SWAP else os.O_EXCL
        while not self.put(number, "reset", "1", "EBUSY") or self.side.open(number, flags):
            time.sleep(0.1)
        for attribute, text in {"comp_algorithm": algorithm, **settings, "disksize": str(size)}.items():
            while not self.put(number, attribute, text):
                time.sleep(0.1)

    def algorithms(self):
        return self.side.get(IO, "comp_algorithm").decode().replace("[", "").replace("]", "").split()

    def failures(self, number):
        """How many reads and writes of a device failed since it was set up."""
        return tuple(map(int, self.side.get(number, "io_stat").split()[:2]))

    def streams(self, number):
        """Count how the streams of a device were used, before a reset."""
        table = read(f"/sys/kernel/debug/zram/zram{number}/streams").splitlines()[1:]
        for column, name in enumerate(("takes", "contended", "retries"), 3):
            self.count(name, sum(int(line.split()[column]) for line in table))

    def job(self, number):
        """Something that goes over all of a device. A suspend interrupts what takes long."""
        numbers = [self.rng.randint(1, 3000) for _ in range(3)]
        attribute, text = self.rng.choice((
            ("idle", "all"), ("idle", "1"), ("compact", "1"), ("mem_used_max", "0"),
            ("recompress", "type=idle"), ("recompress", "type=huge"),
            ("recompress", f"type=huge_idle threshold={numbers[0]}"),
            ("recompress", f"type=idle priority=2 max_pages={numbers[0]}"),
            ("writeback", "type=idle"), ("writeback", "type=huge"),
            ("writeback", f"page_index={numbers[0]} page_indexes={min(numbers)}-{max(numbers)}"),
        ))
        return self.put(number, attribute, text, "EINTR", "EINVAL", "ENODEV", "ENOSPC")


class Io(Load):
    """fio verifies, with many threads, with one algorithm after the other."""

    counts = ("pages", "takes", "contended", "retries")

    def begin(self):
        names = self.algorithms()
        self.rng.shuffle(names)
        self.names = itertools.cycle(names)

    def turn(self):
        jobs, each = 12, 1 << 20
        self.set_up(IO, jobs * each, next(self.names))
        command = (
            "setpriv --pdeathsig KILL fio --name=verify --ioengine=psync --direct=1 --thread --rw=randwrite "
            f"--bsrange=4k-256k --blockalign=4k --size={each} --offset_increment={each} --numjobs={jobs} "
            "--refill_buffers --buffer_compress_percentage=50 --verify=crc32c --verify_fatal=1 --verify_state_save=0 "
            f"--group_reporting --filename={self.side.node(IO)} --randseed={self.rng.getrandbits(31)}")
        fio = subprocess.run(command.split(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = fio.stdout + fio.stderr
        if fio.returncode:
            raise Wrong(f"fio: {fio.returncode}\n{said[-2000:]}")
        self.always("failed reads and writes", self.failures(IO), (0, 0))
        self.count("pages", jobs * each // PAGE)
        self.streams(IO)

    def end(self):
        self.side.close(IO)


class Swap(Load):
    """Processes that may keep less memory than they have: some new ones each turn, and one that stays to the end."""

    counts = ("pages", "killed", "swapoffs", "failed swap-outs", "takes", "contended", "retries")

    def begin(self):
        self.cgroup = re.search(r"^\S+ (\S+) cgroup2 ", read("/proc/mounts"), re.M)[1]
        write(f"{self.cgroup}/cgroup.subtree_control", "+memory")
        self.groups = (f"{self.cgroup}/selftest-soak-{n}" for n in itertools.count())
        self.swapon()
        self.resident = self.hold(4000, "mix", 0, tempfile.mktemp())

    def swapon(self):
        settings = {"recomp_algorithm": f"algo={self.rng.choice(self.algorithms())} priority=1"}
        if self.disks:
            settings["backing_dev"] = self.disks[0]
        self.set_up(SWAP, self.rng.choice((64, 128)) << 20, self.rng.choice(("lz4", "lzo-rle", "zstd")), **settings)
        for command in ("mkswap", "-q"), ("swapon",):
            command = (*command, self.side.node(SWAP))
            while (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
                if not self.scarce() and "busy" not in done.stderr:
                    raise Wrong(f"{command[0]} failed: {done.stderr}")
                time.sleep(0.1)

    def swapoff(self):
        """Take everything back from the device. Not while memory runs out: the first to be killed then is who does so, which
        frees none, and there may be nobody else to kill before the kernel panics."""
        swapoff = ("swapoff", self.side.node(SWAP))
        with self.calm:
            while (done := subprocess.run(swapoff, capture_output=True, text=True, check=False)).returncode:
                # A suspend interrupts it.
                if "Interrupted" not in done.stderr:
                    raise Wrong(f"swapoff ended with {done.returncode}: {done.stderr}")
                time.sleep(0.1)
        reads, writes = self.failures(SWAP)
        self.always("failed reads of swapped memory", reads, 0)
        self.count("failed swap-outs", writes)
        self.streams(SWAP)
        self.count("swapoffs")

    def hold(self, count, *arguments):
        """A process that has to swap most of its memory."""
        group, born = next(self.groups), self.scarcity.value
        os.mkdir(group)
        write(f"{group}/memory.max", "12M")
        child = os.fork()
        if child == 0:
            status = 2
            try:
                die_with_parent()
                self.side.close(SWAP)
                write(f"{group}/cgroup.procs", "0")
                write("/proc/self/oom_score_adj", "0")
                status = pages.hold(count, *arguments)
            finally:
                sys.stdout.flush()
                os._exit(status)
        return child, group, count, born

    def reap(self, child, group, count, born):
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
        self.side.close(SWAP)


class Data(Load):
    """A device with everything that can be done to its pages, and what must be in them after that."""

    counts = ("pages", "jobs", "takes", "contended", "retries", "written back")
    kinds = ("zero", "same", "text", "random", "any")
    size = 4096

    def begin(self):
        self.fresh()

    def fresh(self):
        first, second = self.rng.choices(self.algorithms(), k=2)
        settings = {"recomp_algorithm": f"algo={second} priority={self.rng.randint(1, 3)}"}
        if self.disks:
            settings["backing_dev"] = self.disks[1]
            settings["compressed_writeback"] = self.rng.choice("01")
            settings["writeback_batch_size"] = str(self.rng.randint(1, 64))
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
            self.always("failed reads and writes", self.failures(DATA), (0, 0))
            self.streams(DATA)
            self.count("written back", self.side.bd(DATA, "writes"))
            self.fresh()

    def store(self, first, count):
        new = (self.rng.choice(self.kinds), self.rng.randrange(1, 5))
        self.always("write", self.side.write(DATA, first, count, *new), count * PAGE)
        self.model[first:first + count] = [new] * count

    def discard(self, first, count):
        self.always("discard", self.side.discard(DATA, first * PAGE, count * PAGE), None)
        self.model[first:first + count] = [("zero", 0)] * count

    def verify(self, first, count):
        got = self.side.read(DATA, first, count)
        if isinstance(got, str):
            raise Wrong(f"read of pages {first} to {first + count - 1}: {got}")
        for n, wanted in enumerate(self.model[first:first + count], first):
            page = got[(n - first) * PAGE:][:PAGE]
            if page != content(*wanted)(n):
                raise Wrong(f"page {n} should be {wanted}, and is {page[:32].hex()}…")
        self.count("pages", count)

    def some_job(self, *_):
        self.job(DATA)
        self.count("jobs")

    def end(self):
        self.always("failed reads and writes", self.failures(DATA), (0, 0))
        self.side.close(DATA)


class Devices(Load):
    """A device comes, is written, reset, written, and goes."""

    counts = ("pages",)

    def begin(self):
        self.names = self.algorithms()

    def turn(self):
        added = self.side.add()
        if isinstance(added, str):
            self.must("hot_add", added)
            return
        number = int(added)
        for _ in range(2):
            kind = self.rng.choice(("text", "random", "any"))
            done = all(self.put(number, *setting) for setting in (
                ("reset", "1"), ("comp_algorithm", self.rng.choice(self.names)), ("disksize", "8M")))
            if done:
                self.always("write", self.side.write(number, 100, 64, kind), 64 * PAGE)
                wanted = b"".join(map(content(kind, 1), range(100, 164)))
                if (got := self.side.read(number, 100, 64)) != wanted:
                    raise Wrong(f"read: {got if isinstance(got, str) else 'other data'}")
                self.count("pages", 64)
        self.must("hot_remove", self.side.remove(b"%d" % number))


class Jobs(Load):
    """Jobs and resets on the devices of the other loads, every file read, and memory compaction."""

    counts = ("jobs", "resets", "reads", "compactions")

    def turn(self):
        for _ in range(10):
            kind, = self.rng.choices((self.some_job, self.reset, self.look, self.compact), (10, 3, 10, 1))
            kind(self.rng.choice((IO, SWAP, DATA)))
            self.pause(0.2)

    def some_job(self, number):
        self.job(number)
        self.count("jobs")

    def reset(self, number):
        """Without effect, while others have it open; without harm, while they don't."""
        self.put(number, "reset", "1", "EBUSY")
        self.count("resets")

    def look(self, _):
        """At any device, which may go meanwhile."""
        number = self.rng.choice(self.side.numbers())
        files = [*glob.glob(f"{self.side.disk(number)}/*_*"), *glob.glob(f"/sys/kernel/debug/zram/zram{number}/*")]
        for path in files:
            outcome = attempt(self.side.file_get, path)
            if isinstance(outcome, str):
                self.must(path, outcome, "EACCES", "EINVAL", "ENOENT", "ENODEV")
        self.count("reads", len(files))

    def compact(self, _):
        """Pages of zsmalloc move, too."""
        write("/proc/sys/vm/compact_memory", "1")
        self.count("compactions")


class Hotplug(Load):
    """Random CPUs go down and come up, with a failure at our state or behind it at times; and CPU 0 is left alone."""

    counts = ("down", "refused", "alone")

    def begin(self):
        self.cpus = sorted(int(re.sub(r"\D", "", path)) for path in glob.glob(f"{CPUS}/cpu[1-9]*/online"))
        states = [line.split(": ") for line in read(f"{CPUS}/hotplug/states").splitlines()]
        numbers = [int(number) for number, _ in states]
        ours = next(int(number) for number, name in states if name == "block/zram:prepare")
        self.states = (ours, min(number for number in numbers if number > ours))

    def is_up(self, cpu):
        return read(f"{CPUS}/cpu{cpu}/online") == "1\n"

    def set(self, cpu, up, wanted=None):
        """Whether that was the outcome. A suspend has all CPUs stay as they are for a moment."""
        while (outcome := attempt(write, f"{CPUS}/cpu{cpu}/online", str(up))) == "EBUSY":
            time.sleep(0.1)
        if outcome == "EIO":
            raise Wrong(f"CPU {cpu} does not answer: that is the machine's fault, see its log")
        return self.must(f"CPU {cpu} <- {up}", outcome, wanted=wanted)

    def turn(self):
        """Until a CPU has come up."""
        if self.turns.value % 50 == 49:
            self.alone()
        while not self.flip(self.rng.choice(self.cpus)):
            pass

    def flip(self, cpu):
        """Whether it came up."""
        if self.is_up(cpu):
            self.down(cpu)
            return False
        if self.rng.random() < 0.8:
            return self.set(cpu, 1)
        write(f"{CPUS}/cpu{cpu}/hotplug/fail", str(self.rng.choice(self.states)))
        if self.set(cpu, 1, wanted="EAGAIN"):
            self.count("refused")
        write(f"{CPUS}/cpu{cpu}/hotplug/fail", "-1")
        return False

    def down(self, cpu):
        if self.set(cpu, 0):
            self.count("down")

    def alone(self):
        """All others go on, on CPU 0."""
        for cpu in filter(self.is_up, self.rng.sample(self.cpus, len(self.cpus))):
            self.down(cpu)
        done = [other.turns.value for other in self.others]
        end = time.monotonic() + PATIENCE
        while not self.stop.value and done == [other.turns.value for other in self.others]:
            if time.monotonic() > end:
                raise Wrong("no load got on on CPU 0 alone")
            time.sleep(0.1)
        self.end()
        self.count("alone")

    def end(self):
        for cpu in self.rng.sample(self.cpus, len(self.cpus)):
            while not self.is_up(cpu):
                self.set(cpu, 1)


class Starve(Load):
    """A process takes all memory, until the kernel kills it; then there is memory again."""

    def begin(self):
        noise = self.rng.randbytes(1 << 20)
        self.chunks = (noise, noise, b"".join(map(content("text", 1), range(256))))

    def turn(self):
        with self.calm:
            self.starve()
        # Long enough for whoever waits for calm to get it.
        self.pause(self.rng.choice((1, 3, 10)))

    def starve(self):
        had, kills = available(), vmstat("oom_kill")
        end = time.monotonic() + PATIENCE
        self.scarcity.value += 1
        hog = os.fork()
        if hog == 0:
            self.grow()
        while (ended := os.waitpid(hog, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                raise Wrong(f"who took all memory is still there after {vmstat('oom_kill') - kills} OOM kills")
            time.sleep(0.1)
        self.scarcity.value += 1
        status = os.waitstatus_to_exitcode(ended[1])
        if status != -signal.SIGKILL or vmstat("oom_kill") == kills:
            raise Wrong(f"who took all memory ended with {status}, not by an OOM kill")
        while (have := available()) < had / 2:
            if time.monotonic() > end:
                raise Wrong(f"of {had} KiB of memory {have} came back")
            time.sleep(0.1)

    def grow(self):
        die_with_parent()
        write("/proc/self/oom_score_adj", "1000")
        taken = []
        while True:
            taken.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            taken[-1][:] = self.rng.choice(self.chunks)


class Suspend(Load):
    """The machine goes to sleep, up to some stage from which it comes back at once, or until its clock wakes it."""

    counts = ("sleeps", "early alarms")
    # SeaBIOS forgets the address of q35's ACPI registers over a sleep. Without it the machine neither sleeps again nor
    # powers off.
    bridge, registers, length = "/sys/bus/pci/devices/0000:00:1f.0/config", 0x40, 8

    @staticmethod
    def lacks():
        if "hypervisor" not in read("/proc/cpuinfo").split():
            return "a VM: no other machine is sent to sleep"
        stages = read(f"{POWER}/pm_test") if os.path.exists(f"{POWER}/pm_test") else ""
        return None if "core" in stages and "deep" in read(f"{POWER}/mem_sleep") else "a kernel with pm_test, and S3"

    def begin(self):
        write("/sys/module/suspend/parameters/pm_test_delay", "0")
        write(f"{POWER}/pm_freeze_timeout", str(PATIENCE * 1000))
        self.lasts = 0  # seconds that it takes to go down and come back

    def turn(self):
        self.pause(self.rng.uniform(2, 15))
        stage = self.rng.choice(("freezer", "devices", "platform", "processors", "core", "none"))
        # Without memory other drivers do not resume.
        with self.calm:
            if stage == "none":
                self.sleep()
            else:
                write(f"{POWER}/pm_test", stage)
                self.suspend()
                write(f"{POWER}/pm_test", "none")

    def suspend(self, *allowed):
        """Whether it went as far down as it should."""
        start = time.monotonic()
        done = self.must("suspend", attempt(write, f"{POWER}/state", "mem"), *allowed, wanted=None)
        self.lasts = max(self.lasts / 2, time.monotonic() - start)
        return done

    def sleep(self):
        with open(self.bridge, "r+b", buffering=0) as bridge:
            before = os.pread(bridge.fileno(), self.length, self.registers)
            slept = asleep()
            # An alarm that rings on the way down wakes nobody later. By this count the kernel knows of one that rang
            # before it stops to listen, and stays up; what comes after that has to be over before the alarm.
            count = read(f"{POWER}/wakeup_count")
            write("/sys/class/rtc/rtc0/wakealarm", "0")
            write("/sys/class/rtc/rtc0/wakealarm", f"+{10 + int(2 * self.lasts)}")
            write(f"{POWER}/wakeup_count", count)
            if not self.suspend("EBUSY"):
                self.count("early alarms")
                return
            if os.pread(bridge.fileno(), self.length, self.registers) != before:
                os.pwrite(bridge.fileno(), before, self.registers)
        if asleep() == slept:
            raise Wrong("the machine did not sleep")
        self.count("sleeps")


def uptime():
    """Seconds since boot, with those that the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def asleep():
    """For how many seconds, in all."""
    return round(uptime() - time.clock_gettime(time.CLOCK_MONOTONIC))


LOADS = {kind.__name__.lower(): kind for kind in (Io, Swap, Data, Devices, Jobs, Hotplug, Starve, Suspend)}


class Rig:
    """All loads, each in its process, and who watches them."""

    def __init__(self, options):
        self.options = options
        scarcity, calm = multiprocessing.Value("Q", lock=False), multiprocessing.Lock()
        self.loads = [LOADS[name](options, scarcity, calm) for name in options.loads]
        for load in self.loads:
            load.others = [other for other in self.loads if other is not load]
        self.processes = {load: multiprocessing.Process(target=load.run) for load in self.loads}
        self.troubles = {}
        self.started = self.reported = uptime()
        self.moved = {load: (0, time.monotonic()) for load in self.loads}
        self.last = dict.fromkeys(self.loads, 0)

    def run(self):
        write("/proc/self/oom_score_adj", "-1000")
        everything = 1 | 2  # MCL_CURRENT, MCL_FUTURE: who watches is awake, however little memory is left
        libc.mlockall(everything)
        for process in self.processes.values():
            process.start()
        while not self.troubles and not self.done():
            self.watch()
        for load in self.loads:
            load.stop.value = 1
        while not self.hangs() and any(process.is_alive() for process in self.processes.values()):
            self.watch()
        if self.hangs():
            write("/proc/sysrq-trigger", "w")  # what blocks whom, for the log
        for process in self.processes.values():
            process.kill()

    def done(self):
        minutes, until = self.options.minutes, self.options.until
        if until:
            return all(load.turns.value >= until[1] for load in self.loads if load.name == until[0])
        return uptime() > self.started + minutes * 60

    def watch(self):
        time.sleep(0.5)
        now = time.monotonic()
        for load, process in self.processes.items():
            turns, since = self.moved[load]
            if turns != load.turns.value:
                self.moved[load] = (load.turns.value, now)
            if not process.is_alive():
                if process.exitcode:
                    self.troubles.setdefault(load, f"ended with {process.exitcode}")
            elif now > since + PATIENCE:
                self.troubles.setdefault(load, f"hangs: {turns} turns, none for {PATIENCE} s")
        now = uptime()
        if now > self.reported + 60:
            self.report(now - self.reported)
            self.reported = now

    def hangs(self):
        return any("hangs" in trouble for trouble in self.troubles.values())

    def report(self, seconds):
        rates = []
        for load in self.loads:
            rates.append(f"{load.name} {(load.turns.value - self.last[load]) * 60 / seconds:.0f}")
            self.last[load] = load.turns.value
        minutes = (uptime() - self.started) / 60
        note(f"{minutes:.0f} min, seed {self.options.seed}, turns a minute: {', '.join(rates)}")

    def summary(self):
        for load in self.loads:
            counted = "".join(f", {value.value:,} {name}" for name, value in load.counted.items())
            trouble = self.troubles.get(load)
            if not trouble and not load.turns.value:
                trouble = "no turn"
            said = [] if load.trouble.empty() else [load.trouble.get()]
            case(f"{load.name}: {load.turns.value:,} turns{counted}", *filter(None, [trouble, *said]))
        for load, why in self.options.lacking.items():
            case(f"{load} # SKIP it takes {why}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--until", type=lambda text: (text.split("=")[0], int(text.split("=")[1])))
    parser.add_argument("loads", metavar="LOAD", nargs="+", choices=LOADS)
    options = parser.parse_args()
    options.seed = int(os.environ.get("TEST_SEED") or random.SystemRandom().getrandbits(31))
    options.disks = os.environ.get("DISKS", "").split()
    names = {name: LOADS[name].lacks() for name in options.loads}
    options.lacking = {name: why for name, why in names.items() if why}
    options.loads = [name for name in names if name not in options.lacking]
    if not options.disks:
        options.lacking["writeback"] = "two DISKS"
    out, back, kills = map(vmstat, ("pswpout", "pswpin", "oom_kill"))
    note(f"seed {options.seed}")
    rig = Rig(options)
    rig.run()
    rig.summary()
    note(f"{uptime() - rig.started:.0f} s, {vmstat('pswpout') - out:,} pages swapped out, "
         f"{vmstat('pswpin') - back:,} in, {vmstat('oom_kill') - kills} OOM kills")
    note("end")


if __name__ == "__main__":
    main()
