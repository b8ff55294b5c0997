# SPDX-License-Identifier: GPL-2.0-only
"""Writes a problem for a solver; with `graph`, a graph to be drawn."""
import random
import sys

rng = random.Random(44)
if "graph" in sys.argv:
    print("digraph g { node [shape=box];")
    for n in range(900):
        print(f'n{n} [label="step {n}\\nof {rng.randrange(40)}"]; n{n} -> n{rng.randrange(n + 1)} [label="{rng.random():.2f}"];')
        if n % 3 == 0:
            print(f"n{n} -> n{min(899, n + rng.randrange(30))};")
    print("}")
    sys.exit()
print("(set-logic QF_LIA)")
for n in range(700):
    print(f"(declare-const x{n} Int) (declare-const p{n} Bool) (assert (and (<= 0 x{n}) (<= x{n} {rng.randrange(50, 5000)})))")
for n in range(4000):
    a, b, c = rng.sample(range(700), 3)
    print(f"(assert (or p{a} (not p{b}) (< (+ x{a} (* {rng.randrange(2, 30)} x{b}))"
          f" (- (* {rng.randrange(2, 30)} x{c}) {rng.randrange(900)}))))")
print("(check-sat)")
