"""Tests of the aggregate `slope`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.batch import Schema, Type
from operators.window.hopping import Hopping
from tests.operators.aggregate.ordered import by_window, to_float
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import NINE, SECOND, Near, clocked, run

INF = float("inf")
X = Schema({"x": Type.FLOAT}, ("device",), "ts")


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Fit a line on real numbers. How far off a float may be goes with the products that cancel out."""
    if len({ts for ts, _ in values}) < 2 or any(math.isinf(value) for _, value in values):
        return None
    times = [Fraction(ts, SECOND) for ts, _ in values]
    numbers = [Fraction(value) for _, value in values]
    middle, mean = sum(times, Fraction(0)) / len(times), sum(numbers, Fraction(0)) / len(numbers)
    squares = sum(((time - middle) * (time - middle) for time in times), Fraction(0))
    products = [(time - middle) * (number - mean) for time, number in zip(times, numbers, strict=True)]
    slack = sum((abs(product) for product in products), Fraction(0)) / squares / 10**12 + Fraction(1, 10**240)
    return Near(to_float(sum(products, Fraction(0)) / squares), to_float(slack))


def test_of_values_on_a_line_it_is_the_slope_of_the_line() -> None:
    readings = [(at, 5 + 2.5 * at) for at in (0, 1, 1.5, 4, 9)]
    assert by_window("slope(x)", readings) == {0: Near(2.5)}


def test_the_order_in_which_readings_come_doesnt_matter() -> None:
    readings = [(at, 5 - 2.5 * at) for at in (4, 0, 9, 1.5, 1)]
    assert by_window("slope(x)", readings, lateness=10 * SECOND) == {0: Near(-2.5)}


def test_panes_put_together_keep_the_time_that_theirs_are_counted_from() -> None:
    # us around a border of slices of 1s, far from 1970, where a float has no digits for them
    border = NINE + SECOND
    at = [-7, -5, -1, 0, 1, 5, 6]
    rows = clocked([(b"a", border + us, {"x": float(us)}) for us in at], close=True)
    spec = Hopping.model_validate({"size": "2s", "slide": "1s", "aggregate": {"result": "slope(x)"}})
    made = {row["window_start"]: row["result"] for row in run(spec, rows, X).main}
    assert made[NINE] == Near(1e6)


def test_it_is_that_of_least_squares() -> None:
    # Agreement with numpy.polyfit(deg=1).
    times, values = [0.0, 1.0, 2.0, 5.0, 9.0], [3.0, -1.0, 4.0, 1.0, 5.0]
    assert by_window("slope(x)", list(zip(times, values, strict=True))) == {
        0: Near(float(np.polyfit(times, values, 1)[0]))
    }


def test_a_value_that_stands_still_has_slope_zero() -> None:
    assert by_window("slope(x)", [(0, 0.1), (3, 0.1), (7, 0.1)]) == {0: 0.0}


def test_without_two_different_times_it_is_missing() -> None:
    assert by_window("slope(x)", [(3, 1.0)]) == {0: None}
    assert by_window("slope(x)", [(3, 1.0), (3, 2.0)]) == {0: None}
    assert by_window("slope(x)", [(3, 1.0), (3.000001, 2.0)]) == {0: Near(1e6)}


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("slope(x)", type_, [None, None]) is None


def test_it_passes_over_what_is_missing() -> None:
    assert by_window("slope(x)", [(0, 1.0), (1, None), (2, 5.0)]) == {0: 2.0}


def test_with_an_infinite_value_it_is_missing() -> None:
    assert by_window("slope(x)", [(0, 1.0), (1, INF), (2, 5.0)]) == {0: None}
    assert by_window("slope(x)", [(0, INF), (1, INF)]) == {0: None}


def test_neither_the_epoch_nor_a_large_offset_costs_digits() -> None:
    readings = [(NINE / SECOND + at / 64, 1e9 + at / 4) for at in range(200)]
    (got,) = by_window("slope(x)", readings).values()
    assert got == pytest.approx(16.0, rel=1e-13)


def test_large_ints_are_told_apart() -> None:
    assert by_window("slope(x)", [(0, 2**62), (1, 2**62 + 1), (2, 2**62 + 2)], type_=Type.INT) == {0: 1.0}


def test_products_of_the_largest_values_dont_overflow() -> None:
    assert by_window("slope(x)", [(0, -1.7e308), (3600, 1.7e308)], "2h") == {0: Near(1.7e308 / 1800)}
    assert by_window("slope(x)", [(0, -1.7e308), (0.001, 1.7e308)], "2h") == {0: INF}


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6)), min_size=1, max_size=100),
    st.sampled_from(["1s", "7s", "10s"]),
)
def test_of_a_window_put_together_from_slices_it_is_that_of_all_its_values(
    readings: list[tuple[int, float]], slide: str
) -> None:
    made = by_window("slope(x)", [(at / 10, value) for at, value in readings], "20s", slide=slide, lateness=60 * SECOND)
    for start, got in made.items():
        inside = [(at * SECOND // 10, value) for at, value in readings if start <= at / 10 < start + 20]
        assert got == oracle(inside, Type.FLOAT)
