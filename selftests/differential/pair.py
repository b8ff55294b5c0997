# SPDX-License-Identifier: GPL-2.0-only
"""Both drivers, to which the same is done; what is compared, and what may be different."""

import collections
import os
import re

from differential.older import is_older
from zramtest.driver import Driver
from zramtest.pages import FOUR_K, PAGE
from zramtest.values import size

# Every intended difference, with its reason. One that the report gives no count for was allowed, but did not occur.
INTENDED = {
    "NUL": "recomp_algorithm: C puts NUL bytes between its lines",
    "time": "block_state: C forgets when a page was accessed once it is recompressed, and then holds it for idle",
    "twice": "writeback: C writes a page that is listed twice twice, or not, as its timing goes: never asked for",
    "limit": "mem_limit: C fails what takes no more memory, keeps nothing for metadata, and takes what is near 2^64 for no"
             " limit: at random, none is asked for that is ever met",
    "size": "disksize: C allocates all of its table, and complains when it is huge: never asked for",
    "grow": "disksize: a larger one lets a live device grow, which C refuses: never asked for",
    "batch": "writeback_batch_size: C allocates that many pages at once, up to all that there are: never asked for",
    "packing": "bd_stat: C writes a block for each page, also with compressed_writeback: at random, it is not set, since a device"
               " is full and a limit met elsewhere",
    "dict": "lz4hc: C takes a dictionary of more than 64 KiB and then fails every write: never asked for",
    "sizes": "mm_stat, and what depends on sizes: our compressors make lz4 and lzo-rle of slightly other sizes",
    "pieces": "mm_stat, bd_stat: where a page is larger than 4 KiB and a request has it in two pages of memory, C stores it after"
              " each, and may count it twice as huge; and reads it for each from the backing device",
    "places": "mm_stat: which objects share pages follows from the order in which writeback is done: a zspage (8 pages) more or less",
    "build": "Debian's C driver has no lzo, lzo-rle and 842, and nothing of recompression",
}
met = collections.Counter()
done = collections.Counter()

# The algorithms whose compressors are our own and find other matches, so that sizes may differ by TOLERANCE. Operations that
# depend on exact sizes are not done with them, and most epochs do without them.
OTHERS = {"lz4", "lzo-rle"}
TOLERANCE = 0.05
# The most memory that a zspage takes, with Debian's CONFIG_ZSMALLOC_CHAIN_SIZE: which objects share one may make that difference.
ZSPAGE = 8 * PAGE
# The number of classes in which the objects of OTHERS may lie that those of C's compressor do not lie in, in these tests.
CLASSES = 6
# An operation is done to one driver at most so many seconds after it was done to the other.
APART = 5 * int(os.environ.get("SLOWER", "1"))

# What is compared after input and output, and after anything else.
STATISTICS = "mm_stat io_stat bd_stat stat".split()
SNAPSHOT = STATISTICS + """disksize initstate comp_algorithm recomp_algorithm backing_dev writeback_limit
    writeback_limit_enable writeback_batch_size compressed_writeback debug_stat size""".split()
IGNORE = os.environ.get("IGNORE", "").split()


class Pair:
    """Both drivers, and what was done to them since both were fresh. Where `exact`, no device is left with one of OTHERS; with
    `older`, nothing is done that OLDER is about."""

    def __init__(self, backings):
        self.exact = True
        half = len(backings) // 2
        self.c = Driver("zram", backings[:half])
        self.ours = Driver("rzram", backings[half:])
        self.full = "recomp_algorithm" in self.c.attributes()
        self.older = is_older(self.c)
        listed = [driver.algorithms() for driver in (self.c, self.ours)]
        self.algorithms = [n for n in listed[0] if n in listed[1]]
        self.attributes = sorted((self.c.attributes() & self.ours.attributes()).difference(IGNORE))
        self.missing = [*(set(listed[0]) - set(listed[1])), *(self.c.attributes() - self.ours.attributes())]
        self.history = []
        # How much more C has counted than ours, of which device and in which file, for pages in two pieces.
        self.more = {}

    def fresh(self):
        """Leaves one blank device of each."""
        self.more = {}
        for driver in self.c, self.ours:
            driver.fresh()
            self.avoid(driver, 0)
        self.history = []

    def avoid(self, driver, number):
        """Has a blank device that would compress with one of OTHERS use an algorithm that both have alike."""
        if self.exact and OTHERS & chosen(driver.get(number, "comp_algorithm")):
            driver.put(number, "comp_algorithm", b"zstd")

    def run(self, operation):
        """Does an operation to both. Returns the differences, as lines."""
        if self.grows(operation):
            return []
        self.history.append(operation)
        method, *arguments = operation
        outcomes = [getattr(driver, method)(*arguments) for driver in (self.c, self.ours)]
        self.count(method, arguments, outcomes[0])
        trouble = list(self.compare(f"{method} {arguments[1:2]}", arguments, *outcomes))
        if method in ("add", "remove"):
            numbers = self.c.numbers(), self.ours.numbers()
            if numbers[0] != numbers[1]:
                trouble.append(difference("devices", *numbers))
            for driver in self.c, self.ours:
                for number in driver.numbers():
                    self.avoid(driver, number)
        elif method not in ("get", "state", "mode", "wait"):
            for field in SNAPSHOT if method == "put" else STATISTICS:
                if field in self.attributes:
                    trouble += self.compare(field, [arguments[0], field], self.c.get(arguments[0], field),
                                            self.ours.get(arguments[0], field))
            for driver in (self.c, self.ours) if method == "put" else ():
                self.avoid(driver, arguments[0])
        return trouble

    def grows(self, operation):
        """Returns whether this is a larger disksize for a live device."""
        if operation[0] != "put" or operation[2] != "disksize":
            return False
        now = self.c.get(operation[1], "disksize")
        return isinstance(now, bytes) and 0 < int(now) < size(operation[3])

    def count(self, method, arguments, outcome):
        """Counts what came of it with the C driver, to show that not all of it were errors."""
        if method == "put":
            method = arguments[1]
        failed = isinstance(outcome, str) and outcome.startswith("E")
        done[method, "failed" if failed else "done"] += 1
        if method == "state" and not failed:
            done.update((f"slots {chr(flag)}", "done") for line in outcome.splitlines() for flag in line[-6:] if flag != 46)

    def compare(self, name, arguments, c, ours):
        """Yields the difference between two outcomes, if it matters."""
        attribute = arguments[1] if len(arguments) > 1 else None
        if c == ours:
            # Neither has counted more, if this is what the file says and not what came of writing to it.
            if isinstance(c, bytes):
                self.more.pop(tuple(arguments[:2]), None)
            return
        if isinstance(c, bytes) and isinstance(ours, bytes):
            if attribute == "recomp_algorithm" and c.replace(b"\0", b"") == ours:
                met["NUL"] += 1
                return
            if attribute in ("comp_algorithm", "recomp_algorithm") and self.common(c) == self.common(ours):
                met["build"] += 1
                return
            if attribute == "mm_stat" and self.near(arguments[0], c, ours):
                return
            if attribute == "stat" and counts(c) == counts(ours):
                return
            if attribute == "bd_stat" and self.read_twice(arguments[0], c, ours):
                met["pieces"] += 1
                return
            if attribute == "bd_stat" and self.packs(arguments[0]) and less(ours, c):
                met["packing"] += 1
                return
            if name.startswith("state") and states(c, ours):
                return
        yield difference(name, c, ours)

    def packs(self, number):
        """Returns whether pages share blocks of the backing device in ours."""
        return self.ours.get(number, "initstate") == b"1\n" and self.ours.get(number, "compressed_writeback") == b"1\n"

    def common(self, data):
        """Returns a list of algorithms without those that only one driver has."""
        return [n for n in data.replace(b"\0", b"").split() if n.startswith(b"#") or n.strip(b"[]").decode() in self.algorithms]

    def near(self, number, c, ours):
        """Returns whether two mm_stat are the same but for what OTHERS may change, pieces of pages, or places in the pool."""
        other = OTHERS & chosen(self.c.get(number, "comp_algorithm"))
        c, ours = [list(map(int, data.split())) for data in (c, ours)]
        if not self.may_count_more(number, "mm_stat", c[8] - ours[8]):
            return False
        c[8] = ours[8]
        if c == ours:
            met["pieces"] += 1
            return True
        met["sizes" if other else "places"] += 1
        if not other:
            return all(abs(c[i] - ours[i]) <= (ZSPAGE if i in (2, 4) else 0) for i in (0, 1, 2, 3, 4, 5, 7, 8))
        # Of other sizes are objects of other classes, each of which may have a zspage that is not full.
        slack = {1: 16 * PAGE, 2: CLASSES * ZSPAGE, 4: CLASSES * ZSPAGE}
        return all(c[i] == ours[i] for i in (0, 3, 5, 7, 8)) and all(
            abs(c[i] - ours[i]) <= TOLERANCE * c[i] + slack[i] for i in slack)

    def read_twice(self, number, c, ours):
        """Returns whether two bd_stat are the same but for what C reads once for each piece of a page."""
        c, ours = [list(map(int, data.split())) for data in (c, ours)]
        return c[::2] == ours[::2] and self.may_count_more(number, "bd_stat", c[1] - ours[1], FOUR_K)

    def may_count_more(self, number, field, more, unit=1):
        """Returns whether C may have counted so much more than ours, in a unit for each page in two pieces."""
        known = self.more.get((number, field), 0)
        if not 0 <= more <= known + unit * in_two_pieces(self.history[-1]):
            return False
        self.more[number, field] = more
        return True


def in_two_pieces(operation):
    """Returns how many pages an operation has in two pages of memory, the first of which begins with its first block."""
    method, *arguments = operation
    if method not in ("read_blocks", "write_blocks") or arguments[1] % FOUR_K == 0:
        return 0
    return (arguments[2] - 1) // FOUR_K


def chosen(data):
    """Returns the names in brackets."""
    return set(re.findall(r"\[(.*?)\]", data.decode()) if isinstance(data, bytes) else [])


def less(ours, c):
    """Returns whether no number is larger in ours, and none is 0 in one of them only."""
    return all(a <= b and (a == 0) == (b == 0) for a, b in zip(map(int, ours.split()), map(int, c.split())))


def counts(stat):
    """Returns requests, sectors and what is in flight, without times and merges."""
    fields = stat.split()
    return fields[0], fields[2], fields[4], fields[6], fields[8]


def states(c, ours):
    """Returns whether two block_state are the same, if seconds that go by between two drivers are no difference."""
    if len(c) != len(ours):
        return False
    for a, b in zip(c.splitlines(), ours.splitlines()):
        if a == b:
            continue
        if a[:12] != b[:12] or a[-6:] != b[-6:]:
            return False
        if abs(float(a[13:-7]) - float(b[13:-7])) > APART:
            if b"r" not in a[-6:]:
                return False
            met["time"] += 1
    return True


def difference(name, c, ours):
    """Says what is different, where it begins if it is long."""
    if isinstance(c, bytes) and isinstance(ours, bytes) and len(c) + len(ours) > 400:
        at = next((i for i, (a, b) in enumerate(zip(c, ours)) if a != b), min(len(c), len(ours)))
        start = max(at - 80, 0)
        return f"{name}: {len(c)} and {len(ours)} bytes, first other at {at}:\n" + \
            f"     C: {c[start:at + 80]}\n  ours: {ours[start:at + 80]}"
    return f"{name}\n     C: {c}\n  ours: {ours}"


def show(operation):
    """Says what an operation does."""
    method, *arguments = operation
    if method == "put":
        data = arguments[2]
        text = repr(data)[1:] if len(data) < 100 else f"{data[:20]!r}, {len(data)} bytes"
        return f"zram{arguments[0]}/{arguments[1]} <- {text}"
    return f"{method} {' '.join(map(str, arguments))}"
