# SPDX-License-Identifier: GPL-2.0-only
"""What the C driver of 7.2 does otherwise than that of 7.3, whose interface ours has on all kernels.

None of it is asked for beside such a driver: their answers differ, and mostly their states do from then on, too. To be deleted
with the last kernel that has it.
"""

import re

from zramtest.pages import PAGE
from zramtest.values import size

OLDER = {
    "level": "algorithm_params: C of 7.2 takes every level, and dictionaries for algorithms that have none; at random, none is set",
    "error": "algorithm_params: C of 7.2 says EINVAL for each dictionary that it can't read: never asked for",
    "kept": "comp_algorithm, recomp_algorithm: C of 7.2 keeps the parameters of the algorithm that was chosen before: at random, none"
            " is set",
    "age": "idle: C of 7.2 marks all pages if none can be as old, and does not refuse it on a blank device: never asked for",
    "wrap": "disksize: C of 7.2 wants memory for what can't be rounded up to a page: never asked for",
}

# The levels that algorithms have from 7.3 on, and those that have dictionaries.
LEVELS = {"lz4": (1, 0x7fffffff), "lz4hc": (1, 16), "zstd": (-131072, 22), "deflate": (-1, 9)}
DICTIONARIES = {"lz4", "lz4hc", "zstd"}


def is_older(driver):
    """Returns whether this C driver is one of 7.2: if it takes a level that lz4 does not have. Leaves a fresh device."""
    driver.fresh()
    driver.put_or_raise(0, "comp_algorithm", b"lz4")
    driver.put_or_raise(0, "algorithm_params", b"level=-1")
    taken = driver.put(0, "disksize", b"1M") == "all"
    driver.fresh()
    return taken


def unlike(operation):
    """Returns whether this operation is one of those, whatever was done before."""
    if operation[0] != "put":
        return False
    name, data = operation[2:]
    if name == "disksize":
        return size(data) > (1 << 64) - PAGE
    if name == "idle":
        return age(data) > 1 << 24
    return name == "algorithm_params" and b"dict=nothing" in data


def unchecked(algorithm, parameters):
    """Returns whether these parameters are refused for this algorithm from 7.3 on only."""
    low, high = LEVELS.get(algorithm, (1, 0))
    levels = re.findall(r"level=(-?\d+)", parameters)
    return any(not low <= int(level) <= high for level in levels) or "dict=" in parameters and algorithm not in DICTIONARIES


def age(data):
    """Returns the number of seconds at the beginning of what is written to idle, or 0 if there is none."""
    match = re.match(rb"\+?(0x[0-9a-f]+|\d{1,99})", data.lower())
    return int(match[1].replace(b"0x", b"") or b"0", 16 if b"x" in match[1] else 10) if match else 0
