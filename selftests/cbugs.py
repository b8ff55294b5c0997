#!/usr/bin/env python3
"""What C zram does wrong: each case shows it there, and its absence in ours.

A case is a function that does the same to either driver and yields what is wrong. A case fails for what ours does wrong;
where the C driver turns out to be right as well, a comment says so.

cbugs.py NBD NBD    two network block devices without a server: this program is the server, and answers when it wants to
"""

import ctypes
import mmap
import os
import select
import signal
import subprocess
import sys
import time
import warnings

from backing import Background, Server
from pages import PAGE
from sides import Side, attempt, case, content, note

# The threads here only wait; what the forked process does needs none of their locks.
warnings.simplefilter("ignore", DeprecationWarning)
libc = ctypes.CDLL(None, use_errno=True)


class Writer:
    """A process that writes to a file once, and may get a signal meanwhile: from interrupt(), or after some seconds."""

    def __init__(self, path, data, alarm=0):
        self.pipe, out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for number in signal.SIGUSR1, signal.SIGALRM:
                signal.signal(number, lambda *_: None)
                signal.siginterrupt(number, True)
            fd = os.open(path, os.O_WRONLY)
            signal.setitimer(signal.ITIMER_REAL, alarm)
            done = libc.write(fd, data, len(data))
            os.write(out, b"all" if done == len(data) else errno_name(ctypes.get_errno()))
            os._exit(0)
        os.close(out)

    def interrupt(self):
        os.kill(self.pid, signal.SIGUSR1)

    def ends(self, seconds):
        return bool(select.select([self.pipe], [], [], seconds)[0])

    def result(self):
        """What write returned."""
        outcome = os.read(self.pipe, 100).decode()
        os.close(self.pipe)
        os.waitpid(self.pid, 0)
        return outcome


def errno_name(number):
    return attempt(raise_errno, number).encode()


def raise_errno(number):
    raise OSError(number, "")


def settings(side, **values):
    """A fresh device with these values, in this order."""
    side.fresh()
    for name, data in values.items():
        outcome = side.put(0, name, data.encode())
        if outcome != "all":
            raise RuntimeError(f"{name} <- {data}: {outcome}")


def name(data):
    """Which page this is, for people."""
    for kind in "text", "random":
        for seed in range(1, 5):
            for page in range(4):
                if data == content(kind, seed)(page):
                    return f"page {page}, {kind} {seed}"
    return repr(data) if isinstance(data, str) else f"neither: {data[:16].hex()}"


# --- the cases --------------------------------------------------------------------------------------------------------


def unaligned_read(side):
    """direct I/O reads into a buffer that starts within a page, and nothing around it"""
    settings(side, disksize="1M")
    side.write(0, 0, 8, "random")
    want = b"".join(map(content("random", 1), range(8)))
    for start, pages in (512, 1), (3584, 1), (512, 4), (2048, 8):
        buffer = mmap.mmap(-1, 12 * PAGE)
        buffer.write(b"\xa5" * len(buffer))
        place = memoryview(buffer)[start:start + pages * PAGE]
        fd = os.open(side.node(0), os.O_RDONLY | os.O_DIRECT)
        os.preadv(fd, [place], 0)
        os.close(fd)
        if place != want[:pages * PAGE]:
            yield f"{pages}*4K to offset {start}: wrong data"
        around = bytes(buffer[:start]) + bytes(buffer[start + pages * PAGE:])
        if around.strip(b"\xa5"):
            yield f"{pages}*4K to offset {start}: {len(around) - around.count(0xA5)} bytes around the buffer changed"


def unaligned_write(side):
    """direct I/O writes from a buffer that starts within a page"""
    settings(side, disksize="1M")
    want = b"".join(map(content("random", 1), range(8)))
    for start, pages in (512, 1), (3584, 1), (512, 4), (2048, 8):
        buffer = mmap.mmap(-1, 12 * PAGE)
        buffer[start:start + pages * PAGE] = want[:pages * PAGE]
        fd = os.open(side.node(0), os.O_WRONLY | os.O_DIRECT)
        os.pwritev(fd, [memoryview(buffer)[start:start + pages * PAGE]], 0)
        os.close(fd)
        if side.read(0, 0, pages) != want[:pages * PAGE]:
            yield f"{pages}*4K from offset {start}: other data arrives"


def nul_bytes(side):
    """recomp_algorithm is text"""
    side.fresh()
    side.put(0, "recomp_algorithm", b"algo=zstd priority=1")
    side.put(0, "recomp_algorithm", b"algo=deflate priority=3")
    text = side.get(0, "recomp_algorithm")
    if b"\0" in text:
        yield f"{text.count(0)} NUL bytes among {len(text)}"
    if len(text.replace(b"\0", b"").splitlines()) != 2:
        yield f"not two lines: {text}"


def fresh_is_idle(side):
    """pages keep the time of their last access when they are recompressed"""
    settings(side, recomp_algorithm="algo=zstd", disksize="1M")
    side.write(0, 0, 64, "text")
    before = side.state(0)
    side.put(0, "recompress", b"priority=1")
    recompressed = side.flags(0, "r")
    if not recompressed:
        yield "nothing was recompressed"
    if side.state(0).replace(b"r", b".") != before:
        yield "block_state shows other times"
    # Older than the machine is up, but for a second: nothing is.
    side.put(0, "idle", b"%d" % (time.clock_gettime(time.CLOCK_BOOTTIME) - 1))
    if idle := side.flags(0, "i"):
        yield f"{len(idle)} of {len(recompressed)} just written pages are idle"


def limit_is_none(side):
    """the largest mem_limit is not rounded up to none"""
    side.fresh()
    if side.put(0, "mem_limit", b"1M") == side.put(0, "mem_limit", b"18446744073709551615") == "all":
        if side.mm(0, "limit") == 0:
            yield "there is no limit"


def oversized_dictionary(side):
    """lz4hc with a dictionary of more than 64 KiB is refused, or works"""
    with open(f"{side.name}.dict", "wb") as file:
        file.write(b"".join(map(content("text", 1), range(25))))
    side.fresh()
    side.put(0, "comp_algorithm", b"lz4hc")
    side.put(0, "algorithm_params", f"algo=lz4hc dict={side.name}.dict".encode())
    if side.put(0, "disksize", b"1M") == "all":
        outcome = side.write(0, 0, 1, "text", 2)
        if outcome != PAGE or side.read(0, 0, 1) != content("text", 2)(0):
            yield f"disksize succeeds, writing: {outcome}"


def other_slot(side, server, compressed="0", kind="random"):
    """a written-back page that is overwritten while it is read: the old content or the new, not another page's"""
    settings(side, backing_dev=server.path, compressed_writeback=compressed, disksize="1M")
    side.write(0, 0, 2, kind, 1)
    side.put(0, "writeback", b"page_index=0")
    if side.flags(0, "w") != {0}:
        yield "page 0 was not written back"
        return
    server.hold = lambda kind, page: kind == Server.READ
    reader = Background(side.read, 0, 0, 1)
    if not server.waits(1):
        yield "the read never came to the backing device"
    # Both may have to wait for the reader; if not, page 1 goes to the block that page 0 had.
    overwriter = Background(side.write, 0, 0, 1, kind, 2)
    overwriter.ends(1)
    writer = Background(side.put, 0, "writeback", b"page_index=1")
    writer.ends(1)
    server.release()
    if not all(task.ends() for task in (reader, overwriter, writer)):
        yield "reader, overwriter or writeback do not end"
    if reader.result not in (content(kind, 1)(0), content(kind, 2)(0)):
        yield f"reading page 0 yields {name(reader.result)}"
    for page, seed in (0, 2), (1, 1):
        if side.read(0, page, 1) != content(kind, seed)(page):
            yield f"afterwards page {page} is {name(side.read(0, page, 1))}"


def other_slot_compressed(side, server):
    """the same with compressed_writeback: no error either"""
    yield from other_slot(side, server, "1", "text")


def listed_twice(side, server):
    """a page that is listed twice is written back once"""
    settings(side, backing_dev=server.path, disksize="1M", writeback_limit="100", writeback_limit_enable="1")
    side.write(0, 0, 8, "random")
    server.hold = lambda kind, page: kind == Server.WRITE
    server.written = 0
    writer = Background(side.put, 0, "writeback", b"page_index=3 page_index=3")
    server.waits(2, 2)
    server.release()
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    numbers = server.written, side.bd(0, "writes"), 100 - int(side.get(0, "writeback_limit"))
    if numbers != (1, 1, 1):
        yield "{} pages arrive: bd_stat says {}, the limit was charged {}".format(*numbers)
    if side.flags(0, "w") != {3} or side.bd(0, "count") != 1:
        yield f"pages on the device: {side.flags(0, 'w')}, blocks in use: {side.bd(0, 'count')}"


STATISTICS = "initstate mm_stat io_stat bd_stat debug_stat".split()


def writeback_blocks(side, server):
    """statistics can be read while a writeback waits for its device"""
    settings(side, backing_dev=server.path, disksize="1M")
    side.write(0, 0, 64, "random")
    server.hold = lambda kind, page: kind == Server.WRITE
    writer = Background(side.put, 0, "writeback", b"huge")
    if not server.waits(1):
        yield "nothing is written back"
    readers = {n: Background(side.get, 0, n) for n in STATISTICS}
    readers["block_state"] = Background(side.state, 0)
    blocked = [n for n, reader in readers.items() if not reader.ends(1)]
    server.release()
    if blocked:
        yield f"these block: {' '.join(blocked)}"
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    for reader in readers.values():
        reader.ends()


def writeback_uninterruptible(side, server):
    """a signal ends a writeback after a whole slot, with EINTR, and the statistics tell how far it came"""
    settings(side, backing_dev=server.path, disksize="1M", writeback_limit="1000", writeback_limit_enable="1",
             writeback_batch_size="4")
    side.write(0, 0, 200, "random")
    server.written = 0
    server.hold = lambda kind, page: kind == Server.WRITE and server.written >= 20
    writer = Writer(f"{side.disk(0)}/writeback", b"huge")
    if not server.waits(1):
        yield "nothing is written back"
    writer.interrupt()
    time.sleep(0.2)
    server.release()
    outcome, done = writer.result(), len(side.flags(0, "w"))
    if outcome != "EINTR" or not 20 <= done < 200:
        yield f"write returns {outcome}, {done} of 200 pages are written back"
    numbers = side.bd(0, "count"), side.bd(0, "writes"), 1000 - int(side.get(0, "writeback_limit"))
    if numbers != (done, done, done):
        yield "{} pages are written back: bd_stat says {} and {}, the limit was charged {}".format(done, *numbers)
    if side.put(0, "writeback", b"huge") != "all" or len(side.flags(0, "w")) != 200:
        yield f"the next writeback leaves {200 - len(side.flags(0, 'w'))} pages"
    if side.read(0, 0, 200) != b"".join(map(content("random", 1), range(200))):
        yield "other data comes back"


def slow_recompression(side, pages):
    """A device with pages that one can recompress, which takes its time."""
    settings(side, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22", disksize="16M")
    for page in range(0, pages, 100):
        side.write(0, page, 100, "text")


def recompress_blocks(side):
    """statistics can be read during a recompression"""
    slow_recompression(side, 300)
    start, longest = time.monotonic(), 0
    writer = Writer(f"{side.disk(0)}/recompress", b"priority=1")
    while not writer.ends(0):
        before = time.monotonic()
        side.get(0, "mm_stat")
        longest = max(longest, time.monotonic() - before)
    total = time.monotonic() - start
    if writer.result() != "all" or len(side.flags(0, "r")) != 300:
        yield f"{len(side.flags(0, 'r'))} of 300 pages are recompressed"
    if longest > total / 2:
        yield f"mm_stat takes {longest:.1f} of the {total:.1f} s of the recompression to be read"


def recompress_uninterruptible(side):
    """a signal ends a recompression after a whole slot, with EINTR, and the next one goes on from there"""
    slow_recompression(side, 300)
    outcome, done = Writer(f"{side.disk(0)}/recompress", b"priority=1", 0.1).result(), len(side.flags(0, "r"))
    if outcome != "EINTR" or not 0 < done < 300:
        yield f"write returns {outcome}, {done} of 300 pages are recompressed"
    if side.read(0, 0, 300) != b"".join(map(content("text", 1), range(300))):
        yield "other data comes back"
    if done < 300 and (side.put(0, "recompress", b"max_pages=10"), len(side.flags(0, "r"))) != ("all", min(done + 10, 300)):
        yield f"the next recompression leaves {300 - len(side.flags(0, 'r'))} pages"


def free_missed(side):
    """memory of swapped out pages that are freed while one of them is recompressed: none is kept"""
    slow_recompression(side, 0)
    subprocess.run(["mkswap", "-q", side.node(0)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "-p", "100", side.node(0)], check=True)
    try:
        pages, used = 300, side.mm(0, "orig")
        for turn in range(8):
            memory = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            for page in range(pages):
                memory.write(content("text", 1)(page))
            memory.madvise(mmap.MADV_DONTFORK)
            memory.madvise(21)  # MADV_PAGEOUT
            if side.mm(0, "orig") < pages // 2 * PAGE:
                yield "the pages do not go to swap"
                break
            writer = Writer(f"{side.disk(0)}/recompress", b"priority=1")
            time.sleep(0.1)
            memory.close()
            writer.interrupt()
            writer.result()
            kept = (side.mm(0, "orig") - used) // PAGE
            if kept > 0:
                yield f"pages that stay when none is in swap: {kept}, after {turn + 1} turns"
                break
    finally:
        subprocess.run(["swapoff", side.node(0)], check=True)


PLAIN = [unaligned_read, unaligned_write, nul_bytes, limit_is_none, fresh_is_idle, oversized_dictionary, recompress_blocks,
         recompress_uninterruptible, free_missed]
SERVED = [other_slot, other_slot_compressed, listed_twice, writeback_blocks, writeback_uninterruptible]


def run(function, side, *arguments):
    try:
        return list(function(side, *arguments))
    except (OSError, RuntimeError, AttributeError, TypeError, subprocess.CalledProcessError) as error:
        return [f"{type(error).__name__}: {error}"]


def main(*devices):
    sides = Side("zram"), Side("rzram")
    for function in PLAIN + SERVED:
        troubles = []
        for side, device in zip(sides, devices):
            if function in SERVED:
                server = Server(device)
                troubles.append(run(function, side, server))
                server.release()
                side.fresh()
                server.end()
            else:
                troubles.append(run(function, side))
                side.fresh()
        case(function.__doc__, *troubles[1])
        note(f"C zram: {'; '.join(troubles[0]) or 'right as well'}")
    note("end")


main(*sys.argv[1:])
