# SPDX-License-Identifier: GPL-2.0-only
"""Which functions the counted instructions belong to."""

import array
import base64
import bisect
import collections
import glob
import json
import os
import re
import subprocess
import zlib

PARTS = ("driver", "codec", "zsmalloc", "copy", "rest")
# Functions of the kernel that one of the drivers calls where the other has code of its own, or calls another one: to lock, to
# know the time, to find a page's address. They count as the driver's, whoever calls them.
CALLS = re.compile(
    r"wake_up_bit|__wake_up_bit|bit_waitqueue|ktime_get_coarse\w*|mutex_(try)?(un)?lock|__srcu_read_\w+|rust_helper_\w+|page_to_nid")


def defined_in(*patterns):
    """Names of the functions that C files define."""
    kernel = os.environ["ksrc"]
    names = set()
    for pattern in patterns:
        for path in glob.glob(f"{kernel}/{pattern}"):
            with open(path, errors="replace") as file:
                names |= set(re.findall(r"^[A-Za-z_][^;={}()#]*?\b(\w+)\(", file.read(), re.M))
    return names


class Code:
    """Which function an address belongs to, and which part of the work that is."""

    # Each driver's file, and the folder that it was built in.
    MODULES = {"zram": ("zram_full.ko", "peer"), "rust_zram": ("rust_zram.ko", "module"), "czram": ("czram.ko", "twin")}

    def __init__(self, folder, record):
        self.folder = folder
        lines = zlib.decompress(base64.b64decode(record["symbols"])).decode().splitlines()
        table = sorted((int(address, 16), rest) for address, _, rest in (line.split(None, 2) for line in lines))
        self.addresses = [address for address, _ in table]
        self.names = [rest.partition("\t") for _, rest in table]
        self.base = {name: record[name] for name in self.MODULES}
        self.parts = {
            **dict.fromkeys(defined_in("mm/zsmalloc.c"), "zsmalloc"),
            **dict.fromkeys(defined_in("lib/lz4/*.[ch]", "lib/lzo/*.[ch]", "lib/zstd/*/*.[ch]"), "codec"),
        }
        self.known = {}

    def learn(self, addresses):
        """Looks up all addresses at once: those in the drivers with debug information, as most functions are inlined."""
        inside = collections.defaultdict(list)
        for address in addresses:
            name, _, module = self.names[bisect.bisect_right(self.addresses, address) - 1]
            self.known[address] = (name, self.part(name))
            if module.strip("[]") in self.MODULES:
                inside[module.strip("[]")].append((address, name))
        for module, found in inside.items():
            file, folder = self.MODULES[module]
            names = filtered(["llvm-cxxfilt"], (name for _, name in found))
            frames = filtered(
                ["llvm-symbolizer", f"--obj={self.folder}/{file}", "--output-style=JSON"],
                (hex(address - self.base[module]) for address, _ in found))
            for (address, _), name, line in zip(found, names, frames):
                # The outermost function has its name from the symbols. It may be inlined into a function of the kernel's
                # headers, or the reverse: what counts is the innermost that is the driver's own.
                stack, source = json.loads(line)["Symbol"], ""
                for depth, frame in enumerate(stack):
                    if f"/{folder}/" in frame["FileName"]:
                        source = frame["FileName"].partition(f"/{folder}/")[2]
                        name = frame["FunctionName"] if depth < len(stack) - 1 else name
                        break
                name = name.replace("rust_zram::zram::", "").replace("rust_zram::", "")
                codec = re.search("lz77|lz4_page|lzo_page|lzmem|842", source + name)
                self.known[address] = (f"{name} {source}", "codec" if codec else "driver")

    def part(self, name):
        name = name.partition(".")[0]
        if re.fullmatch(r"(__)?(mem(cpy|set|move|cmp)\w*|(copy|clear)_page\w*|clear_pages?_\w+|copy_mc\w*)", name):
            return "copy"
        # Many of the libraries' functions are made by macros.
        if re.match(r"(lzo|LZ4|ZSTD|HUF|FSE|HIST|xxh|zlib|deflate|inflate)", name):
            return "codec"
        if CALLS.fullmatch(name):
            return "driver"
        return self.parts.get(name, "rest")


def filtered(command, lines):
    """What a program makes of these lines, one by one."""
    text = "\n".join(lines)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def windows(path):
    """For each window, addresses and how often the instructions there were executed."""
    words = array.array("Q")
    with open(path, "rb") as file:
        words.frombytes(file.read())
    at = 0
    while at < len(words):
        pairs = words[at + 1:at + 1 + 2 * words[at]]
        yield dict(zip(pairs[::2], pairs[1::2]))
        at += 1 + 2 * words[at]


def attribute(folder, records):
    """Adds to each record what its window counted: by the page, by part of the work, and by function."""
    counted = list(windows(f"{folder}/counts"))
    code = Code(folder, next(record for record in records if "symbols" in record))
    code.learn(set().union(*counted))
    for record in records:
        if "window" in record:
            pages = record["pages"]
            window = counted[record["window"]]
            record["value"] = sum(window.values()) / pages
            functions, parts = collections.Counter(), dict.fromkeys(PARTS, 0)
            for address, count in window.items():
                name, part = code.known[address]
                functions[f"{part:9}{name}"] += count / pages
                parts[part] += count / pages
            record["parts"], record["functions"] = parts, functions
