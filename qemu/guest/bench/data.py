# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of data: functions from a number of pages to their content."""

import itertools
import os
import random

PAGE = 4096
CORPUS = os.environ.get("CORPUS", "/usr/lib")
# Pages of processes, which qemu/root/collect has read.
MEMORY = os.environ.get("MEMORY", "/rust_zram/memory-pages")


def same(count):
    return b"".join((b"word" + n.to_bytes(4, "little")) * (PAGE // 8) for n in range(count))


def text(count):
    """A soup of words as frequent as in a language: matches are short, and branches decide."""
    rng = random.Random(1)
    words = [bytes(rng.choices(b"etaoinshrdlucmfwypvbgkjqxz", k=rng.randint(1, 8))) for _ in range(500)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, 501)))
    return b" ".join(rng.choices(words, cum_weights=weights, k=count * PAGE // 2))[:count * PAGE]


def files(count):
    """Pages of the files that are installed: programs, libraries, scripts; no archives, nothing compressed."""
    found = []
    for folder, folders, names in os.walk(CORPUS):
        folders[:] = sorted(name for name in folders if name not in ("modules", "firmware"))
        for name in sorted(names):
            path = f"{folder}/{name}"
            if not os.path.islink(path) and not name.endswith((".xz", ".gz", ".zst", ".a")):
                found += [(path, at) for at in range(0, os.path.getsize(path) - PAGE + 1, PAGE)]
    pages = []
    for number in range(count):
        path, at = found[number * len(found) // count]
        with open(path, "rb") as file:
            file.seek(at)
            pages.append(file.read(PAGE))
    return b"".join(pages)


def memory(count):
    """Pages of memory of programs in several languages, the same number of each; again from the start if there are too few."""
    with open(MEMORY, "rb") as file:
        content = file.read()
    return (content * -(-count * PAGE // len(content)))[:count * PAGE]


def noise(count):
    return random.Random(2).randbytes(count * PAGE)


KINDS = {"same": same, "text": text, "files": files, "memory": memory, "random": noise}
