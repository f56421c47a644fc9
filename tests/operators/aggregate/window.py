"""One window around some values: how the tests of the aggregates get at an aggregate's result, and at its oracle's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from operators.aggregate.base import aggregates
from operators.batch import Schema, Type
from operators.window.tumbling import Tumbling
from tests.operators.rows import MINUTE, Row, clocked, run, test_module


@dataclass(frozen=True)
class Bounds:
    """What an aggregate that looks back is told of a window besides its values.

    Attributes:
        start: where it starts, us.
        end: how far it reaches, us.
        before: (ts, value) of the readings before it.
    """

    start: int
    end: int
    before: Sequence[tuple[int, Any]] = ()


def load_oracles() -> None:
    """Import the test modules of the aggregates ahead of any test: to hypothesis a test that is imported while another
    runs is nested in it. One that isn't there is told by a test of its own.
    """
    for name in aggregates():
        with suppress(AssertionError):
            test_module("tests.operators.aggregate", (name,), ())


def expected(name: str, values: Sequence[tuple[int, Any]], type_: Type, bounds: Bounds) -> Any:
    """Ask an aggregate's own oracle what it makes of values (ts, value) that aren't missing, in order of arrival."""
    of = test_module("tests.operators.aggregate", (name,), ("oracle",)).oracle
    return of(values, type_, bounds) if aggregates()[name].looks_back else of(values, type_)


def aggregated(call: str, type_: Type, values: Sequence[Any], ts: Sequence[int] | None = None) -> Any:
    """Give the aggregate of the values of a column `x`.

    Args:
        call: such as `sum(x)`.
        type_: of the column.
        values: None where missing.
        ts: the event time of each value within the minute from 0 on, us; in order where there is none.
    """
    schema = Schema({"x": type_}, ("device",), "ts")
    times = range(len(values)) if ts is None else ts
    rows = clocked([(b"a", at, {"x": value}) for at, value in zip(times, values, strict=True)], close=True)
    spec = Tumbling.model_validate({"size": "1m", "aggregate": {"result": call}})
    (row,) = run(spec, rows or [Row(b"a", 0, MINUTE, 0, live=True)], schema).main
    return row["result"]
