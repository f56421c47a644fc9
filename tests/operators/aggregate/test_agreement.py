"""Agreement of the aggregates with polars: `group_by` over the same readings, in order, in tumbling windows.

What polars computes is named beside each aggregate: methods of `polars.Expr`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from operators.aggregate.base import aggregates
from operators.batch import Schema, Type
from operators.window.tumbling import Tumbling
from tests.operators.rows import NINE, SECOND, Row, run

X, TS = pl.col("x"), pl.col("ts")
SEEN = TS.filter(X.is_not_null())
HOLDS = (TS.shift(-1) - TS).fill_null(10 * SECOND - TS % (10 * SECOND))
"""How long (us) a reading holds: until the next one, or to the window's end; readings without a value are left out."""
SINCE = TS - TS.min()
"""For polars' sums of squares, which would lose half of the digits of a time since 1970."""
NUMBERS: dict[str, pl.Expr] = {
    "count(x)": X.count(),
    "sum(x)": pl.when(X.count() > 0).then(X.sum()),
    "mean(x)": X.mean(),
    "min(x)": X.min(),
    "max(x)": X.max(),
    "first(x)": X.drop_nulls().first(),
    "last(x)": X.drop_nulls().last(),
    "std(x)": X.std(ddof=1),
    "var(x)": X.var(ddof=1),
    "range(x)": X.max() - X.min(),
    "delta(x)": X.drop_nulls().last() - X.drop_nulls().first(),
    "argmin(x)": SEEN.get(X.drop_nulls().arg_min(), null_on_oob=True),
    "argmax(x)": SEEN.get(X.drop_nulls().arg_max(), null_on_oob=True),
    "slope(x)": pl.cov(X, SINCE) / SINCE.filter(X.is_not_null()).var() * SECOND,
    "median(x)": X.median(),
    "percentile(x, 90)": X.quantile(0.9, "linear"),
    "p25(x)": X.quantile(0.25, "linear"),
    "distinct(x)": X.drop_nulls().n_unique(),
}
"""The call of an aggregate of a number to the same in polars."""
BOOLS: dict[str, pl.Expr] = {
    "any(x)": X.drop_nulls().any(),
    "all(x)": X.drop_nulls().all(),
    "count(x)": X.count(),
    "sum(x)": X.cast(pl.Int64).sum(),
    "mean(x)": X.cast(pl.Float64).mean(),
}
"""The same for a bool; of no values `any` and `all` are missing, which polars says is false and true."""
WITHOUT_BEFORE: dict[str, pl.Expr] = {
    "integral(x)": (X * HOLDS).sum() / SECOND,
    "time_weighted_mean(x)": (X * HOLDS).sum() / HOLDS.sum(),
    "time_in(x > 0)": (pl.when(X > 0).then(HOLDS)).sum() / SECOND,
    "rate(x)": pl.when(X.diff() < 0).then(X).otherwise(X.diff()).sum() / (TS.max() - TS.min()) * SECOND,
}
"""For what looks back: the same in the first window of a device, in which every reading has a value."""


def known(calls: dict[str, pl.Expr]) -> list[str]:
    """Give the calls of the aggregates that are here; a short form such as `p25` is one of `percentile`."""
    names = {call: call.partition("(")[0] for call in calls}
    shorts = [found.short for found in aggregates().values() if found.short]
    return [
        call for call, name in names.items() if name in aggregates() or any(short.fullmatch(name) for short in shorts)
    ]


def readings(type_: Type, seed: int, *, devices: int = 3, missing: float = 0.2, rows: int = 3000) -> pl.DataFrame:
    """Make readings in order, some twice at the same time and some without a value; a window has 20 or so."""
    random = np.random.default_rng(seed)
    ts = NINE + np.cumsum(random.choice([0, 1, 999_999, 77_777, 250_000], rows))
    numbers = {
        Type.FLOAT: random.normal(1e6, 3, rows).round(2),
        Type.INT: random.integers(-20, 20, rows),
        Type.BOOL: random.random(rows) < 0.9,
    }[type_]
    values = [
        None if gone else value for value, gone in zip(numbers.tolist(), random.random(rows) < missing, strict=True)
    ]
    return pl.DataFrame({"device": random.integers(0, devices, rows), "ts": ts, "x": values})


def ours(frame: pl.DataFrame, call: str, type_: Type) -> dict[tuple[int, int], Any]:
    """Give the result by device and start of the window."""
    ends = frame.group_by("device").agg(TS.last()).rows()
    rows = [
        Row(b"%d" % device, ts, ts, at, live=True, values={"x": x}) for at, (device, ts, x) in enumerate(frame.rows())
    ]
    rows += [Row(b"%d" % device, 2**62, 2**62, len(rows), live=False) for device, _ in ends]
    spec = Tumbling.model_validate({"size": "10s", "aggregate": {"result": call}})
    made = run(spec, rows, Schema({"x": type_}, ("device",), "ts")).main
    return {(int(row.device), row["window_start"]): row["result"] for row in made}


def theirs(frame: pl.DataFrame, expression: pl.Expr) -> dict[tuple[int, int], Any]:
    """Give what polars makes of the same."""
    start = (TS - TS % (10 * SECOND)).alias("start")
    grouped = frame.group_by("device", start, maintain_order=True).agg(expression.alias("result"))
    # A variance of one value, or of times that are all the same, is none.
    return {(device, at): None if x != x else x for device, at, x in grouped.rows()}  # noqa: PLR0124  # NaN


def agree(ours: dict[tuple[int, int], Any], theirs: dict[tuple[int, int], Any]) -> None:
    """Complain if they differ, by more than the last digits where polars adds up floats in an order of its own."""
    assert len(ours) > 50
    assert ours.keys() == theirs.keys()
    for window, got in ours.items():
        assert got == (theirs[window] if got is None else pytest.approx(theirs[window], rel=1e-9)), window


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT])
@pytest.mark.parametrize("call", known(NUMBERS))
def test_an_aggregate_of_numbers_agrees_with_polars(call: str, type_: Type) -> None:
    frame = readings(type_, seed=11)
    agree(ours(frame, call, type_), theirs(frame, NUMBERS[call]))


@pytest.mark.parametrize("call", known(BOOLS))
def test_an_aggregate_of_bools_agrees_with_polars(call: str) -> None:
    frame = readings(Type.BOOL, seed=12)
    some = frame.group_by("device", TS - TS % (10 * SECOND)).agg(X.count())
    assert (some["x"] > 0).all(), "a window has no value at all: polars says otherwise there"
    agree(ours(frame, call, Type.BOOL), theirs(frame, BOOLS[call]))


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT])
@pytest.mark.parametrize("call", known(WITHOUT_BEFORE))
def test_an_aggregate_that_looks_back_agrees_with_polars_where_there_is_nothing_to_look_at(
    call: str, type_: Type
) -> None:
    # Every window has a device of its own.
    frame = readings(type_, seed=13, devices=1, missing=0).with_columns(device=(TS - NINE) // (10 * SECOND))
    agree(ours(frame, call, type_), theirs(frame, WITHOUT_BEFORE[call]))
