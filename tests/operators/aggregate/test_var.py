"""Tests of the aggregate `var`, and of the numbers that `std` is made from too."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.batch import Schema, Type
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.ordered import by_window, to_float
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import Near, Runner

INF = float("inf")


def variance(values: Sequence[Any]) -> Fraction | None:
    """Give the sample variance as a real number, if there is one: the standard library computes exactly on fractions."""
    if len(values) < 2 or any(math.isinf(value) for value in values):
        return None
    return statistics.variance(map(Fraction, values))


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Give the sample variance; squares of differences below 1e-145 may vanish."""
    exact = variance([value for _, value in values])
    return None if exact is None else Near(to_float(exact), slack=1e-280)


def test_it_is_the_sample_variance() -> None:
    assert aggregated("var(x)", Type.FLOAT, [2.0, None, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == Near(32 / 7)


def test_panes_put_together_keep_what_their_values_are_counted_from() -> None:
    # Ints around 2**60, whose squares need the origin that differences are taken from.
    readings = [(0, 2**60), (0.5, 2**60 + 1), (1, 2**60 + 5), (1.2, 2**60 + 7), (1.7, 2**60 + 12)]
    made = by_window("var(x)", readings, "2s", slide="1s", type_=Type.INT)
    assert made[0] == Near(float(statistics.variance(map(Fraction, (0, 1, 5, 7, 12)))))


def test_below_two_values_it_is_missing() -> None:
    assert aggregated("var(x)", Type.FLOAT, [None, 3.0]) is None
    assert aggregated("var(x)", Type.FLOAT, [None]) is None


def test_of_equal_values_it_is_exactly_zero() -> None:
    assert aggregated("var(x)", Type.FLOAT, [0.1] * 1000) == 0.0


def test_values_close_together_far_from_zero_keep_their_digits() -> None:
    small = [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    values = [1e9 + value for value in small]
    squares = sum(value * value for value in values) - sum(values) ** 2 / len(values)
    assert squares / 5 != pytest.approx(statistics.variance(small), rel=0.01)  # the formula of the textbook
    assert aggregated("var(x)", Type.FLOAT, values) == pytest.approx(statistics.variance(small), rel=1e-15)


@given(st.lists(st.integers(0, 1_000_000), min_size=2, max_size=100), st.sampled_from([0, 10**9, 10**12]))
def test_it_keeps_twelve_digits_whatever_the_offset(numbers: list[int], offset: int) -> None:
    values = [offset + number / 1024 for number in numbers]
    exact = statistics.variance(map(Fraction, values))
    assert aggregated("var(x)", Type.FLOAT, values) == pytest.approx(float(exact), rel=1e-12)


def test_large_ints_are_told_apart() -> None:
    assert aggregated("var(x)", Type.INT, [2**60, 2**60 + 1, 2**60 + 2]) == 1.0
    assert aggregated("var(x)", Type.INT, [1 - 2**63, 2**63 - 1]) == Near(2.0**127)


def test_of_bools_it_is_that_of_zeros_and_ones() -> None:
    assert aggregated("var(x)", Type.BOOL, [True, False, None, True, False]) == Near(1 / 3)


@pytest.mark.parametrize("values", [[INF, 1.0], [1.0, INF], [INF, INF], [1.0, 2.0, -INF, 3.0, 4.0]])
def test_with_an_infinite_value_it_is_missing(values: list[float]) -> None:
    assert aggregated("var(x)", Type.FLOAT, values) is None


def test_one_that_is_too_large_is_infinite() -> None:
    assert aggregated("var(x)", Type.FLOAT, [1e200, -1e200]) == INF
    assert aggregated("var(x)", Type.FLOAT, [1.7e308, -1.7e308, 0.0]) == INF
    assert aggregated("var(x)", Type.FLOAT, [1e153, -1e153]) == Near(2e306)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200), st.sampled_from(["1s", "7s", "10s"]))
def test_of_a_window_put_together_from_slices_it_is_that_of_all_its_values(values: list[float], slide: str) -> None:
    # Agreement with numpy.var(ddof=1).
    made = by_window("var(x)", [(at / 10, 1e9 + value) for at, value in enumerate(values)], "20s", slide=slide)
    for start, got in made.items():
        inside = [1e9 + value for at, value in enumerate(values) if start <= at / 10 < start + 20]
        if len(inside) < 2:
            assert got is None
        else:
            assert got == pytest.approx(np.var(np.array(inside), ddof=1), rel=1e-6, abs=1e-8)
            assert got == oracle([(0, value) for value in inside], Type.FLOAT)


def test_std_and_var_share_what_they_keep() -> None:
    def bytes_a_pane(**aggregate: str) -> int:
        spec = Tumbling.model_validate({"size": "1m", "aggregate": aggregate})
        state: Any = Runner(spec, Schema({"x": Type.FLOAT}, ("device",), "ts")).state
        return int(state.panes.bytes_a_pane())

    assert bytes_a_pane(a="var(x)", b="std(x)") == bytes_a_pane(a="var(x)") == bytes_a_pane(a="std(x)")
