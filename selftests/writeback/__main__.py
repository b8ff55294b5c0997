# SPDX-License-Identifier: GPL-2.0-only
"""Runs the cases of some subjects one after the other, each with a new device and a new server."""

import importlib
import subprocess
import sys

from writeback.disk import CASES, Disk, Skipped
from zramtest.ktap import case, end, skip
from zramtest.nbd import Server


def main(subjects, module, nbd, partial, whole, base, mapper, *names):
    """Runs the cases, or those of the functions that are named."""
    # Each declares cases; this is their order.
    for subject in subjects.split():
        importlib.import_module(f"writeback.{subject}")
    disk = Disk()
    disk.is_c = module == "zram"
    disk.partial, disk.whole, disk.base, disk.mapper = partial, whole, base, mapper
    for function, row, known in CASES:
        name = f"{function.__name__}: {function.__doc__.format(*row)}"
        if names and function.__name__ not in names:
            continue
        server = Server(nbd)
        disk.model, disk.pages = {}, 1

        def run():
            """Runs the case, and what has to hold after every case."""
            yield from function(disk, server, *row)
            server.calm()
            yield from disk.books()
            yield from disk.verify()
            yield from disk.books()

        try:
            troubles = list(run())
        except (OSError, RuntimeError, AttributeError, TypeError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            troubles = [f"{type(error).__name__}: {error}"]
        except Skipped as why:
            troubles = None
            skip(name, why)
        server.calm()
        disk.fresh()
        server.end()
        if troubles is None:
            continue
        if troubles and disk.is_c and known:
            case(f"{name} # XFAIL C zram: {known}")
            troubles = []
        else:
            case(name, *troubles)
    end()


main(*sys.argv[1:])
