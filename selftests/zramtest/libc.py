# SPDX-License-Identifier: GPL-2.0-only
"""System calls that Python has no function for, or repeats after a signal."""

import ctypes
import errno
import os
import signal

libc = ctypes.CDLL(None, use_errno=True)
for function, result, *types in [
    (libc.pread, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    (libc.pwrite, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64),
    (libc.ioctl, ctypes.c_int, ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p),
    (libc.mmap, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64),
    (libc.fallocate, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
]:
    function.restype, function.argtypes = result, types

MADV_PAGEOUT = 21
MCL_CURRENT, MCL_FUTURE = 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
SYS_FINIT_MODULE = 313


def outcome(function, *arguments):
    """Calls a function of libc once. Returns its result, or the name of the errno."""
    value = function(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "E?") if value < 0 else value


def checked(function, *arguments):
    """Calls a function of libc once. Raises OSError if it fails."""
    if function(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def stay_in_memory():
    """Keeps all memory of the process from being swapped out, and the process from being killed for memory."""
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("-1000")
    checked(libc.mlockall, MCL_CURRENT | MCL_FUTURE)


def die_with_parent():
    """Has the kernel kill this process when its parent ends."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
