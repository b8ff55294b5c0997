# SPDX-License-Identifier: GPL-2.0-only
"""The ways to have compressed memory over a disk: what each takes to set up, and what it counts."""

import os
import re
import subprocess

BELOW = "/dev/vdb"
SLOW = "/dev/dm-0"
ALGORITHM, STRONGER = "lz4", "zstd"


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(text))


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def total():
    """Returns the bytes of memory of this machine, as the kernel shares them out."""
    return int(re.search(r"MemTotal: *(\d+)", read("/proc/meminfo"))[1]) << 10


class Disk:
    """A disk that takes some milliseconds for each read and each write, as many as it is given at a time."""

    def __init__(self, milliseconds):
        run("modprobe", "dm-delay")
        sectors = int(read(f"/sys/block/{os.path.basename(BELOW)}/size"))
        run("dmsetup", "create", "tier", "--table", f"0 {sectors} delay {BELOW} 0 {milliseconds}")

    @staticmethod
    def counters():
        """Returns the bytes read from it and written to it, and how many reads and writes that were."""
        reads, _, read_sectors, _, writes, _, write_sectors = map(int, read("/sys/block/dm-0/stat").split()[:7])
        return {"reads": reads, "read": read_sectors * 512, "writes": writes, "written": write_sectors * 512}


class Zram:
    """Swap on zram. What is to make room in it is up to others."""

    # What a read of the swap device counts as by itself, in blocks of 512 bytes.
    own = 8
    module, name = ("zram_full.ko",), "zram0"
    compressed_writeback = 0

    def __init__(self, settings):
        self.settings = settings
        self.sys = f"/sys/block/{self.name}"
        run("modprobe", "-q", "lz4hc_compress")
        run("insmod", *self.module, "num_devices=1")

    def start(self):
        self.set("comp_algorithm", ALGORITHM)
        self.set("recomp_algorithm", f"algo={STRONGER} priority=1")
        self.set("backing_dev", SLOW)
        self.set("compressed_writeback", self.compressed_writeback)
        self.set("disksize", self.settings["swap"])
        self.set("mem_limit", self.settings["limit"])
        run("mkswap", "-q", f"/dev/{self.name}")
        run("swapon", "-p", "100", f"/dev/{self.name}")

    def set(self, attribute, value):
        write(f"{self.sys}/{attribute}", value)

    def pool(self):
        """Returns the bytes of memory that it takes."""
        return int(read(f"{self.sys}/mm_stat").split()[2])

    def counters(self):
        return {name: list(map(int, read(f"{self.sys}/{name}").split())) for name in ("mm_stat", "bd_stat", "io_stat")}

    def failed_writes(self):
        return int(read(f"{self.sys}/io_stat").split()[1])


class Cron(Zram):
    """And a script that runs every few seconds."""

    def start(self):
        super().start()
        script = os.path.join(os.path.dirname(__file__), "cron.sh")
        subprocess.Popen([script, self.sys, *(str(self.settings[name]) for name in ("every", "old", "young"))])


class Ours(Zram):
    """This module, with its policy."""

    module, name = ("rust_zram.ko", "coexist=1"), "rzram0"
    compressed_writeback = 1

    def start(self):
        super().start()
        self.set("policy", self.settings["policy"])

    def counters(self):
        lines = read(f"{self.sys}/policy_stat").splitlines()
        return super().counters() | {"policy_stat": lines}


class Zswap:
    """Swap on the disk, with zswap before it."""

    own = 0
    parameters = "/sys/module/zswap/parameters"
    debug = "/sys/kernel/debug/zswap"

    def __init__(self, settings):
        self.settings = settings

    def start(self):
        run("modprobe", "-q", "lz4")
        write(f"{self.parameters}/compressor", ALGORITHM)
        write(f"{self.parameters}/max_pool_percent", self.settings["percent"])
        write(f"{self.parameters}/enabled", 1)
        run("mkswap", "-q", SLOW)
        run("swapon", "-p", "100", SLOW)

    @staticmethod
    def pool():
        return int(re.search(r"Zswap: *(\d+)", read("/proc/meminfo"))[1]) << 10

    def counters(self):
        found = {f"parameter {name}": read(f"{self.parameters}/{name}").strip() for name in os.listdir(self.parameters)}
        return found | {name: int(read(f"{self.debug}/{name}")) for name in os.listdir(self.debug)}

    @staticmethod
    def failed_writes():
        return 0


SIDES = {"cron": Cron, "zram": Zram, "zswap": Zswap, "ours": Ours}
