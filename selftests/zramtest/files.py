# SPDX-License-Identifier: GPL-2.0-only
"""Small files of sysfs, procfs, debugfs and cgroups: read and written whole."""

import errno
import os
import re


def errno_or(function, *arguments):
    """Returns what the function returns, or the name of the errno that it raises."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def read(path):
    """Returns the text of a file."""
    with open(path, encoding="ascii") as file:
        return file.read()


def write(path, value):
    """Writes to a file that exists, with one system call and without truncating it, which some files take for a command.
    Python's own files would try again after a signal, or take EAGAIN for no error."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def vmstat(name):
    """Returns a counter of /proc/vmstat."""
    return int(re.search(rf"^{name} (\d+)$", read("/proc/vmstat"), re.MULTILINE)[1])


def meminfo(name):
    """Returns a line of /proc/meminfo, in KiB."""
    return int(re.search(rf"^{name}: *(\d+)", read("/proc/meminfo"), re.MULTILINE)[1])
