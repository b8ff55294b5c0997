# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the benchmark's machines said, and makes of it a table, a JSON file and pictures.

report JSON DIRECTORY      what was said is in DIRECTORY; prints the table, writes the file
report JSON picture FILE   makes a picture of the cells; FILE with -size before its end gets one of size against time
report JSON profile CELL   the functions in which a cell's instructions are spent, e.g. `profile lz4 memory read 1M`
report progress            shows how far a machine got that says it here
"""

import json
import sys

from picture import cells, sizes
from results import gather
from table import profile, table


def progress():
    """Shows how far a machine got. Fails if it did not come to its end."""
    count, live, ended = 0, sys.stdout.isatty(), False
    for line in sys.stdin:
        record = json.loads(line) if line.startswith("{") else {}
        ended = ended or record.get("end", False)
        if "cell" in record:
            count += 1
            if live:
                print(f"\r\033[K  {count} measured, {' '.join(record['cell'])} {record['side']}", end="", flush=True)
    print("\r\033[K" if live else "", f" {count} measured", sep="")
    return 0 if ended else 1


def main():
    if sys.argv[1] == "progress":
        return progress()
    target, folder, *cell = sys.argv[1:]
    if folder in ("profile", "picture"):
        with open(target, encoding="utf-8") as file:
            results = json.load(file)
        if folder == "profile":
            profile(results["instructions"][" ".join(cell)])
            return 0
        for path, draw in (cell[0], cells), (cell[0].replace(".svg", "-size.svg"), sizes):
            with open(path, "w", encoding="utf-8") as file:
                file.write(draw(results))
        return 0
    results = gather(folder)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    table(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
