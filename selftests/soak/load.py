# SPDX-License-Identifier: GPL-2.0-only
"""The common part of all loads."""

import multiprocessing
import os
import random
import sys
import time
import traceback

from zramtest.driver import Driver
from zramtest.files import read, write
from zramtest.libc import die_with_parent

# A load that has not ended a turn for so many seconds hangs.
PATIENCE = 300 * int(os.environ.get("SLOWER", "1"))
IO, SWAP, DATA = range(3)  # whose device is which; those above come and go


class Wrong(Exception):
    """Something that a load found wrong."""


class Load:
    """One kind of load. A turn is a piece of it that takes seconds."""

    counts = ()  # what it counts beside its turns, and the errnos that want of memory excuses

    def __init__(self, options, scarcity, calm, plugged):
        self.name = type(self).__name__.lower()
        self.rng = random.Random(f"{options.seed} {self.name}")
        self.driver = Driver()
        self.disks = options.disks
        self.scarcity = scarcity  # how often memory began or ceased to run out: odd while it does
        self.calm = calm  # held while memory runs out, and by who can't have that
        self.plugged = plugged  # held while CPUs come and go, and by who can't have that
        self.before = 0
        self.turns = multiprocessing.Value("Q", lock=False)
        self.stop = multiprocessing.Value("b", lock=False)
        counts = (*self.counts, "ENOMEM", "EIO")
        self.counted = {name: multiprocessing.Value("Q", lock=False) for name in counts}
        self.trouble = multiprocessing.SimpleQueue()
        self.others = ()

    @staticmethod
    def lacks():
        """Returns what this machine lacks for it, if it does."""

    def begin(self):
        """Is called before the first turn."""

    def turn(self):
        """Does some seconds of work. Raises Wrong if something is."""
        raise NotImplementedError

    def end(self):
        """Is called after the last turn."""

    def run(self):
        """Takes turns, in a process of its own, until it is told to stop."""
        die_with_parent()
        write("/proc/self/oom_score_adj", "-1000")
        try:
            self.begin()
            while not self.stop.value:
                self.before = self.scarcity.value
                self.turn()
                self.turns.value += 1
            self.end()
        except BaseException as error:
            self.trouble.put(str(error) if isinstance(error, Wrong) else traceback.format_exc())
            sys.exit(1)

    def count(self, name, number=1):
        """Adds to a count."""
        self.counted[name].value += number

    def pause(self, seconds):
        """Sleeps, unless it is time to end."""
        end = time.monotonic() + seconds
        while not self.stop.value and time.monotonic() < end:
            time.sleep(0.1)

    # --- outcomes ---

    def scarce(self, since=None):
        """Returns whether memory ran out at any time in this turn, or since it had begun or ceased to do so that often."""
        since = self.before if since is None else since
        return self.scarcity.value != since or since % 2 == 1

    def must(self, what, outcome, *allowed, wanted="all"):
        """Returns whether something was done. It may end with the errnos allowed, and with others while memory runs out."""
        if outcome == wanted:
            return True
        if outcome in allowed:
            return False
        if self.scarce() and outcome in ("ENOMEM", "EIO"):
            self.count(outcome)
            return False
        raise Wrong(f"{what}: {outcome!r} instead of {wanted!r}")

    def always(self, what, outcome, wanted):
        """Something has to have been done, however little memory there was."""
        if outcome != wanted:
            raise Wrong(f"{what}: {outcome!r} instead of {wanted!r}")

    def put(self, number, attribute, text, *allowed):
        """Writes to an attribute. Returns whether it was taken, see must()."""
        outcome = self.driver.put(number, attribute, text)
        return self.must(f"{attribute} of {number} <- {text}", outcome, *allowed)

    # --- devices ---

    def set_up(self, number, size, algorithm, **settings):
        """Makes a device new, and keeps it open, so that nobody resets it. Opened with O_EXCL it has a reset fail at once;
        without, a reset keeps others from opening it for a moment. But mkswap and swapon want O_EXCL themselves."""
        self.driver.close(number)
        flags = 0 if number == SWAP else os.O_EXCL
        while not self.put(number, "reset", "1", "EBUSY") or self.driver.open(number, flags):
            time.sleep(0.1)
        for attribute, text in {"comp_algorithm": algorithm, **settings, "disksize": str(size)}.items():
            while not self.put(number, attribute, text):
                time.sleep(0.1)

    def streams(self, number):
        """Counts how the streams of a device were used, before a reset."""
        table = read(f"/sys/kernel/debug/zram/zram{number}/streams").splitlines()[1:]
        for column, name in enumerate(("takes", "contended", "retries"), 3):
            self.count(name, sum(int(line.split()[column]) for line in table))

    def moved(self, number):
        """Counts the pages of a device that a policy has moved, before a reset."""
        rules = [line.split() for line in read(f"{self.driver.disk(number)}/policy_stat").splitlines()]
        self.count("moved", sum(int(pages) for name, pages, *_ in rules if name.startswith(("recompress_", "writeback_"))))

    def policy(self):
        """Returns a policy, or that there is none."""
        return self.rng.choice((
            "off", "recompress_idle=1", "writeback_idle=2 writeback_incompressible=1 cpu=50", "high=1M low=512K",
            "recompress_idle=1 writeback_idle=5 high=2M low=1M cpu=100",
        ))

    def job(self, number):
        """Starts one of the jobs that go over all of a device. A suspend interrupts what takes long."""
        numbers = [self.rng.randint(1, 3000) for _ in range(3)]
        if self.rng.random() < 0.1:
            return self.put(number, "policy", self.policy(), "EINTR")
        attribute, text = self.rng.choice((
            ("idle", "all"), ("idle", "1"), ("compact", "1"), ("mem_used_max", "0"),
            ("recompress", "type=idle"), ("recompress", "type=huge"),
            ("recompress", f"type=huge_idle threshold={numbers[0]}"),
            ("recompress", f"type=idle priority=2 max_pages={numbers[0]}"),
            ("writeback", "type=idle"), ("writeback", "type=huge"),
            ("writeback", f"page_index={numbers[0]} page_indexes={min(numbers)}-{max(numbers)}"),
        ))
        return self.put(number, attribute, text, "EINTR", "EINVAL", "ENODEV", "ENOSPC")
