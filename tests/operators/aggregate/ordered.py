"""What the tests of the aggregates share that go from reading to reading: their oracle, and windows to try any in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from operators.batch import Schema, Type
from operators.window.count import Count
from operators.window.hopping import Hopping
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.window import Bounds
from tests.operators.rows import HOUR, SECOND, Near, clocked, run

Pair = tuple[int, Any]


def in_order(values: Sequence[Pair]) -> list[Pair]:
    """Put readings in order of time as one pane does: the newest 16 are kept apart, and one that is older than the last
    of those before them is left out.
    """
    settled: list[Pair] = []
    apart: list[Pair] = []
    for reading in values:
        if settled and reading[0] < settled[-1][0]:
            continue
        apart = sorted([*apart, reading], key=lambda each: each[0])
        settled += apart[:-16]
        apart = apart[-16:]
    return settled + apart


def reading_before(bounds: Bounds) -> list[Pair]:
    """Give the last reading before a window, if there is one."""
    return in_order(bounds.before)[-1:]


def holding(values: Sequence[Pair], bounds: Bounds) -> list[tuple[Any, int]]:
    """Say what value holds for how long (us), one after the other, to the window's end."""
    readings = [(bounds.start, value) for _, value in reading_before(bounds)] + in_order(values)
    ends = [*(ts for ts, _ in readings[1:]), bounds.end]
    return [(value, end - ts) for (ts, value), end in zip(readings, ends, strict=True)]


def area(values: Sequence[Pair], bounds: Bounds) -> Near | float | None:
    """Give value x seconds."""
    return real([Fraction(us, SECOND) * Fraction(value) if math.isfinite(value) else value
                 for value, us in holding(values, bounds) if us])  # fmt: skip


def increases(values: Sequence[Pair], bounds: Bounds) -> list[Any]:
    """Give by how much a counter increased from each reading to the next; a decrease is a reset."""
    counts = [value for _, value in reading_before(bounds) + in_order(values)]
    return [
        after - before if after > before else (0 if after == before else after) for before, after in pairwise(counts)
    ]


def real(terms: Sequence[Any], share: Fraction = Fraction(1)) -> Near | float | None:
    """Give the sum of terms as real numbers, times a share, with the slack that rounding each of them leaves."""
    infinite = {term for term in terms if term in {math.inf, -math.inf}}
    if infinite:
        return next(iter(infinite)) if len(infinite) == 1 else None
    total = sum(map(Fraction, terms), Fraction(0)) * share
    # Values are kept in units of 2**64, so what is smaller than 1e-285 has few digits.
    slack = Fraction(1, 10**15) * sum(abs(Fraction(term)) for term in terms) * share + Fraction(1, 10**270)
    return Near(to_float(total), to_float(slack))


def to_float(number: Fraction) -> float:
    """Give the nearest float; infinity for what is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def by_window(
    call: str,
    readings: Sequence[tuple[float, Any]],
    size: str = "10s",
    *,
    slide: str | None = None,
    type_: Type = Type.FLOAT,
    lateness: int = 0,
) -> dict[float, Any]:
    """Give the results of windows of `x`, by the second at which they start.

    Args:
        call: such as `rate(x)`.
        readings: (second, value) as they arrive.
        size: of the windows.
        slide: of hopping windows; tumbling ones if left out.
        type_: of the column.
        lateness: of the clock, us.
    """
    schema = Schema({"x": type_}, ("device",), "ts")
    rows = clocked([(b"a", round(at * SECOND), {"x": value}) for at, value in readings], lateness, close=True)
    options = {"size": size, "aggregate": {"result": call}}
    spec = Hopping.model_validate({**options, "slide": slide}) if slide else Tumbling.model_validate(options)
    made = run(spec, rows, schema)
    assert not [row for row in made.rows["late"] if row.live], "a reading is late: give the clock some lateness"
    return {row["window_start"] / SECOND: row["result"] for row in made.main}


def by_rows(
    call: str, readings: Sequence[tuple[float, Any]], size: int, slide: int, type_: Type = Type.FLOAT
) -> list[Any]:
    """Give the results of windows of `size` rows of `x`, one every `slide` rows; readings are (second, value) as they arrive."""
    rows = clocked([(b"a", round(at * SECOND), {"x": value}) for at, value in readings], HOUR)
    spec = Count.model_validate({"size": size, "slide": slide, "aggregate": {"result": call}})
    return [row["result"] for row in run(spec, rows, Schema({"x": type_}, ("device",), "ts")).main]
