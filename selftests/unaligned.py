#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Direct I/O between a block device and buffers anywhere in memory: unaligned.py DEVICE

Prints a line `ok NAME` or `not NAME: why` for each transfer. Each is checked on both sides: what is in the blocks, and
that no byte of memory outside of the buffer has changed.
"""

import mmap
import os
import random
import sys

from zramtest.pages import PAGE

GUARD = 0xA5
ARENA = 64 * PAGE
BLOCKS = 40
# An eighth of a page: 512 bytes where that has 4 KiB.
PIECE = PAGE // 8

rng = random.Random(11)
plain = mmap.mmap(-1, ARENA)


def block(kind):
    """A page of bytes that differ from call to call: same-filled, compressible or not."""
    if kind == "same":
        return rng.randbytes(8) * (PAGE // 8)
    if kind == "text":
        return (rng.randbytes(256) * (PAGE // 256))
    return rng.randbytes(PAGE)


def blocks(count):
    """Returns that many blocks of all kinds."""
    return b"".join(block(("text", "random", "same")[i % 3]) for i in range(count))


class Device:
    """A device, and what should be in it."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.content = bytearray(blocks(BLOCKS))
        plain[: len(self.content)] = self.content
        os.pwrite(self.fd, memoryview(plain)[: len(self.content)], 0)

    def wrong(self):
        """The first block that is not what was written, read into aligned memory."""
        size = len(self.content)
        os.preadv(self.fd, [memoryview(plain)[:size]], 0)
        for i in range(0, size, PAGE):
            if plain[i:i + PAGE] != self.content[i:i + PAGE]:
                return f"block {i // PAGE} of the device is wrong"
        return None


def pieces(arena, places):
    """Returns these places of memory."""
    return [memoryview(arena)[start:start + size] for start, size in places]


def outside(arena, places):
    """The first byte outside of the places that is not a guard any more."""
    expected = bytearray(arena)
    for start, size in places:
        expected[start:start + size] = bytes([GUARD]) * size
    if expected.count(GUARD) == len(expected):
        return None
    at = next(i for i, byte in enumerate(expected) if byte != GUARD)
    return f"memory at page {at // PAGE} + {at % PAGE} was changed"


def read(device, first, places):
    """Reads into these places. Returns what is wrong, if anything."""
    arena = mmap.mmap(-1, ARENA)
    arena[:] = bytes([GUARD]) * ARENA
    total = sum(size for _, size in places)
    if os.preadv(device.fd, pieces(arena, places), first * PAGE) != total:
        return "short read"
    got = b"".join(bytes(piece) for piece in pieces(arena, places))
    if got != device.content[first * PAGE:first * PAGE + total]:
        return "the data is wrong"
    return outside(arena, places)


def write(device, first, places):
    """Writes from these places. Returns what is wrong, if anything."""
    arena = mmap.mmap(-1, ARENA)
    arena[:] = bytes([GUARD]) * ARENA
    total = sum(size for _, size in places)
    data = blocks(total // PAGE)
    at = 0
    for start, size in places:
        arena[start:start + size] = data[at:at + size]
        at += size
    if os.pwritev(device.fd, pieces(arena, places), first * PAGE) != total:
        return "short write"
    device.content[first * PAGE:first * PAGE + total] = data
    return device.wrong() or outside(arena, places)


def layouts():
    """Names, and lists of (place in memory, size): together whole blocks."""
    offsets = sorted({512, PAGE - 512, *range(PIECE, PAGE, PIECE)})
    for offset in [0] + offsets:
        yield f"one block at page + {offset}", [(PAGE + offset, PAGE)]
    for offset in offsets:
        yield f"nine blocks at page + {offset}", [(PAGE + offset, 9 * PAGE)]
    for cut in offsets:
        yield f"one block in two pieces, {cut} first", [(PAGE, cut), (8 * PAGE + 512, PAGE - cut)]
    yield "one block in eight pieces", [(2 * i * PAGE + 512 * i, PIECE) for i in range(8)]
    yield "one block in eight pieces, backwards", [((20 - 2 * i) * PAGE + 7 * PIECE, PIECE) for i in range(8)]
    yield "pieces that end blocks elsewhere", [
        (PAGE, PIECE), (4 * PAGE + 1024, 2 * PAGE), (9 * PAGE, 7 * PIECE), (15 * PAGE, PAGE)]
    yield "aligned pages, then a shifted one", [(PAGE, PAGE), (5 * PAGE, PAGE), (9 * PAGE + 1536, PAGE), (14 * PAGE, PAGE)]
    yield "two pieces that touch", [(3 * PAGE + 512, 2 * PIECE), (3 * PAGE + 512 + 2 * PIECE, 6 * PIECE)]
    for number in range(12):
        sizes, left, start, places = [], rng.randint(1, 9) * PAGE, 0, []
        while left:
            sizes.append(min(left, PIECE * rng.randint(1, 24)))
            left -= sizes[-1]
        for size in sizes:
            start += 512 * rng.randint(1, 12)
            places.append((start, size))
            start += size
        yield f"random pieces, number {number}", places


def main(path):
    """Tries all layouts."""
    device = Device(path)
    for name, places in layouts():
        for verb, transfer in (("read", read), ("write", write)):
            first = rng.randint(0, BLOCKS - sum(size for _, size in places) // PAGE)
            try:
                why = transfer(device, first, places)
            except OSError as error:
                why = str(error)
            print(f"not {verb}, {name}: {why}" if why else f"ok {verb}, {name}", flush=True)
            if why:
                device = Device(path)


main(sys.argv[1])
