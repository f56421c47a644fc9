"""What hypothesis makes for the operators: values, readings as they arrive, what clocks and filters make of them, and cuts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from operators.batch import Type
from tests.operators.rows import (
    DAY,
    DEVICES,
    HOUR,
    MINUTE,
    NINE,
    SCHEMA,
    SECOND,
    YEAR_1,
    YEAR_9999,
    Reading,
    Row,
    clocked,
)

_FLOATS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, 1e16, 1.0, -1e300, 5e-324, 20.0, 74.0, 75.0, 80.0, 80.5]),
    st.floats(-100, 100),
    st.floats(-1e300, 1e300),
)
_INTS = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 1 - 2**63]),
    st.integers(1 - 2**63, 2**63 - 1),
)
_TEXTS = st.sampled_from([None, "", "on", "off", "3", "-2.5", "1e3", "é%", "on/off"])
VALUES = {
    Type.FLOAT: _FLOATS,
    Type.INT: _INTS,
    Type.BOOL: st.sampled_from([None, True, False]),
    Type.TEXT: _TEXTS,
    Type.TIME: st.one_of(st.none(), st.integers(YEAR_1, YEAR_9999)),
}
"""Values of a column, by its type."""
_STARTS = [0, NINE, NINE, -10 * SECOND, YEAR_1, YEAR_9999 - HOUR]
_STEPS = [
    0, 0, 1, -1, SECOND, SECOND, 3 * SECOND, -3 * SECOND, 10 * SECOND, -10 * SECOND, 25 * SECOND,
    10 * MINUTE, HOUR, -HOUR, 400 * DAY, -400 * DAY,
]  # fmt: skip
_VALUES = st.fixed_dictionaries({name: VALUES[type_] for name, type_ in SCHEMA.columns.items()})


def _within_calendar(ts: int) -> int:
    return min(max(ts, YEAR_1), YEAR_9999)


@st.composite
def _few(draw: st.DrawFn) -> list[Reading]:
    """A few readings, each drawn by hypothesis: it can find odd ones and make them small."""
    ts = draw(st.sampled_from(_STARTS))
    readings: list[Reading] = []
    steps = st.one_of(st.sampled_from(_STEPS), st.integers(-MINUTE, MINUTE))
    for device, step, values in draw(st.lists(st.tuples(st.sampled_from(DEVICES), steps, _VALUES), max_size=24)):
        ts = _within_calendar(ts + step)
        readings.append((device, ts, values))
    return readings


def _many(seed: int) -> list[Reading]:
    """Hundreds of readings in the way that sensors send them, for operators that have to warm up."""
    random = Random(seed)
    ts = random.choice(_STARTS)
    devices = DEVICES[: random.randint(1, 4)]
    level = {device: random.choice([0.0, 20.0, 78.0]) for device in devices}
    readings: list[Reading] = []
    for _ in range(random.randint(80, 250)):
        ts = _within_calendar(ts + random.choice([0, SECOND, SECOND, SECOND, 2 * SECOND, random.choice(_STEPS[:-4])]))
        device = random.choice(devices)
        if random.random() < 0.02:
            level[device] += random.choice([-60, -5, 5, 60])
        values: dict[str, Any] = {
            "temperature": level[device] + random.gauss(0, 1),
            "humidity": round(level[device] / 2 + random.gauss(0, 3)),
            "score": random.expovariate(0.5),
            "n": round(level[device]) + random.randint(-2, 2),
            "ok": level[device] < 50,
            "status": random.choice(["3"] * 9 + ["-2.5"] * 9 + ["on"]),
        }
        late = random.choice([0, 0, 0, 0, 3 * SECOND, MINUTE])
        readings.append(
            (device, _within_calendar(ts - late), {k: v if random.random() < 0.97 else None for k, v in values.items()})
        )
    return readings


READINGS = st.one_of(_few(), _few(), st.integers(0, 2**32).map(_many))
"""Readings as they arrive, before any clock."""
CLOCKS = st.fixed_dictionaries(
    {
        "lateness": st.sampled_from([0, 1, SECOND, 5 * SECOND, HOUR]),
        "idle": st.sampled_from([1, SECOND, 10 * SECOND, MINUTE, 400 * DAY]),
    }
)
"""Options of a clock."""


@st.composite
def streams(draw: st.DrawFn, reach: int, *, forgetting: bool = True) -> list[Row]:
    """Make what a step may be given: clocked rows, some turned into punctuations as by a filter; devices that are
    forgotten and come again; at times closed.
    """
    readings = draw(READINGS)
    idles = draw(st.dictionaries(st.integers(1, max(len(readings), 1)), st.sampled_from([SECOND, HOUR]), max_size=2))
    idles = {at: elapsed for at, elapsed in idles.items() if at <= len(readings)}
    close = draw(st.booleans())
    forgets: dict[int, bytes] = {}
    if forgetting and len(readings) > close:
        # Nothing comes behind the end.
        last = len(readings) - close
        forgets = draw(st.dictionaries(st.integers(1, last), st.sampled_from(DEVICES), max_size=2))
    rows = clocked(readings, **draw(CLOCKS), reach=reach, idles=idles, forgets=forgets, close=close)
    filtered = Random(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.0, 0.2]))
    return [replace(row, live=row.live and filtered.random() >= share) for row in rows]


@st.composite
def cuts(draw: st.DrawFn, rows: Sequence[Row]) -> list[int]:
    """Say where to cut rows into batches: at times behind every row."""
    if len(rows) <= 40 and draw(st.booleans()):
        return list(range(1, len(rows)))
    return draw(st.lists(st.integers(0, len(rows)), max_size=6))
