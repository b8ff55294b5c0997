# SPDX-License-Identifier: GPL-2.0-only
"""A hostile root: odd reads and writes of every file of the interface, ioctls and odd opens, by several processes at
once and under a hail of signals, while data is stored and verified.

python3 -m fuzz SECONDS SEED DEVICE...     the devices are for writeback: one for each owner, and more for strangers

Each of the first disks has an owner, who sets it up and has two writers store data on it and verify that against a
model, until the owner starts over with other settings. Strangers do whatever comes to their mind with all files, and
with the data on other disks. As long as an owner has the disk open, nothing that strangers do to its files may change
what is stored on it.

What a process does follows from SEED, its name and the number of its turn, but for what the others do meanwhile. At the
end comes a table of what the kernel said how often.
"""
