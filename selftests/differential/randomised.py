# SPDX-License-Identifier: GPL-2.0-only
"""Epochs of random operations, and how one that shows a difference is made short."""

import time

from differential.generator import Generator
from differential.pair import done, show
from zramtest.ktap import case, note

EPOCH = 500


def epoch(pair, seed, count):
    """Does so many operations from a fresh start. Returns the differences after the last of them, or None."""
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
    """Returns a shorter history whose last operation still shows a difference, and that difference."""
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
    """Runs so many operations, a case for each epoch."""
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
