# SPDX-License-Identifier: GPL-2.0-only
"""Makes results of what the benchmark's machines said."""

import collections
import json
import os
import statistics

from attribution import PARTS, attribute

PAGE = 4096
SIDES = ("c", "ours", "twin", "zswap", "ram")
INSTRUMENTS = ("instructions", "native", "scale", "latency", "preemptoff", "threads")
# By how much, at most, two copies of C zram may differ in native time for such times to be shown. On a host that does other
# work they say nothing; nor do they where an operation takes now this time and now that, or where a loop is as fast as its
# place in memory allows.
QUIET = 0.05


def load(path):
    """Returns the objects in a file, which has other lines as well."""
    if not os.path.exists(path):
        return []
    with open(path, errors="replace", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def against_c(sides, side):
    """Returns the median and the quartiles of a side's ratio to C, sample by sample, or None."""
    if not sides.get(side) or not sides.get("c"):
        return None
    ratios = [other["value"] / c["value"] for c, other in zip(sides["c"], sides[side]) if c["value"]]
    if not ratios:
        return None
    low, median, high = quartiles(ratios)
    return {"ratios": ratios, "median": median, "spread": [low, high]}


def summary(records):
    """Cells, in the order in which they came, with all points, their medians, and what one sample says of ours and C."""
    cells = {}
    for record in records:
        if "value" in record and "cell" in record:
            cells.setdefault(" ".join(record["cell"]), collections.defaultdict(list))[record["side"]].append(record)
    for name, sides in cells.items():
        cell = cells[name] = {"sides": {}, "ours": against_c(sides, "ours"), "twin": against_c(sides, "twin")}
        for side in SIDES:
            if points := sides.get(side):
                entry = cell["sides"][side] = {"points": [point["value"] for point in points]}
                entry["median"] = statistics.median(entry["points"])
                if "parts" in points[0]:
                    entry["parts"] = {part: statistics.median(point["parts"][part] for point in points) for part in PARTS}
                    entry["functions"] = dict(points[-1]["functions"].most_common(200))
    return cells


def twins(cells):
    """Returns between what nine tenths of the cells have the ratio of two copies of C, the extremes, and how many they are."""
    ratios = sorted((cell["twin"]["median"], name) for name, cell in cells.items() if cell["twin"])
    if not ratios:
        return None
    cut = len(ratios) // 20
    return {"count": len(ratios), "low": ratios[cut][0], "high": ratios[-1 - cut][0], "least": ratios[0], "most": ratios[-1]}


def by_operation(cells):
    """Returns the cells by what is done in them."""
    found = collections.defaultdict(dict)
    for name, cell in cells.items():
        found[name.split(" ", 2)[2]][name] = cell
    return found


def reliable(cells):
    """Returns the cells whose times may be shown: two copies of C zram are as fast in the cell, and in half of those in which
    the same is done."""
    shown = {}
    for same in by_operation(cells).values():
        ratios = [cell["twin"]["median"] for cell in same.values() if cell["twin"]]
        low, _, high = quartiles(ratios) if ratios else (0, 0, 1)
        if high - low <= QUIET:
            shown |= {name: cell for name, cell in same.items() if cell["twin"] and abs(cell["twin"]["median"] - 1) <= QUIET}
    return shown


def memory(records):
    """Compressed bytes, and bytes of memory for them, by cell and side; bytes of metadata for a slot."""
    out = {"stored": collections.defaultdict(dict), "metadata": {}}
    for record in records:
        if "compressed" in record:
            out["stored"][" ".join(record["cell"])][record["side"]] = {
                "data": record["pages"] * PAGE, "compressed": record["compressed"], "used": record["used"]
            }
        elif "metadata" in record:
            out["metadata"][record["metadata"]] = {"new": record["new"], "full": record["full"]}
    return out


def streams(records):
    """Bytes of memory for the stream of a CPU, by algorithm and side: medians."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for record in records:
        if "streams" in record:
            found[record["streams"]][record["side"]].append(record["value"])
    return {name: {side: statistics.median(values) for side, values in sides.items()} for name, sides in found.items()}


def waiting(records):
    """What a read of mm_stat takes, in milliseconds, while a recompression of the whole disk runs."""
    out = {}
    for side in SIDES[:2]:
        if runs := [record for record in records if record.get("recompression") == side]:
            out[side] = {
                "seconds": [run["seconds"] for run in runs],
                "longest": [max(run["reads"]) for run in runs],
                "median": [statistics.median(run["reads"]) for run in runs],
            }
    return out


def longest(records):
    """Where the longest sections with preemption off were that the kernel opened in calls from the drivers, in the last sample."""
    found = collections.defaultdict(dict)
    for record in records:
        if "sections" in record:
            found[" ".join(record["sections"])][record["side"]] = record["longest"]
    return found


def gather(folder):
    """Returns the results of a run, whose machines have said what is in this folder."""
    said = {name: load(f"{folder}/{name}/out") for name in INSTRUMENTS}
    if said["instructions"]:
        attribute(f"{folder}/instructions", said["instructions"])
    for record in said["native"]:
        if "ns" in record:
            record["value"] = record["ns"] / record["pages"]
    with open(f"{folder}/about", encoding="utf-8") as file:
        about = dict(line.rstrip("\n").split("=", 1) for line in file)
    cells = {name: summary(records) for name, records in said.items()}
    return {
        "about": about, **cells, "twins": {name: twins(found) for name, found in cells.items()},
        "memory": memory(said["native"] or said["instructions"]), "streams": streams(said["threads"]),
        "mm_stat": waiting(said["threads"]), "longest": longest(said["preemptoff"])
    }
