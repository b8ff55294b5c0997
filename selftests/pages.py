#!/usr/bin/env python3
"""Pages whose content follows from a seed and their number: written, verified, or held in memory.

pages.py write  DEVICE FIRST COUNT KIND [SEED [STEP]]   direct I/O, STEP pages at a time
pages.py verify DEVICE FIRST COUNT KIND [SEED [STEP]]
pages.py hold   COUNT KIND ROUNDS [READY]               anonymous memory, filled and verified ROUNDS times; with READY
                                                        it then creates that file, waits for SIGTERM, verifies again
pages.py time   DEVICE FIRST COUNT KIND                 written one at a time: the microseconds that half of them took at
                                                        most, and the longest
pages.py swing  DEVICE PAGE KIND ROUNDS                 one page written over, while a process reads it: reads are whole

KIND is zero, same (a word repeated), text (compressible), random (incompressible), or mix (the last three).
write prints how many pages it wrote, and the name of the errno that stopped it, if one did (exit status 1).
"""

import errno
import functools
import mmap
import os
import random
import signal
import struct
import sys
import time

PAGE = 4096
POOL = 61


@functools.cache
def pool():
    rng = random.Random(7)
    words = [bytes(rng.choices(b"etaoinshrdlucmfwyp", k=rng.randint(4, 12))) for _ in range(100)]
    text = [b" ".join(rng.choices(words, k=PAGE // 3))[:PAGE] for _ in range(POOL)]
    return text, [rng.randbytes(PAGE) for _ in range(POOL)]


def contents(kind, seed):
    """The function from a page's number to its content."""
    text, noise = pool()

    def same(n):
        return struct.pack("=II", seed + 1, n) * (PAGE // 8)

    def stamped(pages):
        return lambda n: struct.pack("=II", seed, n) + pages[n % POOL][8:]

    kinds = {"zero": lambda n: bytes(PAGE), "same": same, "text": stamped(text), "random": stamped(noise)}
    kinds["mix"] = lambda n: (kinds["same"], kinds["text"], kinds["text"], kinds["random"])[n % 4](n)
    return kinds[kind]


def difference(number, got, want):
    at = next(i for i in range(PAGE) if got[i] != want[i])
    return f"page {number}, byte {at}: expected {want[at:at + 16].hex()}, got {got[at:at + 16].hex()}"


def chunks(device, flags, first, count, step):
    fd = os.open(device, flags | os.O_DIRECT)
    buffer = mmap.mmap(-1, step * PAGE)
    for start in range(first, first + count, step):
        pages = min(step, first + count - start)
        yield fd, memoryview(buffer)[: pages * PAGE], start, pages


def write(device, first, count, kind, seed=1, step=64):
    content = contents(kind, seed)
    written = 0
    for fd, buffer, start, pages in chunks(device, os.O_WRONLY, first, count, step):
        for i in range(pages):
            buffer[i * PAGE:(i + 1) * PAGE] = content(start + i)
        try:
            os.pwrite(fd, buffer, start * PAGE)
        except OSError as error:
            print(written, errno.errorcode[error.errno])
            return 1
        written += pages
    print(written)
    return 0


def clock(device, first, count, kind):
    content = contents(kind, 1)
    taken = []
    for fd, buffer, start, _ in chunks(device, os.O_WRONLY, first, count, 1):
        buffer[:] = content(start)
        begun = time.monotonic()
        os.pwrite(fd, buffer, start * PAGE)
        taken.append(round((time.monotonic() - begun) * 1e6))
    print(sorted(taken)[count // 2], max(taken))
    return 0


def verify(device, first, count, kind, seed=1, step=64):
    content = contents(kind, seed)
    for fd, buffer, start, pages in chunks(device, os.O_RDONLY, first, count, step):
        os.preadv(fd, [buffer], start * PAGE)
        for i in range(pages):
            got, want = buffer[i * PAGE:(i + 1) * PAGE], content(start + i)
            if got != want:
                print(difference(start + i, got, want))
                return 1
    return 0


def swing(device, number, kind, rounds):
    pages = [contents(kind, seed)(number) for seed in (1, 2)]
    write(device, number, 1, kind, 1, 1)
    child = os.fork()
    if not child:
        (fd, buffer, *_), = chunks(device, os.O_WRONLY, number, 1, 1)
        for turn in range(rounds):
            buffer[:] = pages[turn % 2]
            os.pwrite(fd, buffer, number * PAGE)
        os._exit(0)
    (fd, buffer, *_), = chunks(device, os.O_RDONLY, number, 1, 1)
    seen = [0, 0]
    while True:
        status = os.waitpid(child, os.WNOHANG)
        os.preadv(fd, [buffer], number * PAGE)
        if buffer not in pages:
            print(difference(number, buffer, pages[0]), difference(number, buffer, pages[1]), sep="\n")
            return 1
        seen[pages.index(buffer)] += 1
        if status[0]:
            print("seen", *seen)
            return 0 if all(seen) and not status[1] else 1


def hold(count, kind, rounds, ready=None):
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


def main(command, *arguments):
    arguments = [int(a) if a.isdigit() else a for a in arguments]
    return {"write": write, "verify": verify, "time": clock, "swing": swing, "hold": hold}[command](*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
