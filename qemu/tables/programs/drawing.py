# SPDX-License-Identifier: GPL-2.0-only
"""Writes a drawing with many paths, texts, gradients and groups."""
import random

rng = random.Random(51)
print('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1000 700"><defs>')
for n in range(40):
    print(f'<linearGradient id="g{n}"><stop offset="0" stop-color="#{rng.randrange(1 << 24):06x}"/>'
          f'<stop offset="1" stop-color="#{rng.randrange(1 << 24):06x}"/></linearGradient>')
print("</defs>")
for n in range(2500):
    x, y = rng.uniform(0, 1000), rng.uniform(0, 700)
    curves = " ".join(f"c {' '.join(f'{rng.gauss(0, 20):.2f}' for _ in range(6))}" for _ in range(rng.randrange(2, 9)))
    print(f'<g transform="translate({x:.2f} {y:.2f}) rotate({n % 360})" style="opacity:{rng.random():.2f}">'
          f'<path d="M 0 0 {curves} z" fill="url(#g{n % 40})"'
          f' stroke="#{n * 31 % 4096:03x}" id="path{n}"/><text font-size="{n % 12 + 6}">shape {n}</text></g>')
print("</svg>")
