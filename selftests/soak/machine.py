# SPDX-License-Identifier: GPL-2.0-only
"""Loads on the machine: CPUs go, memory runs out, and it goes to sleep."""

import glob
import mmap
import os
import re
import signal
import time
from contextlib import nullcontext

from soak.load import PATIENCE, Load, Wrong
from zramtest.files import errno_or, meminfo, read, vmstat, write
from zramtest.libc import die_with_parent
from zramtest.pages import run_of

CPUS = "/sys/devices/system/cpu"
POWER = "/sys/power"


class Cpus(Load):
    """A load that takes CPUs up or down."""

    cpus = sorted(int(re.sub(r"\D", "", path)) for path in glob.glob(f"{CPUS}/cpu[1-9]*/online"))

    @staticmethod
    def is_up(cpu):
        """Returns whether a CPU is up."""
        return read(f"{CPUS}/cpu{cpu}/online") == "1\n"

    def set(self, cpu, up, wanted=None):
        """Takes a CPU up or down. Returns whether that was the outcome. A suspend has all CPUs stay as they are for a moment."""
        while (outcome := errno_or(write, f"{CPUS}/cpu{cpu}/online", str(up))) == "EBUSY":
            time.sleep(0.1)
        if outcome == "EIO":
            raise Wrong(f"CPU {cpu} does not answer: that is the machine's fault, see its log")
        return self.must(f"CPU {cpu} <- {up}", outcome, wanted=wanted)

    def set_all(self):
        """Brings all CPUs up."""
        for cpu in self.rng.sample(self.cpus, len(self.cpus)):
            while not self.is_up(cpu):
                self.set(cpu, 1)


class Hotplug(Cpus):
    """Random CPUs go down and come up, with a failure at our state or behind it at times; and CPU 0 is left alone."""

    counts = ("down", "refused", "alone")

    def begin(self):
        states = [line.split(": ") for line in read(f"{CPUS}/hotplug/states").splitlines()]
        numbers = [int(number) for number, _ in states]
        ours = next(int(number) for number, name in states if name == "block/zram:prepare")
        self.states = (ours, min(number for number in numbers if number > ours))

    def turn(self):
        """Takes CPUs up and down until one has come up."""
        if self.turns.value % 50 == 49:
            self.alone()
        came_up = False
        while not came_up:
            with self.plugged:
                came_up = self.flip(self.rng.choice(self.cpus))
            # Long enough for a load that waits for `plugged` to get it.
            time.sleep(0.01)

    def flip(self, cpu):
        """Takes a CPU that is up down, and the other way round. Returns whether it came up."""
        if self.is_up(cpu):
            self.down(cpu)
            return False
        if self.rng.random() < 0.8:
            return self.set(cpu, 1)
        write(f"{CPUS}/cpu{cpu}/hotplug/fail", str(self.rng.choice(self.states)))
        if self.set(cpu, 1, wanted="EAGAIN"):
            self.count("refused")
        write(f"{CPUS}/cpu{cpu}/hotplug/fail", "-1")
        return False

    def down(self, cpu):
        """Takes a CPU down."""
        if self.set(cpu, 0):
            self.count("down")

    def alone(self):
        """Takes all CPUs down but CPU 0, on which one of the other loads has to end a turn."""
        with self.plugged:
            for cpu in filter(self.is_up, self.rng.sample(self.cpus, len(self.cpus))):
                self.down(cpu)
        done = [other.turns.value for other in self.others]
        end = time.monotonic() + PATIENCE
        while not self.stop.value and done == [other.turns.value for other in self.others]:
            if time.monotonic() > end:
                raise Wrong("no load got on on CPU 0 alone")
            time.sleep(0.1)
        # A suspend may have brought the CPUs up meanwhile.
        if not any(map(self.is_up, self.cpus)):
            self.count("alone")
        self.end()

    def end(self):
        with self.plugged:
            self.set_all()


class Starve(Load):
    """A process takes all memory, until the kernel kills it; then there is memory again."""

    def begin(self):
        noise = self.rng.randbytes(1 << 20)
        self.chunks = (noise, noise, run_of("text", 1, 0, 256))

    def turn(self):
        with self.calm:
            self.starve()
        # Long enough for a load that waits for `calm` to get it.
        self.pause(self.rng.choice((1, 3, 10)))

    def starve(self):
        """Has a process take all memory until it is killed, and waits for the memory to come back."""
        had, kills = meminfo("MemAvailable"), vmstat("oom_kill")
        end = time.monotonic() + PATIENCE
        self.scarcity.value += 1
        hog = os.fork()
        if hog == 0:
            self.grow()
        while (ended := os.waitpid(hog, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                raise Wrong(f"who took all memory is still there after {vmstat('oom_kill') - kills} OOM kills")
            time.sleep(0.1)
        self.scarcity.value += 1
        status = os.waitstatus_to_exitcode(ended[1])
        if status != -signal.SIGKILL or vmstat("oom_kill") == kills:
            raise Wrong(f"who took all memory ended with {status}, not by an OOM kill")
        while (have := meminfo("MemAvailable")) < had / 2:
            if time.monotonic() > end:
                raise Wrong(f"of {had} KiB of memory {have} came back")
            time.sleep(0.1)

    def grow(self):
        """Takes all memory."""
        die_with_parent()
        write("/proc/self/oom_score_adj", "1000")
        taken = []
        while True:
            taken.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            taken[-1][:] = self.rng.choice(self.chunks)


def uptime():
    """Returns the seconds since boot, with those that the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def asleep():
    """Returns how many seconds the machine slept, in all."""
    return round(uptime() - time.clock_gettime(time.CLOCK_MONOTONIC))


class Suspend(Cpus):
    """The machine goes to sleep, up to some stage from which it comes back at once, or until its clock wakes it."""

    counts = ("sleeps", "early alarms")
    # SeaBIOS forgets the address of q35's ACPI registers over a sleep. Without it the machine neither sleeps again nor
    # powers off. It also leaves CPUs that were down before a sleep in a loop of its own, in which one of them waits for a lock
    # until the kernel starts it: without KVM that makes all others many times as slow. If all but CPU 0 were down, the
    # machine does not wake up.
    bridge, registers, length = "/sys/bus/pci/devices/0000:00:1f.0/config", 0x40, 8

    @staticmethod
    def lacks():
        if "hypervisor" not in read("/proc/cpuinfo").split():
            return "a VM: no other machine is sent to sleep"
        stages = read(f"{POWER}/pm_test") if os.path.exists(f"{POWER}/pm_test") else ""
        return None if "core" in stages and "deep" in read(f"{POWER}/mem_sleep") else "a kernel with pm_test, and S3"

    def begin(self):
        write("/sys/module/suspend/parameters/pm_test_delay", "0")
        write(f"{POWER}/pm_freeze_timeout", str(PATIENCE * 1000))
        self.lasts = 0  # seconds that it takes to go down and come back

    def turn(self):
        self.pause(self.rng.uniform(2, 15))
        stage = self.rng.choice(("freezer", "devices", "platform", "processors", "core", "none"))
        # Other drivers fail to resume if there is no memory.
        with self.plugged if stage == "none" else nullcontext(), self.calm:
            if stage == "none":
                self.sleep()
            else:
                write(f"{POWER}/pm_test", stage)
                self.suspend()
                write(f"{POWER}/pm_test", "none")

    def suspend(self, *allowed):
        """Suspends. Returns whether it went as far down as it should."""
        start = time.monotonic()
        done = self.must("suspend", errno_or(write, f"{POWER}/state", "mem"), *allowed, wanted=None)
        self.lasts = max(self.lasts / 2, time.monotonic() - start)
        return done

    def sleep(self):
        """Suspends to RAM, with all CPUs up, until an alarm of the clock wakes the machine."""
        self.set_all()
        with open(self.bridge, "r+b", buffering=0) as bridge:
            before = os.pread(bridge.fileno(), self.length, self.registers)
            slept = asleep()
            # An alarm that rings on the way down would not wake the machine later. By wakeup_count the kernel learns of an
            # alarm that rang before it masks interrupts, and stays up; the rest of the way down has to take less time than
            # the alarm leaves.
            count = read(f"{POWER}/wakeup_count")
            write("/sys/class/rtc/rtc0/wakealarm", "0")
            write("/sys/class/rtc/rtc0/wakealarm", f"+{10 + int(2 * self.lasts)}")
            write(f"{POWER}/wakeup_count", count)
            if not self.suspend("EBUSY"):
                self.count("early alarms")
                return
            if os.pread(bridge.fileno(), self.length, self.registers) != before:
                os.pwrite(bridge.fileno(), before, self.registers)
        if asleep() == slept:
            raise Wrong("the machine did not sleep")
        self.count("sleeps")
