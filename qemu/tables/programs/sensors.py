# SPDX-License-Identifier: GPL-2.0-only
"""Fills a broker of messages with what the sensors of many rooms last said."""
import json
import random
import socket
import sys

rng = random.Random(54)


def packet(kind, body):
    size, length = b"", len(body)
    while True:
        length, low = divmod(length, 128)
        size += bytes([low | (128 if length else 0)])
        if not length:
            return bytes([kind]) + size + body


def text(value):
    return len(value).to_bytes(2, "big") + value.encode()


for client in range(60):
    one = socket.create_connection(("localhost", int(sys.argv[1])))
    one.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text(f"gateway-{client}"))
                + packet(0x82, b"\x00\x01" + text(f"house{client}/+/set") + b"\x00"))
    for n in range(400):
        topic = f"house{client}/{rng.choice(('light', 'climate', 'door'))}{n}/state"
        state = json.dumps({"state": rng.choice(("on", "off")),
                            "temperature": round(rng.gauss(20, 3), 1), "battery": rng.randrange(100), "since": 1.6e9 + n})
        one.sendall(packet(0x31, text(topic) + state.encode()))
    globals()[f"kept{client}"] = one
sys.stdin.read()
