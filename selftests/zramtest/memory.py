# SPDX-License-Identifier: GPL-2.0-only
"""Anonymous memory with known content, which may be swapped out and has to come back."""

import mmap
import signal

from zramtest.libc import MADV_PAGEOUT
from zramtest.pages import PAGE, contents, difference


def anonymous(data):
    """Returns private memory with this content."""
    memory = mmap.mmap(-1, len(data), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(data)
    return memory


def page_out(memory):
    """Has the kernel swap the memory out."""
    memory.madvise(MADV_PAGEOUT)


def hold(count, kind, rounds, ready=None):
    """Fills anonymous memory with pages and verifies them, `rounds` times. With `ready`, fills it once more, creates a file of
    that name, waits for SIGTERM, and verifies. Returns an exit status, after it said what is wrong."""
    memory = memoryview(mmap.mmap(-1, count * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    for turn in range(rounds + bool(ready)):
        content = contents(kind, turn)
        for i in range(count):
            memory[i * PAGE:(i + 1) * PAGE] = content(i)
        if turn == rounds:
            open(ready, "w").close()
            signal.sigwait([signal.SIGTERM])
        for i in range(count):
            got, want = memory[i * PAGE:(i + 1) * PAGE], content(i)
            if got != want:
                print(difference(i, got, want))
                return 1
    return 0
