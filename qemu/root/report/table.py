# SPDX-License-Identifier: GPL-2.0-only
"""Shows results as text."""

import statistics

from results import QUIET, SIDES, by_operation, reliable, twins


def number(cell, side):
    return f"{cell['sides'][side]['median']:,.0f}" if cell and side in cell["sides"] else ""


def ratio(found):
    """The median of a ratio to C, and between what half of the samples are."""
    if not found:
        return ""
    low, high = found["spread"]
    return f"{found['median']:.3f}" + (f" {low:.2f}–{high:.2f}" if high - low >= 0.01 else "")


def own(cell):
    c, ours = (cell["sides"].get(side, {}).get("parts", {}).get("driver") if cell else None for side in ("c", "ours"))
    return f"{ours / c:.2f}" if c and ours else ""


def of(cell, side):
    return cell[side] if cell else None


def spread(title, found):
    """Says how far two copies of C zram are apart."""
    if found:
        print(f"{title}: two copies of C zram differ by {found['low']:.3f}–{found['high']:.3f} in nine tenths of {found['count']} "
              f"cells, at most by {found['least'][0]:.3f} ({found['least'][1]}) and {found['most'][0]:.3f} ({found['most'][1]})")


def by_the_page(results):
    """The cells that are counted by the page."""
    counted, timed = results["instructions"], reliable(results["native"])
    if left_out := len(results["native"]) - len(timed):
        print(f"no native times of {left_out} cells of {len(results['native'])}: two copies of C zram differ by more than {QUIET}")
    row = "{:26}{:>9}{:>9}  {:16}{:>6}{:>7}{:>9}{:>9}  {:16}{:>7}{:>9}{:>9}".format
    if counted or timed:
        print(row("", "instructions a page", "", "", "", "", "ns a page, native", "", "", "", "instructions", ""))
        print(row("", "C", "ours", "ours/C", "driver", "C/C", "C", "ours", "ours/C", "C/C", "zswap", "RAM disk"))
    for name in dict.fromkeys([*counted, *timed]):
        n, t = counted.get(name), timed.get(name)
        twin = (f"{one['twin']['median']:.3f}" if one and one["twin"] else "" for one in (n, t))
        print(row(name, number(n, "c"), number(n, "ours"), ratio(of(n, "ours")), own(n), next(twin), number(t, "c"),
                  number(t, "ours"), ratio(of(t, "ours")), next(twin), number(n or t, "zswap"), number(n or t, "ram")))
    spread("instructions", results["twins"]["instructions"])
    for operation, cells in by_operation(results["native"]).items():
        spread(f"native, {operation}", twins(cells))


def lzmem(results):
    """Says how lzmem compares with this module's lz4: C zram has none, and is measured with zstd."""
    rows = []
    for name, cell in results["instructions"].items():
        algorithm, rest = name.split(" ", 1)
        lz4 = results["instructions"].get(f"lz4 {rest}")
        timed = [results["native"].get(f"{one} {rest}") for one in (algorithm, "lz4")]
        if algorithm.startswith("lzmem") and lz4:
            rows.append((name, (cell, lz4), timed))
    if rows:
        print("\nlzmem is measured against zstd of C zram, lzmem-3 against its level 9; against lz4 of this module, ours/ours:")
        print(f"{'':28}{'instructions':>14}{'native':>10}")
    for name, *pairs in rows:
        ratios = [f"{a['sides']['ours']['median'] / b['sides']['ours']['median']:.3f}" if a and b else "" for a, b in pairs]
        print(f"{name:28}{ratios[0]:>14}{ratios[1]:>10}")


def others(results):
    """What is done to whole disks, latencies, and jobs."""
    titles = {
        "scale": "instructions for a whole disk with 100 MiB of data",
        "latency": "instructions, from user space, of one call or fault",
        "preemptoff": "instructions with preemption off",
        "threads": "pages a second, 4 CPUs under " + results["about"]["accelerator"],
    }
    for instrument, title in titles.items():
        if results[instrument]:
            print(f"\n{title:40}{'C':>16}{'ours':>16}  {'ours/C':18}{'C/C'}")
        for name, cell in results[instrument].items():
            print(f"{name:40}{number(cell, 'c'):>16}{number(cell, 'ours'):>16}  {ratio(cell['ours']):18}{ratio(cell['twin'])}")
        spread(instrument, results["twins"][instrument])
    for name, sides in results["longest"].items():
        for side, where in sides.items():
            print(f"{name}, longest of {side}: {where or 'none'}")


def memory(results):
    """What is stored, and what it takes."""
    if results["memory"]["stored"]:
        print("\nbytes of memory                 compressed data                used in total           of the data")
    for name, sides in results["memory"]["stored"].items():
        if "ours" in sides and sides["c"]["compressed"]:
            line = f"{name.removesuffix(' memory'):22}"
            for field in ("compressed", "used"):
                c, ours = (sides[side][field] for side in ("c", "ours"))
                line += f"{c:12,}{ours:12,}{ours / c:7.3f}"
            print(line + f"{sides['ours']['used'] / sides['ours']['data']:10.3f}")
    for side, slot in results["memory"]["metadata"].items():
        print(f"metadata of {side}: {slot['new']:.1f} bytes a slot of a new disk, {slot['full']:.1f} when all are in use")
    for name, sides in results["streams"].items():
        c, ours = sides["c"] / 1024, sides["ours"] / 1024
        print(f"streams of {name:10}: {c:7.0f} KiB a CPU with C zram, {ours:7.0f} with ours, {ours / c:.2f}")
    for side, reads in results["mm_stat"].items():
        print(f"mm_stat of {side} while it recompresses for {statistics.median(reads['seconds']):.1f} s: "
              f"{statistics.median(reads['median']):.1f} ms, at most {max(reads['longest']):.1f} ms")


def table(results):
    """Prints everything."""
    by_the_page(results)
    lzmem(results)
    others(results)
    memory(results)


def profile(cell):
    """Prints the functions in which a cell's instructions are spent."""
    for side in SIDES:
        if entry := cell["sides"].get(side):
            print(f"\n{side}: {entry['median']:,.1f} instructions a page, "
                  + ", ".join(f"{part} {count:,.1f}" for part, count in entry["parts"].items()))
            for function, count in entry["functions"].items():
                if count >= 0.5:
                    print(f"  {count:11,.1f}  {function}")
