# SPDX-License-Identifier: GPL-2.0-only
"""Compares both drivers, by script or at random."""

import sys

from differential.older import OLDER
from differential.pair import INTENDED, Pair, met
from differential.randomised import randomised
from differential.scripted import scripted
from zramtest.ktap import end, note


def main(command, *arguments):
    """Runs one or the other, and says which differences that are meant were met."""
    if command == "scripted":
        pair = Pair(arguments)
        scripted(pair)
    else:
        pair = Pair(arguments[2:])
        randomised(pair, arguments[0], int(arguments[1]))
    if not pair.full:
        met["build"] += 1
    for name, reason in {**INTENDED, **(OLDER if pair.older else {})}.items():
        note(f"intended: {reason}" + (f" ({met[name]} times)" if met[name] else ""))
    end()


main(*sys.argv[1:])
