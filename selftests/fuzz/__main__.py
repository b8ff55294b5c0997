# SPDX-License-Identifier: GPL-2.0-only
"""Starts everybody, sends them signals, and reports what came of it."""

import collections
import json
import os
import random
import re
import signal
import sys
import time

from fuzz.owner import Owner
from fuzz.process import CONTROL, MOST_DISKS, OWNERS, STRANGERS, Process, World, driver
from fuzz.stranger import Stranger
from zramtest.files import errno_or, read, vmstat, write
from zramtest.ktap import case, end, note

# Calls that take longer than so many seconds are reported with their stack.
SLOW = 10
# A process that has not ended so many seconds after the time is up hangs.
PATIENCE = 60 * int(os.environ.get("SLOWER", "1"))


def zspages():
    """Returns the number of pages that zsmalloc has, for all of its users."""
    read("/proc/sys/vm/stat_refresh")
    return vmstat("nr_zspages")


def stack(pid):
    """Returns where a process is in the kernel."""
    return read(f"/proc/{pid}/stack")


def hail(world, left):
    """Sends signals to all until the time is up, and waits. Returns how many of each kind, and what is wrong with those who
    did not come to a good end."""
    rng = random.Random(f"{world.seed}:signals")
    sent, bad, moved, slow = collections.Counter(), [], 0, {}
    signals = sorted(signal.valid_signals() - {signal.SIGKILL})
    while left and time.monotonic() < world.end + PATIENCE:
        if time.monotonic() > moved + 0.3:
            moved = time.monotonic()
            for place, (pid, since) in enumerate(zip(world.pids, world.since)):
                if moved > since + SLOW and since not in slow:
                    slow[since] = errno_or(stack, pid) or "it runs"
                    note(f"for {moved - since:.0f} s in {world.call(place)}: {slow[since]}")
            world.in_focus[0], world.in_focus[1] = rng.randrange(OWNERS + 2), rng.randrange(99)
        pid, number = rng.choice(world.pids), rng.choice(signals)
        if pid and time.monotonic() < world.end and not isinstance(errno_or(os.kill, pid, number), str):
            sent[number] += 1
            if number == signal.SIGSTOP:
                time.sleep(0.002)
                errno_or(os.kill, pid, signal.SIGCONT)
        time.sleep(rng.uniform(0, 0.004))
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name = left.pop(pid, f"process {pid}")
            if status:
                bad.append(f"{name} ended with status {status:#x}")
    stuck = {*left, *filter(None, world.pids)}
    if stuck:
        # A process that runs has no stack below /proc, so that the kernel log gets that of each CPU.
        write("/proc/sysrq-trigger", "l")
    for pid in stuck:
        called = world.call(world.pids[:].index(pid)) if pid in world.pids[:] else "no call"
        bad.append(f"{left.get(pid, 'a writer')} hangs, last in {called}:\n{errno_or(stack, pid) or 'it runs'}")
        os.kill(pid, signal.SIGKILL)
    return sent, bad


def clear():
    """Removes all disks, in whatever order they let go of each other. Returns those that are left."""
    for _ in range(MOST_DISKS * 2):
        for number in driver.numbers():
            errno_or(write, f"{driver.disk(number)}/reset", "1")
        for number in driver.numbers():
            errno_or(write, f"{CONTROL}/hot_remove", str(number))
        if not driver.numbers():
            break
    return driver.numbers()


# What must have happened at least once, or the run shows nothing: calls, as regular expressions, and their outcomes.
DEPTH = {f"{name} write": "OK" for name in Process.GOOD} | {
    ".* write": "EINVAL ERANGE EFAULT EINTR", ".* read": "EFAULT", "reset write": "OK EBUSY",
    "disksize write": "OK EBUSY", "hot_add read": "OK", "hot_remove write": "OK EBUSY ENODEV", "block_state read": "OK",
    "streams read": "OK", "a process in a call": "killed", "direct write": "OK EIO", "direct read": "OK",
    "buffered write": "OK", "buffered read": "OK", "ioctl BLKDISCARD": "OK", "ioctl BLKZEROOUT": "OK",
    "ioctl .*": "EINVAL ENOTTY EFAULT", "disk open": "EBUSY", "own node open": "ENXIO", "files": "well-formed",
    "pages": "verified",
} | {f"pages, {what}": "some" for what in ["bd_stat writes", "bd_stat reads", *map("block_state {}".format, "swhirn")]}


def missed(counts):
    """Yields what was never reached."""
    for pattern, outcomes in DEPTH.items():
        reached = {outcome for (what, outcome), n in counts.items() if n and re.fullmatch(pattern, what)}
        for outcome in set(outcomes.split()) - reached:
            yield f"never: {pattern}: {outcome}"


def report(world):
    """Returns what all have counted, what they found wrong, and the longest call."""
    counts, trouble, slowest = collections.Counter(), [], (0, "")
    for name in os.listdir(world.results):
        if re.match("owner|stranger", name):
            with open(f"{world.results}/{name}", encoding="utf-8") as file:
                counted, found, slow = json.load(file)
            counts.update({(what, outcome): n for what, outcome, n in counted})
            trouble += found
            slowest = max(slowest, tuple(slow))
    return counts, trouble, slowest


def main(seconds, seed, *backings):
    """Has all take part until the time is up, and reports."""
    before = zspages()
    world = World(float(seconds), seed, backings)
    people = [Owner(world, n) for n in range(OWNERS)] + [Stranger(world, n) for n in range(STRANGERS)]
    left = {person.fork(): person.name for person in people}
    sent, bad = hail(world, left)
    took = time.monotonic() - world.start
    case("everybody comes to an end", *bad)
    counts, trouble, slowest = report(world)
    case("what is stored stays readable, and files well-formed", *trouble[:10])
    case("every disk can be removed", *(f"left: {driver.node(number)}" for number in clear()))
    case("the memory comes back", *([f"{before} pages before, {zspages()} after"] if zspages() > before else []))
    case("all of it was reached", *missed(counts))

    files = collections.defaultdict(dict)
    for (what, outcome), n in counts.items():
        files[what][outcome] = n
    calls = sum(n for (what, _), n in counts.items() if not re.match("pages|files", what))
    note(f"{calls} calls in {took:.0f} s, {calls / took:.0f} a second, the longest {slowest[1]}, {slowest[0]:.2f} s; "
         f"{sum(sent.values())} signals, each of {len(sent)} kinds {min(sent.values())} times at least")
    for what, outcomes in sorted(files.items()):
        often = sorted(outcomes.items(), key=lambda outcome: -outcome[1])
        note(f"  {what:32} " + ", ".join(f"{outcome} {n}" for outcome, n in often))
    end()


main(*sys.argv[1:])
