# SPDX-License-Identifier: GPL-2.0-only
"""In the guest: a working set that is larger than memory, over compressed memory over a slow disk.

tiers SIDE NAME=VALUE…      one of the SIDES, and the settings of qemu/bench-tiers

Processes fill their share of the working set and touch its pages; see touch.rs. Lines say how it goes; the last one says what
was counted, as JSON.
"""

import array
import ctypes
import json
import mmap
import os
import re
import subprocess
import sys
import time

from sides import SIDES, Disk, read, total, write

PAGE = mmap.PAGESIZE
MIB = 1 << 20
STATE = "/dev/shm/touch"
# What touch.rs shares: words, and histograms of how long the touches of a phase took, by what was touched and where it was.
FILLED, TOUCHED, WRONG, ENDED, GO, HISTOGRAMS = 0, 1, 2, 3, 4, 16
KINDS, PLACES, BUCKETS = ("hot", "cold"), ("memory", "compressed", "disk"), 36 * 32
# How long filling may take, and how many times as long as it should everything else may.
FILLING, SLOWER = 300, 3
MCL_CURRENT_AND_FUTURE = 3


class Process:
    """A process that touches pages, and what it has said so far. What it has said outlives it."""

    def __init__(self, number, settings, own):
        words = HISTOGRAMS + settings["phases"] * len(KINDS) * len(PLACES) * BUCKETS
        name = f"{STATE}{number}"
        with open(name, "w+b") as file:
            file.truncate(words * 8)
            self.map = mmap.mmap(file.fileno(), words * 8)
        self.words = memoryview(self.map).cast("Q")
        wanted = "pages rate phases seconds shift hot cold exponent".split()
        given = {key: settings[key] for key in wanted} | {"number": number, "own": own, "corpus": "memory-pages", "state": name}
        self.process = subprocess.Popen(["./touch", *(f"{key}={value}" for key, value in given.items())])

    def ended(self):
        return self.process.poll() is not None

    def killed(self):
        return self.ended() and not self.words[ENDED]

    def histogram(self, phase, kind, place):
        at = HISTOGRAMS + ((phase * len(KINDS) + kind) * len(PLACES) + place) * BUCKETS
        return self.words[at:at + BUCKETS]


def vmstat():
    names = "pswpin pswpout pgmajfault oom_kill zswpin zswpout zswpwb swpin_zero swpout_zero allocstall_movable".split()
    return {name: int(value) for name, value in map(str.split, read("/proc/vmstat").splitlines()) if name in names}


def processor():
    """Returns the seconds that the processors spent in the kernel."""
    ticks = list(map(int, read("/proc/stat").split("\n", 1)[0].split()[1:]))
    return (ticks[2] + ticks[5] + ticks[6]) / os.sysconf("SC_CLK_TCK")


def threads():
    """Returns the seconds that each kind of kernel thread has run for."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if not os.path.exists(f"/proc/{pid}/exe") and not read(f"/proc/{pid}/cmdline"):
                name = re.sub(r"[/:0-9].*", "", read(f"/proc/{pid}/comm").strip())
                found[name] = found.get(name, 0) + int(read(f"/proc/{pid}/schedstat").split()[0]) / 1e9
        except OSError:
            pass
    return found


class Run:
    """One way, from the start to the end."""

    def __init__(self, name, settings):
        self.name, self.settings = name, settings
        write("/sys/kernel/mm/transparent_hugepage/enabled", "never")
        write("/proc/sys/vm/page-cluster", 0)
        # A small machine is one that is soon full, and the kernel boots with no less than it has got.
        pages = settings["aside"] // 2
        write("/proc/sys/vm/nr_hugepages", pages)
        if int(read("/proc/sys/vm/nr_hugepages")) != pages:
            raise MemoryError(f"{settings['aside']} MiB cannot be set aside")
        settings["limit"] = total() * settings["percent"] // 100
        self.disk = Disk(settings["delay"])
        self.side = SIDES[name](settings)
        self.peak = 0
        self.processes = []
        self.start = time.monotonic()

    def snapshot(self):
        return {"seconds": time.monotonic() - self.start, "disk": self.disk.counters(), "vmstat": vmstat(),
                "system": processor(), "threads": threads(), "failed_writes": self.side.failed_writes(),
                "side": self.side.counters()}

    def say(self, what):
        disk, kills = self.disk.counters(), vmstat()["oom_kill"]
        done = sum(process.words[TOUCHED] for process in self.processes)
        print(f"{time.monotonic() - self.start:4.0f} s {what:6} touches {done:9,}  pool {self.side.pool() / MIB:5.1f} MiB"
              f"  disk: {disk['written'] / MIB:6.1f} MiB written, {disk['reads']:6,} reads"
              f"  failed writes {self.side.failed_writes():,}, kills {kills}", flush=True)

    def until(self, what, is_so, limit):
        """Waits until it is so for all processes that are there, but no longer than so many seconds. Returns whether it is."""
        end, line = time.monotonic() + limit, 0
        while not all(process.ended() or is_so(process) for process in self.processes):
            time.sleep(0.2)
            self.peak = max(self.peak, self.side.pool())
            if time.monotonic() > end:
                return False
            if time.monotonic() > line:
                self.say(what)
                line = time.monotonic() + 10
        self.say(what)
        return True

    def measure(self):
        settings = self.settings
        self.side.start()
        begin = self.snapshot()
        self.processes = [Process(number, settings, self.side.own) for number in range(settings["processes"])]
        # Whoever watches has to stay awake when memory is short.
        write("/proc/self/oom_score_adj", -1000)
        ctypes.CDLL(None).mlockall(MCL_CURRENT_AND_FUTURE)
        filled = self.until("fill", lambda process: process.words[FILLED] == settings["pages"], FILLING)
        # What a fill leaves to be done in the background is part of it.
        time.sleep(2)
        middle = self.snapshot()
        for process in self.processes:
            process.words[GO] = 1
        ended = filled and self.until("touch", Process.ended, SLOWER * settings["phases"] * settings["seconds"])
        end = self.snapshot()
        killed = [process.killed() for process in self.processes]
        for process in self.processes:
            process.process.kill()
        return self.result(begin, middle, end, ended) | {"killed": sum(killed)}

    def result(self, begin, middle, end, ended):
        phases = range(self.settings["phases"])
        counted, by_phase = {}, []
        for kind, name in enumerate(KINDS):
            for place, where in enumerate(PLACES):
                sums = [array.array("Q", bytes(8 * BUCKETS)) for _ in phases]
                for phase in phases:
                    for process in self.processes:
                        for bucket, count in enumerate(process.histogram(phase, kind, place)):
                            sums[phase][bucket] += count
                by_phase.append({"kind": name, "place": where, "touches": list(map(sum, sums))})
                # The first phase is for all to find their places.
                totals = map(sum, zip(*sums[1:]))
                counted[f"{name} {where}"] = {bucket: count for bucket, count in enumerate(totals) if count}
        log = subprocess.run("dmesg", capture_output=True, text=True, check=True).stdout
        return {
            "side": self.name, "settings": self.settings, "memory": total(), "kernel": os.uname().release, "ended": ended,
            "touched": [process.words[TOUCHED] for process in self.processes],
            "filled": [process.words[FILLED] for process in self.processes],
            "wrong": sum(process.words[WRONG] for process in self.processes),
            "write_errors": log.count("Write-error on swap-device"), "read_errors": log.count("Read-error on swap-device"),
            "peak": self.peak, "histograms": counted, "phases": by_phase, "begin": begin, "middle": middle, "end": end,
        }


def main():
    name, *words = sys.argv[1:]
    settings = {key: value for key, value in (word.split("=", 1) for word in words)}
    for key, value in settings.items():
        if key != "policy":
            settings[key] = float(value) if "." in value else int(value)
    print(json.dumps(Run(name, settings).measure()), flush=True)


if __name__ == "__main__":
    main()
