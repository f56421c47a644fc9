"""Tests of the smoother `kalman`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.clock import FORGET
from operators.smooth import kalman
from operators.smooth.kalman import Kalman
from tests.operators.rows import NINE, SCHEMA, SECOND, Near, Row, clocked, run

SPECS: list[dict[str, Any]] = [
    {"field": "temperature"},
    {"field": "humidity", "into": "level", "q": 3, "r": 20},
    {"field": "n", "q": 0},
    {"field": "ok", "q": 0.5, "r": 0.1},
]
HUMIDITY = Schema({"humidity": Type.FLOAT}, ("device",), "ts")


def oracle(spec: Kalman, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Predict and correct, with variances as they stand in textbooks."""
    known: dict[bytes, tuple[float, float]] = {}
    largest = 0.0
    out = []
    for row in rows:
        if row.watermark == FORGET:
            known.pop(row.device, None)
        if not row.live:
            out.append(replace(row, values={}))
            continue
        given: Any = row[spec.field]
        value = None if given is None or abs(given) > 1e150 else float(given)
        estimate: Near | None = None
        if row.device in known:
            level, variance = known[row.device]
            variance += spec.q
            if value is not None:
                gain = variance / (variance + spec.r)
                level += gain * (value - level)
                variance *= 1 - gain
            known[row.device] = level, variance
        elif value is not None:
            known[row.device] = value, spec.r
        if value is not None:
            largest = max(largest, abs(value))
            estimate = Near(known[row.device][0], 1e-12 * largest)
        out.append(replace(row, values={**row.values, spec.into or f"{spec.field}_smooth": estimate}))
    return {"": out}


def smoothed(values: Sequence[float | None], **options: Any) -> list[float | None]:
    rows = clocked([(b"a", NINE + at * SECOND, {"humidity": value}) for at, value in enumerate(values)])
    made = run(Kalman.model_validate({"field": "humidity", "into": "level", **options}), rows, HUMIDITY)
    return [row["level"] for row in made.main]


def noise(rows: int, level: float = 40.0, seed: int = 7) -> list[float]:
    random = Random(seed)
    return [random.gauss(level, 1) for _ in range(rows)]


def test_the_first_value_is_the_first_estimate() -> None:
    assert smoothed([40.0, 41.0])[0] == 40.0


def test_the_estimate_is_the_likeliest_end_of_a_walk() -> None:
    """Of all walks, the one whose steps and whose distances from the values are the likeliest, all values together."""
    q, r, rows = 0.3, 2.0, 40
    random = Random(5)
    values = [None if 10 < at < 15 or random.random() < 0.2 else random.gauss(at, 3) for at in range(1, rows + 1)]
    got = smoothed([20.0, *values], q=q, r=r)
    for last in range(1, rows + 1):
        known = [(0, 20.0)] + [(at, value) for at, value in enumerate(values[:last], 1) if value is not None]
        weights = np.zeros((len(known) + last, last + 1))
        wanted = np.zeros(len(weights))
        for row, (at, value) in enumerate(known):
            weights[row, at], wanted[row] = r**-0.5, value * r**-0.5
        for step in range(last):
            weights[len(known) + step, step : step + 2] = -(q**-0.5), q**-0.5
        walk, *_ = np.linalg.lstsq(weights, wanted)
        if values[last - 1] is not None:
            assert got[last] == pytest.approx(walk[-1], rel=1e-9)


def shown() -> list[tuple[float, float, float, float]]:
    """Read the table in the docstring: q / r, share of a new value, noise left, rows behind."""
    lines = re.findall(r"^ +([\d.]+) +(\d+) % +(\d+) % +([\d.]+) rows", kalman.__doc__ or "", re.MULTILINE)
    return [(float(ratio), int(share) / 100, int(left) / 100, float(behind)) for ratio, share, left, behind in lines]


def test_the_table_in_the_docstring_has_four_lines() -> None:
    assert [ratio for ratio, *_ in shown()] == [1, 0.1, 0.01, 0.001]
    left_out = Kalman.model_validate({"field": "humidity"})
    assert left_out.q / left_out.r == 0.01


@pytest.mark.parametrize(("ratio", "share", "left", "behind"), shown())
def test_what_the_docstring_shows_of_a_ratio_is_so(ratio: float, share: float, left: float, behind: float) -> None:
    # What an impulse does to all that follows: white noise comes out with the root of the sum of the squares.
    response = [value for value in smoothed([0.0] * 500 + [1.0] + [0.0] * 1000, q=ratio)[500:] if value is not None]
    assert response[0] == pytest.approx(share, abs=0.006)
    assert math.sqrt(sum(value**2 for value in response)) == pytest.approx(left, abs=0.006)
    assert smoothed([float(at) for at in range(500)], q=ratio)[-1] == pytest.approx(499 - behind, abs=0.2)


def test_only_the_ratio_of_the_variances_matters() -> None:
    values = noise(100)
    assert smoothed(values, q=0.02, r=2) == pytest.approx(smoothed(values, q=3e-8, r=3e-6))


def test_without_process_noise_the_mean_of_all_values_comes_out() -> None:
    values = noise(1000)
    assert smoothed(values, q=0)[-1] == pytest.approx(sum(values) / 1000)


@pytest.mark.parametrize("missing", [None, math.inf, -math.inf, 1.1e150, -1e300])
def test_where_a_value_is_missing_so_is_the_smoothed_one_and_the_next_value_counts_for_more(
    missing: float | None,
) -> None:
    before = [40.0] * 100
    soon, late = smoothed([*before, 50.0])[-1], smoothed([*before, *[missing] * 1000, 50.0])
    assert late[100:-1] == [None] * 1000
    assert soon == pytest.approx(40.95, abs=0.01)
    # From a variance of 0.1 it has grown by 1000 times 0.01: the value counts ten times as much as the estimate.
    assert late[-1] == pytest.approx(49.1, abs=0.01)


def test_missing_values_before_the_first_one_change_nothing() -> None:
    values = noise(50)
    assert smoothed([None, None, *values])[2:] == smoothed(values)


def test_a_punctuation_is_no_row_without_a_value() -> None:
    rows = clocked([(b"a", NINE + at * SECOND, {"humidity": value}) for at, value in enumerate(noise(50))])
    gaps = [replace(row, live=False, values={}) for row in rows]
    spec = Kalman.model_validate({"field": "humidity"})
    among = [row for pair in zip(rows, gaps, strict=True) for row in pair]
    assert run(spec, among, HUMIDITY).main == run(spec, rows, HUMIDITY).main


@pytest.mark.parametrize(("q", "r"), [(1e300, 1e-300), (1e-300, 1e300), (0, 1e300), (5e-324, 5e-324), (1e308, 1e308)])
def test_extreme_variances_and_values_give_finite_estimates_between_the_values(q: float, r: float) -> None:
    values = [1e150, None, -1e150, *([None] * 100), 1e150, 5e-324, 0.0, -1e150]
    got = smoothed(values, q=q, r=r)
    assert all((value is None) == (estimate is None) for value, estimate in zip(values, got, strict=True))
    assert all(abs(estimate) <= 1.000001e150 for estimate in got if estimate is not None)


def test_devices_dont_see_each_other() -> None:
    values = noise(50)
    alone = smoothed(values)
    readings = [(device, NINE, {"humidity": value}) for value in values for device in (b"a", b"b")]
    made = run(Kalman.model_validate({"field": "humidity"}), clocked(readings), HUMIDITY)
    for device in (b"a", b"b"):
        assert [row["humidity_smooth"] for row in made.main if row.device == device] == alone


def test_a_field_or_a_name_that_doesnt_fit_is_refused_with_all_that_is_wrong() -> None:
    spec = Kalman.model_validate({"field": "status", "into": "humidity"})
    with pytest.raises(SpecError) as caught:
        spec.outputs(SCHEMA)
    field, into = caught.value.problems
    assert (field.at, field.given) == (("field",), "`status`, which is text")
    assert (into.at, into.given) == (("into",), "`humidity` exists here already")
    assert into.fix == "another name, such as `into: status_level`"


@pytest.mark.parametrize("options", [{"q": -1}, {"q": math.inf}, {"r": 0}, {"r": -1}, {"r": math.nan}])
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        Kalman.model_validate({"field": "humidity", **options})
