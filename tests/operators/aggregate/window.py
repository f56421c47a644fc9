"""One window around some values: how the tests of the aggregates get at an aggregate's result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from operators.batch import Schema, Type
from operators.window.tumbling import Tumbling
from tests.operators.rows import MINUTE, Row, clocked, run


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
