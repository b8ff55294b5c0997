# SPDX-License-Identifier: GPL-2.0-only
"""Random operations."""

import random
import re

from differential.older import age, unlike
from differential.pair import OTHERS
from zramtest.pages import BLOCK, FOUR_K, PAGE
from zramtest.values import NUMBERS, WORDS, Dice, damaged, size

SIZES = [b"4096", b"64K", b"1M", b"4M", b"4194305", b"0x200000", b"8m", b"16M", b"32M\n"]


class Generator(Dice):
    """Makes random operations. What they are depends on the state of the C driver as well; the history keeps them."""

    def __init__(self, seed, pair):
        self.rng = random.Random(seed)
        self.pair = pair
        self.c = pair.c
        self.algorithms = [n for n in pair.algorithms if (n in OTHERS) != pair.exact]

    def operations(self):
        """Returns the next operations."""
        rng = self.rng
        numbers = self.c.numbers()
        if not numbers:
            return [("add",)]
        number = rng.choice(numbers) if self.chance(0.97) else rng.randrange(6)
        blank = self.c.get(number, "disksize") == b"0\n"
        if blank and self.chance(0.6):
            return self.set_up(number)
        kind = rng.choices(
            "write read blocks buffered discard put get work reset open close add remove state".split(),
            [16, 9, 9, 7, 4, 26, 3, 17, 0.5, 1.5, 3, 1, 0.7, 3])[0]
        return getattr(self, kind)(number)

    def set_up(self, number):
        """Returns what one does with a blank device before and while it gets its size."""
        rng, steps = self.rng, []
        steps.append(("comp_algorithm", rng.choice(self.algorithms).encode()))
        if self.pair.full and self.pair.exact and "recomp_algorithm" in self.pair.attributes:
            for priority in range(1, rng.randrange(1, 5)):
                steps.append(("recomp_algorithm", b"algo=%s priority=%d" % (self.algorithm(), priority)))
        if self.chance(0.2):
            steps.append(("algorithm_params", self.parameters()))
        if self.chance(0.7):
            steps.append(("backing_dev", rng.choice([b"{0}", b"{0}\n", b"{1}"])))
        if self.chance(0.2):
            steps.append(("compressed_writeback", rng.choice([b"1", b"0"])))
        if self.chance(0.2) and self.pair.exact:
            steps.append(("mem_limit", rng.choice([b"1G", b"4G"])))
        steps.append(("disksize", rng.choice(SIZES)))
        return [("put", number, name, data) for name, data in steps
                if name in self.pair.attributes and allowed(self.pair, name, data)]

    def place(self, number):
        """Returns a page that may be just behind the end."""
        size = self.c.get(number, "disksize")
        pages = int(size) // PAGE if isinstance(size, bytes) else 0
        return self.rng.randrange(min(pages, 256) + 1) if self.chance(0.9) else max(pages - self.rng.randrange(4), 0)

    def content(self):
        """Returns a kind of pages."""
        if not self.pair.exact:
            return self.rng.choice(["same", "zero", "random", 200, 1000, 2000, 3000])
        return self.rng.choice(["same", "zero", "text", "text", "random", "any", "any", "mix", self.rng.randrange(PAGE)])

    def write(self, number):
        """Returns a direct write."""
        return [("write", number, self.place(number), self.rng.choice([1, 1, 2, 4, 8, 16, 32, 64]), self.content(),
                 self.rng.randrange(9))]

    def read(self, number):
        """Returns a direct read."""
        return [("read", number, self.place(number), self.rng.choice([1, 1, 2, 8, 16, 32]))]

    def blocks(self, number):
        """Returns a direct read or write of blocks, which need not be whole pages where those are larger."""
        first = self.place(number) * FOUR_K + self.rng.randrange(FOUR_K)
        count = self.rng.choice([1, 1, 1, 2, 3, 5, 8, 13])
        if self.chance(0.4):
            return [("read_blocks", number, first, count)]
        return [("write_blocks", number, first, count, self.content(), self.rng.randrange(9))]

    def buffered(self, number):
        """Returns a buffered read or write of any bytes."""
        offset = self.place(number) * PAGE + self.rng.choice([0, 0, 1, 512, BLOCK, PAGE - 1])
        length = self.rng.choice([1, 512, 4096, 4097, 10000, 65536])
        if self.chance(0.5):
            return [("buffered_read", number, offset, length)]
        return [("buffered_write", number, offset, length, self.content(), self.rng.randrange(9))]

    def discard(self, number):
        """Returns a discard, or one that zeroes."""
        offset = self.place(number) * PAGE + self.rng.choice([0] * 8 + [512, 1, BLOCK])
        length = self.rng.choice([PAGE, PAGE, 3 * PAGE, 16 * PAGE, 16 * PAGE, 64 * PAGE, BLOCK, 7 * BLOCK, 512, 0, 1 << 40])
        return [(self.rng.choice(["discard", "zero"]), number, offset, length)]

    def put(self, number):
        """Returns a write to any attribute."""
        names = [n for n in self.pair.attributes if n in VALUES]
        name = self.rng.choice(names)
        data = self.value(name)
        return [("put", number, name, data)] if allowed(self.pair, name, data) else []

    def get(self, number):
        """Returns a read of any attribute."""
        return [("get", number, self.rng.choice(self.pair.attributes + ["queue/discard_max_bytes", "nothing"]))]

    def work(self, number):
        """Returns a job that has something to do."""
        names = [n for n in ("idle", "writeback", "recompress", "compact") if n in self.pair.attributes]
        if not names:
            return []
        name = self.rng.choice(names)
        data = VALUES[name](self)
        before = [("put", number, "idle", b"all")] if self.chance(0.5) else []
        return [*before, ("put", number, name, data)] if allowed(self.pair, name, data) else []

    def reset(self, number):
        return [("put", number, "reset", b"1")]

    def open(self, number):
        return [("open", number)]

    def close(self, number):
        held = [n for n in self.c.held if self.c.held[n]]
        return [("close", self.rng.choice(held))] if held else []

    def add(self, _):
        return [("add",)] if len(self.c.numbers()) < 4 else []

    def remove(self, number):
        data = self.value("remove") if self.chance(0.4) else b"%d" % number
        return [("remove", data)]

    def state(self, number):
        """Returns a read of block_state."""
        size = self.rng.choice([1 << 16, 1 << 16, 0, 40, 41, 81, 4096])
        return [("state", number, size, self.rng.choice([0, 0, 1, 40, 255]))]

    # --- values ---

    def value(self, name):
        """Returns what to write to an attribute: a good value, a number, a word, or any of them damaged."""
        rng = self.rng
        good = VALUES.get(name)
        data = good(self) if good and self.chance(0.6) else rng.choice(NUMBERS if self.chance(0.6) else WORDS)
        return damaged(rng, data) if self.chance(0.25) else data

    def algorithm(self):
        return self.rng.choice(self.algorithms).encode()

    def parameters(self):
        """Returns a value for algorithm_params."""
        top = 4 if self.pair.full else 0
        if self.chance(0.5):
            return b"level=%d" % self.rng.randint(-1, 12)
        return self.tokens(
            algo=self.algorithm(), priority=self.number(0, top), level=self.number(-3, 12), deflate_winbits=self.number(8, 15),
            dict=self.rng.choice([b"dict.16k", b"dict.16k", b"dict.7", b"dict.8", b"dict.0", b"nothing", b"/"]))

    def write_back(self):
        """Returns a value for writeback, ascending and without overlaps."""
        if self.chance(0.5):
            word = self.rng.choice([b"idle", b"huge", b"huge_idle", b"incompressible"])
            return word if self.chance(0.3) else b"type=" + word
        tokens, page = [], 0
        for _ in range(self.rng.randrange(1, 6)):
            page += self.rng.randrange(1, 20)
            last = page + self.rng.randrange(20)
            tokens.append(b"page_indexes=%d-%d" % (page, last) if self.chance(0.5) else b"page_index=%d" % page)
            page = last + 1
        return b" ".join(tokens)

    def recompression(self):
        """Returns a value for recompress."""
        if self.chance(0.6):
            kinds = [b"", b"type=idle", b"type=huge", b"type=huge_idle", b"priority=1", b"priority=2", b"priority=3"]
            return self.rng.choice([*kinds, b"threshold=%d" % self.rng.randrange(3000),
                                    b"max_pages=%d" % self.rng.randrange(20)])
        return self.tokens(type=self.rng.choice([b"idle", b"huge", b"huge_idle"]), priority=self.number(0, 4),
                           threshold=self.number(0, 4000), max_pages=self.number(0, 50), algo=self.algorithm())


VALUES = {
    "disksize": lambda g: g.rng.choice(SIZES),
    "comp_algorithm": Generator.algorithm,
    "algorithm_params": Generator.parameters,
    "recomp_algorithm": lambda g: g.tokens(algo=g.algorithm(), priority=g.number(0, 4)),
    "recompress": Generator.recompression,
    "backing_dev": lambda g: g.rng.choice([b"{0}", b"{1}", b"{0}\n", b"/dev/null", b"/", b"nothing", b"dict.16k", b"none"]),
    "writeback": Generator.write_back,
    "writeback_limit": lambda g: g.number(0, 200),
    "writeback_limit_enable": lambda g: g.number(0, 2),
    "writeback_batch_size": lambda g: g.number(0, 64),
    "compressed_writeback": lambda g: g.rng.choice([b"0", b"1", b"y", b"n", b"on", b"off"]),
    "idle": lambda g: g.rng.choice([b"all", b"4000000000", b"999999999"]),
    "compact": lambda g: b"1",
    "mem_limit": lambda g: g.rng.choice([b"0", b"1G", b"4097M", b"1T"]),
    "mem_used_max": lambda g: b"0",
    "reset": lambda g: g.number(0, 2),
    "initstate": lambda g: b"1",
    "mm_stat": lambda g: b"0",
}


def allowed(pair, name, data):
    """Returns whether C's answer to this is one to compare with: see INTENDED, and seconds that pass are no difference."""
    if pair.older and (name == "algorithm_params" or unlike(("put", 0, name, data))):
        return False
    if name == "disksize":
        return size(data) <= 256 << 20 or size(data) > (1 << 64) - PAGE
    if not pair.exact and name in ("recomp_algorithm", "mem_limit"):
        return False
    if not pair.exact and name == "comp_algorithm" and data not in (n.encode() for n in OTHERS):
        return False
    if name == "mem_limit":
        return size(data) == 0 or 1 << 30 <= size(data) <= (1 << 64) - PAGE
    if name == "compressed_writeback":
        return not re.match(rb"[1yYtTeE]|[oO][nN]", data)
    if name == "idle":
        return not re.match(rb"\+?\d", data) or age(data) > 1 << 24
    if name == "writeback_batch_size":
        match = re.match(rb"\+?(\d+)\n?(\0|$)", data)
        return not match or not 4096 < int(match[1]) < 1 << 32
    if name == "writeback":
        # Ascending and apart, as write_back() makes them.
        last = -1
        for low, high in re.findall(rb"page_index(?:es)?=\"?\+?(\d+)(?:-\+?(\d+))?", data):
            if int(low) <= last:
                return False
            last = int(high or low)
        return last < 0 or not re.search(rb"type|huge|idle|incompressible", data)
    if not pair.full and (name == "algorithm_params" or name == "comp_algorithm"):
        return not re.search(rb"priority=\W*0*[123]|lzo|842", data)
    return True
