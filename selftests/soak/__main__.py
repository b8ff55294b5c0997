# SPDX-License-Identifier: GPL-2.0-only
"""Starts the loads, watches them, and reports what came of them."""

import argparse
import multiprocessing
import os
import random
import time

from soak.disks import Data, Devices, Io, Jobs, Swap
from soak.load import PATIENCE
from soak.machine import Hotplug, Starve, Suspend, uptime
from zramtest.files import vmstat, write
from zramtest.ktap import case, end, note, skip
from zramtest.libc import stay_in_memory

LOADS = {kind.__name__.lower(): kind for kind in (Io, Swap, Data, Devices, Jobs, Hotplug, Starve, Suspend)}


class Rig:
    """All loads, each in its process, and what watches them."""

    def __init__(self, options):
        self.options = options
        shared = multiprocessing.Value("Q", lock=False), multiprocessing.Lock(), multiprocessing.Lock()
        self.loads = [LOADS[name](options, *shared) for name in options.loads]
        for load in self.loads:
            load.others = [other for other in self.loads if other is not load]
        self.processes = {load: multiprocessing.Process(target=load.run) for load in self.loads}
        self.troubles = {}
        self.started = self.reported = uptime()
        self.moved = {load: (0, time.monotonic()) for load in self.loads}
        self.last = dict.fromkeys(self.loads, 0)

    def run(self):
        """Runs all loads until they are done, or something is wrong in one of them."""
        # This process has to watch the others, however little memory is left.
        stay_in_memory()
        for process in self.processes.values():
            process.start()
        while not self.troubles and not self.done():
            self.watch()
        for load in self.loads:
            load.stop.value = 1
        while not self.hangs() and any(process.is_alive() for process in self.processes.values()):
            self.watch()
        if self.hangs():
            write("/proc/sysrq-trigger", "w")  # what blocks whom, for the log
        for process in self.processes.values():
            process.kill()

    def done(self):
        """Returns whether the time is up, or the load of --until has had its turns."""
        minutes, until = self.options.minutes, self.options.until
        if until:
            return all(load.turns.value >= until[1] for load in self.loads if load.name == until[0])
        return uptime() > self.started + minutes * 60

    def watch(self):
        """Waits half a second, and notes who ended or hangs."""
        time.sleep(0.5)
        now = time.monotonic()
        for load, process in self.processes.items():
            turns, since = self.moved[load]
            if turns != load.turns.value:
                self.moved[load] = (load.turns.value, now)
            if not process.is_alive():
                if process.exitcode:
                    self.troubles.setdefault(load, f"ended with {process.exitcode}")
            elif now > since + PATIENCE:
                self.troubles.setdefault(load, f"hangs: {turns} turns, none for {PATIENCE} s")
        now = uptime()
        if now > self.reported + 60:
            self.report(now - self.reported)
            self.reported = now

    def hangs(self):
        """Returns whether a load hangs."""
        return any("hangs" in trouble for trouble in self.troubles.values())

    def report(self, seconds):
        """Prints how fast each load gets on."""
        rates = []
        for load in self.loads:
            rates.append(f"{load.name} {(load.turns.value - self.last[load]) * 60 / seconds:.0f}")
            self.last[load] = load.turns.value
        minutes = (uptime() - self.started) / 60
        note(f"{minutes:.0f} min, seed {self.options.seed}, turns a minute: {', '.join(rates)}")

    def summary(self):
        """Prints a case for each load."""
        for load in self.loads:
            counted = "".join(f", {value.value:,} {name}" for name, value in load.counted.items())
            trouble = self.troubles.get(load)
            if not trouble and not load.turns.value:
                trouble = "no turn"
            said = [] if load.trouble.empty() else [load.trouble.get()]
            case(f"{load.name}: {load.turns.value:,} turns{counted}", *filter(None, [trouble, *said]))
        for load, why in self.options.lacking.items():
            skip(load, f"it takes {why}")


def main():
    """Runs the loads that the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--until", type=lambda text: (text.split("=")[0], int(text.split("=")[1])))
    parser.add_argument("loads", metavar="LOAD", nargs="+", choices=LOADS)
    options = parser.parse_args()
    options.seed = int(os.environ.get("TEST_SEED") or random.SystemRandom().getrandbits(31))
    options.disks = os.environ.get("DISKS", "").split()
    names = {name: LOADS[name].lacks() for name in options.loads}
    options.lacking = {name: why for name, why in names.items() if why}
    options.loads = [name for name in names if name not in options.lacking]
    if not options.disks:
        options.lacking["writeback"] = "two DISKS"
    out, back, kills = map(vmstat, ("pswpout", "pswpin", "oom_kill"))
    note(f"seed {options.seed}")
    rig = Rig(options)
    rig.run()
    rig.summary()
    note(f"{uptime() - rig.started:.0f} s, {vmstat('pswpout') - out:,} pages swapped out, "
         f"{vmstat('pswpin') - back:,} in, {vmstat('oom_kill') - kills} OOM kills")
    end()


main()
