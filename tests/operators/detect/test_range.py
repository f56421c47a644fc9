"""Tests of the detector `range`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema
from operators.detect.range import Range
from tests.operators.rows import NINE, SCHEMA, Row, clocked, run

SPECS: list[dict[str, Any]] = [
    {"field": "temperature", "low": -20, "high": 75, "prefix": "t_"},
    {"field": "temperature", "low": 74, "high": 74, "prefix": "t_"},
    {"field": "n", "low": 0, "prefix": "n_"},
    {"field": "ok", "high": 0.5, "prefix": "ok_"},
]


def oracle(spec: Range, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Hold each value against the limits."""
    out = []
    for row in rows:
        if not row.live:
            out.append(replace(row, values={}))
            continue
        value: Any = row[spec.field]
        score, expected, side = 0.0, None, None
        if value is not None:
            if spec.high is not None and float(value) > spec.high:
                score, expected, side = 6.0, spec.high, "high"
            elif spec.low is not None and float(value) < spec.low:
                score, expected, side = 6.0, spec.low, "low"
        added = {f"{spec.prefix}score": score, f"{spec.prefix}expected": expected, f"{spec.prefix}side": side}
        out.append(replace(row, values={**row.values, **added}))
    return {"": out}


def limits(field: str = "temperature", **options: Any) -> Range:
    return Range.model_validate({"field": field, **options})


def scored(spec: Range, *values: float | None) -> list[tuple[float, float | None, str | None]]:
    schema = Schema({"temperature": SCHEMA.columns["temperature"]}, ("device",), "ts")
    made = run(spec, clocked([(b"a", NINE, {"temperature": value}) for value in values]), schema)
    return [(row["score"], row["expected"], row["side"]) for row in made.main]


def test_a_value_outside_the_limits_is_scored_and_the_limits_are_fine() -> None:
    spec = limits(low=-20, high=60)
    assert scored(spec, -20.0, 60.0, 60.5, -20.5) == [
        (0, None, None),
        (0, None, None),
        (6, 60, "high"),
        (6, -20, "low"),
    ]


def test_a_missing_value_is_no_anomaly() -> None:
    assert scored(limits(low=0, high=1), None) == [(0, None, None)]


def test_an_infinite_value_is_outside_any_limit() -> None:
    assert scored(limits(high=60), float("inf"), float("-inf")) == [
        (6, 60, "high"),
        (0, None, None),
    ]


@pytest.mark.parametrize("options", [{}, {"low": 2, "high": 1}])
def test_limits_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="low"):
        limits(**options)


def test_a_column_that_isnt_a_number_or_isnt_there_is_refused() -> None:
    with pytest.raises(SpecError, match="`status`, which is text"):
        limits("status", high=1, prefix="x_").outputs(SCHEMA)
    with pytest.raises(SpecError) as caught:
        limits("temprature", high=1, prefix="x_").outputs(SCHEMA)
    assert caught.value.problems[0].fix == "did you mean `temperature`?"


def test_columns_that_exist_already_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        limits(high=1).outputs(SCHEMA)
    assert caught.value.problems[0].fix == "give this detector a prefix, such as `prefix: temperature_`"
