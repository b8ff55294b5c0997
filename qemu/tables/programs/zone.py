# SPDX-License-Identifier: GPL-2.0-only
"""Writes a server's configuration and the zones that it has in memory."""
import os
import random

rng = random.Random(55)
folder = os.getcwd()
with open("named.conf", "w", encoding="ascii") as conf:
    conf.write(f'options {{ directory "{folder}"; pid-file "{folder}/pid";'
               f' session-keyfile "{folder}/key"; listen-on port 7109 {{ 127.0.0.1; }};'
               " listen-on-v6 { none; }; recursion no; dnssec-validation no; }; controls { };\n")
    for z in range(40):
        conf.write(f'zone "example{z}.org" {{ type primary; file "zone{z}"; }};\n')
        with open(f"zone{z}", "w", encoding="ascii") as file:
            file.write(f"$TTL 3600\n@ IN SOA ns1 admin ( 20240{z % 9 + 1}01 3600 600 86400 60 )\n"
                       f"@ NS ns1\nns1 A 192.0.2.1\n@ MX 10 mail\nmail A 192.0.2.2\n")
            for n in range(1500):
                file.write(f"host{n} A 198.51.{rng.randrange(256)}.{rng.randrange(256)}\n"
                           f"host{n} AAAA 2001:db8:{rng.randrange(65536):x}::{n:x}\n")
                file.write(f'www{n} CNAME host{rng.randrange(1500)}\n_k{n} TXT "v=spf1 id={rng.getrandbits(64):x} ~all"\n')
