"""The workloads: what is asked of the systems, and what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from benchmarks.throughput import expected
from benchmarks.throughput.readings import MINUTE, Readings, Shape

SLIDE = 5_000
"""From one hopping window to the next, ms."""
BLOCK = 60
"""Readings in a block of W4."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload.

    Attributes:
        name: w1 to w4.
        title: in a few words.
        rows: gives the rows that must come to the first topic.
        keys: what to sort them by.
        ends: how long after `keys[1]` a row's time ends where it doesn't say so itself, ms.
        formats: of the readings.
        lateness: how far behind a reading may come, ms.
        late: share of the readings that do.
        alerts: whether the second topic has an alert for each spike.
    """

    name: str
    title: str
    rows: Callable[[Readings, Shape], pl.DataFrame]
    keys: tuple[str, str] = ("device", "window_start")
    ends: int = MINUTE
    formats: tuple[str, ...] = ("json", "avro")
    lateness: int = 5_000
    late: float = 0.0
    alerts: bool = True

    def shaped(self, shape: Shape) -> Shape:
        """Give the shape of its readings."""
        return replace(shape, late=self.late, delay=self.lateness)

    def encoded(self, format_: str) -> str:
        """Say how its readings are encoded in a format; W1's are nested."""
        return "stafford" if self.name == "w1" else format_


def _passing(readings: Readings, shape: Shape) -> pl.DataFrame:
    real = slice(0, shape.events)
    temp = readings.centi[real] // 10 / 100
    passes = (temp >= 10) & (temp <= 50)
    table = {"device": readings.device[real].astype(np.int64), "ts": readings.ts[real], "temp": temp}
    return pl.DataFrame(table).filter(passes).sort("device", "ts")


def _hopping(readings: Readings, shape: Shape) -> pl.DataFrame:
    return expected.windows(readings, shape, MINUTE, SLIDE)


def _blocks(readings: Readings, shape: Shape) -> pl.DataFrame:
    return expected.blocks(readings, shape, BLOCK)


WORKLOADS = {
    each.name: each
    for each in (
        Workload("w1", "parse, range filter, out", _passing, ("device", "ts"), 0, ("json",), alerts=False),
        Workload("w2", "minutes of each device, and z-score with alerts", expected.windows),
        Workload("w3", "W2 with 5 % late and hopping windows, 1 min / 5 s", _hopping, lateness=30_000, late=0.05),
        Workload("w4", "per-event statistics: sliding regression, block average, z-score", _blocks, ends=BLOCK * 1000),
    )
}
