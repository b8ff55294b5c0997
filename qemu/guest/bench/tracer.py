# SPDX-License-Identifier: GPL-2.0-only
"""Sections of the kernel in which preemption is off, from the events where it is turned off and on.

The kernel has those events with CONFIG_PREEMPT_TRACER. Their clock is the number of instructions, as this is for one CPU under
icount. The section's stack is that of its end: taken at its begin, it would be a part of what is measured.
"""

import bisect
import functools
import os
import re
import struct

from disks import MODULES, read, write

TRACING = "/sys/kernel/tracing"
OFF, ON = "preemptirq/preempt_disable", "preemptirq/preempt_enable"
# What happens in an interrupt is no part of the section that it interrupts.
INTERRUPTS = ("irq_vectors", "irq/irq_handler_entry")
# With large parts of the buffer few sections have a change from one to the next in them, which takes time.
PART_KIB = 256


class Symbols:
    """The functions of the kernel and its modules by address."""

    def __init__(self):
        found = []
        for line in read("/proc/kallsyms").splitlines():
            address, kind, name, *module = line.split()
            if kind in "tTwW":
                found.append((int(address, 16), name, module[0][1:-1] if module else ""))
        found.sort()
        self.addresses, self.found = [one[0] for one in found], found
        self.at = functools.cache(self.look_up)

    def look_up(self, address):
        """Returns the name of the function at an address, and its module."""
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.found[at][1:] if at >= 0 else ("", "")

    def of(self, name):
        return next(address for address, found, _ in self.found if found == name)


class Section:
    """A section from its begin to its end: how many instructions, opened where, and who called that."""

    def __init__(self, symbols, taken, openers, stack):
        self.taken = taken
        self.openers = [symbols.at(address) for address in openers]
        self.stack = [symbols.at(address) for address in stack]

    def opened_by(self, module):
        return any(found == module for _, found in self.openers)

    def called_from(self, module):
        """Returns whether a function of the module called what opened it; an interrupt that came in such a function did not."""
        for name, found in self.stack:
            if found == module:
                return True
            if name.startswith("asm_"):
                return False
        return False

    def where(self):
        """The function that opened it, and those by which it was called."""
        names = [self.openers[0][0]]
        for name, module in self.stack:
            if name not in names and not name.startswith(("trace_", "__do_trace_", "preempt_count", "ftrace_")):
                names.append(name)
            if module in MODULES:
                break
        return " < ".join(names)


class Trace:
    """The kernel's trace, switched on for the length of a call."""

    def __init__(self):
        self.symbols = Symbols()
        self.text = self.symbols.of("_stext")
        self.set("tracing_on", "0")
        self.set("trace_clock", "x86-tsc")
        self.set("buffer_subbuf_size_kb", str(PART_KIB))
        self.set("buffer_size_kb", str(256 << 10))
        self.set(f"events/{ON}/trigger", "stacktrace")
        for event in (OFF, ON, *INTERRUPTS):
            self.set(f"events/{event}/enable", "1")
        off, on, stack = (self.number(event) for event in (OFF, ON, "ftrace/kernel_stack"))
        self.kinds = {off: "off", on: "on", stack: "stack"}
        self.openers = [self.offset(OFF, name) for name in ("caller_offs", "parent_offs")]
        self.stack = [self.offset("ftrace/kernel_stack", name) for name in ("size", "caller")]
        self.left_out = 0

    def set(self, name, value):
        write(f"{TRACING}/{name}", value)

    @staticmethod
    def format(event):
        return read(f"{TRACING}/events/{event}/format")

    def number(self, event):
        return int(re.search(r"ID: (\d+)", self.format(event))[1])

    def offset(self, event, name):
        return int(re.search(rf"\b{name}(?:\[\w*\])?;\s*offset:(\d+);", self.format(event))[1])

    def of(self, work):
        """Does some work, and returns its sections. How many were left out is in `left_out` then."""
        self.left_out = 0
        self.set("trace", "")
        self.set("tracing_on", "1")
        work()
        self.set("tracing_on", "0")
        parts = []
        file = os.open(f"{TRACING}/per_cpu/cpu0/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while part := os.read(file, PART_KIB << 10):
                parts.append(part)
        except BlockingIOError:
            pass
        os.close(file)
        if int(re.search(r"overrun: (\d+)", read(f"{TRACING}/per_cpu/cpu0/stats"))[1]):
            raise ValueError("the trace has no room for all of the events")
        return list(self.sections(parts))

    def sections(self, parts):
        """Makes sections of events. Left out are those with an interrupt in them, those that end in another task, and those in
        which the buffer went on to its next part."""
        begin = ended = None
        for part in parts:
            for first, time, event in events(part):
                kind, _, _, task = struct.unpack_from("<HBBi", event)
                kind = self.kinds.get(kind)
                if kind == "off":
                    begin, ended = None if first else (time, task, event), None
                    self.left_out += first
                elif kind == "stack" and ended:
                    taken, off = ended
                    size, at = struct.unpack_from("<i", event, self.stack[0])[0], self.stack[1]
                    openers = [self.text + struct.unpack_from("<i", off, offset)[0] for offset in self.openers]
                    section = Section(self.symbols, taken, openers, struct.unpack_from(f"<{size}Q", event, at))
                    if "schedule" in section.openers[0][0]:
                        self.left_out += 1
                    else:
                        yield section
                    ended = None
                elif begin:
                    started, owner, off = begin
                    if kind == "on" and task == owner and not first:
                        ended = time - started, off
                    else:
                        self.left_out += 1
                    begin = None


def events(part):
    """The events in a part of the ring buffer, as events/header_page and events/header_event have it: whether it is the first,
    time, and content."""
    time, commit = struct.unpack_from("<QQ", part)
    if commit >> 31 & 1:
        raise ValueError("the trace has lost events")
    at, end, first = 16, 16 + (commit & (1 << 30) - 1), True
    while at < end:
        head, = struct.unpack_from("<I", part, at)
        kind, delta = head & 31, head >> 5
        length, = struct.unpack_from("<I", part, at + 4)
        if kind == 31:
            time = time >> 59 << 59 | length << 27 | delta
            at += 8
            continue
        time += delta
        if kind == 30:
            time += length << 27
            at += 8
        elif kind == 29:
            if not delta:
                return
            at += 4 + length
        else:
            begin = at + (4 if kind else 8)
            at += 4 + (4 * kind or length)
            yield first, time, part[begin:at]
            first = False
