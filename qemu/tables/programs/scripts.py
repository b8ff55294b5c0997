# SPDX-License-Identifier: GPL-2.0-only
"""Writes many modules in TypeScript, for its compiler to have in memory."""
import random

rng = random.Random(37)
for n in range(120):
    with open(f"part{n}.ts", "w", encoding="ascii") as file:
        other = rng.randrange(120)
        file.write(f"import type {{ Shape{other} as Other }} from './part{other}';\n"
                   f"export interface Shape{n} {{ kind: 'k{n}'; size: number; inner?: Other; tags: Map<string, readonly number[]> }}\n")
        for m in range(25):
            file.write(f"export async function make{m}<T extends Shape{n}>(all: T[], limit = {rng.randrange(100)})"
                       f": Promise<Record<string, T>> {{\n"
                       f"    const found = all.filter(({{ size }}) => size > limit)"
                       f".map((one) => ({{ ...one, size: one.size * {rng.randrange(9)} }}));\n"
                       f"    return Object.fromEntries(found.map((one) => [`${{one.kind}}-{m}`, one as T]));\n}}\n")
