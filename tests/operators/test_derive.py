"""Tests of `derive`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.derive import Derive
from tests.operators.rows import NINE, SCHEMA, Row, clocked, run

Values = Mapping[str, Any]


def strict(compute: Callable[..., Any], *names: str) -> Callable[[Values], Any]:
    """NULL as soon as one of the columns is, as SQL's operators are; and what isn't a number is missing."""

    def of(row: Values) -> Any:
        if any(row[name] is None for name in names):
            return None
        value = compute(*(row[name] for name in names))
        return None if isinstance(value, float) and math.isnan(value) else value

    return of


def over(numerator: float, denominator: float) -> float:
    """Divide as IEEE 754 has it."""
    if denominator != 0:
        return numerator / denominator
    return math.copysign(math.inf, numerator) * math.copysign(1, denominator) if numerator else math.nan


def by(value: float, constant: float) -> float:
    """Divide by a constant as polars does: times its reciprocal."""
    return value * (1 / constant)


COLUMNS: dict[str, Callable[[Values], Any]] = {
    "temperature * 9 / 5 + 32": strict(lambda t: by(t * 9, 5) + 32, "temperature"),
    "temperature - (100 - humidity) / 5": strict(lambda t, h: t - by(100 - h, 5), "temperature", "humidity"),
    "temperature / 3": strict(lambda t: by(t, 3), "temperature"),
    "temperature / humidity": strict(over, "temperature", "humidity"),
    "warm > 100": strict(lambda warm: warm > 100, "warm"),
    "COALESCE(temperature, humidity, 0)": lambda row: next(
        value for value in (row["temperature"], row["humidity"], 0.0) if value is not None
    ),
    "CASE WHEN ok THEN 'fine' WHEN n > 0 THEN status END": lambda row: (
        "fine" if row["ok"] else (row["status"] if row["n"] is not None and row["n"] > 0 else None)
    ),
    "status || '/' || device": strict(
        lambda status, device: f"{status}/{device.decode('utf-8', 'backslashreplace')}", "status", "device"
    ),
    "CAST(status AS DOUBLE)": strict(float, "status"),
    "temperature > 20": strict(lambda t: t > 20, "temperature"),
    "n": lambda row: row["n"],
    "ts": lambda row: row["ts"],
    "1": lambda row: 1,  # noqa: ARG005
}
SPECS: list[dict[str, Any]] = [
    {"columns": {"warm": "temperature * 9 / 5 + 32", "hot": "warm > 100"}},
    {"columns": {"x": "temperature - (100 - humidity) / 5", "y": "temperature / humidity", "z": "temperature / 3"}},
    {"columns": {"temperature": "COALESCE(temperature, humidity, 0)", "warm": "temperature * 9 / 5 + 32"}},
    {"columns": {"a": "CASE WHEN ok THEN 'fine' WHEN n > 0 THEN status END", "b": "status || '/' || device"}},
    {"columns": {"number": "CAST(status AS DOUBLE)", "b": "temperature > 20", "status": "n"}},
    {"columns": {"at": "ts", "one": "1", "status": "CAST(status AS DOUBLE)"}},
]


def oracle(spec: Derive, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Compute column after column; a row for which one can't be is rejected, and a punctuation from there on."""
    out: dict[str, list[Row]] = {"": [], "rejects": []}
    for row in rows:
        if not row.live:
            out[""].append(replace(row, values={}))
            continue
        seen: dict[str, Any] = {**row.values, "device": row.device, "ts": row.ts}
        try:
            for name, text in spec.columns.items():
                seen[name] = COLUMNS[text](seen)
        except ValueError:
            out["rejects"].append(row)
            out[""].append(replace(row, live=False, values={}))
        else:
            del seen["device"], seen["ts"]
            out[""].append(replace(row, values=seen))
    return out


def derived(columns: dict[str, str], **values: Any) -> Row:
    (row,) = run(Derive(columns=columns), clocked([(b"a", NINE, values)])).main
    return row


def test_a_column_is_computed_from_those_of_the_row() -> None:
    assert derived({"fahrenheit": "temperature * 9 / 5 + 32"}, temperature=100.0)["fahrenheit"] == 212.0


def test_a_later_column_can_use_an_earlier_one() -> None:
    row = derived({"fahrenheit": "temperature * 9 / 5 + 32", "hot": "fahrenheit > 100"}, temperature=40.0)
    assert (row["fahrenheit"], row["hot"]) == (104.0, True)


def test_a_name_that_exists_is_replaced_also_by_another_type() -> None:
    spec = Derive(columns={"temperature": "temperature + 1", "status": "LENGTH(status)"})
    assert spec.outputs(SCHEMA)[""].columns["status"] is Type.INT
    row = derived(dict(spec.columns), temperature=1.0, status="off")
    assert (row["temperature"], row["status"]) == (2.0, 3)


def test_new_columns_stand_behind_the_old_ones() -> None:
    columns = Derive(columns={"b": "1", "a": "2"}).outputs(SCHEMA)[""].columns
    assert list(columns) == [*SCHEMA.columns, "b", "a"]


def test_a_missing_value_makes_a_missing_value() -> None:
    assert derived({"x": "temperature + humidity"}, temperature=None, humidity=1.0)["x"] is None


def test_a_row_that_cant_be_computed_is_rejected_once_and_goes_no_further() -> None:
    columns = {"a": "CAST(status AS DOUBLE)", "b": "CAST(status AS BIGINT)"}
    rows = clocked([(b"a", NINE + at, {"status": status}) for at, status in enumerate(["1", "x", "2"])])
    made = run(Derive(columns=columns), rows)
    assert [(row.offset, row["a"], row["b"]) for row in made.main] == [(0, 1.0, 1), (2, 2.0, 2)]
    assert [offset for offset, _ in made.rejects] == [1]
    assert [row.watermark for row in made.rows[""]] == [NINE, NINE + 1, NINE + 2]


def test_all_mistakes_are_reported_at_once() -> None:
    columns = {"device": "1", "a": "temprature", "b": "SUM(n)", "ts": "1"}
    with pytest.raises(SpecError) as caught:
        Derive(columns=columns).outputs(SCHEMA)
    assert [problem.at for problem in caught.value.problems] == [("columns", name) for name in columns]
    assert caught.value.problems[1].fix == "did you mean `temperature`?"


def test_a_column_cant_use_one_that_comes_later() -> None:
    with pytest.raises(SpecError, match="`later` in `later`"):
        Derive(columns={"a": "later", "later": "1"}).outputs(SCHEMA)
