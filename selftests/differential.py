#!/usr/bin/env python3
"""Does the same to the C driver and to ours, and compares what each says after every single operation.

differential.py scripted BACKING...             the cases in differential.txt, and every algorithm with its parameters
differential.py random SEED COUNT BACKING...    COUNT operations that follow from SEED, or those of one epoch: SEED:N

BACKING are the block devices of C's side, then as many of ours. The result is KTAP without numbers. IGNORE="stat idle"
leaves these files out, to look behind a difference that is known.
"""

import collections
import os
import random
import re
import sys
import time

from pages import PAGE
from sides import Side, case, note
from values import NUMBERS, WORDS, damaged

here = os.path.dirname(os.path.abspath(__file__))

# Every difference that is meant, with its reason. A name without a count in the report was prepared for, not met.
INTENDED = {
    "NUL": "recomp_algorithm: C puts NUL bytes between its lines",
    "time": "block_state: C forgets when a page was accessed once it is recompressed, and then holds it for idle",
    "twice": "writeback: C writes a page that is listed twice twice, or not, as its timing goes: never asked for",
    "limit": "mem_limit: C fails what takes no more memory, keeps nothing for metadata, and takes what is near 2^64 for no"
             " limit: at random, none is asked for that is ever met",
    "size": "disksize: C allocates all of its table, and complains when it is huge: never asked for",
    "batch": "writeback_batch_size: C allocates that many pages at once, up to all that there are: never asked for",
    "dict": "lz4hc: C takes a dictionary of more than 64 KiB and then fails every write: never asked for",
    "lz4": "mm_stat, and what depends on sizes: our compressor makes lz4 of slightly other sizes",
    "places": "mm_stat: which objects share pages follows from the order in which writeback is done: 2 pages more or less",
    "build": "Debian's C driver has no lzo, lzo-rle and 842, and nothing of recompression",
}
met = collections.Counter()
done = collections.Counter()

# The one algorithm whose compressor is our own, and finds other matches: its sizes may differ by so much. What depends on
# exact sizes is not done with it, and most of the test does without it.
OTHER = "lz4"
TOLERANCE = 0.05
# Between what one driver does and what the other does, at most so many seconds go by.
APART = 5 * int(os.environ.get("SLOWER", "1"))

# What is compared after input and output, and after anything else.
STATISTICS = "mm_stat io_stat bd_stat stat".split()
SNAPSHOT = STATISTICS + """disksize initstate comp_algorithm recomp_algorithm backing_dev writeback_limit
    writeback_limit_enable writeback_batch_size compressed_writeback debug_stat size""".split()
IGNORE = os.environ.get("IGNORE", "").split()


class Pair:
    """Both drivers, and what was done to them since both were fresh. Where `exact`, no device is left with OTHER."""

    def __init__(self, backings):
        self.exact = True
        half = len(backings) // 2
        self.c = Side("zram", backings[:half])
        self.ours = Side("rzram", backings[half:])
        self.full = "recomp_algorithm" in self.c.attributes()
        listed = [listing(side.get(0, "comp_algorithm")) for side in (self.c, self.ours)]
        self.algorithms = [n for n in listed[0] if n in listed[1]]
        self.attributes = sorted((self.c.attributes() & self.ours.attributes()).difference(IGNORE))
        self.missing = [*(set(listed[0]) - set(listed[1])), *(self.c.attributes() - self.ours.attributes())]
        self.history = []

    def fresh(self):
        for side in self.c, self.ours:
            side.fresh()
            self.avoid(side, 0)
        self.history = []

    def avoid(self, side, number):
        """Where a blank device would compress with OTHER, choose what both do alike."""
        if self.exact and OTHER in chosen(side.get(number, "comp_algorithm")):
            side.put(number, "comp_algorithm", b"zstd")

    def run(self, operation):
        """Does it to both; the differences, as lines."""
        self.history.append(operation)
        method, *arguments = operation
        outcomes = [getattr(side, method)(*arguments) for side in (self.c, self.ours)]
        self.count(method, arguments, outcomes[0])
        trouble = list(self.compare(f"{method} {arguments[1:2]}", arguments, *outcomes))
        if method in ("add", "remove"):
            numbers = self.c.numbers(), self.ours.numbers()
            if numbers[0] != numbers[1]:
                trouble.append(difference("devices", *numbers))
            for side in self.c, self.ours:
                for number in side.numbers():
                    self.avoid(side, number)
        elif method not in ("get", "state", "mode", "wait"):
            for field in SNAPSHOT if method == "put" else STATISTICS:
                if field in self.attributes:
                    trouble += self.compare(field, [arguments[0], field], self.c.get(arguments[0], field),
                                            self.ours.get(arguments[0], field))
            for side in (self.c, self.ours) if method == "put" else ():
                self.avoid(side, arguments[0])
        return trouble

    def count(self, method, arguments, outcome):
        """What came of it on the C side, to show that not all of it were errors."""
        if method == "put":
            method = arguments[1]
        failed = isinstance(outcome, str) and outcome.startswith("E")
        done[method, "failed" if failed else "done"] += 1
        if method == "state" and not failed:
            done.update((f"slots {chr(flag)}", "done") for line in outcome.splitlines() for flag in line[-6:] if flag != 46)

    def compare(self, name, arguments, c, ours):
        """The difference between two outcomes, if it matters."""
        attribute = arguments[1] if len(arguments) > 1 else None
        if c == ours:
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
            if name.startswith("state") and states(c, ours):
                return
        yield difference(name, c, ours)

    def common(self, data):
        """A list of algorithms without those that only one side has."""
        return [n for n in data.replace(b"\0", b"").split() if n.startswith(b"#") or n.strip(b"[]").decode() in self.algorithms]

    def near(self, number, c, ours):
        """Whether two mm_stat are the same but for what OTHER may change, or places in the pool."""
        other = OTHER in chosen(self.c.get(number, "comp_algorithm"))
        met["lz4" if other else "places"] += 1
        c, ours = [list(map(int, data.split())) for data in (c, ours)]
        if not other:
            return all(abs(c[i] - ours[i]) <= (2 * PAGE if i in (2, 4) else 0) for i in (0, 1, 2, 3, 4, 5, 7, 8))
        return all(c[i] == ours[i] for i in (0, 3, 5, 7, 8)) and all(
            abs(c[i] - ours[i]) <= TOLERANCE * c[i] + 16 * PAGE for i in (1, 2, 4))


def chosen(data):
    return re.findall(r"\[(.*?)\]", data.decode()) if isinstance(data, bytes) else []


def listing(data):
    return data.decode().replace("[", "").replace("]", "").split()


def counts(stat):
    """Requests, sectors and what is in flight, without times and merges."""
    fields = stat.split()
    return fields[0], fields[2], fields[4], fields[6], fields[8]


def states(c, ours):
    """Whether two block_state are the same, if seconds that go by between two drivers are no difference."""
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
    if isinstance(c, bytes) and isinstance(ours, bytes) and len(c) + len(ours) > 400:
        at = next((i for i, (a, b) in enumerate(zip(c, ours)) if a != b), min(len(c), len(ours)))
        start = max(at - 80, 0)
        return f"{name}: {len(c)} and {len(ours)} bytes, first other at {at}:\n" + \
            f"     C: {c[start:at + 80]}\n  ours: {ours[start:at + 80]}"
    return f"{name}\n     C: {c}\n  ours: {ours}"


def show(operation):
    method, *arguments = operation
    if method == "put":
        data = arguments[2]
        text = repr(data)[1:] if len(data) < 100 else f"{data[:20]!r}, {len(data)} bytes"
        return f"zram{arguments[0]}/{arguments[1]} <- {text}"
    return f"{method} {' '.join(map(str, arguments))}"


# --- scripted ---------------------------------------------------------------------------------------------------------


def value(text):
    """What differential.txt writes for a value."""
    if text == "EMPTY":
        return b""
    if match := re.fullmatch(r"(.)\*(\d+)(\S*)", text):
        text = match[1] * int(match[2]) + match[3]
    return text.encode().decode("unicode_escape").encode("latin-1")


def parse(line):
    """The operations of a line of differential.txt."""
    number = 0
    if match := re.match(r"(\d+):", line):
        number, line = int(match[1]), line[match.end():]
    if match := re.fullmatch(r"(\S+) = (.*)", line):
        return [("put", number, match[1], value(v.strip())) for v in match[2].split(" | ")]
    if line.endswith("?"):
        return [("get", number, name) for name in line[:-1].split()]
    word, *arguments = line.split()
    arguments = [int(a) if re.fullmatch(r"-?\d+", a) else a for a in arguments]
    if word == "hot_remove":
        return [("remove", value(line[len(word):].strip()))]
    if word == "hot_add":
        return [("add",)]
    if word == "modes":
        return [("mode", number, name) for name in arguments]
    return [(word, number, *arguments)]


def scripted(pair):
    case("ours has every file and algorithm", *(f"missing: {name}" for name in sorted(pair.missing)))
    title, lines = None, []
    with open(f"{here}/differential.txt", encoding="ascii") as file:
        for line in [*file, "== end\n"]:
            line = line.rstrip("\n")
            if line.startswith("== "):
                if title and (pair.full or "(full)" not in title):
                    script(pair, title, lines)
                title, lines = line[3:], []
            elif line and not line.startswith("#"):
                lines.append(line)
    if pair.full:
        thresholds(pair)
    codecs(pair)


def script(pair, title, lines):
    """One case: all lines on a fresh device; what `each` names follows every value that is written."""
    pair.fresh()
    each, trouble = [], []
    for line in lines:
        if line.startswith("each"):
            each = parse(line[5:]) if line[5:] else []
            continue
        for operation in parse(line):
            found = pair.run(operation)
            if found:
                trouble.append("\n".join([show(operation), *found]))
            if operation[0] == "put":
                for after in each:
                    pair.run(after)
    case(title, *trouble[:5], *([f"and {len(trouble) - 5} more"] if len(trouble) > 5 else []))


def codecs(pair):
    """Every algorithm, first as it is, then with each parameter: it starts or fails alike, and sizes are the same."""
    levels = "-131073 -131072 -5 -2 -1 0 1 2 3 9 10 12 16 17 22 23 -2147483648 2147483647".split()
    winbits = "-16 -15 -9 -8 0 8 9 15 16 -2147483648".split()
    for name in pair.algorithms:
        tried = ["", *(f"level={n}" for n in levels), "dict=dict.16k", "dict=dict.8", "dict=dict.7"]
        if name != "lz4hc":
            tried += ["dict=dict.100k", "level=1 dict=dict.100k"]
        tried += ["level=3 dict=dict.16k", *(f"deflate.winbits={n}" for n in winbits), "deflate.winbits=12 level=4"]
        trouble = []
        pair.exact = name != OTHER
        kinds = ("any", "text") if pair.exact else (1000, "random")
        pair.fresh()
        for parameters in tried:
            operations = [("put", 0, "reset", b"1"), ("put", 0, "comp_algorithm", name.encode())]
            if parameters:
                operations.append(("put", 0, "algorithm_params", parameters.encode()))
            operations += [("put", 0, "disksize", b"1M"), ("write", 0, 0, 32, kinds[0]), ("write", 0, 32, 16, kinds[1]),
                           ("read", 0, 0, 48), ("state", 0)]
            for operation in operations:
                found = pair.run(operation)
                if found:
                    trouble.append("\n".join([parameters or "plain", show(operation), *found]))
        case(f"{name} with every parameter", *trouble[:5])
    pair.exact = True


def thresholds(pair):
    """Recompression at exactly the sizes that a page has before and after it."""

    def attempt_with(*requests):
        pair.run(("put", 0, "reset", b"1"))
        operations = [("put", 0, "comp_algorithm", b"lzo"), ("put", 0, "recomp_algorithm", b"algo=zstd"),
                      ("put", 0, "disksize", b"1M"), ("write", 0, 0, 1, "text")]
        operations += [operation for data in requests for operation in (("put", 0, "recompress", data), ("state", 0))]
        for operation in operations:
            found = pair.run(operation)
            if found:
                trouble.append("\n".join([show(operation), *found]))
        return pair.c.mm(0, "compr")

    trouble = []
    pair.fresh()
    before, after = attempt_with(), attempt_with(b"priority=1")
    for limit in before, after:
        for threshold in limit - 1, limit, limit + 1:
            attempt_with(b"threshold=%d" % threshold, b"threshold=0")
    if not after < before:
        trouble.append(f"{before} bytes became {after}: nothing was recompressed")
    case("recompress: a threshold of exactly the size", *trouble[:5])


# --- random -----------------------------------------------------------------------------------------------------------

SIZES = [b"4096", b"64K", b"1M", b"4M", b"4194305", b"0x200000", b"8m", b"16M", b"32M\n"]


class Generator:
    """Random operations. What they are depends on the state of the C side as well; the history keeps them."""

    def __init__(self, seed, pair):
        self.rng = random.Random(seed)
        self.pair = pair
        self.c = pair.c
        self.algorithms = [n for n in pair.algorithms if n != OTHER] if pair.exact else [OTHER]

    def chance(self, probability):
        return self.rng.random() < probability

    def operations(self):
        rng = self.rng
        numbers = self.c.numbers()
        if not numbers:
            return [("add",)]
        number = rng.choice(numbers) if self.chance(0.97) else rng.randrange(6)
        blank = self.c.get(number, "disksize") == b"0\n"
        if blank and self.chance(0.6):
            return self.set_up(number)
        kind = rng.choices(
            "write read buffered discard put get work reset open close add remove state".split(),
            [22, 12, 7, 4, 26, 3, 17, 0.5, 1.5, 3, 1, 0.7, 3])[0]
        return getattr(self, kind)(number)

    def set_up(self, number):
        """What one does with a blank device before and while it gets its size."""
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
        """A page that may be just behind the end."""
        size = self.c.get(number, "disksize")
        pages = int(size) // PAGE if isinstance(size, bytes) else 0
        return self.rng.randrange(min(pages, 256) + 1) if self.chance(0.9) else max(pages - self.rng.randrange(4), 0)

    def content(self):
        if not self.pair.exact:
            return self.rng.choice(["same", "zero", "random", 200, 1000, 2000, 3000])
        return self.rng.choice(["same", "zero", "text", "text", "random", "any", "any", "mix", self.rng.randrange(PAGE)])

    def write(self, number):
        return [("write", number, self.place(number), self.rng.choice([1, 1, 2, 4, 8, 16, 32, 64]), self.content(),
                 self.rng.randrange(9))]

    def read(self, number):
        return [("read", number, self.place(number), self.rng.choice([1, 1, 2, 8, 16, 32]))]

    def buffered(self, number):
        offset = self.place(number) * PAGE + self.rng.choice([0, 0, 1, 512, 4095])
        length = self.rng.choice([1, 512, 4096, 4097, 10000, 65536])
        if self.chance(0.5):
            return [("buffered_read", number, offset, length)]
        return [("buffered_write", number, offset, length, self.content(), self.rng.randrange(9))]

    def discard(self, number):
        offset = self.place(number) * PAGE + self.rng.choice([0] * 8 + [512, 1])
        length = self.rng.choice([PAGE, PAGE, 3 * PAGE, 16 * PAGE, 16 * PAGE, 64 * PAGE, 512, 0, 1 << 40])
        return [(self.rng.choice(["discard", "zero"]), number, offset, length)]

    def put(self, number):
        names = [n for n in self.pair.attributes if n in VALUES]
        name = self.rng.choice(names)
        data = self.value(name)
        return [("put", number, name, data)] if allowed(self.pair, name, data) else []

    def get(self, number):
        return [("get", number, self.rng.choice(self.pair.attributes + ["queue/discard_max_bytes", "nothing"]))]

    def work(self, number):
        """Post-processing that means something."""
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
        size = self.rng.choice([1 << 16, 1 << 16, 0, 40, 41, 81, 4096])
        return [("state", number, size, self.rng.choice([0, 0, 1, 40, 255]))]

    # --- values ---

    def value(self, name):
        """For an attribute: good, a number, a word, or any of them damaged."""
        rng = self.rng
        good = VALUES.get(name)
        data = good(self) if good and self.chance(0.6) else rng.choice(NUMBERS if self.chance(0.6) else WORDS)
        return damaged(rng, data) if self.chance(0.25) else data

    def tokens(self, **keys):
        """Some of these keys, in any order."""
        chosen = [k for k in keys if self.chance(0.45)]
        self.rng.shuffle(chosen)
        return b" ".join(b"%s=%s" % (k.replace("_winbits", ".winbits").encode(), keys[k]) for k in chosen)

    def number(self, low, high):
        return b"%d" % self.rng.randint(low, high) if self.chance(0.85) else self.rng.choice(NUMBERS)

    def algorithm(self):
        return self.rng.choice(self.algorithms).encode()

    def parameters(self):
        top = 4 if self.pair.full else 0
        if self.chance(0.5):
            return b"level=%d" % self.rng.randint(-1, 12)
        return self.tokens(
            algo=self.algorithm(), priority=self.number(0, top), level=self.number(-3, 12), deflate_winbits=self.number(8, 15),
            dict=self.rng.choice([b"dict.16k", b"dict.16k", b"dict.7", b"dict.8", b"dict.0", b"nothing", b"/"]))

    def write_back(self):
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


def size(data):
    """As the kernel's memparse."""
    match = re.match(rb"(0[xX][0-9a-fA-F]+|0[0-7]*|\d+)([KMGTPE]?)", data.upper().replace(b"0X", b"0x"))
    if not match:
        return 0
    digits = match[1]
    base = 16 if digits.startswith(b"0x") else 8 if digits.startswith(b"0") else 10
    return min(int(digits, base) << 10 * (b"KMGTPE".find(match[2]) + 1 if match[2] else 0), (1 << 64) - 1)


def allowed(pair, name, data):
    """Whether C's answer to this is one to compare with: see INTENDED, and seconds that pass are no difference."""
    if name == "disksize":
        return size(data) <= 256 << 20 or size(data) > (1 << 64) - PAGE
    if not pair.exact and name in ("comp_algorithm", "recomp_algorithm", "mem_limit"):
        return False
    if name == "mem_limit":
        return size(data) == 0 or 1 << 30 <= size(data) <= (1 << 64) - PAGE
    if name == "idle":
        match = re.match(rb"\+?(0x[0-9a-f]+|\d+)", data.lower())
        return not match or int(match[1].replace(b"0x", b"") or b"0", 16 if b"x" in match[1] else 10) > 1 << 24
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


EPOCH = 500


def epoch(pair, seed, count):
    """So many operations from a fresh start; the differences after the last of them, or None."""
    pair.fresh()
    generator = Generator(seed, pair)
    operations = generator.set_up(0)
    for _ in range(count):
        while not operations:
            operations = generator.operations()
        trouble = pair.run(operations.pop(0))
        if trouble:
            return trouble
    for number in pair.c.numbers():
        for operation in ("buffered_read", number, 0, 64 << 20), ("state", number):
            trouble = pair.run(operation)
            if trouble:
                return trouble
    return None


def shrink(pair, history, seconds):
    """A shorter history whose last operation still shows a difference."""
    deadline = time.monotonic() + seconds

    def fails(operations):
        pair.fresh()
        trouble = [pair.run(o) for o in operations]
        return trouble[-1]

    body, last = history[:-1], history[-1]
    trouble = fails(history)
    if not trouble:
        return history, None
    step = max(len(body) // 2, 1)
    while body and time.monotonic() < deadline:
        at = len(body)
        while at > 0 and time.monotonic() < deadline:
            at = max(at - step, 0)
            shorter = body[:at] + body[at + step:]
            found = fails([*shorter, last])
            if found:
                body, trouble = shorter, found
        if step == 1:
            break
        step = (step + 1) // 2
    return [*body, last], trouble


def randomised(pair, seed, count):
    only = None
    if ":" in seed:
        seed, only = seed.split(":")
    total = failed = 0
    for number in range((count + EPOCH - 1) // EPOCH):
        if only and int(only) != number:
            continue
        pair.exact = number % 5 < 4
        trouble = epoch(pair, f"{seed}:{number}", EPOCH)
        total += len(pair.history)
        lines = []
        if trouble:
            failed += 1
            history = pair.history
            lines = [f"after {len(history)} operations:", *trouble]
            if failed <= 3:
                shrunk, again = shrink(pair, history, 20)
                lines = [f"SEED={seed}:{number}: of {len(history)} operations these are enough:", *map(show, shrunk), *again] \
                    if again else [*lines, "and not again when repeated; the last of them:", *map(show, history[-40:])]
        case(f"{EPOCH} random operations, seed {seed}:{number}", *lines)
    note(f"{total} random operations; done and failed:")
    for method in sorted({m for m, _ in done}):
        note(f"  {method:24} {done[method, 'done']:6} {done[method, 'failed']:6}")


def main(command, *arguments):
    if command == "scripted":
        pair = Pair(arguments)
        scripted(pair)
    else:
        pair = Pair(arguments[2:])
        randomised(pair, arguments[0], int(arguments[1]))
    if not pair.full:
        met["build"] += 1
    for name, reason in INTENDED.items():
        note(f"intended: {reason}" + (f" ({met[name]} times)" if met[name] else ""))
    note("end")


main(*sys.argv[1:])
