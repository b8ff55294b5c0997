# SPDX-License-Identifier: GPL-2.0-only
"""Draws results."""

import collections
import math

from results import reliable

PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="11">
<style>
  text {{ fill: #1f2328 }} .paper {{ fill: #ffffff }} .dim {{ fill: #59636e }} .one {{ stroke: #1f2328 }} .grid {{ stroke: #d1d9e0 }}
  .instructions {{ fill: #2f6fb4 }} .time {{ fill: #e08214 }}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #f0f6fc }} .paper {{ fill: #0d1117 }} .dim {{ fill: #9198a1 }} .one {{ stroke: #f0f6fc }} .grid {{ stroke: #3d444d }}
    .instructions {{ fill: #58a6ff }} .time {{ fill: #f0a84b }}
  }}
</style>
<rect class="paper" width="100%" height="100%"/>
{body}
</svg>
"""
KINDS = {
    "same": "same-filled pages", "text": "text-like", "files": "pages of files", "memory": "memory", "random": "incompressible"
}
COLUMN, LABEL, ROW, HEAD, TOP = 260, 84, 24, 46, 44
UNIT, LONGEST = 110, 1.25  # pixels from 0 to 1.0, and where a bar is cut off


def median(cell):
    return cell["ours"]["median"] if cell and cell["ours"] else None


def panels(results):
    """Titles, and rows of a label and the ratios to C: of instructions, and of time."""
    found, times = {}, reliable(results["native"])
    for name in dict.fromkeys([*results["instructions"], *times]):
        algorithm, kind, op = name.split(" ", 2)
        title = KINDS[kind] if kind == "same" else f"{algorithm}, {KINDS[kind]}"
        ratios = (median(instrument.get(name)) for instrument in (results["instructions"], times))
        found.setdefault(title, []).append((op, *ratios))
    jobs = collections.defaultdict(list)
    for name, cell in results["threads"].items():
        _, _, op, size, *rest = name.split(" ")
        jobs[op].append((f"{rest[0]} × {size.rstrip(',')}", None, 1 / median(cell)))
    return [*found.items(), *((f"lz4, memory, {op} by so many jobs", rows) for op, rows in jobs.items())]


def footer(results, height):
    about = results["about"]
    return (f'<text class="dim" x="10" y="{height - 8}">{about["kernel"]}, {about["date"]}'
            f'{", a quick run" if about["quick"] else ""}</text>')


def cells(results):
    """A bar for each cell: ours/C."""
    body = [
        '<text x="10" y="18" font-size="14" font-weight="bold">rust_zram against C zram, for each page: ours/C</text>',
        '<rect class="instructions" x="420" y="8" width="10" height="10"/><text x="435" y="17">instructions</text>',
        '<rect class="time" x="520" y="8" width="10" height="10"/>'
        '<text x="535" y="17">time: native in user-mode Linux; of jobs, under TCG with 4 vCPUs</text>',
        '<text class="dim" x="10" y="34">Shorter is better; the line is where both are equal.</text>',
    ]
    shown = panels(results)
    rows = max((len(rows) for _, rows in shown), default=0)
    for number, (title, bars) in enumerate(shown):
        left, top = number % 4 * COLUMN + 10, TOP + number // 4 * (rows * ROW + HEAD)
        zero, first = left + LABEL, top + 24
        body.append(f'<text x="{left}" y="{top + 14}" font-weight="bold">{title}</text>')
        for part in (0, 0.5):
            x = zero + part * UNIT
            body.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{first}" y2="{first + len(bars) * ROW}"/>')
        for row, (label, *ratios) in enumerate(bars):
            y = first + row * ROW
            body.append(f'<text class="dim" x="{zero - 5}" y="{y + 15}" text-anchor="end">{label}</text>')
            values = [(kind, value) for kind, value in zip(("instructions", "time"), ratios) if value]
            for place, (kind, value) in enumerate(values):
                height = 18 // len(values)
                length = min(value, LONGEST) * UNIT
                at = y + 3 + place * height
                body.append(f'<rect class="{kind}" x="{zero}" y="{at}" width="{length:.1f}" height="{height - 1}"/>')
                body.append(f'<text class="dim" x="{zero + LONGEST * UNIT + 22}" y="{at + height / 2 + 2.5}" '
                            f'font-size="9" text-anchor="end">{value:.2f}</text>')
        x = zero + UNIT
        body.append(f'<line class="one" x1="{x}" x2="{x}" y1="{first - 2}" y2="{first + len(bars) * ROW + 2}"/>')
    height = TOP + -(-len(shown) // 4) * (rows * ROW + HEAD)
    body.append(footer(results, height))
    return PICTURE.format(width=4 * COLUMN + 10, height=height, body="\n".join(body))


def points(results, op):
    """Algorithms, with the time or the instructions of a page of memory, and the memory that is used for it."""
    timed = reliable(results["native"]) or results["instructions"]
    for name, cell in timed.items():
        algorithm, kind, what = name.split(" ", 2)
        stored = results["memory"]["stored"].get(f"{algorithm} memory memory", {}).get("ours")
        if kind == "memory" and what == op and stored and "ours" in cell["sides"]:
            yield algorithm, cell["sides"]["ours"]["median"], stored["used"] / stored["data"]


def sizes(results):
    """Size against time: a point for each algorithm."""
    width, side, bottom = 960, 400, 340
    unit = "ns, native in user-mode Linux" if reliable(results["native"]) else "instructions"
    body = [
        '<text x="10" y="18" font-size="14" font-weight="bold">What a page of memory takes, by algorithm</text>',
        f'<text class="dim" x="10" y="34">Time of a page, in {unit}, from left to right; memory, in parts of the page, upwards. '
        'Left and below is better.</text>',
    ]
    for place, op in enumerate(("first write 1M", "read 1M")):
        found = list(points(results, op))
        if not found:
            continue
        left = 60 + place * (side + 80)
        low, high = math.log10(min(x for _, x, _ in found) / 1.5), math.log10(max(x for _, x, _ in found) * 1.8)
        most = max(y for *_, y in found) * 1.15
        body.append(f'<text x="{left}" y="58" font-weight="bold">{op}</text>')
        for part in (0, 0.1, 0.2, 0.3, 0.4, 0.5):
            if part <= most:
                y = bottom - part / most * (bottom - 70)
                body.append(f'<line class="grid" x1="{left}" x2="{left + side}" y1="{y:.1f}" y2="{y:.1f}"/>')
                body.append(f'<text class="dim" x="{left - 5}" y="{y + 4:.1f}" text-anchor="end">{part}</text>')
        for decade in range(math.ceil(low), math.floor(high) + 1):
            for factor in (1, 2, 5):
                value = factor * 10 ** decade
                if low <= math.log10(value) <= high:
                    x = left + (math.log10(value) - low) / (high - low) * side
                    body.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="70" y2="{bottom}"/>')
                    body.append(f'<text class="dim" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{value:,}</text>')
        for algorithm, x, y in found:
            x, y = left + (math.log10(x) - low) / (high - low) * side, bottom - y / most * (bottom - 70)
            body.append(f'<circle class="instructions" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
            body.append(f'<text x="{x + 7:.1f}" y="{y + 4:.1f}">{algorithm}</text>')
    body.append(footer(results, bottom + 40))
    return PICTURE.format(width=width, height=bottom + 40, body="\n".join(body))
