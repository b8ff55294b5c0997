# SPDX-License-Identifier: GPL-2.0-only
"""Pages whose content follows from a kind, a seed and their number."""

import functools
import mmap
import random
import struct

PAGE = mmap.PAGESIZE
POOL = 61
# Blocks have 4096 bytes whatever the size of a page, and files count what was written back in this many to a page.
BLOCK = 4096
FOUR_K = PAGE // 4096


@functools.cache
def pool():
    """Returns pages of text-like words, and pages of noise."""
    rng = random.Random(7)
    words = [bytes(rng.choices(b"etaoinshrdlucmfwyp", k=rng.randint(4, 12))) for _ in range(100)]
    text = [b" ".join(rng.choices(words, k=PAGE // 3))[:PAGE] for _ in range(POOL)]
    return text, [rng.randbytes(PAGE) for _ in range(POOL)]


def cut(page, length):
    """Returns the page with zeroes from `length` on."""
    return page[:length] + bytes(PAGE - length)


@functools.lru_cache(maxsize=256)
def contents(kind, seed):
    """Returns the function from a page's number to its content. Kinds are
    zero, same (one word all over), text (compressible), random (not so), mix (these three),
    a number: so many incompressible bytes, then zeroes, any: the same with all numbers, and
    dense: without repetitions, but of few different bytes, so that lz4 finds it huge, and zstd does not."""
    text, noise = pool()

    def same(n):
        return struct.pack("=II", seed + 1, n) * (PAGE // 8)

    def stamped(pages):
        return lambda n: struct.pack("=II", seed, n) + pages[n % POOL][8:]

    def dense(n):
        return struct.pack(">II", seed, n) + bytes(byte & 0x3F for byte in stamped(noise)(n)[8:])

    kinds = {"zero": lambda n: bytes(PAGE), "same": same, "text": stamped(text), "random": stamped(noise), "dense": dense}
    kinds["mix"] = lambda n: (kinds["same"], kinds["text"], kinds["text"], kinds["random"])[n % 4](n)
    kinds["any"] = lambda n: cut(kinds["random"](n), (seed * 37 + n * 811) % PAGE)
    if isinstance(kind, int):
        return lambda n: cut(kinds["random"](n), kind)
    return kinds[kind]


def run_of(kind, seed, first, count):
    """Returns the content of several pages in a row."""
    return b"".join(map(contents(kind, seed), range(first, first + count)))


def difference(number, got, want):
    """Says where two contents of a page differ first."""
    at = next(i for i in range(PAGE) if got[i] != want[i])
    return f"page {number}, byte {at}: expected {want[at:at + 16].hex()}, got {got[at:at + 16].hex()}"
