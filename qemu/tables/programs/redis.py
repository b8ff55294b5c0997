# SPDX-License-Identifier: GPL-2.0-only
"""Fills a Redis server: strings, hashes, lists, sorted sets, and documents in JSON."""
import json
import random
import socket
import sys

rng = random.Random(31)
server = socket.create_connection(("localhost", int(sys.argv[1])))


def command(*words):
    words = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


for n in range(40000):
    user = rng.randrange(8000)
    server.sendall(
        command("set", f"session:{rng.getrandbits(64):016x}", json.dumps({"user": user, "seen": 1700000000 + n, "roles": ["reader"]}))
        + command("hset", f"user:{user}", "name", f"User {user}", "visits", n, "mail", f"user{user}@example.org")
        + command("zadd", "scores", rng.randrange(100000), f"player-{user}")
        + command("rpush", f"queue:{user % 300}", f"job {n} for {user}") + command("sadd", f"tags:{user % 50}", n, user))
    answered = 0
    while answered < 5:
        answered += server.recv(65536).count(b"\n")
