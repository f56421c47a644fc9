"""Tests of the aggregate `last`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.ordered import by_rows
from tests.operators.aggregate.window import aggregated


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Give the value of the latest time; of equal times that which came last."""
    return max(reversed(values), key=lambda value: value[0], default=(0, None))[1]


def test_it_is_the_latest_by_event_time_and_not_by_arrival() -> None:
    assert aggregated("last(x)", Type.FLOAT, [1.0, 2.0, 3.0], ts=[5, 3, 4]) == {"first": 2.0, "last": 1.0}["last"]


def test_of_equal_times_it_is_the_one_that_came_last() -> None:
    assert aggregated("last(x)", Type.INT, [1, 2, 3], ts=[5, 5, 5]) == [1, 2, 3][-1]


def test_it_passes_over_what_is_missing() -> None:
    assert aggregated("last(x)", Type.FLOAT, [None, 1.0, 2.0, None]) == [1.0, 2.0][-1]


def test_an_int_is_exact() -> None:
    assert aggregated("last(x)", Type.INT, [2**53 + 1]) == 2**53 + 1


def test_a_bool_counts_as_an_int() -> None:
    assert aggregated("last(x)", Type.BOOL, [None, True]) == 1
    assert aggregated("last(x)", Type.BOOL, [False]) == 0


def test_a_time_is_a_time() -> None:
    assert aggregated("last(x)", Type.TIME, [-5, 7]) == [-5, 7][-1]
    assert aggregated("last(ts)", Type.FLOAT, [None, None], ts=[9, 3]) == [3, 9][-1]


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL, Type.TIME])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("last(x)", type_, [None, None]) is None


def test_of_equal_times_in_two_panes_the_one_that_arrived_last_counts() -> None:
    # count 4, slide 2: panes of the rows at 0s and 5s, and at 5s and 4s
    readings = [(0, 1), (5, 2), (5, 3), (4, 4)]
    assert by_rows("last(x)", readings, 4, 2, Type.INT) == [3]
