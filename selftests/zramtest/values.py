# SPDX-License-Identifier: GPL-2.0-only
"""Odd values for files that take text: numbers at the edges, words, and good values that were damaged."""

import re

NUMBERS = b"""0 1 2 7 32 100 4095 4096 65536 2147483647 2147483648 4294967295 4294967296 18446744073709551615
    18446744073709551616 -1 -0 +5 007 0x10""".split() + [b""]
WORDS = b"foo yes no on off Y N all none 1,2 [lz4] = a=b \" 1K 0K K".split() + [
    b"\n", b" ", b"1 2", b'a="b c"', b"lz4\n", b"\xff\xfe", "４２".encode(), "algo=ŀz4".encode()]


def size(data):
    """Returns what the kernel's memparse would."""
    match = re.match(rb"(0[xX][0-9a-fA-F]+|0[0-7]*|\d+)([KMGTPE]?)", data.upper().replace(b"0X", b"0x"))
    if not match:
        return 0
    # A decimal of more digits than that is beyond any limit, and Python's int() has one.
    digits = match[1][:99] if match[1][:1] != b"0" else match[1]
    base = 16 if digits.startswith(b"0x") else 8 if digits.startswith(b"0") else 10
    return min(int(digits, base) << 10 * (b"KMGTPE".find(match[2]) + 1 if match[2] else 0), (1 << 64) - 1)


def damaged(rng, data):
    """A value that is almost this one."""
    at = rng.randrange(len(data) + 1)
    return rng.choice([
        data + b"\n", data + b"\n\n", b" " + data, data + b" ", data + b"\0", data[:at] + b"\0" + data[at:], data[:at],
        data + data, data + b" " + data, data.upper(), data + b"foo", b"+" + data, b"-" + data, b"0x" + data,
        data.replace(b"=", b" = "), data.replace(b"=", b'="') + b'"', data + b" x=1",
        data[:at] + bytes([rng.randrange(256)]) + data[at + 1:], rng.randbytes(rng.randrange(1, 20)),
        data.ljust(rng.choice([127, 128, 4095, 4096, 5000, 70000]), b"x"), b" " * 4096,
    ])


class Dice:
    """Random parts of values, for classes that have a generator of random numbers in `rng`."""

    def chance(self, probability):
        """Returns whether something with this probability happens."""
        return self.rng.random() < probability

    def number(self, low, high):
        """Returns a number between these, or an odd one."""
        return b"%d" % self.rng.randint(low, high) if self.chance(0.85) else self.rng.choice(NUMBERS)

    def tokens(self, **keys):
        """Returns some of these keys, in any order, with their values."""
        chosen = [k for k in keys if self.chance(0.45)]
        self.rng.shuffle(chosen)
        return b" ".join(b"%s=%s" % (k.replace("_winbits", ".winbits").encode(), keys[k]) for k in chosen)
