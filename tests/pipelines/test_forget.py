"""A run over any number of devices that come once keeps the memory of those that are there at a time."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.codec.base import Decoded, Records
from operators.binary import Binary
from pipelines import config
from pipelines.plan import Pipeline
from pipelines.shard import Product, Shard

PIPELINE = """\
name: mill
source:
  kafka: {topics: [raw]}
  device: dev
  time: {field: ts, unit: ms, lateness: 5s, idle: 30s, forget: 2m}
  fields: {level: float}
steps:
  - dedupe: {by: [ts], within: 1m}
  - fill: {columns: [level], within: 1m}
  - id: minute
    window: {tumbling: 1m, early: 10s, aggregate: {high: max(level), middle: median(level), energy: integral(level)}}
  - id: visit
    from: fill
    window: {session: 20s, aggregate: {n: count()}}
  - id: recent
    from: fill
    window: {trailing: 30s, aggregate: {mean: mean(level)}}
  - detect: {level_shift: {field: level}}
  - alert: {raise: score > 3}
sinks:
  - {from: minute, kafka: {topic: minutes}}
  - {from: visit, kafka: {topic: visits}}
  - {from: alert, kafka: {topic: alerts}}
"""
PER_BATCH = 25_000
A_SECOND = 1_000
"""Devices that come in a second of event time, each once."""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """A pipeline of steps that keep something of every device."""
    file = tmp_path / "mill.yaml"
    file.write_text(PIPELINE)
    return config.read(file, {})


def put(shard: Shard, number: int) -> Product:
    """Put in a batch of devices that weren't there before."""
    first = number * PER_BATCH
    at = np.arange(first, first + PER_BATCH)
    ids = [b"device-%08d" % device for device in at.tolist()]
    empty: list[bytes | None] = [b""] * PER_BATCH
    records = Records.of("raw", 0, empty, empty, at * 0 - 1, at)
    decoded = Decoded(Binary.of(ids), at * 1_000_000 // A_SECOND, at, {"level": np.ones(PER_BATCH)}, ())
    return shard.take(records, decoded)


def kept(shard: Shard) -> int:
    """Count the bytes of all that a shard keeps."""
    states: list[Any] = [*(state for _, _, _, state in shard._steps), shard._clock, shard._devices]
    return sum(array.nbytes for state in states for array in state.snapshot().values())


def resident() -> int:
    """Give the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_ten_million_devices_that_come_once_take_the_memory_of_those_that_are_remembered(pipeline: Pipeline) -> None:
    shard = Shard(pipeline, pipeline.source.format.decoder(pipeline.source.reading), ["minute", "visit"])
    windows = visits = 0
    sizes = []
    for number in range(400):
        product = put(shard, number)
        if "minute" in product.rows:
            windows += np.count_nonzero(np.asarray(product.rows["minute"].columns["final"]))
        visits += len(product.rows["visit"]) if "visit" in product.rows else 0
        # Devices are forgotten every 7.5 s, so sizes are compared at multiples of that: at one million and at ten.
        if number in {39, 399}:
            sizes.append((kept(shard), resident()))
    remembered = 3 * 60 * A_SECOND
    (early, early_resident), (late, late_resident) = sizes
    assert late <= early, "what is kept doesn't grow"
    assert late_resident - early_resident < 100_000_000, "nor does what isn't an array of a state"
    assert len(shard._devices) < remembered
    assert len(shard._devices.texts(0)) < remembered
    assert shard.counts.forgotten > 10_000_000 - remembered
    assert windows + len(shard._devices) >= 10_000_000 - PER_BATCH, "a window of each device that is forgotten came out"
    assert visits >= shard.counts.forgotten


def test_a_device_that_takes_over_a_slot_starts_anew(pipeline: Pipeline) -> None:
    shard = Shard(pipeline, pipeline.source.format.decoder(pipeline.source.reading), ["visit"])
    named: list[bytes] = []
    for number in range(14):
        product = put(shard, number)
        if "visit" in product.rows:
            rows = product.rows["visit"]
            named += product.devices.ids(rows.device).values()
            assert (np.asarray(rows.columns["n"]) == 1).all(), "a session of one reading, not one with a predecessor's"
    assert len(set(named)) == len(named)
    assert max(int(name[7:]) for name in named) > 300_000, "slots were used again"
