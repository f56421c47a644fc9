"""Tests of the aggregate `time_weighted_mean`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from operators.batch import Schema, Type
from operators.window.session import Session
from tests.operators.aggregate.ordered import by_window, holding, in_order, real
from tests.operators.aggregate.window import Bounds, aggregated
from tests.operators.rows import SECOND, Near, clocked, run

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type, bounds: Bounds) -> Any:
    """Weigh each value by how long it holds; where there is no time the last one is the mean."""
    if not values:
        return None
    held = [(value, us) for value, us in holding(values, bounds) if us]
    if not held:
        return float(in_order(values)[-1][1])
    share = Fraction(1, sum(us for _, us in held))
    return real([value * us if value in {INF, -INF} else Fraction(value) * us for value, us in held], share)


def test_each_reading_counts_for_as_long_as_it_holds() -> None:
    # 0s        8s   10s
    # 3---------1----|
    assert by_window("time_weighted_mean(x)", [(0, 3.0), (8, 1.0)]) == {0: (3 * 8 + 1 * 2) / 10}


def test_time_before_the_first_reading_doesnt_count() -> None:
    # 6s    8s   10s
    # 3-----1----|
    assert by_window("time_weighted_mean(x)", [(6, 3.0), (8, 1.0)]) == {0: (3 * 2 + 1 * 2) / 4}


def test_the_reading_before_the_window_counts_from_its_start() -> None:
    made = by_window("time_weighted_mean(x)", [(6, 3.0), (18, 1.0)])
    assert made == {0: 3.0, 10: (3 * 8 + 1 * 2) / 10}


def test_of_a_single_reading_it_is_its_value() -> None:
    assert by_window("time_weighted_mean(x)", [(4, 3.5)]) == {0: 3.5}


def test_of_readings_without_any_time_it_is_the_last_value() -> None:
    spec = Session.model_validate({"gap": "5s", "aggregate": {"result": "time_weighted_mean(x)"}})
    readings = [
        (b"a", at * SECOND, {"x": value}) for at, value in [(0, 3.5), (10, 1.0), (10, 2.0), (20, 1.0), (24, 7.0)]
    ]
    rows = run(spec, clocked(readings, close=True), Schema({"x": Type.FLOAT}, ("device",), "ts")).main
    assert [row["result"] for row in rows] == [3.5, 2.0, 1.0]


def test_of_ints_it_is_a_float() -> None:
    assert by_window("time_weighted_mean(x)", [(0, 3), (5, 4)], type_=Type.INT) == {0: 3.5}


def test_of_a_condition_it_is_the_share_of_time_for_which_it_was_true() -> None:
    assert by_window("time_weighted_mean(x > 4)", [(0, 3.0), (8, 5.0)]) == {0: Near(0.2)}


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("time_weighted_mean(x)", type_, [None, None]) is None


def test_an_infinite_value_makes_it_infinite_if_it_holds_for_any_time() -> None:
    assert by_window("time_weighted_mean(x)", [(0, 1.0), (2, -INF), (4, 1.0)]) == {0: -INF}
    assert by_window("time_weighted_mean(x)", [(0, -INF), (2, INF)]) == {0: None}
    assert by_window("time_weighted_mean(x)", [(0, INF), (0, 1.0)]) == {0: 1.0}


def test_the_mean_of_the_largest_values_is_as_large() -> None:
    largest = 1.7e308
    assert by_window("time_weighted_mean(x)", [(0, largest), (3, largest)], "1h") == {0: Near(largest)}
