# SPDX-License-Identifier: GPL-2.0-only
"""Resets, signals and freezers that meet a job; statistics and other jobs beside it."""

import os
import signal
import subprocess
import time

from writeback.disk import WRITE, test
from zramtest.files import write
from zramtest.pages import FOUR_K
from zramtest.tasks import Background, BackgroundWrite


@test(
    ("reset", "reset"), ("removal", "hot_remove"),
)
def ended(disk, server, name, how):
    """a {} waits for the writeback, then all is gone"""
    disk.set_up(32, backing_dev=server.path, writeback_batch_size=8)
    disk.fill("random", 0, 32)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    server.waits(8)
    path = f"{disk.control}/hot_remove" if how == "hot_remove" else f"{disk.disk(0)}/reset"
    resetter = BackgroundWrite(path, b"0" if how == "hot_remove" else b"1")
    if resetter.ends(0.3):
        yield f"it does not wait: {resetter.result}"
    server.release()
    if not writer.ends() or writer.result not in ("all", "ENODEV"):
        yield f"writeback: {writer.result}"
    if not resetter.ends() or resetter.result != "all":
        yield f"{name}: {resetter.result}"
    if how == "reset":
        got = [disk.get(0, file) for file in ("disksize", "initstate", "backing_dev", "bd_stat")]
        yield from disk.expect("then", got, [b"0\n", b"0\n", b"none\n", b"%8d %8d %8d\n" % (0, 0, 0)])
    disk.set_up(32, backing_dev=server.path)


@test(("0", 1), ("0", 8), ("1", 8), known="a writeback cannot be interrupted")
def interrupted(disk, server, compressed, batch):
    """a signal ends a writeback, compressed_writeback {}, batch size {}; statistics say how far it came"""
    disk.set_up(128, backing_dev=server.path, compressed_writeback=compressed, writeback_batch_size=batch,
                writeback_limit=1000 * FOUR_K, writeback_limit_enable=1)
    disk.fill("mix", 0, 128)
    disk.must("idle", "all")
    server.hold = lambda kind, block: kind == WRITE and server.written >= 20
    writer = disk.background("writeback", "idle")
    if not server.waits(batch):
        yield f"{len(server.held)} requests come"
    writer.interrupt()
    time.sleep(0.1)
    server.release()
    if not writer.ends() or writer.result != "EINTR":
        yield f"writeback: {writer.result}"
    numbers = [disk.bd(0, "count"), disk.bd(0, "writes"), 1000 - int(disk.get(0, "writeback_limit")) / FOUR_K]
    done = numbers[0] if disk.packs() else len(disk.written())
    if not 20 <= done <= 20 + 2 * batch + (8 if disk.packs() else 0):
        yield f"{done} of 96 blocks are written back"
    yield from disk.expect("bd_stat and the limit", numbers, [done] * 3)
    yield from disk.verify()
    disk.must("idle", "all")
    yield from disk.expect("the next writeback", disk.set("writeback", "idle"), "all")
    yield from disk.expect("leaves nothing", len(disk.written()), 96)


@test(known="a writeback cannot be interrupted")
def killed(disk, server):
    """a process that is killed during its writeback ends"""
    disk.set_up(128, backing_dev=server.path)
    disk.fill("random", 0, 128)
    server.hold = lambda kind, block: kind == WRITE
    with subprocess.Popen(["sh", "-c", f"echo huge >{disk.disk(0)}/writeback"]) as process:
        server.waits(32)
        process.kill()
        server.release()
        if process.wait(20) != -9:
            yield f"exit status {process.returncode}"
    if len(disk.written()) > 64:
        yield f"{len(disk.written())} of 128 pages are written back"


def shell(disk, attribute, value, name="bash"):
    """A process that writes to a file once: bash does not try again after EINTR, but does not take SIGQUIT."""
    return subprocess.Popen([name, "-c", f"echo {value} >{disk.disk(0)}/{attribute}"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def stopped(process, go_on):
    """Stops the process while its job goes on."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    go_on()
    time.sleep(0.2)
    process.send_signal(signal.SIGCONT)


def traced(process, go_on):
    """Traces the process."""
    with subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(process.pid)]) as tracer:
        time.sleep(1)
        go_on()
        process.wait(120)
        tracer.wait(20)


def frozen(process, go_on):
    """Freezes the process by its control group."""
    group = "/sys/fs/cgroup/zram-selftest"
    os.mkdir(group)
    try:
        write(f"{group}/cgroup.procs", process.pid)
        write(f"{group}/cgroup.freeze", 1)
        time.sleep(0.3)
        go_on()
        time.sleep(0.2)
        write(f"{group}/cgroup.freeze", 0)
        process.wait(120)
    finally:
        os.rmdir(group)


def suspended(process, go_on):
    """All tasks are frozen for a second, and thawed."""
    go_on()
    write("/sys/module/suspend/parameters/pm_test_delay", 1)
    write("/sys/power/pm_freeze_timeout", 1000)
    write("/sys/power/pm_test", "freezer")
    try:
        write("/sys/power/state", "freeze")
    finally:
        write("/sys/power/pm_test", "none")


@test(*((job, how) for job in ("writeback", "recompress") for how in (stopped, traced, frozen, suspended)))
def undisturbed(disk, server, job, how):
    """a {} goes on while its process is {.__name__}"""
    # When all tasks are frozen the server is, too, so the loop device has to do.
    whole = job == "writeback" and how == suspended
    pages = 2048 if whole else 512
    disk.set_up(pages, backing_dev=disk.whole if whole else server.path, recomp_algorithm="algo=zstd",
                algorithm_params="algo=zstd level=22", writeback_batch_size=1 if whole else 32)
    for at in range(0, pages, 256):
        disk.fill("random" if job == "writeback" else "text", at, 256)
    server.hold = lambda kind, block: kind == WRITE
    done = disk.written if job == "writeback" else lambda: disk.flags(0, "r")
    with shell(disk, job, "huge" if job == "writeback" else "priority=1") as process:
        if job == "recompress" or whole:
            while not done() and process.poll() is None:
                time.sleep(0.01)
        else:
            server.waits(32)
        if process.poll() is not None:
            yield "it is over too soon"
        how(process, server.release)
        output = process.communicate(timeout=120)[0]
    yield from disk.expect("outcome", (process.returncode, output), (0, b""))
    yield from disk.expect("pages done", len(done()), pages)
    disk.must("writeback_batch_size", 32)


@test("writeback", "recompress")
def frozen_alone(disk, server, job):
    """a {} whose process is frozen by a control group of the first version goes on, and holds up no other"""
    disk.set_up(256, backing_dev=server.path, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("random" if job == "writeback" else "text", 0, 256)
    server.hold = lambda kind, block: kind == WRITE
    done = disk.written if job == "writeback" else lambda: disk.flags(0, "r")
    group = "zram-freezer/selftest"
    os.mkdir("zram-freezer")
    subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "none", "zram-freezer"], check=True)
    try:
        os.mkdir(group)
        with shell(disk, job, "huge" if job == "writeback" else "priority=1") as process:
            if job == "writeback":
                server.waits(32)
            else:
                while not done() and process.poll() is None:
                    time.sleep(0.01)
            write(f"{group}/cgroup.procs", process.pid)
            write(f"{group}/freezer.state", "FROZEN")
            if len(done()) == 256:
                yield "it is over too soon"
            server.release()
            other = disk.background("recompress", "priority=1")
            if not other.ends(30):
                yield "another job waits"
            yield from disk.expect("pages done", len(done()), 256)
            write(f"{group}/freezer.state", "THAWED")
            output = process.communicate(timeout=120)[0]
        other.ends(30)
        yield from disk.expect("outcome", (process.returncode, output), (0, b""))
        os.rmdir(group)
    finally:
        subprocess.run(["umount", "zram-freezer"], check=False)
        os.rmdir("zram-freezer")


@test((signal.SIGKILL,), (signal.SIGTERM,), (signal.SIGQUIT,), known="a recompression cannot be interrupted")
def ends_by(disk, _, number):
    """{!r} ends a recompression after a whole page, and the next one does the rest"""
    disk.set_up(512, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("text", 0, 256)
    disk.fill("text", 256, 256)
    with shell(disk, "recompress", "priority=1", "dash") as process:
        while not disk.flags(0, "r") and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        start = time.monotonic()
        process.wait(60)
        took = time.monotonic() - start
    yield from disk.expect("exit status", process.returncode, -number)
    done = len(disk.flags(0, "r"))
    if not 0 < done < 512 or took > 2:
        yield f"{done} of 512 pages are done, and it took {took:.1f} s"
    yield from disk.verify()
    job = disk.background("recompress", "priority=1")
    time.sleep(0.05)
    job.interrupt()
    if not job.ends() or job.result != "EINTR":
        yield f"with a handler: {job.result}"


FILES = "initstate mm_stat io_stat bd_stat debug_stat disksize comp_algorithm backing_dev writeback_limit".split()


@test("writeback", "recompress", known="statistics wait")
def statistics(disk, server, what):
    """statistics are there at once during a long {}"""
    disk.set_up(2048, backing_dev=server.path, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22")
    disk.fill("random" if what == "writeback" else "text", 0, 256)
    disk.fill("random" if what == "writeback" else "text", 256, 256)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background(what, "type=huge" if what == "writeback" else "priority=1")
    if what == "writeback":
        server.waits(32)
    else:
        time.sleep(0.1)
    times = {}

    def look():
        for _ in range(10):
            for file in FILES:
                start = time.monotonic()
                disk.get(0, file)
                times.setdefault(file, []).append(time.monotonic() - start)

    looker = Background(look)
    if not looker.ends(10):
        yield f"this blocks: {FILES[len(times) - 1] if times else FILES[0]}"
    elif writer.ends(0) and what == "recompress":
        yield "the recompression was over too soon"
    # The shortest of all: how long it takes when nothing else uses the processor.
    slow = {file: min(taken) for file, taken in times.items() if min(taken) > 0.005}
    if slow:
        yield f"these take long: {slow}"
    server.release()
    writer.interrupt()
    writer.ends()
    looker.ends()


@test("0", "1")
def crowded(disk, server, compressed):
    """settings, marks and other jobs during a writeback, compressed_writeback {}: nobody blocks for ever"""
    disk.set_up(64, backing_dev=server.path, compressed_writeback=compressed, recomp_algorithm="algo=zstd")
    disk.fill("text", 0, 32)
    disk.fill("random", 32, 32)
    disk.must("idle", "all")
    server.hold = lambda kind, block: kind == WRITE
    jobs = [disk.background("writeback", "type=idle")]
    server.waits(32)
    jobs += [disk.background(*job) for job in (
        ("writeback", "type=huge"), ("recompress", "priority=1"), ("idle", "all"), ("compact", "1"), ("mem_limit", "1G"),
        ("mem_used_max", "0"), ("writeback_limit", "5"), ("writeback_batch_size", "7"), ("writeback", "page_indexes=0-63"))]
    time.sleep(0.2)
    server.release()
    for job in jobs:
        if not job.ends() or job.result != "all":
            yield f"{job.result}"
    writes = disk.bd(0, "writes") if disk.packs() else 64
    yield from disk.expect("each page is written once", [server.written, disk.bd(0, "writes")], [writes, writes])
    yield from disk.expect("written back", len(disk.written()), 64)
