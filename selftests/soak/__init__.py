# SPDX-License-Identifier: GPL-2.0-only
"""Everything at once on one module: I/O, swap, jobs, devices, CPUs that come and go, memory that runs out, suspend.

python3 -m soak [--minutes N] [--until LOAD=TURNS] LOAD…    with TEST_SEED, and two DISKS to write back to, in the environment

Each load is a process of its own that takes turn after turn, until the minutes are over, or one of them has had its turns.
What they do follows from the seed, when they do it from the scheduler. Whatever is wrong in one of them ends all: data
that is not what was stored, an errno without a reason, or a load that does not get on. While memory runs out a swap-out
may fail, and what a file of the module is asked to do, and each is counted; a read, and any other write, waits.
"""
