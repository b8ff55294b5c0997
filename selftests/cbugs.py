#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of C zram: each case shows one there, and its absence in ours.

A case is a function that does the same to either driver and yields what is wrong. A case fails for what ours does wrong;
where the C driver turns out to be right as well, a comment says so.

cbugs.py NBD NBD    two network block devices without a server: this program is the server, and answers when it wants to
"""

import mmap
import os
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.ktap import case, end, note
from zramtest.memory import anonymous, page_out
from zramtest.nbd import Server
from zramtest.pages import FOUR_K, PAGE, contents, run_of
from zramtest.tasks import Background, BackgroundWrite


def settings(driver, **values):
    """Makes a fresh device with these values, in this order."""
    driver.fresh()
    for attribute, data in values.items():
        driver.put_or_raise(0, attribute, data)


def name(data):
    """Says which page this is."""
    for kind in "text", "random":
        for seed in range(1, 5):
            for page in range(4):
                if data == contents(kind, seed)(page):
                    return f"page {page}, {kind} {seed}"
    return repr(data) if isinstance(data, str) else f"neither: {data[:16].hex()}"


# --- the cases --------------------------------------------------------------------------------------------------------


def unaligned_read(driver):
    """direct I/O reads into a buffer that starts within a page, and nothing around it"""
    settings(driver, disksize="1M")
    driver.write(0, 0, 8, "random")
    want = run_of("random", 1, 0, 8)
    for start, pages in (512, 1), (3584, 1), (512, 4), (2048, 8):
        buffer = mmap.mmap(-1, 12 * PAGE)
        buffer.write(b"\xa5" * len(buffer))
        place = memoryview(buffer)[start:start + pages * PAGE]
        fd = os.open(driver.node(0), os.O_RDONLY | os.O_DIRECT)
        os.preadv(fd, [place], 0)
        os.close(fd)
        if place != want[:pages * PAGE]:
            yield f"{pages}*4K to offset {start}: wrong data"
        around = bytes(buffer[:start]) + bytes(buffer[start + pages * PAGE:])
        if around.strip(b"\xa5"):
            yield f"{pages}*4K to offset {start}: {len(around) - around.count(0xA5)} bytes around the buffer changed"


def unaligned_write(driver):
    """direct I/O writes from a buffer that starts within a page"""
    settings(driver, disksize="1M")
    want = run_of("random", 1, 0, 8)
    for start, pages in (512, 1), (3584, 1), (512, 4), (2048, 8):
        buffer = mmap.mmap(-1, 12 * PAGE)
        buffer[start:start + pages * PAGE] = want[:pages * PAGE]
        fd = os.open(driver.node(0), os.O_WRONLY | os.O_DIRECT)
        os.pwritev(fd, [memoryview(buffer)[start:start + pages * PAGE]], 0)
        os.close(fd)
        if driver.read(0, 0, pages) != want[:pages * PAGE]:
            yield f"{pages}*4K from offset {start}: other data arrives"


def nul_bytes(driver):
    """recomp_algorithm is text"""
    driver.fresh()
    driver.put(0, "recomp_algorithm", b"algo=zstd priority=1")
    driver.put(0, "recomp_algorithm", b"algo=deflate priority=3")
    text = driver.get(0, "recomp_algorithm")
    if b"\0" in text:
        yield f"{text.count(0)} NUL bytes among {len(text)}"
    if len(text.replace(b"\0", b"").splitlines()) != 2:
        yield f"not two lines: {text}"


def fresh_is_idle(driver):
    """pages keep the time of their last access when they are recompressed"""
    settings(driver, recomp_algorithm="algo=zstd", disksize="1M")
    driver.write(0, 0, 64, "text")
    before = driver.state(0)
    driver.put(0, "recompress", b"priority=1")
    recompressed = driver.flags(0, "r")
    if not recompressed:
        yield "nothing was recompressed"
    if driver.state(0).replace(b"r", b".") != before:
        yield "block_state shows other times"
    # No page is older than a second less than the machine is up.
    driver.put(0, "idle", b"%d" % (time.clock_gettime(time.CLOCK_BOOTTIME) - 1))
    if idle := driver.flags(0, "i"):
        yield f"{len(idle)} of {len(recompressed)} just written pages are idle"


def limit_is_none(driver):
    """the largest mem_limit is not rounded up to none"""
    driver.fresh()
    if driver.put(0, "mem_limit", b"1M") == driver.put(0, "mem_limit", b"18446744073709551615") == "all":
        if driver.mm(0, "limit") == 0:
            yield "there is no limit"


def oversized_dictionary(driver):
    """lz4hc with a dictionary of more than 64 KiB is refused, or works"""
    with open(f"{driver.name}.dict", "wb") as file:
        file.write(run_of("text", 1, 0, 25))
    driver.fresh()
    driver.put(0, "comp_algorithm", b"lz4hc")
    driver.put(0, "algorithm_params", f"algo=lz4hc dict={driver.name}.dict".encode())
    if driver.put(0, "disksize", b"1M") == "all":
        outcome = driver.write(0, 0, 1, "text", 2)
        if outcome != PAGE or driver.read(0, 0, 1) != contents("text", 2)(0):
            yield f"disksize succeeds, writing: {outcome}"


def other_slot(driver, server, compressed="0", kind="random"):
    """a written-back page that is overwritten while it is read: the old content or the new, not another page's"""
    settings(driver, backing_dev=server.path, compressed_writeback=compressed, disksize="1M")
    driver.write(0, 0, 2, kind, 1)
    driver.put(0, "writeback", b"page_index=0")
    if driver.flags(0, "w") != {0}:
        yield "page 0 was not written back"
        return
    server.hold = lambda kind, page: kind == Server.READ
    reader = Background(driver.read, 0, 0, 1)
    if not server.waits(1):
        yield "the read never came to the backing device"
    # Both may have to wait for the reader; if not, page 1 goes to the block that page 0 had.
    overwriter = Background(driver.write, 0, 0, 1, kind, 2)
    overwriter.ends(1)
    writer = Background(driver.put, 0, "writeback", b"page_index=1")
    writer.ends(1)
    server.release()
    if not all(task.ends() for task in (reader, overwriter, writer)):
        yield "reader, overwriter or writeback do not end"
    if reader.result not in (contents(kind, 1)(0), contents(kind, 2)(0)):
        yield f"reading page 0 yields {name(reader.result)}"
    for page, seed in (0, 2), (1, 1):
        if driver.read(0, page, 1) != contents(kind, seed)(page):
            yield f"afterwards page {page} is {name(driver.read(0, page, 1))}"


def other_slot_compressed(driver, server):
    """the same with compressed_writeback: no error either"""
    yield from other_slot(driver, server, "1", "text")


def listed_twice(driver, server):
    """a page that is listed twice is written back once"""
    settings(driver, backing_dev=server.path, disksize="1M", writeback_limit="100", writeback_limit_enable="1")
    driver.write(0, 0, 8, "random")
    server.hold = lambda kind, page: kind == Server.WRITE
    server.written = 0
    writer = Background(driver.put, 0, "writeback", b"page_index=3 page_index=3")
    server.waits(2, 2)
    server.release()
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    numbers = server.written, driver.bd(0, "writes"), (100 - int(driver.get(0, "writeback_limit"))) / FOUR_K
    if numbers != (1, 1, 1):
        yield "{} pages arrive: bd_stat says {}, the limit was charged {}".format(*numbers)
    if driver.flags(0, "w") != {3} or driver.bd(0, "count") != 1:
        yield f"pages on the device: {driver.flags(0, 'w')}, blocks in use: {driver.bd(0, 'count')}"


STATISTICS = "initstate mm_stat io_stat bd_stat debug_stat".split()


def writeback_blocks(driver, server):
    """statistics can be read while a writeback waits for its device"""
    settings(driver, backing_dev=server.path, disksize="1M")
    driver.write(0, 0, 64, "random")
    server.hold = lambda kind, page: kind == Server.WRITE
    writer = Background(driver.put, 0, "writeback", b"huge")
    if not server.waits(1):
        yield "nothing is written back"
    readers = {n: Background(driver.get, 0, n) for n in STATISTICS}
    readers["block_state"] = Background(driver.state, 0)
    blocked = [n for n, reader in readers.items() if not reader.ends(1)]
    server.release()
    if blocked:
        yield f"these block: {' '.join(blocked)}"
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    for reader in readers.values():
        reader.ends()


def writeback_uninterruptible(driver, server):
    """a signal ends a writeback after a whole slot, with EINTR, and the statistics tell how far it came"""
    settings(driver, backing_dev=server.path, disksize=str(256 * PAGE), writeback_limit="1000", writeback_limit_enable="1",
             writeback_batch_size="4")
    driver.write(0, 0, 200, "random")
    server.written = 0
    server.hold = lambda kind, page: kind == Server.WRITE and server.written >= 20
    writer = BackgroundWrite(f"{driver.disk(0)}/writeback", b"huge")
    if not server.waits(1):
        yield "nothing is written back"
    writer.interrupt()
    time.sleep(0.2)
    server.release()
    writer.ends()
    outcome, done = writer.result, len(driver.flags(0, "w"))
    if outcome != "EINTR" or not 20 <= done < 200:
        yield f"write returns {outcome}, {done} of 200 pages are written back"
    numbers = driver.bd(0, "count"), driver.bd(0, "writes"), (1000 - int(driver.get(0, "writeback_limit"))) / FOUR_K
    if numbers != (done, done, done):
        yield "{} pages are written back: bd_stat says {} and {}, the limit was charged {}".format(done, *numbers)
    if driver.put(0, "writeback", b"huge") != "all" or len(driver.flags(0, "w")) != 200:
        yield f"the next writeback leaves {200 - len(driver.flags(0, 'w'))} pages"
    if driver.read(0, 0, 200) != run_of("random", 1, 0, 200):
        yield "other data comes back"


def slow_recompression(driver, pages):
    """Makes a device whose pages take long to recompress."""
    settings(driver, recomp_algorithm="algo=zstd", algorithm_params="algo=zstd level=22", disksize="16M")
    for page in range(0, pages, 100):
        driver.write(0, page, 100, "text")


def recompress_blocks(driver):
    """statistics can be read during a recompression"""
    slow_recompression(driver, 300)
    start, longest = time.monotonic(), 0
    writer = BackgroundWrite(f"{driver.disk(0)}/recompress", b"priority=1")
    while not writer.ends(0):
        before = time.monotonic()
        driver.get(0, "mm_stat")
        longest = max(longest, time.monotonic() - before)
    total = time.monotonic() - start
    if writer.result != "all" or len(driver.flags(0, "r")) != 300:
        yield f"{len(driver.flags(0, 'r'))} of 300 pages are recompressed"
    if longest > total / 2:
        yield f"mm_stat takes {longest:.1f} of the {total:.1f} s of the recompression to be read"


def recompress_uninterruptible(driver):
    """a signal ends a recompression after a whole slot, with EINTR, and the next one goes on from there"""
    slow_recompression(driver, 300)
    writer = BackgroundWrite(f"{driver.disk(0)}/recompress", b"priority=1")
    # C zram lets nobody look at block_state before it is done.
    while not driver.flags(0, "r") and not writer.ends(0.01):
        pass
    writer.interrupt()
    writer.ends()
    outcome, done = writer.result, len(driver.flags(0, "r"))
    if outcome != "EINTR" or not 0 < done < 300:
        yield f"write returns {outcome}, {done} of 300 pages are recompressed"
    if driver.read(0, 0, 300) != run_of("text", 1, 0, 300):
        yield "other data comes back"
    if done < 300 and (driver.put(0, "recompress", b"max_pages=10"), len(driver.flags(0, "r"))) != ("all", min(done + 10, 300)):
        yield f"the next recompression leaves {300 - len(driver.flags(0, 'r'))} pages"


def free_missed(driver):
    """memory of swapped out pages that are freed while one of them is recompressed: none is kept"""
    slow_recompression(driver, 0)
    subprocess.run(["mkswap", "-q", driver.node(0)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", "-p", "100", driver.node(0)], check=True)
    try:
        pages, used = 300, driver.mm(0, "orig")
        for turn in range(8):
            memory = anonymous(run_of("text", 1, 0, pages))
            page_out(memory)
            if driver.mm(0, "orig") < pages // 2 * PAGE:
                yield "the pages do not go to swap"
                break
            writer = BackgroundWrite(f"{driver.disk(0)}/recompress", b"priority=1")
            time.sleep(0.1)
            memory.close()
            writer.interrupt()
            writer.ends()
            kept = (driver.mm(0, "orig") - used) // PAGE
            if kept > 0:
                yield f"pages that stay when none is in swap: {kept}, after {turn + 1} turns"
                break
    finally:
        subprocess.run(["swapoff", driver.node(0)], check=True)


PLAIN = [unaligned_read, unaligned_write, nul_bytes, limit_is_none, fresh_is_idle, oversized_dictionary, recompress_blocks,
         recompress_uninterruptible, free_missed]
SERVED = [other_slot, other_slot_compressed, listed_twice, writeback_blocks, writeback_uninterruptible]


def run(function, driver, *arguments):
    """Returns what a case yields, or what it raises."""
    try:
        return list(function(driver, *arguments))
    except (OSError, RuntimeError, AttributeError, TypeError, subprocess.CalledProcessError) as error:
        return [f"{type(error).__name__}: {error}"]


def main(*devices):
    """Runs all cases, first with C zram, then with ours."""
    drivers = Driver("zram"), Driver("rzram")
    for function in PLAIN + SERVED:
        troubles = []
        for driver, device in zip(drivers, devices):
            if function in SERVED:
                server = Server(device)
                troubles.append(run(function, driver, server))
                server.release()
                driver.fresh()
                server.end()
            else:
                troubles.append(run(function, driver))
                driver.fresh()
        case(function.__doc__, *troubles[1])
        note(f"C zram: {'; '.join(troubles[0]) or 'right as well'}")
    end()


main(*sys.argv[1:])
