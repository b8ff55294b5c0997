# SPDX-License-Identifier: GPL-2.0-only
"""The parameters of algorithms."""

import os
import re

from writeback.disk import test
from zramtest.pages import PAGE, contents


def dictionary(size):
    """The path of a dictionary with so many bytes of text."""
    path = f"dictionary.{size}"
    with open(path, "wb") as file:
        file.write(b"".join(contents("text", 3)(n) for n in range(60))[:size])
    return os.path.abspath(path)


DEFAULTS = {}


# The last column says whether less is stored than with the defaults (<), as much (=), more (>), or whether either is right (?).
@test(
    ("lz4", "level=1", "="), ("lz4", "level=10", ">"), ("lz4", "level=1000", ">"), ("lz4", "dict=32768", "<"),
    ("lz4", "dict=65536", "<"), ("lz4", "dict=8", "?"), ("lz4", "level=5 dict=32768", "<"), ("lz4hc", "level=1", ">"),
    ("lz4hc", "level=9", "="), ("lz4hc", "level=12", "<="), ("lz4hc", "level=16", "<="), ("lz4hc", "dict=32768", "<"),
    ("lz4hc", "level=3 dict=65536", "<"), ("zstd", "level=3", "="), ("zstd", "level=1", "?"), ("zstd", "level=-5", ">"),
    ("zstd", "level=-131072", ">"), ("zstd", "level=22", "<="), ("zstd", "dict=32768", "<"), ("zstd", "level=19 dict=100000", "<"),
    ("zstd", "dict=1", "?"), ("deflate", "level=-1", "="), ("deflate", "level=0", ">"), ("deflate", "level=1", ">"),
    ("deflate", "level=9", "?"), ("deflate", "level=6 deflate.winbits=-15", "?"), ("deflate", "deflate.winbits=-9", ">"),
    ("deflate", "deflate.winbits=9", ">"), ("deflate", "deflate.winbits=15", "?"), ("deflate", "deflate.winbits=12", "?"),
    ("zstd", "level=-2147483648", "="), ("lzo", "level=-2147483648", "="), ("lzo-rle", "", "="), ("842", "", "="),
    ("lzmem", "level=1", "="), ("lzmem", "level=2", "<"), ("lzmem", "level=3", "<"),
    ("lz4", "level=0", "EINVAL"), ("lz4", "level=-1", "EINVAL"), ("lz4", "dict=7", "EINVAL"), ("lz4", "dict=65537", "EINVAL"),
    ("lz4hc", "level=0", "EINVAL"), ("lz4hc", "level=17", "EINVAL"), ("zstd", "level=23", "EINVAL"),
    ("zstd", "level=-131073", "EINVAL"), ("deflate", "level=10", "EINVAL"), ("deflate", "level=-2", "EINVAL"),
    ("deflate", "deflate.winbits=8", "EINVAL"), ("deflate", "deflate.winbits=16", "EINVAL"),
    ("deflate", "deflate.winbits=-16", "EINVAL"), ("deflate", "deflate.winbits=-8", "EINVAL"),
    ("deflate", "dict=32768", "ENOTSUP"), ("lzo", "level=1", "ENOTSUP"), ("lzo-rle", "dict=32768", "ENOTSUP"),
    ("842", "level=1", "ENOTSUP"), ("lzmem", "level=0", "EINVAL"), ("lzmem", "level=4", "EINVAL"),
    ("lzmem", "dict=32768", "ENOTSUP"),
)
def parameters(disk, server, algorithm, text, wanted_outcome):
    """{} with {!r}"""
    text = re.sub(r"dict=(\d+)", lambda match: f"dict={dictionary(int(match[1]))}", text)
    for params in [text] if algorithm in DEFAULTS else ["", text]:
        disk.fresh()
        disk.must("comp_algorithm", algorithm)
        disk.must("backing_dev", server.path)
        disk.must("compressed_writeback", "1")
        if params:
            disk.must("algorithm_params", f"algo={algorithm} {params}")
        outcome = disk.set("disksize", 32 * PAGE)
        if outcome != "all":
            break
        disk.pages, disk.model = 32, {}
        disk.fill("text", 0, 16)
        disk.fill("any", 16, 16)
        yield from disk.verify()
        stored = disk.mm(0, "compr")
        before = DEFAULTS.setdefault(algorithm, stored)
    if wanted_outcome.startswith("E"):
        yield from disk.expect("disksize", outcome, wanted_outcome)
        # After a failure all settings are the default ones.
        disk.set_up(32)
        disk.fill("text", 0, 4)
        return
    yield from disk.expect("disksize", outcome, "all")
    sign = "<" if stored < before else ">" if stored > before else "="
    if wanted_outcome != "?" and sign not in wanted_outcome:
        yield f"{stored} bytes stored, without {before}"
    disk.must("writeback", "page_indexes=0-31")
