"""Tests of the aggregate `argmax`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.ordered import by_window
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import SECOND

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Give the earliest of the times of the largest value."""
    extreme = max((value for _, value in values), default=None)
    return min((ts for ts, value in values if value == extreme), default=None)


def test_it_is_when_the_largest_value_was() -> None:
    assert (
        aggregated("argmax(x)", Type.FLOAT, [3.0, 1.0, None, 7.0, 2.0], ts=[5, 6, 7, 8, 9])
        == {"argmin": 6, "argmax": 8}["argmax"]
    )


def test_of_several_it_is_the_earliest_by_event_time() -> None:
    assert aggregated("argmax(x)", Type.INT, [4, 4, 4], ts=[5, 3, 8]) == 3
    assert aggregated("argmax(x)", Type.FLOAT, [0.0, -0.0], ts=[5, 3]) == 3
    assert aggregated("argmax(x)", Type.FLOAT, [-0.0, 0.0], ts=[5, 3]) == 3


def test_ints_are_told_apart_beyond_what_a_float_can_hold() -> None:
    assert aggregated("argmax(x)", Type.INT, [2**53, 2**53 + 1]) == {"argmin": 0, "argmax": 1}["argmax"]
    assert aggregated("argmax(x)", Type.INT, [2**53 + 1, 2**53]) == {"argmin": 1, "argmax": 0}["argmax"]


def test_an_infinite_value_is_a_value() -> None:
    assert aggregated("argmax(x)", Type.FLOAT, [1.0, INF, -INF]) == {"argmin": 2, "argmax": 1}["argmax"]


def test_of_times_it_is_a_time_too() -> None:
    assert aggregated("argmax(x)", Type.TIME, [7, -5], ts=[3, 9]) == {"argmin": 9, "argmax": 3}["argmax"]


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL, Type.TIME])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("argmax(x)", type_, [None, None]) is None


def test_windows_that_are_put_together_see_all() -> None:
    made = by_window("argmax(x)", [(1, 5.0), (6, 5.0), (11, 5.0)], slide="5s")
    assert made == {-5: 1 * SECOND, 0: 1 * SECOND, 5: 6 * SECOND, 10: 11 * SECOND}
