# SPDX-License-Identifier: GPL-2.0-only
"""What an analysis of data has in memory: arrays of floats and integers, tables with text columns, indices."""
import time
import numpy
import pandas

rng = numpy.random.default_rng(21)
size = 150000
frame = pandas.DataFrame({
    "time": pandas.date_range("2021-03-01", periods=size, freq="37s"), "sensor": rng.integers(0, 400, size),
    "value": numpy.cumsum(rng.normal(0, 0.3, size)) + 20, "flag": rng.random(size) < 0.1,
    "city": rng.choice(["Oslo", "Lima", "Kyoto", "Accra", "Perth"], size)})
frame["rounded"] = frame.value.round(1)
frame["label"] = "s" + frame.sensor.astype(str) + "-" + frame.city
groups = frame.groupby(["city", "sensor"]).value.agg(["mean", "std", "count"])
wide = frame.pivot_table(index="sensor", columns="city", values="value")
picture = (numpy.add.outer(numpy.arange(700), numpy.arange(700)) % 256 + rng.integers(0, 9, (700, 700))).astype(numpy.uint8)
matrix = rng.normal(size=(500, 500))
inverse = numpy.linalg.inv(matrix)
single = matrix.astype(numpy.float32)
waves = numpy.fft.rfft(frame.value.to_numpy())
time.sleep(100)
