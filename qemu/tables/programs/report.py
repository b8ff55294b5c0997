# SPDX-License-Identifier: GPL-2.0-only
"""Writes a long report in the format that is named: html, csv, tex or markdown; of so many parts."""
import html
import random
import sys

rng = random.Random(50)
words = sorted({name.strip(";").lower() for name in html.entities.html5 if name.strip(";").isalpha()})
kind, parts = sys.argv[1], int(sys.argv[2])
ROWS = 12


def text(count):
    return " ".join(rng.choices(words, k=count)).capitalize() + "."


def row(n):
    return [str(n), rng.choice(words), f"{rng.random() * 1000:.2f}", f"2023-{n % 12 + 1:02}-{n % 28 + 1:02}"]


if kind == "csv":
    for n in range(parts):
        print(",".join(row(n) + [text(4), f"{n % 97}", f"=A{n + 1}*2" if n % 10 == 0 else "open"]))
elif kind == "html":
    print("<html><body>")
    for n in range(parts):
        print(f"<h2>{text(4)}</h2><p>{text(120)} <b>{text(6)}</b> {text(90)}</p><ul><li>{text(9)}<li>{text(9)}</ul><table border=1>")
        print("".join("<tr><td>" + "<td>".join(row(k)) for k in range(ROWS)) + "</table>")
    print("</body></html>")
elif kind == "tex":
    print("\\documentclass{article}\\usepackage{amsmath,graphicx,hyperref}\\begin{document}\\tableofcontents")
    for n in range(parts):
        print(f"\\section{{{text(4)}}}\\label{{s{n}}} {text(200)}\\footnote{{{text(9)}}} See~\\ref{{s{rng.randrange(n + 1)}}}.\n"
              f"\\begin{{equation}} \\sum_{{k={n}}}^\\infty \\frac{{x^k}}{{{n}!}} = \\int_0^{{{n}}} e^{{-t}}\\,dt \\end{{equation}}")
        print("\\begin{tabular}{llrl}" + "\\\\ ".join(" & ".join(row(k)) for k in range(ROWS)) + "\\end{tabular}\n")
    print("\\end{document}")
else:
    for n in range(parts):
        print(f"## {text(4)}\n\n{text(90)} *{text(3)}* and [{text(2)}](#p{n}), `{rng.choice(words)}`.\n\n- {text(9)}\n- {text(9)}\n\n"
              "| n | name | value | date |\n|---|---|---|---|\n" + "".join(f"| {' | '.join(row(k))} |\n" for k in range(ROWS)))
