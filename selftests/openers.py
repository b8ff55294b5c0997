"""Resets and removals beside openers; prints `ok CASE` or `not ok CASE`, with comments below it."""

import errno
import os
import signal
import subprocess
import sys
import time

SLOWER = int(sys.argv[1])
DISK, NODE = "/sys/block/zram0", "/dev/zram0"
CLASS = "/sys/class/zram-control"


def put(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
        return "OK"
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.close(fd)


def timed(function, *arguments):
    start = time.monotonic()
    result = function(*arguments)
    return result, time.monotonic() - start


def fork(function):
    pid = os.fork()
    if not pid:
        try:
            function()
        finally:
            os._exit(0)
    return pid


def end(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def check(name, good, *comments):
    print("ok" if good else "not ok", name)
    for comment in comments:
        print("#", comment)
    sys.stdout.flush()


def opened(seconds, flags=os.O_RDONLY, pause=0.0):
    """A child that has the disk open for so long, and then once more, if there is a pause; it has it now."""
    read, write = os.pipe()

    def child():
        while True:
            try:
                fd = os.open(NODE, flags)
            except OSError:
                continue
            os.write(write, b"x")
            time.sleep(seconds)
            os.close(fd)
            if not pause:
                return
            time.sleep(pause)

    pid = fork(child)
    os.read(read, 1)
    os.close(read)
    os.close(write)
    return pid


def looks():
    """Opens, reads and closes, again and again."""
    while True:
        try:
            fd = os.open(NODE, os.O_RDONLY)
            os.read(fd, 4096)
            time.sleep(0.002)
            os.close(fd)
        except OSError:
            time.sleep(0.002)


def sized():
    put(f"{DISK}/reset", "1")
    put(f"{DISK}/disksize", "16M")


def removed():
    return put(f"{CLASS}/hot_remove", "0")


def added():
    with open(f"{CLASS}/hot_add", "rb", buffering=0) as file:
        return file.read(16)


def reset():
    return put(f"{DISK}/reset", "1")


def at_once(what, hold, release):
    sized()
    held = hold()
    for name, function in ("reset", reset), ("hot_remove", removed):
        result, took = timed(function)
        check(f"{what}: {name} is EBUSY at once", result == "EBUSY" and took < 0.15 * SLOWER, f"{result}, {took:.3f} s")
    release(held)


def mount():
    subprocess.run(["mkfs.ext4", "-q", "-F", NODE], check=True)
    subprocess.run(["mount", NODE, "/mnt"], check=True)


def swap():
    subprocess.run(["mkswap", "-q", "-f", NODE], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["swapon", NODE], check=True)


def main():
    at_once("mounted", mount, lambda _: subprocess.run(["umount", "/mnt"], check=True))
    at_once("swapped on", swap, lambda _: subprocess.run(["swapoff", NODE], check=True))
    at_once("held exclusively", lambda: os.open(NODE, os.O_RDONLY | os.O_EXCL), os.close)

    for name, function in ("reset", reset), ("hot_remove", removed):
        sized()
        pid = opened(5)
        result, took = timed(function)
        check(f"open for long: {name} is EBUSY after a moment", result == "EBUSY" and 0.15 < took < 1.5 * SLOWER,
              f"{result}, {took:.3f} s")
        fd = os.open(NODE, os.O_RDONLY)
        check(f"and after {name} others may open it", fd >= 0)
        os.close(fd)
        end(pid)

    for name, function in ("reset", reset), ("hot_remove", removed):
        sized()
        pid = opened(0.08)
        result, took = timed(function)
        check(f"open for a moment: {name} waits", result == "OK" and took < 2 * SLOWER, f"{result}, {took:.3f} s")
        os.waitpid(pid, 0)
    added()

    # Killed in the middle of its wait.
    sized()
    pid = opened(5)
    spans = []
    for _ in range(5):
        writer = fork(reset)
        time.sleep(0.03)
        start = time.monotonic()
        end(writer)
        spans.append(time.monotonic() - start)
    end(pid)
    # One that had ended by itself would have taken the rest of the 200 ms.
    check("SIGKILL ends the wait", sorted(spans)[0] < 0.1 * SLOWER, spans)

    # Two at a time: the second waits for the first.
    outcomes = {}
    for _ in range(100):
        sized()
        read, write = os.pipe()
        pids = [fork(lambda: os.write(write, (reset() + "\n").encode())) for _ in range(4)]
        for pid in pids:
            os.waitpid(pid, 0)
        for outcome in os.read(read, 4096).decode().split():
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        os.close(read)
        os.close(write)
    check("four resets at once", outcomes == {"OK": 400}, outcomes)

    # Always open, by one or the other.
    pids = [fork(looks) for _ in range(6)]
    outcomes, longest, lost = {}, 0, []
    for turn in range(60):
        for name, function in (("reset", reset), ("disksize", lambda: put(f"{DISK}/disksize", "8M")), ("reset", reset),
                               ("hot_remove", removed), ("hot_add", lambda: added() and "OK")):
            result, took = timed(function)
            longest = max(took, longest)
            if result != "OK":
                lost.append(took)
            outcomes[name, result] = outcomes.get((name, result), 0) + 1
    end(*pids)
    # Where CPUs are emulated, an opener may be put aside with the disk open; for so long it is waited for.
    check("a loop of openers keeps nobody out", len(lost) <= 30 and all(took > 0.2 for took in lost), outcomes,
          f"longest {longest:.3f} s", f"in vain {lost}")

    # Each opener overlaps the next: never closed, but for those who wait.
    sized()
    pids = [opened(0.05, pause=0.001) for _ in range(4)]
    outcomes = {}
    for turn in range(20):
        result = reset()
        outcomes[result] = outcomes.get(result, 0) + 1
    end(*pids)
    check("nor do openers one of whom is always there", outcomes.get("OK", 0) >= 15, outcomes)
    print("# end")


main()
