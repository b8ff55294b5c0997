# SPDX-License-Identifier: GPL-2.0-only
"""The drivers and their disks."""

import ctypes
import json
import mmap
import os
import subprocess

from data import PAGE

BLKDISCARD = 0x1277
MADV_PAGEOUT = 21
MADV_POPULATE_READ = 22
MADV_POPULATE_WRITE = 23
# Each driver's name for its disks. The second C zram is the first under another name: where the two differ, the figure's
# method is at fault.
NAMES = {"c": "zram", "ours": "rzram", "twin": "czram"}
MODULES = ("zram", "rust_zram", "czram")
SIDES = tuple(NAMES)
DEVICES = 16
ALGORITHMS = ("lz4", "lzo-rle", "zstd", "lzmem", "lzo", "lz4hc", "deflate", "842", "lzmem-3")
# What a name stands for, if it is not just an algorithm: the algorithm and its level, with this module and with C zram. That
# has no lzmem, so zstd is what lzmem is measured against.
SETTINGS = {"lzmem": (("lzmem", 1), ("zstd", 3)), "lzmem-3": (("lzmem", 3), ("zstd", 9))}

libc = ctypes.CDLL(None, use_errno=True)


def say(**record):
    print(json.dumps(record), flush=True)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def swapped():
    """Pages of this process that are in swap."""
    status = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines())
    return int(status["VmSwap"].split()[0]) * 1024 // PAGE


def buffer(pages):
    memory = mmap.mmap(-1, pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(MADV_POPULATE_WRITE)
    return memory


def choose(side, number, name, secondary=False):
    """Sets the algorithm of a driver's disk, and its level."""
    ours, others = SETTINGS.get(name, ((name, None),) * 2)
    algorithm, level = ours if side == "ours" else others
    priority = int(secondary)
    if secondary:
        write(f"{folder(side, number)}/recomp_algorithm", f"algo={algorithm} priority={priority}")
    else:
        write(f"{folder(side, number)}/comp_algorithm", algorithm)
    if level:
        write(f"{folder(side, number)}/algorithm_params", f"priority={priority} level={level}")


class Disk:
    """A block device; the file is open for as long as this lives."""

    def __init__(self, side, node):
        self.side, self.node = side, node
        self.file = os.open(node, os.O_RDWR | os.O_DIRECT)

    def each(self, call, first, memory, step, order=None):
        """Calls `call` for each part of the memory, which belongs at page `first`."""
        parts = range(0, len(memory), step)
        view = memoryview(memory)
        calls = [([view[at:at + step]], first * PAGE + at) for at in parts]
        if order:
            calls = [calls[n] for n in order]

        def work():
            for part, at in calls:
                call(self.file, part, at)

        return work

    def discard(self, _file, part, at):
        self.discard_range(at, len(part[0]))

    def discard_range(self, at, length):
        check(libc.ioctl(self.file, BLKDISCARD, (ctypes.c_uint64 * 2)(at, length)))

    def make_swap(self):
        """Makes it ready to be used as swap, and closes it."""
        subprocess.run(["mkswap", "-q", self.node], check=True)
        self.close()

    def close(self):
        os.close(self.file)


def folder(side, number):
    """Returns where the attributes of a driver's disk are."""
    return f"/sys/block/{NAMES[side]}{number}"


class Zram(Disk):
    """A disk of one of the drivers, which has a size."""

    def __init__(self, side, number):
        name = NAMES[side] + str(number)
        self.sys, self.debug = folder(side, number), f"/sys/kernel/debug/{NAMES[side]}/{name}"
        super().__init__(side, f"/dev/{name}")

    @classmethod
    def make(cls, side, number, algorithm, size):
        choose(side, number, algorithm)
        write(f"{folder(side, number)}/disksize", str(size))
        return cls(side, number)

    def stored(self):
        """Bytes of compressed data, and of memory used for them."""
        return [int(word) for word in read(f"{self.sys}/mm_stat").split()[1:3]]

    def reset(self):
        """Takes the size away, after the disk was closed."""
        write(f"{self.sys}/reset", "1")


def load():
    """The drivers, and RAM disks. With huge pages or readahead it would be chance what one I/O consists of."""
    for command in (
            "modprobe -q lz4hc_compress", f"insmod zram_full.ko num_devices={DEVICES}",
            f"insmod rust_zram.ko num_devices={DEVICES} coexist=1", f"insmod czram.ko num_devices={DEVICES}",
            "modprobe brd rd_nr=2 rd_size=262144"):
        subprocess.run(command.split(), check=True)
    if os.path.exists("/sys/kernel/mm/transparent_hugepage/enabled"):
        write("/sys/kernel/mm/transparent_hugepage/enabled", "never")
    write("/proc/sys/vm/page-cluster", "0")
    write("/sys/module/zswap/parameters/max_pool_percent", "50")
