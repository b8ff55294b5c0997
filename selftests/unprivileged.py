#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Things that a user without privileges can do with the files of the interface and with a disk: read what everybody may, and
change nothing, also as the root of a user namespace, and with a descriptor of the disk from somebody else. C zram lets
him do the same.

unprivileged.py NAME [PEER]     names of drivers, zram or rzram, with a disk 0 that holds data

The result is KTAP without numbers.
"""

import fcntl
import os
import stat
import struct
import sys

from zramtest.driver import Driver
from zramtest.files import errno_or, write
from zramtest.ioctls import IOCTLS
from zramtest.ktap import case, end, note, skip
from zramtest.libc import PR_SET_DUMPABLE, checked, libc
from zramtest.pages import PAGE
from zramtest.tasks import result_of_child

NOBODY = 65534
NAMESPACES = os.path.exists("/proc/self/ns/user")
# The files that C zram does not have.
OURS_ALONE = "bd_pack_stat", "recomp_stat", "policy", "policy_stat", "ages", "streams", "corrupt"

# The ioctls that only tell about a disk.
HARMLESS = """BLKROGET BLKGETSIZE BLKRAGET BLKFRAGET BLKSECTGET BLKSSZGET BLKBSZGET BLKGETSIZE64 BLKIOMIN BLKIOOPT
    BLKALIGNOFF BLKPBSZGET BLKDISCARDZEROES BLKROTATIONAL BLKGETDISKSEQ BLKGETZONESZ""".split()


def forget_privileges():
    """Becomes nobody."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def become_root_of_nothing():
    """Root, with all capabilities, of a user namespace."""
    forget_privileges()
    # After a change of identity the process's files in /proc belong to root, until this.
    libc.prctl(PR_SET_DUMPABLE, 1)
    os.unshare(os.CLONE_NEWUSER)
    for name, text in ("setgroups", "deny"), ("uid_map", f"0 {NOBODY} 1"), ("gid_map", f"0 {NOBODY} 1"):
        write(f"/proc/self/{name}", text)


def as_somebody(prepare, function, *arguments):
    """Returns what the function returns in a process that is somebody else."""

    def call():
        prepare()
        return function(*arguments)

    return result_of_child(call)


def outcome(function, *arguments):
    """Returns OK, or the name of the errno."""
    result = errno_or(function, *arguments)
    return result if isinstance(result, str) else "OK"


def reads(path):
    """Reads a file."""
    with open(path, "rb", buffering=0) as file:
        file.read(1 << 16)


def opens(path, flags):
    """Opens a file, and closes it."""
    os.close(os.open(path, flags))


def tries(path):
    """Returns what comes of everything that changes a file, or gives one to change."""
    name = path.encode()
    return {
        "write": outcome(opens, path, os.O_WRONLY), "read and write": outcome(opens, path, os.O_RDWR),
        "truncate": outcome(opens, path, os.O_RDONLY | os.O_TRUNC), "ioctls": outcome(opens, path, 3),
        "append": outcome(opens, path, os.O_WRONLY | os.O_APPEND), "mode": outcome(os.chmod, path, 0o666),
        "owner": outcome(os.chown, path, NOBODY, NOBODY), "unlink": outcome(os.unlink, path),
        "rename": outcome(os.rename, path, path + "x"), "times": outcome(os.utime, path, (1, 1)),
        "attribute": outcome(os.setxattr, path, "user.x", b"y"), "swapon": outcome(checked, libc.swapon, name, 0),
        "mount": outcome(checked, libc.mount, name, b"/mnt", b"ext4", 0, None),
        "node": outcome(os.mknod, "/tmp/a-node", stat.S_IFBLK | 0o666, os.stat("/").st_dev),
    }


def look(paths):
    """Returns for each path what comes of reading it, and of trying to change it."""
    return {path: [outcome(reads, path), tries(path)] for path in paths}


def fill(directories):
    """Returns what comes of making something in them."""
    return {path: [outcome(opens, f"{path}/x", os.O_CREAT | os.O_WRONLY), outcome(os.mkdir, f"{path}/y"),
                   outcome(os.rmdir, path)] for path in directories}


def control(fd):
    """Returns what comes of each ioctl on a descriptor, which is that of a disk."""
    page, one = struct.pack("=QQ", 0, PAGE), struct.pack("=i", 1).ljust(256, b"\0")
    argument = dict.fromkeys(["BLKDISCARD", "BLKZEROOUT", "BLKSECDISCARD"], page)
    came = {name: outcome(fcntl.ioctl, fd, number, argument.get(name, one)) for name, number in IOCTLS.items()}
    return came | {"write": outcome(os.pwrite, fd, b"x", 0), "read": outcome(os.pread, fd, PAGE, 0)}


class Interface(Driver):
    """All files of a driver, as root sees them, and others."""

    def __init__(self, name):
        super().__init__(name)
        self.debug = f"/sys/kernel/debug/{name}"
        self.files, self.directories = [self.node(0)], []
        for top in self.disk(0), self.control, self.debug:
            for root, directories, files in os.walk(top):
                directories[:] = [d for d in directories if not os.path.islink(f"{root}/{d}")]
                self.directories.append(root)
                self.files += [f"{root}/{f}" for f in files if not os.path.islink(f"{root}/{f}")]
        self.files.sort()
        self.readable = [path for path in self.files if os.stat(path).st_mode & stat.S_IROTH]

    def modes(self):
        """Returns the mode of each, and the owner."""
        found = {path: os.stat(path) for path in [*self.files, *self.directories]}
        return {path: f"{status.st_mode:o} {status.st_uid}" for path, status in found.items()}

    def contents(self):
        """Returns all that root can read of it, but for what counts reads."""
        passing = "stat", "inflight", "streams", "block_state", "hot_add"
        found = {path: errno_or(self.file_get, path) for path in self.files if os.path.basename(path) not in passing}
        return found | {"disks": self.numbers(), "data": self.buffered_read(0, 0, 64 * PAGE)}

    def same(self, answers):
        """Returns answers without what tells one driver from another."""
        return {self.neutral(path.encode()).decode(): answer for path, answer in answers.items()}


def differences(what, ours, theirs):
    """Yields where two drivers answer differently."""
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key) and os.path.basename(key) not in OURS_ALONE:
            yield f"{what}: {key}: C {theirs.get(key)}, ours {ours.get(key)}"


def watch(driver, trouble):
    """Returns what came of all that users without privileges try; adds what they should not be able to do to `trouble`."""
    answers = {"modes": driver.modes()}
    before = driver.contents()
    people = {"user": forget_privileges}
    if NAMESPACES:
        people["root of a namespace"] = become_root_of_nothing
    for who, prepare in people.items():
        seen = as_somebody(prepare, look, driver.files)
        made = as_somebody(prepare, fill, driver.directories)
        if seen is None or made is None:
            trouble.append(f"there is no {who}")
            continue
        for path, (read, changes) in seen.items():
            expected = errno_or(reads, path) or "OK" if path in driver.readable else "EACCES"
            if read != expected:
                trouble.append(f"{who} reads {path}: {read}, expected {expected}")
            trouble += [f"{who}: {how} of {path}" for how, came in changes.items() if came == "OK"]
        trouble += [f"{who} makes something in {path}: {came}" for path, came in made.items() if "OK" in came]
        answers[f"{who}, files"], answers[f"{who}, directories"] = seen, made
        for access, flags in ("reading", os.O_RDONLY), ("ioctls only", 3):
            fd = os.open(driver.node(0), flags)
            came = as_somebody(prepare, control, fd)
            os.close(fd)
            trouble += [f"{who} with a descriptor for {access}: {name}" for name, result in came.items()
                        if result == "OK" and name not in HARMLESS and (name, access) != ("read", "reading")]
            answers[f"{who}, descriptor for {access}"] = came
    after = driver.contents()
    # Pages become older by themselves.
    same = [path for path in before if os.path.basename(path) != "ages"]
    trouble += [f"{path} was {before[path]}, is {after[path]}" for path in same if before[path] != after[path]]
    return answers


def main(name, peer=None):
    """Watches the driver, and compares it with its peer."""
    driver, trouble = Interface(name), []
    answers = watch(driver, trouble)
    open_to_all = [path for path, mode in answers["modes"].items() if int(mode.split()[0], 8) & 0o022]
    case("only root may write to a file", *open_to_all)
    if not NAMESPACES:
        skip("root of a namespace", "this kernel has no user namespaces")
    private = [path for path in driver.files if path not in driver.readable]
    case("nobody else changes anything, or reads what only root may", *trouble[:10])
    note(f"{len(driver.readable)} files that anyone may read, {len(private)} that only root may, "
         f"{len(driver.directories)} directories, {len(IOCTLS)} ioctls")
    if peer:
        other = Interface(peer)
        theirs = watch(other, [])
        found = [line for what in answers for line in
                 differences(what, driver.same(answers[what]), other.same(theirs[what]))]
        case("C zram has the same modes, and answers the same", *found[:10])
    end()


main(*sys.argv[1:])
