# SPDX-License-Identifier: GPL-2.0-only
"""Resets and removals beside processes that have the disk open: openers.py SLOWER

SLOWER says how many times as long things may take as in a stock kernel.
"""

import os
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.ktap import case, end, note
from zramtest.tasks import fork, kill

SLOWER = int(sys.argv[1])
driver = Driver()
NODE = driver.node(0)


def timed(function, *arguments):
    """Returns the result of a call, and the seconds it took."""
    start = time.monotonic()
    result = function(*arguments)
    return result, time.monotonic() - start


def check(name, good, *comments):
    """Prints a case, and comments whether it is good or not."""
    if good:
        case(name)
        for comment in comments:
            note(comment)
    else:
        case(name, *(comments or ["it is not so"]))


def opened(seconds, flags=os.O_RDONLY, pause=0.0):
    """Returns the child that has the disk open now, for so long, and again and again after the pause, if there is one."""
    read, write = os.pipe()

    def child():
        while True:
            try:
                fd = os.open(NODE, flags)
            except OSError:
                continue
            os.write(write, b"x")
            time.sleep(seconds)
            os.close(fd)
            if not pause:
                return
            time.sleep(pause)

    pid = fork(child)
    os.read(read, 1)
    os.close(read)
    os.close(write)
    return pid


def looks():
    """Opens, reads and closes the disk, again and again."""
    while True:
        try:
            fd = os.open(NODE, os.O_RDONLY)
            os.read(fd, 4096)
            time.sleep(0.002)
            os.close(fd)
        except OSError:
            time.sleep(0.002)


def set_up():
    """Gives the disk a size, afresh."""
    driver.put(0, "reset", 1)
    driver.put(0, "disksize", "16M")


def remove():
    """Removes the disk. Returns "all" if that was done."""
    return driver.remove(b"0")


def add():
    """Adds a disk, which has another number if 0 is there. Returns "all" if that was done."""
    number = driver.add()
    return "all" if isinstance(number, bytes) else number


def reset():
    """Resets the disk. Returns "all" if that was done."""
    return driver.put(0, "reset", 1)


def at_once(what, hold, release):
    """Neither a reset nor a removal waits for who holds the disk."""
    set_up()
    held = hold()
    for name, function in ("reset", reset), ("hot_remove", remove):
        result, took = timed(function)
        check(f"{what}: {name} is EBUSY at once", result == "EBUSY" and took < 0.15 * SLOWER, f"{result}, {took:.3f} s")
    release(held)


def mount():
    """Makes a file system, and mounts it."""
    subprocess.run(["mkfs.ext4", "-q", "-F", NODE], check=True)
    subprocess.run(["mount", NODE, "/mnt"], check=True)


def swap():
    """Makes it swap."""
    subprocess.run(["mkswap", "-q", "-f", NODE], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", NODE], check=True)


def main():
    """Runs all cases."""
    at_once("mounted", mount, lambda _: subprocess.run(["umount", "/mnt"], check=True))
    at_once("swapped on", swap, lambda _: subprocess.run(["swapoff", NODE], check=True))
    at_once("held exclusively", lambda: os.open(NODE, os.O_RDONLY | os.O_EXCL), os.close)

    for name, function in ("reset", reset), ("hot_remove", remove):
        set_up()
        pid = opened(5)
        result, took = timed(function)
        check(f"open for long: {name} is EBUSY after a moment", result == "EBUSY" and 0.15 < took < 1.5 * SLOWER,
              f"{result}, {took:.3f} s")
        fd = os.open(NODE, os.O_RDONLY)
        check(f"and after {name} others may open it", fd >= 0)
        os.close(fd)
        kill(pid)

    for name, function in ("reset", reset), ("hot_remove", remove):
        set_up()
        pid = opened(0.08)
        result, took = timed(function)
        check(f"open for a moment: {name} waits", result == "all" and took < 2 * SLOWER, f"{result}, {took:.3f} s")
        os.waitpid(pid, 0)
    driver.add()

    # A reset that is killed while it waits.
    set_up()
    pid = opened(5)
    spans = []
    for _ in range(5):
        writer = fork(reset)
        time.sleep(0.03)
        start = time.monotonic()
        kill(writer)
        spans.append(time.monotonic() - start)
    kill(pid)
    # Without the signal it would have waited for the rest of the 200 ms.
    check("SIGKILL ends the wait", sorted(spans)[0] < 0.1 * SLOWER, spans)

    # Two at a time: the second waits for the first.
    outcomes = {}
    for _ in range(100):
        set_up()
        read, write = os.pipe()
        pids = [fork(lambda: os.write(write, (reset() + "\n").encode())) for _ in range(4)]
        for pid in pids:
            os.waitpid(pid, 0)
        for outcome in os.read(read, 4096).decode().split():
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        os.close(read)
        os.close(write)
    check("four resets at once", outcomes == {"all": 400}, outcomes)

    # Six processes open and close the disk all the time.
    pids = [fork(looks) for _ in range(6)]
    outcomes, longest, lost = {}, 0, []
    for turn in range(60):
        for name, function in (("reset", reset), ("disksize", lambda: driver.put(0, "disksize", "8M")), ("reset", reset),
                               ("hot_remove", remove), ("hot_add", add)):
            result, took = timed(function)
            longest = max(took, longest)
            if result != "all":
                lost.append(took)
            outcomes[name, result] = outcomes.get((name, result), 0) + 1
    kill(*pids)
    # An emulated CPU may stop for longer than a reset waits while its task has the disk open.
    check("a loop of openers keeps nobody out", len(lost) <= 30 and all(took > 0.2 for took in lost), outcomes,
          f"longest {longest:.3f} s", f"in vain {lost}")

    # The openers overlap, so that the disk is never closed unless a reset keeps new ones out.
    set_up()
    pids = [opened(0.05, pause=0.001) for _ in range(4)]
    outcomes = {}
    for turn in range(20):
        result = reset()
        outcomes[result] = outcomes.get(result, 0) + 1
    kill(*pids)
    check("nor do openers one of whom is always there", outcomes.get("all", 0) >= 15, outcomes)
    end()


main()
