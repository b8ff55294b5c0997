# SPDX-License-Identifier: GPL-2.0-only
"""What a small service has in memory: objects with attributes, named tuples, sets, sorted lists, bytes, regular expressions."""
import array
import bisect
import collections
import itertools
import os
import random
import re
import sys
import time

rng = random.Random(34)
Place = collections.namedtuple("Place", "name north east kind")


class Route:
    def __init__(self, start, goal):
        self.start, self.goal, self.via = start, goal, []
        self.length = abs(start.north - goal.north) + abs(start.east - goal.east)

    def __lt__(self, other):
        return self.length < other.length


syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprst", "aeiou")]
places = [Place("".join(rng.choices(syllables, k=3)).title(), rng.uniform(47, 55), rng.uniform(6, 15), rng.choice("city town farm".split()))
          for _ in range(25000)]
routes = []
for number in range(12000):
    bisect.insort(routes, Route(*rng.sample(places, 2))) if number < 3000 else routes.append(Route(*rng.sample(places, 2)))
by_name = {place.name.encode(): {n, n + 1} for n, place in enumerate(places)}
matches = [re.search(r"(\w)(\w+)", place.name) for place in places[:5000]]
track = array.array("i", (int(place.north * 1e6) for place in places))
queue = collections.deque((n, str(n), n / 3) for n in range(15000))
variables = [dict(os.environ) for _ in range(1000)]
frames = [(sys._getframe(), n) for n in range(3000)]
time.sleep(100)
