"""Tests of the aggregate `first`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.window import aggregated


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Give the value of the earliest time; of equal times that which came first."""
    return min(values, key=lambda value: value[0], default=(0, None))[1]


def test_it_is_the_earliest_by_event_time_and_not_by_arrival() -> None:
    assert aggregated("first(x)", Type.FLOAT, [1.0, 2.0, 3.0], ts=[5, 3, 4]) == {"first": 2.0, "last": 1.0}["first"]


def test_of_equal_times_it_is_the_one_that_came_first() -> None:
    assert aggregated("first(x)", Type.INT, [1, 2, 3], ts=[5, 5, 5]) == [1, 2, 3][0]


def test_it_passes_over_what_is_missing() -> None:
    assert aggregated("first(x)", Type.FLOAT, [None, 1.0, 2.0, None]) == [1.0, 2.0][0]


def test_an_int_is_exact() -> None:
    assert aggregated("first(x)", Type.INT, [2**53 + 1]) == 2**53 + 1


def test_a_bool_counts_as_an_int() -> None:
    assert aggregated("first(x)", Type.BOOL, [None, True]) == 1
    assert aggregated("first(x)", Type.BOOL, [False]) == 0


def test_a_time_is_a_time() -> None:
    assert aggregated("first(x)", Type.TIME, [-5, 7]) == [-5, 7][0]
    assert aggregated("first(ts)", Type.FLOAT, [None, None], ts=[9, 3]) == [3, 9][0]


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL, Type.TIME])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("first(x)", type_, [None, None]) is None
