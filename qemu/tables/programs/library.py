# SPDX-License-Identifier: GPL-2.0-only
"""Writes what fills a library's database: texts with a full-text index, readers and loans."""
import html
import random

rng = random.Random(47)
words = sorted({word.strip("_;").lower() for word in list(html.entities.html5) + dir(html) + dir(str) + dir(random)})
print("create virtual table texts using fts5(title, body); create table reader (name text primary key, born date) without rowid;"
      "create table loan (book int, reader text, since real, until real, state text check (state in ('out', 'back')));"
      "create index of_reader on loan (reader, since); begin;")
for n in range(9000):
    print(f"insert into texts values ('{' '.join(rng.choices(words, k=4))}', '{' '.join(rng.choices(words, k=rng.randrange(20, 150)))}');")
    print(f"insert or ignore into reader values ('{rng.choice(words)} {rng.choice(words)}',"
          f" '19{rng.randrange(30, 99)}-0{rng.randrange(1, 10)}-11');")
    for _ in range(5):
        print(f"insert into loan values ({rng.randrange(9000)}, '{rng.choice(words)}', {rng.random() * 1e5:.1f}, null, 'out');")
print("commit; create table popular as select book, count(*) as n, group_concat(reader) from loan group by book;\n.shell sleep 100")
