"""Tests of the aggregate `range`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.ordered import by_window
from tests.operators.aggregate.window import aggregated

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], type_: Type) -> Any:
    """Take the smallest value from the largest; an int that doesn't fit in 64 bits is missing."""
    if not values:
        return None
    low, high = min(value for _, value in values), max(value for _, value in values)
    if type_ is Type.FLOAT and low == high:
        return None if low in {INF, -INF} else 0.0
    return high - low if type_ is Type.FLOAT or high - low < 2**63 else None


def test_it_is_the_largest_value_less_the_smallest() -> None:
    assert aggregated("range(x)", Type.FLOAT, [2.0, None, -1.5, 0.0]) == 3.5
    assert aggregated("range(x)", Type.INT, [2, None, -1, 0]) == 3


def test_of_one_value_it_is_zero() -> None:
    assert aggregated("range(x)", Type.FLOAT, [7.5]) == 0.0


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("range(x)", type_, [None, None]) is None


def test_of_ints_it_is_exact_or_missing() -> None:
    assert aggregated("range(x)", Type.INT, [2**62, 2**62 + 1]) == 1
    assert aggregated("range(x)", Type.INT, [-1, 2**63 - 2]) == 2**63 - 1
    assert aggregated("range(x)", Type.INT, [-1, 2**63 - 1]) is None
    assert aggregated("range(x)", Type.INT, [2**63 - 1, 1 - 2**63]) is None


def test_of_bools_it_says_whether_there_were_both() -> None:
    assert aggregated("range(x)", Type.BOOL, [True, None, False]) == 1
    assert aggregated("range(x)", Type.BOOL, [True, True]) == 0


def test_an_infinite_value_makes_it_infinite() -> None:
    assert aggregated("range(x)", Type.FLOAT, [INF, 1.0]) == INF
    assert aggregated("range(x)", Type.FLOAT, [INF, -INF]) == INF
    assert aggregated("range(x)", Type.FLOAT, [1.7e308, -1.7e308]) == INF
    assert aggregated("range(x)", Type.FLOAT, [INF, INF]) is None


def test_windows_that_are_put_together_have_the_range_of_all() -> None:
    made = by_window("range(x)", [(1, 5.0), (6, 2.0), (11, 9.0)], slide="5s")
    assert made == {-5: 0.0, 0: 3.0, 5: 7.0, 10: 0.0}
