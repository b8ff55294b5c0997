# SPDX-License-Identifier: GPL-2.0-only
"""Calls in threads and in processes of their own."""

import ctypes
import errno
import json
import os
import signal
import threading
import traceback

from zramtest.libc import libc

# What has not happened after so many seconds is not going to happen.
PATIENCE = 20 * int(os.environ.get("SLOWER", "1"))


class Background:
    """A call in a thread; `result` is what it returned."""

    def __init__(self, function, *arguments):
        self.result = None
        self.thread = threading.Thread(target=lambda: setattr(self, "result", function(*arguments)), daemon=True)
        self.thread.start()

    def ends(self, seconds=PATIENCE):
        """Returns whether the call ends within this time."""
        self.thread.join(seconds)
        return not self.thread.is_alive()


class BackgroundWrite(Background):
    """One write to a file, in a thread that can be sent a signal. The result is that of Driver.put."""

    def __init__(self, path, data):
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.siginterrupt(signal.SIGUSR1, True)
        super().__init__(self.write, path, data)

    @staticmethod
    def write(path, data):
        """Writes once, and not again after a signal."""
        fd = os.open(path, os.O_WRONLY)
        done = libc.write(fd, data, len(data))
        number = ctypes.get_errno()
        os.close(fd)
        return "all" if done == len(data) else errno.errorcode.get(number, done)

    def interrupt(self):
        """Sends the thread a signal that has a handler, unless it has ended."""
        if self.thread.is_alive():
            signal.pthread_kill(self.thread.ident, signal.SIGUSR1)


def fork(function, *arguments):
    """Calls a function in a child. Returns its process ID; its exit status is 1 if the function raised something."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            function(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def kill(*pids):
    """Kills children, and waits for them. Raises an error if one had failed before."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    if any([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) > 0 for pid in pids]):
        raise ChildProcessError("a child had failed before it was killed")


def result_of_child(function, *arguments):
    """Returns what a function returns in a child, as JSON has it, or None if the child does not get to its end."""
    there, here = os.pipe()
    pid = fork(lambda: os.write(here, json.dumps([function(*arguments)]).encode()))
    os.close(here)
    with open(there, "rb") as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return json.loads(answer)[0] if answer else None
