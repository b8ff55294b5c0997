# SPDX-License-Identifier: GPL-2.0-only
"""Setting a disk up, in a directory to work in: setup.py NBD [CASE...], with a network block device without a server."""

import os
import subprocess
import sys
import time

from zramtest.driver import Driver
from zramtest.files import meminfo, vmstat, write
from zramtest.ktap import check, end, skip
from zramtest.nbd import Server
from zramtest.pages import PAGE
from zramtest.tasks import Background, result_of_child

STATISTICS = ("initstate", "mm_stat", "io_stat", "bd_stat", "comp_algorithm", "recomp_algorithm", "disksize", "backing_dev")
disk = Driver()


def loop(size, *options):
    """Returns a loop device with a file of that size."""
    name = f"disk{len(os.listdir('.'))}"
    with open(name, "wb") as file:
        os.truncate(file.fileno(), size)
    run = subprocess.run(["losetup", "-f", "--show", *options, name], stdout=subprocess.PIPE, check=True)
    return run.stdout.decode().strip()


def said():
    """Returns the messages of the module since the last call."""
    text = subprocess.run(["dmesg", "-c"], stdout=subprocess.PIPE, check=True).stdout.decode()
    return [line.split(": ", 1)[1] for line in text.splitlines() if "zram: " in line]


def slow_open():
    """Statistics while a backing device takes its time to be opened; what comes second waits for what came first."""
    server = Server(sys.argv[1])
    server.hold = lambda kind, block: kind == Server.READ
    disk.fresh()
    opens = Background(disk.put, 0, "backing_dev", sys.argv[1].encode())
    server.waits(1)
    reads = {name: Background(disk.get, 0, name) for name in STATISTICS}
    time.sleep(1)
    check("slow backing_dev: no statistic waits", [name for name, read in reads.items() if not read.ends(2)], [])
    limit = Background(disk.put, 0, "mem_limit", b"1M")
    check("slow backing_dev: nor does mem_limit", limit.ends(2), True)
    size = Background(disk.put, 0, "disksize", b"16M")
    check("slow backing_dev: disksize does", (size.ends(0.5), opens.ends(0)), (False, False))
    server.release()
    check("slow backing_dev: both end well", (opens.ends(), opens.result, size.ends(), size.result), (True, "all", True, "all"))
    check("slow backing_dev: the disk has it", disk.get(0, "backing_dev"), sys.argv[1].encode() + b"\n")
    disk.fresh()
    server.end()


def odd():
    """Backing devices that can't be written to, or not by the page."""
    for options, wanted in (["-r"], "EROFS"), (["-b", str(4 * PAGE)], "EINVAL"), (["-b", "4096"], "all"):
        # A realtime kernel has none, and so no device with such blocks.
        if wanted == "EINVAL" and not os.path.exists("/sys/kernel/mm/transparent_hugepage"):
            skip(f"backing_dev, losetup {' '.join(options)}", "this kernel has no huge pages, which blocks larger than a page need")
            continue
        device = loop(1 << 20, *options)
        disk.fresh()
        check(f"backing_dev, losetup {' '.join(options)}", disk.put(0, "backing_dev", device.encode()), wanted)
        check(f"backing_dev, losetup {' '.join(options)}, is it there", disk.get(0, "backing_dev"),
              f"{device if wanted == 'all' else 'none'}\n".encode())
        disk.fresh()
    # A device that was writable before.
    device = loop(1 << 20)
    subprocess.run(["blockdev", "--setro", device], check=True)
    check("backing_dev, set read-only", disk.put(0, "backing_dev", device.encode()), "EROFS")
    # The loop device keeps this setting when it gets another file.
    subprocess.run(["blockdev", "--setrw", device], check=True)


def paths():
    """Bytes of any kind, and of any number."""
    device = loop(1 << 20)
    number = os.stat(device).st_rdev
    here = os.getcwdb()
    deep = here
    for _ in range(6):
        deep += b"/" + b"\xfe" * 200
        os.mkdir(deep)
    for name in here + b"/\xff\xe9v", here + "/dév".encode(), here + b"/a\nb", here + b"/ \\", deep + b"/\xff":
        os.mknod(name, 0o060600, number)
        disk.fresh()
        check(f"path of {len(name)} bytes, {name[-8:]!r}", (disk.put(0, "backing_dev", name), disk.get(0, "backing_dev")),
              ("all", name + b"\n"))
    disk.fresh()
    long = b"/" * (4095 - len(device)) + device.encode()
    check("a path of 4095 bytes", (disk.put(0, "backing_dev", long), disk.get(0, "backing_dev")), ("all", device.encode() + b"\n"))
    disk.fresh()
    # The path is cut first, and then a newline at its end is taken off.
    long = b"/" * (4094 - len(device)) + device.encode()
    check("4094 bytes, a newline, and more", (disk.put(0, "backing_dev", long + b"\nx"), disk.get(0, "backing_dev")),
          ("all", device.encode() + b"\n"))
    disk.fresh()
    check("two newlines", disk.put(0, "backing_dev", device.encode() + b"\n\n"), "ENOENT")
    disk.fresh()


def dictionaries():
    """Dictionaries that can't be read: the errno, what is left, and what the log says."""
    for name, content in (("empty", b""), ("good", os.urandom(4096))):
        with open(name, "wb") as file:
            file.write(content)
    here = os.getcwd()
    for path, error, number in ((f"{here}/nowhere", "ENOENT", 2), (here, "EINVAL", 22), (f"{here}/empty", "EINVAL", 22),
                                ("/dev/null", "EINVAL", 22)):
        disk.fresh()
        disk.put(0, "comp_algorithm", b"zstd")
        # A level that disksize would refuse.
        disk.put(0, "algorithm_params", b"level=23")
        said()
        check(f"dict={path[-8:]}", (disk.put(0, "algorithm_params", f"level=24 dict={path}".encode()), said()),
              (error, [f"failed to load dictionary {path} (err=-{number})"]))
        check(f"dict={path[-8:]}: the level is gone", disk.put(0, "disksize", b"1M"), "all")
    disk.fresh()
    disk.put(0, "disksize", b"1M")
    said()
    check("dict= of a live disk", (disk.put(0, "algorithm_params", b"dict=/nowhere"), said()), ("EBUSY", []))
    disk.fresh()
    said()
    check("dict= of a bad priority", (disk.put(0, "algorithm_params", b"priority=4 dict=/nowhere"), said()), ("EINVAL", []))


def slow_dictionary():
    """It takes as long as it takes until a fifo has a writer; a disksize and an algorithm wait."""
    os.mkfifo("fifo")
    for what, attribute, value in ("disksize", "disksize", b"1M"), ("comp_algorithm", "comp_algorithm", b"lz4"):
        disk.fresh()
        disk.put(0, "comp_algorithm", b"zstd")
        disk.put(0, "algorithm_params", b"level=23")
        params = Background(disk.put, 0, "algorithm_params", b"level=23 dict=" + os.getcwdb() + b"/fifo")
        time.sleep(0.5)
        reads = {name: Background(disk.get, 0, name) for name in STATISTICS}
        check(f"slow dict=: no statistic waits, {what}", [name for name, read in reads.items() if not read.ends(2)], [])
        second = Background(disk.put, 0, attribute, value)
        check(f"slow dict=: {what} does", (second.ends(0.5), params.ends(0)), (False, False))
        os.close(os.open("fifo", os.O_WRONLY))
        check(f"slow dict=: then {what} finds what it left", (params.ends(), params.result, second.ends(), second.result),
              (True, "EINVAL", True, "all"))
    disk.fresh()


def load_dictionary(path):
    """Loads a dictionary, in a process that is the first to be killed for memory."""
    write("/proc/self/oom_score_adj", 1000)
    return disk.put(0, "algorithm_params", f"dict={path}")


def large_dictionary():
    """It takes its size once; and nobody is killed for one that is too large."""
    kills = vmstat("oom_kill")
    for what, size, wanted in (("that takes most of memory", meminfo("MemAvailable") * 6 // 10 << 10, "all"),
                               ("for which there is none", meminfo("MemTotal") - (16 << 10) << 10, "ENOMEM"),
                               ("of 2 GiB", 1 << 31, "EOVERFLOW")):
        disk.fresh()
        disk.put(0, "comp_algorithm", b"zstd")
        with open("large", "wb") as file:
            os.truncate(file.fileno(), size)
        result = result_of_child(load_dictionary, os.getcwd() + "/large")
        check(f"a dictionary {what}", (result, vmstat("oom_kill") - kills), (wanted, 0))
        kills = vmstat("oom_kill")
    disk.fresh()
    os.unlink("large")


CASES = (odd, paths, dictionaries, slow_dictionary, large_dictionary, slow_open)
wanted = sys.argv[2:]
for case in CASES:
    if not wanted or case.__name__ in wanted:
        case()
end()
