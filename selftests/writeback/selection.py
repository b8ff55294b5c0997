# SPDX-License-Identifier: GPL-2.0-only
"""The pages that a writeback chooses, how many at a time, and what arrives on the backing device."""

from writeback.disk import ALGORITHMS, WRITE, pages_in, test
from zramtest.pages import PAGE


# --- which pages are written back --------------------------------------------------------------------------------------

# Pages 0-7 and 40-47 are text, 8-15 and 32-39 random, 16-19 of one word each; 20-31 there are none. 0-15 are idle, 10 and
# 11 incompressible.
OLD, HUGE = (0, 15), ((8, 15), (32, 39))


@test(("page_indexes=6-33 type=huge", pages_in((6, 15), (32, 33))), known="a page that is chosen twice is written twice")
@test(
    ("idle", pages_in(OLD)), ("type=idle", pages_in(OLD)),
    ("huge", pages_in(*HUGE)), ("type=huge", pages_in(*HUGE)),
    ("huge_idle", pages_in((8, 15))), ("type=huge_idle", pages_in((8, 15))),
    ("incompressible", {10, 11}), ("type=incompressible", {10, 11}),
    (" type=huge\n", pages_in(*HUGE)), ("type=huge page_index=0", pages_in(*HUGE)), ("type=idle type=foo", pages_in(OLD)),
    ("page_index=5", {5}), ("page_index=47", {47}), ("page_index=16", set()), ("page_index=24", set()),
    ("page_index=3 page_index=9", {3, 9}), ("page_indexes=4-8", pages_in((4, 8))), ("page_indexes=6-6", {6}),
    ("page_indexes=0-47", pages_in(OLD, (32, 47))),
    ("page_indexes=0-3 page_index=20 page_indexes=30-33", pages_in((0, 3), (32, 33))),
    ("", set()), ("foo=bar", set()), ("foo=bar page_index=1", {1}),
    ("type=foo", "EINVAL"), ("foo", "EINVAL"), ("type=", "EINVAL"), ("page_index", "EINVAL"), ("page_index=x", "EINVAL"),
    ("page_index=-1", "EINVAL"), ("page_index=0x1", "EINVAL"), ("page_indexes=7", "EINVAL"), ("page_indexes=1-", "EINVAL"),
    ("page_index=48", "ERANGE"), ("page_indexes=9-8", "ERANGE"), ("page_indexes=0-48", "ERANGE"),
    ("page_index=18446744073709551616", "ERANGE"), ("page_index=1 page_index=99", "ERANGE"), ("page_index=1 foo", "EINVAL"),
)
def choice(disk, server, request, wanted):
    """writeback of {!r}"""
    disk.set_up(48, backing_dev=server.path, recomp_algorithm="algo=zstd")
    disk.fill("random", 10, 2)
    disk.must("recompress", "type=huge")
    disk.fill("text", 0, 8)
    disk.fill("random", 8, 2)
    disk.fill("random", 12, 4)
    disk.fill("same", 16, 4)
    disk.must("idle", "all")
    disk.fill("random", 32, 8)
    disk.fill("text", 40, 8)
    before = disk.mm(0, "compr"), disk.state(0)
    outcome, pages = (wanted, set()) if isinstance(wanted, str) else ("all", wanted)
    yield from disk.expect("outcome", disk.set("writeback", request), outcome)
    yield from disk.expect("written back", disk.written(), pages)
    yield from disk.expect("bd_stat", [disk.bd(0, "count"), disk.bd(0, "writes"), server.written], [len(pages)] * 3)
    huge = {n for n in pages if n in pages_in(*HUGE)}
    gain = before[0] - disk.mm(0, "compr")
    if gain < len(huge) * PAGE or (gain > len(huge) * PAGE) != bool(pages - huge):
        yield f"of {len(pages)} pages, {len(huge)} huge, {gain} bytes are gone"
    # The rest of block_state stays as it was: times, all of other pages, and the flags that say what is stored.
    lines = []
    for line in before[1].splitlines():
        if int(line[:12]) in pages:
            line = line[:34] + b"w" + line[35:36] + b"." + line[37:]
        lines.append(line)
    after = disk.state(0).splitlines()
    if after != lines:
        yield f"block_state: {next(pair for pair in zip(after, lines) if pair[0] != pair[1])}"


@test(
    ("disksize", "huge", "EINVAL"), ("nothing", "huge", "ENODEV"), ("nothing", "foo", "ENODEV"),
)
def unready(disk, server, state, request, wanted):
    """writeback without {}, of {!r}"""
    disk.fresh()
    disk.pages, disk.model = 4, {}
    if state == "disksize":
        disk.must("backing_dev", server.path)
        yield from disk.expect("outcome", disk.set("writeback", request), wanted)
        disk.must("disksize", 4 * PAGE)
    else:
        disk.must("disksize", 4 * PAGE)
        yield from disk.expect("outcome", disk.set("writeback", request), wanted)


# --- how many at a time, and what arrives ------------------------------------------------------------------------------

@test("0", "1")
def batches(disk, _, compressed):
    """batch sizes 1 to 64, compressed_writeback {}"""
    first = {batch: sum(range(1, batch)) for batch in range(1, 66)}
    disk.set_up(first[65], backing_dev=disk.whole, compressed_writeback=compressed)
    for at in range(0, disk.pages, 260):
        disk.fill("mix", at, min(260, disk.pages - at))
    for batch in range(1, 65):
        disk.must("writeback_batch_size", batch)
        disk.must("writeback", f"page_indexes={first[batch]}-{first[batch + 1] - 1}")
    yield from disk.expect("written back", disk.written(), {n for n in disk.model if n % 4})


@test((1, 20), (2, 20), (32, 64), (33, 64), (64, 64), (64, 10), (4294967295, 64))
def in_flight(disk, server, batch, pages):
    """{1} pages with a batch size of {0}: so many are on their way at a time"""
    disk.set_up(pages, backing_dev=server.path, writeback_batch_size=batch if batch < 1000 or not disk.is_c else 64)
    disk.fill("random", 0, pages)
    server.hold = lambda kind, block: kind == WRITE
    writer = disk.background("writeback", "huge")
    if not server.waits(min(batch, pages)):
        yield f"{len(server.held)} requests come"
    if server.waits(min(batch, pages) + 1, 0.1):
        yield f"{len(server.held)} requests come at once"
    server.release()
    if not writer.ends() or writer.result != "all":
        yield f"writeback: {writer.result}"
    yield from disk.expect("written back", len(disk.written()), pages)


@test(*(("0", algorithm) for algorithm in ALGORITHMS[2:3]), *(("1", algorithm) for algorithm in ALGORITHMS))
def arrives(disk, server, compressed, algorithm):
    """what the backing device gets, with compressed_writeback {} and {}"""
    disk.set_up(32, backing_dev=server.path, compressed_writeback=compressed, comp_algorithm=algorithm)
    disk.fill("text", 0, 16)
    disk.fill("random", 16, 16)
    disk.must("idle", "all")
    stored = disk.mm(0, "compr") - 16 * PAGE
    disk.must("writeback", "type=idle")
    blocks = {server.block(n) for n in range(server.blocks)}
    plain = {n for n, page in disk.model.items() if page in blocks}
    yield from disk.expect("plain pages there", plain, pages_in((16, 31)) if compressed == "1" else set(disk.model))
    if compressed == "1":
        # A page as it is stored, and zeroes behind it.
        arrived = sum(len(block.rstrip(b"\0")) for block in blocks if block not in disk.model.values())
        if not stored - 16 * 8 <= arrived <= stored:
            yield f"{arrived} bytes there that are not zero, {stored} were stored"
