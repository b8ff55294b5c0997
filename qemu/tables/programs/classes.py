# SPDX-License-Identifier: GPL-2.0-only
"""Writes many classes in Java, for the compiler to have in memory."""
import random

rng = random.Random(26)
for n in range(250):
    with open(f"Part{n}.java", "w", encoding="ascii") as file:
        file.write(f"import java.util.*;\nimport java.util.function.*;\npublic class Part{n}<T extends Comparable<T>> {{\n"
                   f"    private final Map<String, List<T>> parts = new TreeMap<>();\n    private Part{rng.randrange(250)}<T> next;\n")
        for m in range(25):
            a, b = rng.randrange(100), rng.randrange(1, 50)
            file.write(f"    public Optional<T> find{m}(Collection<? extends T> all, Function<T, Integer> key) {{\n"
                       f"        int limit = {a};\n        for (T one : all) {{ limit += key.apply(one) % {b}; }}\n"
                       f"        final int last = limit;\n        return all.stream().filter(one -> key.apply(one) > last - {b})"
                       f".map(one -> (T) one).sorted(Comparator.reverseOrder()).findFirst();\n    }}\n")
        file.write("}\n")
