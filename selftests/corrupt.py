#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Stored data that is damaged: for every algorithm, a read of the page gives EIO, or other data if what the bits mean
now is a page, too; other pages stay readable; failed reads are counted; and a page that is written again is whole.

corrupt.py COUNT SEED BACKING      COUNT times for each algorithm and its parameters

Needs debugfs `corrupt`, which is there only in kernels that can inject faults. The result is KTAP without numbers.
"""

import collections
import mmap
import os
import random
import sys

from zramtest.driver import Driver
from zramtest.files import errno_or
from zramtest.ktap import case, end, note
from zramtest.pages import PAGE, contents, run_of

CORRUPT = "/sys/kernel/debug/zram/zram0/corrupt"
PAGES = 60
DICTIONARY = "dictionary"

VARIANTS = [
    ("lzo-rle", ""), ("lzo", ""), ("lz4", ""), ("lz4", f"dict={DICTIONARY}"), ("lz4hc", ""),
    ("lz4hc", f"dict={DICTIONARY}"), ("zstd", ""), ("zstd", f"level=12 dict={DICTIONARY}"), ("deflate", ""),
    ("deflate", "deflate.winbits=12"), ("842", ""), ("lzmem", ""), ("lzmem", "level=3"),
]


driver = Driver()


def failed_reads():
    """Returns how many reads failed since the disk was set up."""
    return driver.failures(0)[0]


class Disk:
    """The disk, with known data in its first pages: what they hold, and how many bytes are stored for each."""

    def __init__(self, seed, algorithm, *settings):
        for name, value in ("reset", 1), ("comp_algorithm", algorithm), *settings, ("disksize", "1M"):
            driver.put_or_raise(0, name, value)
        self.fd = os.open(driver.node(0), os.O_RDWR | os.O_DIRECT)
        self.corrupt = os.open(CORRUPT, os.O_WRONLY)
        self.memory = mmap.mmap(-1, 8 * PAGE)
        kinds = [contents("text", seed), contents("any", seed % 97), contents(1000, seed % 89)]
        self.pages = [kinds[n % 3](n) for n in range(PAGES)]
        self.sizes = []
        for n in range(PAGES):
            before = driver.mm(0, "compr")
            self.write(n)
            self.sizes.append(driver.mm(0, "compr") - before)
        # A flipped bit of a page that is stored uncompressed just reads as another bit.
        self.compressed = [n for n in range(PAGES) if 0 < self.sizes[n] < PAGE]

    def close(self):
        """Closes both files."""
        os.close(self.fd)
        os.close(self.corrupt)

    def write(self, n):
        """Writes a page as it should be."""
        self.memory[:PAGE] = self.pages[n]
        os.pwrite(self.fd, memoryview(self.memory)[:PAGE], n * PAGE)

    def damage(self, n, *bits):
        """Flips bits of what is stored for a page."""
        for bit in bits:
            os.write(self.corrupt, b"%d %d" % (n, bit))

    def read(self, n, count=1):
        """Reads pages. Returns them, or the errno."""
        room = memoryview(self.memory)[:count * PAGE]
        return errno_or(lambda: bytes(room[:os.preadv(self.fd, [room], n * PAGE)]))

    def read_pieces(self, n):
        """Reads a page into memory that is not aligned to pages. Returns it, or the errno."""
        whole = memoryview(self.memory)
        room = [whole[at:at + length] for at, length in ((512, 1024), (4096, 512), (2560, 1024), (8704, 1536))]

        def read():
            done = os.preadv(self.fd, room, n * PAGE)
            return b"".join(room)[:done]

        return errno_or(read)

    def wrong(self):
        """Returns the pages that can't be read, or hold something else."""
        return {n for n in range(PAGES) if self.read(n) != self.pages[n]}

    def break_page(self, rng):
        """Damages one page until it can't be read. Returns its number."""
        n = rng.choice(self.compressed)
        while self.read(n) != "EIO":
            # After a recompression the page may be shorter, and the bit not there.
            errno_or(self.damage, n, *(rng.randrange(self.sizes[n] * 8) for _ in range(8)))
        return n


def flips(disk, rng, count):
    """Damages pages and reads them. Returns what the reads gave, and what must not be."""
    came, trouble = collections.Counter(), []
    failed = failed_reads()
    for turn in range(count):
        n = rng.choice(disk.compressed)
        bits = rng.sample(range(disk.sizes[n] * 8), rng.choice([1, 1, 1, 2, 5]))
        disk.damage(n, *bits)
        outcome = (disk.read if rng.random() < 0.7 else disk.read_pieces)(n)
        kind = "same" if outcome == disk.pages[n] else outcome if isinstance(outcome, str) else "other"
        came[kind] += 1
        failed += kind == "EIO"
        neighbour = rng.choice([i for i in (n - 1, n + 1) if 0 <= i < PAGES])
        if disk.read(neighbour) != disk.pages[neighbour]:
            trouble.append(f"page {n}, bits {bits}: page {neighbour} is no longer what it was")
        if kind == "EIO" and rng.random() < 0.1:
            first = max(n - 1, 0)
            if disk.read(first, 3) != "EIO":
                trouble.append(f"page {n}, bits {bits}: a read with the pages around it succeeds")
            failed += 1
        if kind not in ("EIO", "same", "other") or kind == "other" and len(outcome) != PAGE:
            trouble.append(f"page {n}, bits {bits}: {outcome[:40]}")
        disk.write(n)
        if disk.read(n) != disk.pages[n]:
            trouble.append(f"page {n}, bits {bits}: it is not healed by a write")
        if turn % 100 == 99 and failed_reads() != failed:
            trouble.append(f"{failed_reads()} failed reads are counted, {failed} came")
            failed = failed_reads()
    if failed_reads() != failed:
        trouble.append(f"{failed_reads()} failed reads are counted, {failed} came")
    if disk.wrong():
        trouble.append(f"pages {disk.wrong()} are wrong in the end")
    # Decoders must find some of it, or nothing was damaged.
    if not came["EIO"]:
        trouble.append("all of it could be read")
    return came, trouble


def variants(count, seed):
    """Damages pages of each algorithm."""

    def tell(name, came):
        each = f"{came['EIO']} EIO, {came['other']} other data, {came['same']} the same"
        note(f"{name}: {sum(came.values())} damaged pages: {each}")

    total = collections.Counter()
    for algorithm, parameters in VARIANTS:
        if algorithm not in driver.algorithms():
            continue
        rng = random.Random(f"{seed}:{algorithm}:{parameters}")
        disk = Disk(rng.randrange(1 << 20), algorithm, *([("algorithm_params", parameters)] if parameters else []))
        came, trouble = flips(disk, rng, count)
        disk.close()
        total.update(came)
        name = f"{algorithm} {parameters}".strip()
        case(f"{name}: EIO on the page alone, or other data", *trouble[:5])
        tell(name, came)
    tell("all", total)


def unread(disk, *wanted):
    """Returns a case's trouble, if not just these pages are wrong."""
    wrong = disk.wrong()
    return [] if wrong == set(wanted) else [f"wrong are {wrong}, expected {set(wanted)}"]


def file_itself(rng):
    """Tries what the file takes."""
    disk = Disk(1, "zstd")
    n = disk.compressed[0]
    disk.pages[-1] = b"samesame" * (PAGE // 8)
    disk.write(PAGES - 1)
    trouble = []
    for arg, outcome in [
        (f"{n} {disk.sizes[n] * 8}", "ERANGE"), (f"{PAGES} 0", "ENOENT"), (f"{PAGES - 1} 0", "ENOENT"),
        ("9999999 0", "ENOENT"), (f"{n}", "EINVAL"), ("", "EINVAL"), ("a b", "EINVAL"), (f"{n} 1 2", "EINVAL"),
        (f"{n}  1", "EINVAL"), (f"-1 {n}", "EINVAL"), ("9" * 65, "EINVAL"), (f"{n} 18446744073709551616", "ERANGE"),
    ]:
        got = errno_or(os.write, disk.corrupt, arg.encode())
        if got != outcome:
            trouble.append(f"{arg!r}: expected {outcome}, got {got}")
    case("corrupt: what it takes, and refuses", *trouble, *unread(disk))
    disk.damage(n, 0)
    disk.damage(n, 0)
    case("two flips of a bit are none", *unread(disk))

    disk.pages[0] = rng.randbytes(PAGE)
    disk.write(0)
    disk.damage(0, 12345)
    got = disk.read(0)
    different = sum((a ^ b).bit_count() for a, b in zip(got, disk.pages[0]))
    case("a page that is stored as it is has one other bit", *([] if different == 1 else [f"{different}"]))
    disk.close()


def jobs(rng, backing):
    """Recompression and writeback beside a page that can't be read."""
    disk = Disk(2, "lzo", ("recomp_algorithm", "algo=zstd"))
    n = disk.break_page(rng)
    compressed = driver.mm(0, "compr")
    got = driver.put(0, "recompress", "max_pages=1000")
    failed = driver.get(0, "recomp_stat").split()[-1]
    case("recompress: says EINVAL, and counts one failure", *([] if (got, failed) == ("EINVAL", b"1") else [f"{got}, {failed}"]),
         *unread(disk, n))
    disk.write(n)
    driver.put_or_raise(0, "recompress", "max_pages=1000")
    case("and goes on once the page is whole", *unread(disk),
         *([] if driver.mm(0, "compr") < compressed else [f"still {compressed} bytes"]))
    n = disk.break_page(rng)
    case("a page that was recompressed: EIO on it alone", *unread(disk, n))
    disk.close()

    for mode in "0", "1":
        disk = Disk(3, "lzo", ("backing_dev", backing), ("compressed_writeback", mode))
        n = disk.break_page(rng)
        got = driver.put(0, "writeback", f"page_indexes=0-{PAGES - 1}")
        written = len(driver.flags(0, "w"))
        # Pages that are written compressed are not decompressed.
        how, expected = ("compressed", PAGES) if mode == "1" else ("decompressed", PAGES - 1)
        case(f"writeback, {how}: {expected} of {PAGES} pages",
             *([] if got == "all" and written == expected else [f"{got}, {written} pages written"]), *unread(disk, n))
        disk.write(n)
        case(f"writeback, {how}: a write heals it", *unread(disk))
        disk.close()

    # What comes back from the backing device may be damaged there as well.
    disk = Disk(4, "842", ("backing_dev", backing), ("compressed_writeback", "1"))
    driver.put_or_raise(0, "writeback", f"page_indexes=0-{PAGES - 1}")
    put_back = random_blocks(backing, rng)
    wrong = disk.wrong()
    outcomes = collections.Counter(got if isinstance(got, str) else "other" for got in map(disk.read, wrong))
    good = outcomes["EIO"] and set(outcomes) <= {"EIO", "other"}
    case("damage on the backing device: EIO, or other data", *([] if good else [f"{outcomes}"]))
    note(f"damage on the backing device: {dict(outcomes)} in {PAGES} pages")
    put_back()
    # 16 blocks are kept after they were read. There are more than 24, so that after three rounds all have been read anew.
    for _ in range(3):
        disk.wrong()
    case("and whole again when the device is", *unread(disk))
    disk.close()


def random_blocks(backing, rng):
    """Damages a bit near the start of each block. Returns a function that undoes that."""
    fd = os.open(backing, os.O_RDWR | os.O_DIRECT)
    memory = mmap.mmap(-1, (PAGES + 1) * PAGE)
    os.preadv(fd, [memory], 0)
    before = memory[:]
    for block in range(PAGES + 1):
        memory[block * PAGE + rng.randrange(200)] ^= 1 << rng.randrange(8)
    os.pwrite(fd, memory, 0)

    def undo():
        memory[:] = before
        os.pwrite(fd, memory, 0)
        os.close(fd)

    return undo


def main(count, seed, backing):
    """Runs all cases."""
    with open(DICTIONARY, "wb") as file:
        file.write(run_of("text", 7, 0, 8))
    rng = random.Random(seed)
    file_itself(rng)
    variants(int(count), seed)
    jobs(rng, backing)
    driver.put_or_raise(0, "reset", 1)
    end()


main(*sys.argv[1:])
