# SPDX-License-Identifier: GPL-2.0-only
"""In the guest: the benchmark's cells, for C zram and for ours in turn, and for a second C zram, a RAM disk and zswap beside them.

bench instructions|time PAGES SAMPLES   every cell, so many pages of each kind, SAMPLES times
bench scale PAGES SAMPLES               what is done to a whole disk, for disks of several sizes
bench latency PAGES SAMPLES             percentiles of single reads, writes and faults, and what kswapd does
bench preemptoff PAGES SAMPLES          for how long preemption is off
bench threads PAGES SAMPLES             what concurrent jobs get done, PAGES for each of them

What is counted goes to the standard output as JSON, one object a line; qemu/root/report reads it. With `instructions` the
machine counts them itself (qemu/root/insn_count.rs), between two NOPs that this program executes. With `scale`,
`latency` and `preemptoff` its clock is their number.
"""

import sys
import time

import jobs
import latency
import memory
import pages
import preemptoff
import scale
from disks import Disk, load, say
from meters import Instructions, Time


def main():
    instrument, count, samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    load()
    if instrument != "time":
        # What the kernel does of its own after it has booted would be counted, too. It takes no time where the clock is the
        # number of instructions.
        time.sleep(20 if instrument != "threads" else 3)
    if instrument == "threads":
        jobs.exits(min(samples, 3))
        jobs.throughput(count, samples)
        jobs.recompression(8 * count, samples)
        memory.streams(samples)
    elif instrument == "scale":
        scale.run(samples)
    elif instrument == "latency":
        latency.run(count, samples)
    elif instrument == "preemptoff":
        preemptoff.PreemptOff(count).run(samples)
    else:
        if instrument == "time":
            memory.metadata()
        meter = {"instructions": Instructions, "time": Time}[instrument]()
        pages.Bench(meter, count, samples).run(Disk("ram", "/dev/ram0"))
        meter.finish()
    say(end=True)


if __name__ == "__main__":
    main()
