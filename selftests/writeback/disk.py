# SPDX-License-Identifier: GPL-2.0-only
"""The disk of the writeback tests, and how they are declared: a case is a function with rows of arguments that yields what is
wrong. Its docstring names it."""

import mmap
import os
import re
import time

from zramtest.driver import Driver
from zramtest.nbd import Server
from zramtest.pages import PAGE, contents
from zramtest.tasks import BackgroundWrite

READ, WRITE = Server.READ, Server.WRITE
ALGORITHMS = "lzo-rle lzo lz4 lz4hc zstd deflate 842 lzmem".split()
CASES = []


class Skipped(Exception):
    """Says why a case is left out."""


def test(*rows, known=None):
    """Makes cases of a function, one for each row of arguments; `known` says why C zram fails."""

    def add(function):
        for row in rows or ((),):
            CASES.append((function, row if isinstance(row, tuple) else (row,), known))
        return function

    return add


def pages_in(*ranges):
    """Returns the pages from the first to the last of each range."""
    return {n for first, last in ranges for n in range(first, last + 1)}


class Disk(Driver):
    """The driver under test, with one device. `model` has the content of each page that there is."""

    def set_up(self, pages, **settings):
        """Makes the device anew, with these settings, in this order, and a number of pages."""
        self.fresh()
        self.pages, self.model = pages, {}
        for attribute, value in settings.items():
            self.must(attribute, value)
        self.must("disksize", pages * PAGE)

    def set(self, attribute, value):
        """Writes to an attribute. Returns "all" if that was taken, or the errno."""
        return self.put(0, attribute, value)

    def must(self, attribute, value):
        """Writes to an attribute, which has to take it."""
        self.put_or_raise(0, attribute, value)

    def background(self, attribute, value):
        """Writes to an attribute in a thread."""
        return BackgroundWrite(f"{self.disk(0)}/{attribute}", str(value).encode())

    def fill(self, kind, first, count=1, seed=1):
        """Writes pages of a kind, which become part of the model."""
        content = contents(kind, seed)
        pages = {n: content(n) for n in range(first, first + count)}
        self.model.update(pages)
        outcome = self.write_bytes(0, first, b"".join(pages.values()))
        if outcome != count * PAGE:
            raise RuntimeError(f"writing {count} pages at {first}: {outcome}")

    def drop(self, first, count=1):
        """Discards pages."""
        self.discard(0, first * PAGE, count * PAGE)
        for n in range(first, first + count):
            self.model.pop(n, None)

    def wanted(self, first=0, count=None):
        """Returns what pages have to hold."""
        return b"".join(self.model.get(n, bytes(PAGE)) for n in range(first, first + (count or self.pages)))

    def packs(self):
        """Returns whether pages share blocks of the backing device."""
        return not self.is_c and self.get(0, "compressed_writeback") == b"1\n"

    def pack(self, column):
        """Returns a column of bd_pack_stat."""
        return int(self.get(0, "bd_pack_stat").split()[["blocks", "stored", "written", "rewritten"].index(column)])

    # --- reading all of it, in several ways ---

    def pieces(self, _):
        """Reads with direct I/O to memory that is aligned to 512 bytes, in pieces that neither begin nor end where pages do."""
        data = mmap.mmap(-1, (self.pages + 1) * PAGE)
        lengths = [PAGE // 8 * eighths for eighths in (1, 7, 2, 8, 14, 1, 9, 5)]
        at, parts = 512, []
        while at < 512 + self.pages * PAGE:
            length = min(lengths[len(parts) % len(lengths)], 512 + self.pages * PAGE - at)
            parts.append(memoryview(data)[at:at + length])
            at += length

        def read(fd):
            position = 0
            for first in range(0, len(parts), 64):
                chunk = parts[first:first + 64]
                position += os.preadv(fd, chunk, position)
            return bytes(data[512:512 + position])

        # 64 pieces together are whole pages: all lengths, eight times.
        return self.with_disk(0, os.O_RDONLY | os.O_DIRECT, read)

    def buffered(self, _):
        """Reads through the page cache."""
        return self.buffered_read(0, 0, self.pages * PAGE)

    def direct(self, _):
        """Reads with direct I/O."""
        return self.read(0, 0, self.pages)

    def single(self, lost):
        """Reads page by page; those that are lost yield EIO."""
        pages = {n: self.read(0, n, 1) for n in range(self.pages)}
        if {n for n, page in pages.items() if page == "EIO"} != set(lost):
            return f"EIO on pages {[n for n, page in pages.items() if page == 'EIO']} instead of {sorted(lost)}"
        return b"".join(self.wanted(n, 1) if page == "EIO" else page for n, page in pages.items())

    def verify(self, lost=()):
        """Yields what is wrong with the data, in each way to read it, or with the pages that are lost."""
        ways = [self.single] if lost else [self.direct, self.buffered, self.pieces]
        for way in ways:
            # C zram is known to get this wrong, and 21-unaligned.sh shows it.
            if way == self.pieces and self.is_c:
                continue
            got = way(lost)
            if isinstance(got, str):
                yield f"reading, {way.__name__}: {got}"
                continue
            wrong = [n for n in range(self.pages) if got[n * PAGE:(n + 1) * PAGE] != self.model.get(n, bytes(PAGE))]
            if wrong:
                yield f"reading, {way.__name__}: pages {wrong} are wrong"

    # --- the books ---

    def books(self):
        """Yields where statistics and block_state do not agree, and what is wrong with the latter."""
        state = self.state(0)
        if isinstance(state, str):
            yield f"block_state: {state}"
            return
        lines = [state[at:at + 40] for at in range(0, len(state), 40)]
        form = re.compile(rb" *(\d+) +(\d+)\.000000 ([s.])([w.])([h.])([i.])([r.])([n.])\n")
        slots = [form.fullmatch(line) for line in lines]
        if not all(slots):
            yield f"block_state has a line like {lines[slots.index(None)]}"
            return
        indexes = [int(slot[1]) for slot in slots]
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if indexes != sorted(set(indexes)) or indexes[-1:] > [self.pages - 1]:
            yield "block_state is not in order"
        if not set(self.model) <= set(indexes):
            yield f"block_state lacks pages {sorted(set(self.model) - set(indexes))}"
        if any(int(slot[2]) > now for slot in slots):
            yield "block_state has times that are to come"
        written = sum(slot[4] == b"w" for slot in slots)
        counted = {
            "bd_stat, blocks": (self.bd(0, "count"), written),
            "mm_stat, data": (self.mm(0, "orig"), len(slots) * PAGE),
            "mm_stat, same": (self.mm(0, "same"), sum(slot[3] == b"s" for slot in slots)),
            "mm_stat, huge": (self.mm(0, "huge"), sum(slot[5] == b"h" and slot[4] != b"w" for slot in slots)),
        }
        if self.packs():
            yield from self.packed_books(written, sum(slot[4] == b"w" and slot[5] == b"h" for slot in slots))
            del counted["bd_stat, blocks"]
        for name, (got, wanted) in counted.items():
            if got != wanted:
                yield f"{name}: {got}, by block_state {wanted}"
        if written == len(slots) and self.mm(0, "compr"):
            yield f"all pages are written back, still {self.mm(0, 'compr')} bytes are stored"

    def packed_books(self, written, huge):
        """Yields where the numbers of blocks and bytes do not go with those of pages that are written back, some of them huge."""
        blocks, stored = self.bd(0, "count"), self.pack("stored")
        if not -(-stored // PAGE) <= blocks <= written:
            yield f"{blocks} blocks are in use for {stored} bytes of {written} pages"
        if not huge * PAGE + (written - huge) <= stored <= written * PAGE or (written == huge) != (stored == huge * PAGE):
            yield f"{stored} bytes are stored for {written} pages, of which {huge} are huge"
        yield from self.expect("bd_pack_stat", [self.pack("blocks"), self.pack("written")], [blocks, self.bd(0, "writes") * PAGE])

    def written(self):
        """Returns the pages that are written back."""
        return self.flags(0, "w")

    @staticmethod
    def expect(what, got, wanted):
        """Yields what is wrong if it is not what is wanted."""
        if got != wanted:
            yield f"{what}: {show(got)} instead of {show(wanted)}"


def show(value):
    """Returns sets as lists in order."""
    return sorted(value) if isinstance(value, set) else value
