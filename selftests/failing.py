# SPDX-License-Identifier: GPL-2.0-only
"""Every allocation fails once, in everything that the module does.

failing.py MODULE KO LOOP [WHAT...]     the module under test, its file, and a loop device of 16 MiB to write back to;
                                        then what to look at: loading, devices, configuring, requests, waiting, jobs, full, tiers,
                                        hotplug;
                                        and parts, only if it says so: of pages larger than blocks, with a loop device that
                                        device-mapper can suspend

The N-th allocation that an operation makes inside the module fails, for N = 1, 2, 3 and so on until the operation ends
before its N-th. Each time the outcome has to be success or the right errno; after a failure everything is as it was, and
the same operation works when it is tried again. All along, data that was stored before reads the same.
"""

import contextlib
import itertools
import mmap
import os
import re
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.files import errno_or, read, write
from zramtest.ktap import case, end, note
from zramtest.libc import SYS_FINIT_MODULE, checked, libc
from zramtest.memory import anonymous, page_out
from zramtest.pages import PAGE, contents, run_of
from zramtest.tasks import Background

FAULTS = "/sys/kernel/debug"
# The block layer ignores that a disk gets no name in dev_set_name(), and the driver core then calls the disk invalid.
ADDING = "ENOMEM", "EINVAL"
ALGORITHMS = "lz4 lz4hc lzo lzo-rle zstd deflate 842 lzmem".split()
OLD, NEW = range(32), 4096
CPU = "/sys/devices/system/cpu/cpu1"


class Faults:
    """Faults of this task in what is called by code at certain addresses."""

    def __init__(self):
        for kind in "failslab", "fail_page_alloc":
            # Allocations that may sleep have to fail, too; no call traces in the log.
            for name, value in {"ignore-gfp-wait": "N", "verbose": 0, "times": -1, "stacktrace-depth": 32}.items():
                write(f"{FAULTS}/{kind}/{name}", value)
        write(f"{FAULTS}/fail_page_alloc/ignore-gfp-highmem", "N")
        write(f"{FAULTS}/fail_page_alloc/min-order", 0)
        self.nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def within(self, start, end):
        """Has allocations fail only where code between these addresses calls for them."""
        for kind in "failslab", "fail_page_alloc":
            write(f"{FAULTS}/{kind}/require-start", start)
            write(f"{FAULTS}/{kind}/require-end", end)

    def within_module(self, module):
        """Has allocations fail only where the module calls for them."""
        start = int(read(f"/sys/module/{module}/sections/.text"), 16)
        size = next(int(line.split()[1]) for line in read("/proc/modules").splitlines() if line.startswith(module + " "))
        self.within(start, start + size)

    def function(self, name):
        """Returns where a function of the kernel begins, and where it ends. The name is a regular expression."""
        symbols = sorted((int(line.split()[0], 16), line.split()[2]) for line in read("/proc/kallsyms").splitlines())
        at = next(i for i, symbol in enumerate(symbols) if re.fullmatch(name, symbol[1]))
        return symbols[at][0], next(address for address, _ in symbols[at:] if address > symbols[at][0])

    def within_init(self):
        """Has allocations fail only while the kernel runs the init function of a module, whose address is not known before."""
        self.within(*self.function("do_init_module"))

    @contextlib.contextmanager
    def but_for(self, name):
        """Has no allocation fail in this function of the kernel. It makes many, each of which fails in another case."""
        def reject(start, end):
            for kind in "failslab", "fail_page_alloc":
                write(f"{FAULTS}/{kind}/reject-start", start)
                write(f"{FAULTS}/{kind}/reject-end", end)

        reject(*self.function(name))
        yield
        reject(0, 0)

    def always(self, on, everywhere=False):
        """Has all allocations fail of tasks that say so in /proc/thread-self/make-it-fail, or of all tasks, or none."""
        for kind in "failslab", "fail_page_alloc":
            tasks = "N" if everywhere and on else "Y"
            for name, value in {"task-filter": tasks, "interval": 1, "probability": 100 if on else 0}.items():
                write(f"{FAULTS}/{kind}/{name}", value)

    def after(self, size):
        """Has one allocation fail of any task: the one before which so many bytes were allocated from slabs."""
        write(f"{FAULTS}/failslab/space", size)
        write(f"{FAULTS}/failslab/times", 1)
        for name, value in {"task-filter": "N", "interval": 1, "probability": 100}.items():
            write(f"{FAULTS}/failslab/{name}", value)

    def end_after(self):
        """Undoes that, and returns whether the allocation was made, and failed."""
        failed = int(read(f"{FAULTS}/failslab/times")) == 0
        for name, value in {"probability": 0, "task-filter": "Y", "times": -1, "space": 0}.items():
            write(f"{FAULTS}/failslab/{name}", value)
        return failed

    def inject(self, nth, function):
        """Calls a function. Returns its outcome, and whether there was an N-th allocation, which failed."""
        os.pwrite(self.nth, b"%d" % nth, 0)
        outcome = errno_or(function)
        left = int(os.pread(self.nth, 16, 0).strip(b"\0\n"))
        os.pwrite(self.nth, b"0", 0)
        return outcome, left == 0


    def count(self, function):
        """Calls a function. Returns how many allocations it makes."""
        many = 1 << 30
        os.pwrite(self.nth, b"%d" % many, 0)
        function()
        left = int(os.pread(self.nth, 16, 0).strip(b"\0\n"))
        os.pwrite(self.nth, b"0", 0)
        return many - left


class Disk(Driver):
    """The driver, loaded by the test itself; its disk, and one page of memory to write and read the new page with."""

    def __init__(self, module, ko, loop):
        super().__init__()
        self.module, self.loop = module, loop
        self.ko = os.open(ko, os.O_RDONLY)
        self.buffer = mmap.mmap(-1, 2 * PAGE)
        self.fd = None

    def insmod(self):
        """Loads the module, without a program that would have its allocations fail, too."""
        checked(libc.syscall, SYS_FINIT_MODULE, self.ko, b"num_devices=1", 0)

    def rmmod(self):
        """Unloads the module."""
        checked(libc.delete_module, self.module.encode(), os.O_NONBLOCK)

    def must(self, attribute, value):
        """Writes to an attribute, which has to take it."""
        self.put_or_raise(0, attribute, value)

    def set(self, attribute, value):
        """Writes to an attribute. Raises what the kernel says, as Faults.inject wants it."""
        self.file_put(f"{self.disk(0)}/{attribute}", value)

    def shut(self):
        """Closes the disk."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def reset(self, *settings):
        """Resets the disk, and gives it these settings."""
        self.shut()
        self.must("reset", 1)
        for attribute, value in settings:
            self.must(attribute, value)

    def store(self):
        """Writes the data that has to survive."""
        self.write(0, OLD[0], len(OLD), "any")
        self.fd = os.open(self.node(0), os.O_RDWR | os.O_DIRECT)

    def set_up(self, algorithm, *settings):
        """Makes the disk anew, with the data that has to survive."""
        self.reset(("comp_algorithm", algorithm), *settings, ("disksize", 64 << 20))
        self.store()

    def old(self):
        """Yields what is wrong with the data that has to survive."""
        data = mmap.mmap(-1, len(OLD) * PAGE)
        os.preadv(self.fd, [data], 0)
        wrong = [n for n in OLD if data[n * PAGE:(n + 1) * PAGE] != contents("any", 1)(n)]
        if wrong:
            yield f"the old data of pages {wrong} is wrong"

    def fill(self, kind, seed=1, shift=0):
        """Prepares the new page in memory."""
        self.buffer[shift:shift + PAGE] = contents(kind, seed)(NEW)

    def write_new(self, shift=0):
        """Writes it."""
        os.pwritev(self.fd, [memoryview(self.buffer)[shift:shift + PAGE]], NEW * PAGE)

    def read_new(self, shift=0):
        """Reads it."""
        os.preadv(self.fd, [memoryview(self.buffer)[shift:shift + PAGE]], NEW * PAGE)

    def new(self, wanted, seed=1):
        """Yields what is wrong if the new page has not this content, or is there when it should not."""
        data = mmap.mmap(-1, PAGE)
        os.preadv(self.fd, [data], NEW * PAGE)
        if data[:] != (contents(wanted, seed)(NEW) if wanted else bytes(PAGE)):
            yield f"the new page is not {wanted or 'empty'}"

    def forget_new(self):
        """Discards it, and the part of the table that it needed."""
        self.discard(0, NEW * PAGE, PAGE)
        self.must("compact", 1)


class Walk:
    """An operation, and what has to hold before, after failure, and after success."""

    sites = 0

    def __init__(self, faults, old):
        self.faults, self.old = faults, old

    def some(self, act, before):
        """Returns which allocations to look at of an operation that makes many: the first ones, ever fewer, and the last ones."""
        before()
        count = self.faults.count(act)
        return sorted({n for n in (int(1.5 ** n) for n in range(99)) if n < count} | {*range(max(1, count - 7), count + 1)})

    def __call__(self, name, act, errors=("ENOMEM",), least=1, before=None, failed=None, done=None, after=None, many=0):
        """With `many`, the operation has to make so many allocations, and not each is looked at."""
        trouble, hits, failures = [], 0, 0
        some = self.some(act, before) if many else []
        if some and some[-1] < many:
            trouble.append(f"{some[-1]} allocations instead of {many} or more")
        for nth in some or itertools.count(1):
            if before:
                before()
            outcome, fired = self.faults.inject(nth, act)
            hits += fired
            trouble += [f"N = {nth}: {line}" for line in self.judge(outcome, fired, act, errors, failed, done)]
            failures += isinstance(outcome, str)
            if after:
                after()
            # How many there are may differ a little from one time to the next.
            if not (fired or some) or len(trouble) > 10:
                break
        if hits < least:
            trouble.append(f"{hits} allocations instead of {least} or more")
        Walk.sites += hits
        case(f"{name}: {hits} allocations failed, and with {failures} of them the operation", *trouble)

    def judge(self, outcome, fired, act, errors, failed, done):
        """Yields what is wrong with an outcome, and with what it left behind."""
        if isinstance(outcome, str):
            if not fired or outcome not in errors:
                yield f"{outcome} {'with a fault' if fired else 'without one'}"
            yield from failed() if failed else ()
            yield from self.old()
            again = errno_or(act)
            if isinstance(again, str):
                yield f"{again} at the next try, without a fault"
        yield from done() if done else ()
        yield from self.old()


def loading(disk, walk):
    """The module is loaded."""
    walk = Walk(walk.faults, lambda: ())
    walk.faults.within_init()

    def nothing():
        there = [path for path in (f"/sys/module/{disk.module}", "/sys/block/zram0", "/sys/class/zram-control",
                                   f"{FAULTS}/zram") if os.path.exists(path)]
        if there or "zram:prepare" in read("/sys/devices/system/cpu/hotplug/states"):
            yield f"left behind: {there or 'the hotplug state'}"

    def works():
        if disk.numbers() != [0]:
            yield f"devices {disk.numbers()}"

    # hot_add, below, fails at each allocation of add_disk_fwnode().
    with walk.faults.but_for("add_disk_fwnode"):
        walk("insmod", disk.insmod, ADDING, least=20, failed=nothing, done=works, after=disk.rmmod)


def devices(disk, walk):
    """Devices come and go."""
    def read_hot_add():
        with open("/sys/class/zram-control/hot_add", "rb", buffering=0) as file:
            file.read(16)

    def numbers(wanted):
        return lambda: [] if disk.numbers() == wanted else [f"devices {disk.numbers()}"]

    def remove(number):
        if number in disk.numbers():
            disk.remove(b"%d" % number)

    remove(1)
    disk.set_up("lz4")
    walk("hot_add", read_hot_add, ADDING, least=20, failed=numbers([0]), done=numbers([0, 1]), after=lambda: remove(1))
    walk("hot_remove", lambda: write("/sys/class/zram-control/hot_remove", 1), errors=(), least=0,
         before=read_hot_add, done=numbers([0]))


def configuring(disk, walk):
    """A disk gets its settings and its size."""
    dictionary = os.path.abspath("dictionary")
    with open(dictionary, "wb") as file:
        file.write(run_of("text", 3, 0, 8))
    quiet = Walk(walk.faults, lambda: ())
    initialised = lambda wanted: lambda: [] if disk.get(0, "initstate") == wanted else ["initstate is wrong"]
    for algorithm in ALGORITHMS:
        settings = [("comp_algorithm", algorithm), ("recomp_algorithm", "algo=deflate")]
        with contextlib.nullcontext() if algorithm == ALGORITHMS[0] else walk.faults.but_for("zs_create_pool"):
            quiet(f"disksize, {algorithm}", lambda: disk.set("disksize", "64M"), least=8,
                  before=lambda: disk.reset(*settings), failed=initialised(b"0\n"), done=initialised(b"1\n"))
        quiet(f"reset, {algorithm}", lambda: disk.set("reset", "1"), errors=(), least=0,
              before=lambda: errno_or(disk.set, "disksize", "64M"), done=initialised(b"0\n"))
    size = lambda wanted: lambda: [] if disk.get(0, "disksize") == wanted else ["disksize is wrong"]
    walk("disksize, larger", lambda: disk.set("disksize", "2G"), least=2,
         before=lambda: disk.set_up("lz4"), failed=size(b"67108864\n"), done=size(b"2147483648\n"))

    def usable():
        disk.must("disksize", 64 << 20)
        disk.store()
        yield from disk.old()

    for algorithm in "zstd", "lz4", "lz4hc":
        disk.reset(("comp_algorithm", algorithm))
        quiet(f"algorithm_params with a dictionary, {algorithm}",
              lambda: disk.set("algorithm_params", f"algo={algorithm} dict={dictionary}"), done=usable,
              before=lambda: disk.reset(("comp_algorithm", algorithm)), after=disk.reset)
    backing = lambda wanted: lambda: [] if disk.get(0, "backing_dev") == wanted.encode() + b"\n" else ["backing_dev is wrong"]
    quiet("backing_dev", lambda: disk.set("backing_dev", disk.loop), least=3, failed=backing("none"),
          done=backing(disk.loop), before=disk.reset)


def requests(disk, walk):
    """Pages are written, read and discarded."""
    for algorithm in ALGORITHMS:
        disk.set_up(algorithm)
        # No other object has this size, so that zsmalloc has to allocate for it.
        size = 1700
        # All but swap-out waits for memory, which is there at the next try.
        walk(f"{algorithm}: first write", disk.write_new, errors=(), least=2,
             before=lambda: disk.forget_new() or disk.fill(size), failed=lambda: disk.new(None), done=lambda: disk.new(size))
        walk(f"{algorithm}: overwrite", disk.write_new, errors=(),
             before=lambda: [disk.fill(size), disk.write_new(), disk.fill("random", 2)],
             failed=lambda: disk.new(size), done=lambda: disk.new("random", 2))
        walk(f"{algorithm}: write from memory that is not aligned", lambda: disk.write_new(512), errors=(), least=2,
             before=lambda: disk.forget_new() or disk.fill(size, shift=512),
             failed=lambda: disk.new(None), done=lambda: disk.new(size))
        for shift in 0, 512:
            walk(f"{algorithm}: read, {shift} bytes off alignment", lambda: disk.read_new(shift), errors=(), least=0,
                 done=lambda: disk.new(size))
        walk(f"{algorithm}: discard", lambda: disk.discard(0, NEW * PAGE, PAGE), errors=(), least=0,
             before=lambda: [disk.fill(size), disk.write_new()], done=lambda: disk.new(None))
        disk.shut()
        pages = disk.mm(0, "orig") // PAGE
        disk.discard(0, 0, 64 << 20)
        case(f"{algorithm}: at the end the old pages are counted, and then none",
             *(f"{count} pages" for count in [pages] if count != len(OLD)),
             *(disk.get(0, "mm_stat").decode() for column in ("orig", "compr", "same", "huge") if disk.mm(0, column)))


def waiting(disk, walk):
    """While no allocation succeeds, all I/O waits but swap-out, which fails."""
    faults = walk.faults

    def without_memory(name, act, waits):
        def run():
            write("/proc/thread-self/make-it-fail", 1)
            try:
                act()
            finally:
                write("/proc/thread-self/make-it-fail", 0)

        faults.always(True)
        call = Background(errno_or, run)
        ended = call.ends(3)
        faults.always(False)
        trouble = [] if call.ends() else ["it does not end when there is memory"]
        if ended == waits:
            trouble.append("it ends without memory" if ended else "it waits for memory")
        if call.result is not None:
            trouble.append(call.result)
        case(f"without memory: {name} {'waits' if waits else 'does not wait'}", *trouble, *disk.old())

    for compressed in 0, 1:
        disk.set_up("lz4", ("backing_dev", disk.loop), ("compressed_writeback", compressed))
        for shift in 0, 512:
            disk.forget_new()
            disk.fill(1700, shift=shift)
            without_memory(f"a write, {shift} bytes off alignment,", lambda at=shift: disk.write_new(at), True)
            case("it is there", *disk.new(1700))
            disk.must("writeback", f"page_index={NEW}")
            without_memory(f"a read from the backing device, {shift} bytes off alignment,",
                           lambda at=shift: disk.read_new(at), True)
            case("the data is right", *disk.new(1700))
    disk.fill("same")
    disk.forget_new()
    disk.must("compact", 1)
    without_memory("a write of one word, where the table has no room,", disk.write_new, True)
    case("that is there", *disk.new("same"))
    disk.shut()
    disk.must("reset", 1)
    disk.must("compressed_writeback", 0)
    disk.reset(("comp_algorithm", "lz4"), ("disksize", 64 << 20))
    subprocess.run(["mkswap", "-q", disk.node(0)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "-p", "1000", disk.node(0)], check=True)
    # A new page first waits for the LRU list on the CPU that it was written on, and is not swapped out from another CPU. So
    # this goes on on one CPU, in the thread below as well.
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    wanted = run_of(1700, 7, 0, 16)
    memory = anonymous(wanted)

    def swap_out():
        for _ in range(4):
            memory[:] = wanted
            page_out(memory)

    failed = disk.failures(0)[1]
    old, disk.old = disk.old, lambda: ()
    without_memory("swap-out", swap_out, False)
    disk.old = old
    failed = disk.failures(0)[1] - failed
    trouble = [] if failed else ["no write failed"]
    if memory[:] != wanted:
        trouble.append("the pages have other data")
    case("without memory: swap-out fails, and the pages stay where they are", *trouble)
    memory.close()
    os.sched_setaffinity(0, cpus)
    subprocess.run(["swapoff", disk.node(0)], check=True)


def jobs(disk, walk):
    """Recompression, writeback, and all else that attributes do."""
    def fresh(*more):
        disk.set_up("lz4", ("recomp_algorithm", "algo=zstd"), ("backing_dev", disk.loop), *more)
        disk.fill(1700)
        disk.write_new()

    for request in "type=huge", "threshold=100 max_pages=20":
        walk(f"recompress, {request}", lambda: disk.set("recompress", request), before=fresh)
    for compressed in 0, 1:
        job = lambda: disk.set("writeback", f"page_indexes=0-31 page_index={NEW}")
        more = ("compressed_writeback", compressed)
        walk(f"writeback, compressed_writeback={compressed}", job, before=lambda: fresh(more))

        def written_back(more=more, job=job):
            """Blocks that were read are kept, so that each read is the first one."""
            fresh(more)
            job()

        for shift in 0, 512:
            walk(f"read of a page written back, {shift} bytes off alignment, compressed_writeback={compressed}",
                 lambda: disk.read_new(shift), before=written_back, errors=(), least=2, done=lambda: disk.new(1700))
        disk.shut()
        disk.must("reset", 1)
        disk.must("compressed_writeback", 0)
    fresh()
    for attribute, value in ("idle", "all"), ("compact", "1"), ("mem_limit", "1G"), ("mem_used_max", "0"):
        walk(f"{attribute} <- {value}", lambda: disk.set(attribute, value), errors=(), least=0)
    for attribute in sorted(disk.attributes() - set(os.listdir(f"/sys/block/{os.path.basename(disk.loop)}"))):
        if os.stat(f"{disk.disk(0)}/{attribute}").st_mode & 0o400:
            walk(f"read of {attribute}", lambda: disk.file_get(f"{disk.disk(0)}/{attribute}"), least=0)
    # The text of `streams` is in a buffer that the kernel allocates.
    for name, least in ("block_state", 1), ("streams", 0), ("ages", 1):
        walk(f"read of {name}", lambda: disk.file_get(f"{FAULTS}/zram/zram0/{name}"), least=least)
    disk.reset()


def full(disk, walk):
    """Writeback to a device whose blocks are all in use, and most of each is free again."""
    blocks = 15
    size = str((blocks + 1) * PAGE)
    made = subprocess.run(["losetup", "-f", "--show", "--sizelimit", size, disk.loop], check=True, stdout=subprocess.PIPE, text=True)
    small, first = made.stdout.strip(), NEW - 3 * blocks

    def fresh():
        disk.set_up("lz4", ("backing_dev", small), ("compressed_writeback", 1))
        disk.write(0, first, 3 * blocks, 1300)
        disk.must("writeback", f"page_indexes={first}-{NEW - 1}")
        for page in range(first, NEW):
            if (page - first) % 3:
                disk.discard(0, page * PAGE, PAGE)
        disk.fill(1300)
        disk.write_new()

    def others():
        data = mmap.mmap(-1, PAGE)
        for page in range(first, NEW, 3):
            os.preadv(disk.fd, [data], page * PAGE)
            if data[:] != contents(1300, 1)(page):
                yield f"page {page}, on the full device, is wrong"

    walk("writeback to a full device", lambda: disk.set("writeback", f"page_index={NEW}"), before=fresh, least=15, many=200,
         failed=others, done=lambda: [*others(), *disk.new(1300)])
    disk.reset()
    disk.must("compressed_writeback", 0)
    subprocess.run(["losetup", "-d", small], check=True)


def worker(disk, faults, settings):
    """The worker of a policy begins. It is a kernel thread, of which no N-th allocation can be made to fail, but one after so
    many bytes. All that it needs it allocates in one function, and again a second later if that fails."""
    failures, trouble = 0, []
    faults.within(*faults.function(r".*4jobs5tiers.*5Tools3new"))
    for size in 0, *(int(64 * 1.4 ** n) for n in range(60)):
        disk.set_up("lz4", *settings)
        disk.fill("text", 4)
        disk.write_new()
        faults.after(size)
        disk.must("policy", "recompress_idle=1 cpu=100")
        for _ in range(300):
            time.sleep(0.1)
            if int(disk.get(0, "policy_stat").split()[1]):
                break
        else:
            trouble.append(f"after {size} bytes: the worker does not begin")
        failed = faults.end_after()
        trouble += [*disk.old(), *disk.new("text", 4)]
        if not failed:
            break
        failures += 1
    faults.within_module(disk.module)
    if failures < 10:
        trouble.append(f"{failures} failures")
    case(f"the worker begins, at last, where one of its allocations fails: {failures} times", *trouble)


def tiers(disk, walk):
    """A policy is set, and its worker finds no memory."""
    quiet = Walk(walk.faults, lambda: ())
    policy = "recompress_idle=1 writeback_idle=3600 cpu=100"
    settings = ("comp_algorithm", "lz4"), ("recomp_algorithm", "algo=zstd"), ("backing_dev", disk.loop)
    shown = lambda wanted: lambda: [] if disk.get(0, "policy") == wanted.encode() + b"\n" else ["policy is wrong"]
    quiet("policy", lambda: disk.set("policy", policy), least=5, failed=shown("off"), done=shown(policy),
          before=lambda: disk.reset(*settings, ("disksize", "64M")))
    quiet("policy, another one", lambda: disk.set("policy", policy), errors=(), least=0)
    with walk.faults.but_for("zs_create_pool"):
        quiet("disksize with a policy", lambda: disk.set("disksize", "64M"), least=8,
              before=lambda: disk.reset(*settings, ("policy", policy)),
              after=lambda: errno_or(disk.set, "reset", "1"))
    worker(disk, walk.faults, settings[1:])
    disk.set_up("lz4", *settings[1:])
    disk.must("policy", policy)
    disk.fill(1700)
    walk.faults.always(True, everywhere=True)
    time.sleep(5)
    walk.faults.always(False)
    case("without memory: the worker leaves pages as they are", *disk.old())
    disk.fill("text", 4)
    disk.write_new()
    for _ in range(300):
        if all(int(n) > 0 for n in disk.get(0, "recomp_stat").split()[2:4]):
            break
        time.sleep(0.1)
    else:
        case("with memory: it goes on", disk.get(0, "recomp_stat").decode(), disk.get(0, "policy_stat").decode())
    case("with memory: it goes on", *disk.old(), *disk.new("text", 4))
    disk.reset()


def parts(disk, walk):
    """Parts of pages are written."""
    data, length = mmap.mmap(-1, PAGE), PAGE // 4
    data[:] = contents("random", 9)(0)
    names = {None: "empty", "same": "one word all over", 1700: "compressed", "random": "huge"}

    def write_part():
        os.pwritev(disk.fd, [memoryview(data)[:length]], NEW * PAGE + length)

    def merged(kind):
        old = contents(kind, 1)(NEW) if kind else bytes(PAGE)
        got = mmap.mmap(-1, PAGE)
        os.preadv(disk.fd, [got], NEW * PAGE)
        if got[:] != old[:length] + data[:length] + old[2 * length:]:
            yield "the page is not the old one with the new part"

    def anew(kind):
        disk.forget_new()
        if kind:
            disk.fill(kind)
            disk.write_new()

    def written_back():
        anew(1700)
        disk.must("writeback", f"page_index={NEW}")

    for algorithm in "lz4", "lzmem":
        disk.set_up(algorithm)
        for kind, name in names.items():
            walk(f"{algorithm}: write of a part, {name}", write_part, errors=(), before=lambda: anew(kind), done=lambda: merged(kind))
    for compressed in 0, 1:
        disk.set_up("lz4", ("backing_dev", disk.loop), ("compressed_writeback", compressed))
        walk(f"write of a part, written back, compressed_writeback={compressed}", write_part, errors=(), least=2,
             before=written_back, done=lambda: merged(1700))
        # The rest of the page is read, and then it is stored by another task.
        written_back()
        device = os.stat(disk.loop).st_rdev
        mapped = ["-j", str(os.major(device)), "-m", str(os.minor(device))]
        subprocess.run(["dmsetup", "suspend", "--nolockfs", *mapped], check=True)
        call = Background(errno_or, write_part)
        early = call.ends(1)
        walk.faults.always(True, everywhere=True)
        subprocess.run(["dmsetup", "resume", *mapped], check=True)
        ended = call.ends(3)
        walk.faults.always(False)
        trouble = [] if call.ends() else ["it does not end when there is memory"]
        trouble += ["it ends before the page is read"] * early + ["it ends without memory"] * ended
        if call.result is not None:
            trouble.append(call.result)
        case(f"without memory where the read ends: the write waits, compressed_writeback={compressed}", *trouble, *merged(1700),
             *disk.old())
    disk.shut()
    disk.must("reset", 1)
    disk.must("compressed_writeback", 0)


def hotplug(disk, walk):
    """A CPU comes up."""
    def online(wanted):
        return lambda: [] if read(f"{CPU}/online") == f"{wanted}\n" else ["the CPU is in the other state"]

    switch = os.open(f"{CPU}/online", os.O_WRONLY)
    for algorithm in ALGORITHMS:
        disk.set_up(algorithm)
        walk(f"CPU up, {algorithm}", lambda: os.write(switch, b"1"), least=3, before=lambda: write(f"{CPU}/online", 0),
             failed=online(0), done=online(1))
        write(f"{CPU}/online", 1)
    os.close(switch)


def main(module, ko, loop, *what):
    """Looks at all subjects, or at those that are named."""
    disk = Disk(module, ko, loop)
    walk = Walk(Faults(), disk.old)
    if not what or "loading" in what:
        loading(disk, walk)
    disk.insmod()
    walk.faults.within_module(module)
    for subject in devices, configuring, requests, waiting, jobs, full, tiers, hotplug, parts:
        if subject.__name__ in what or not what and subject != parts:
            subject(disk, walk)
    note(f"{Walk.sites} allocations were made to fail")
    disk.reset()
    disk.rmmod()
    end()


if __name__ == "__main__":
    main(*sys.argv[1:])
