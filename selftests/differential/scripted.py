# SPDX-License-Identifier: GPL-2.0-only
"""The operations of operations.txt, and those that try each algorithm."""

import os
import re

from differential.older import unchecked, unlike
from differential.pair import OTHERS, show
from zramtest.ktap import case

here = os.path.dirname(os.path.abspath(__file__))


def value(text):
    """Returns the bytes that a value in operations.txt stands for."""
    if text == "EMPTY":
        return b""
    if match := re.fullmatch(r"(.)\*(\d+)(\S*)", text):
        text = match[1] * int(match[2]) + match[3]
    return text.encode().decode("unicode_escape").encode("latin-1")


def parse(line):
    """Returns the operations of a line of operations.txt."""
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
    """Runs the cases in operations.txt, and those of codecs."""
    case("ours has every file and algorithm", *(f"missing: {name}" for name in sorted(pair.missing)))
    title, lines = None, []
    with open(f"{here}/operations.txt", encoding="ascii") as file:
        for line in [*file, "== end\n"]:
            line = line.rstrip("\n")
            if line.startswith("== "):
                if title and (pair.full or "(full" not in title) and not (pair.older and "from 7.3" in title):
                    script(pair, title, lines)
                title, lines = line[3:], []
            elif line and not line.startswith("#"):
                lines.append(line)
    if pair.full:
        thresholds(pair)
    codecs(pair)


def script(pair, title, lines):
    """Runs one case: all lines on a fresh device; what `each` names follows every value that is written."""
    pair.fresh()
    each, trouble = [], []
    for line in lines:
        if line.startswith("each"):
            each = parse(line[5:]) if line[5:] else []
            continue
        for operation in parse(line):
            if pair.older and unlike(operation):
                continue
            found = pair.run(operation)
            if found:
                trouble.append("\n".join([show(operation), *found]))
            if operation[0] == "put":
                for after in each:
                    pair.run(after)
    case(title, *trouble[:5], *([f"and {len(trouble) - 5} more"] if len(trouble) > 5 else []))


def codecs(pair):
    """Tries every algorithm, first as it is, then with each parameter: it starts or fails alike, and sizes are the same."""
    levels = "-131073 -131072 -5 -2 -1 0 1 2 3 9 10 12 16 17 22 23 -2147483648 2147483647".split()
    winbits = "-16 -15 -9 -8 0 8 9 15 16 -2147483648".split()
    for name in pair.algorithms:
        tried = ["", *(f"level={n}" for n in levels), "dict=dict.16k", "dict=dict.8", "dict=dict.7"]
        if name != "lz4hc":
            tried += ["dict=dict.100k", "level=1 dict=dict.100k"]
        tried += ["level=3 dict=dict.16k", *(f"deflate.winbits={n}" for n in winbits), "deflate.winbits=12 level=4"]
        if pair.older:
            tried = [parameters for parameters in tried if not unchecked(name, parameters)]
        trouble = []
        pair.exact = name not in OTHERS
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
    """Tries recompression at exactly the sizes that a page has before and after it."""

    def try_with(*requests):
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
    before, after = try_with(), try_with(b"priority=1")
    for limit in before, after:
        for threshold in limit - 1, limit, limit + 1:
            try_with(b"threshold=%d" % threshold, b"threshold=0")
    if not after < before:
        trouble.append(f"{before} bytes became {after}: nothing was recompressed")
    case("recompress: a threshold of exactly the size", *trouble[:5])
