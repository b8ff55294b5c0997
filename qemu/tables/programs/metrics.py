# SPDX-License-Identifier: GPL-2.0-only
"""Serves measurements of many machines, for a monitor to collect."""
import http.server
import random
import sys

rng = random.Random(52)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        lines = [f'requests_total{{machine="m{n % 300}",path="/p{n // 300}",code="{200 + n % 3}"}} {rng.randrange(1 << 20)}\n'
                 for n in range(9000)]
        lines += [f'seconds_bucket{{machine="m{n}",le="{le}"}} {rng.random() * 1000:.3f}\n' for n in range(300) for le in (0.1, 0.5, 1, 5)]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write("".join(lines).encode())


http.server.HTTPServer(("localhost", int(sys.argv[1])), Handler).serve_forever()
