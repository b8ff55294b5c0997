# SPDX-License-Identifier: GPL-2.0-only
"""Fills a memcached server: pages, rows and counters of several sizes."""
import html
import random
import socket
import sys

rng = random.Random(32)
server = socket.create_connection(("localhost", int(sys.argv[1])))
words = [name.strip("_") for name in sorted(html.entities.html5)]
for n in range(60000):
    kind = rng.random()
    if kind < 0.3:
        value = "".join(f"<p id={k}>{' '.join(rng.choices(words, k=9))}</p>" for k in range(rng.randrange(1, 30)))
    elif kind < 0.8:
        value = f"{n}|{rng.choice(words)}|{rng.random():.6f}|2024-0{rng.randrange(1, 10)}-11|open"
    else:
        value = str(rng.randrange(10000))
    value = value.encode()
    server.sendall(f"set key:{n % 50000}:{rng.choice(words)} 0 0 {len(value)} noreply\r\n".encode() + value + b"\r\n")
