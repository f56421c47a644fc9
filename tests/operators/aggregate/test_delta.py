"""Tests of the aggregate `delta`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate import test_first, test_last
from tests.operators.aggregate.ordered import by_rows, by_window
from tests.operators.aggregate.window import aggregated

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], type_: Type) -> Any:
    """Take the first value from the last; an int that doesn't fit in 64 bits is missing."""
    if not values:
        return None
    first, last = test_first.oracle(values, type_), test_last.oracle(values, type_)
    if type_ is Type.FLOAT:
        return None if first == last and first in {INF, -INF} else last - first
    return last - first if -(2**63) < last - first < 2**63 else None


def test_it_is_the_last_value_less_the_first_by_event_time() -> None:
    assert aggregated("delta(x)", Type.FLOAT, [5.0, 7.0, 1.0], ts=[8, 9, 3]) == 6.0


def test_of_equal_times_the_first_to_arrive_is_first_and_the_last_is_last() -> None:
    assert aggregated("delta(x)", Type.INT, [10, 2, 5], ts=[4, 4, 4]) == -5


def test_it_passes_over_what_is_missing() -> None:
    assert aggregated("delta(x)", Type.FLOAT, [None, 1.0, 4.0, None]) == 3.0


def test_of_one_value_it_is_zero() -> None:
    assert aggregated("delta(x)", Type.INT, [7]) == 0


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("delta(x)", type_, [None, None]) is None


def test_of_ints_it_is_exact_or_missing() -> None:
    assert aggregated("delta(x)", Type.INT, [2**62, 2**62 + 1]) == 1
    assert aggregated("delta(x)", Type.INT, [-1, 2**63 - 2]) == 2**63 - 1
    assert aggregated("delta(x)", Type.INT, [-1, 2**63 - 1]) is None
    assert aggregated("delta(x)", Type.INT, [2**63 - 1, -1]) is None
    assert aggregated("delta(x)", Type.INT, [2**63 - 2, -1]) == 1 - 2**63
    assert aggregated("delta(x)", Type.INT, [2**63 - 1, 1 - 2**63]) is None


def test_of_bools_it_says_which_way() -> None:
    assert aggregated("delta(x)", Type.BOOL, [True, None, False]) == -1


def test_infinite_values_make_it_infinite_or_missing() -> None:
    assert aggregated("delta(x)", Type.FLOAT, [INF, 1.0]) == -INF
    assert aggregated("delta(x)", Type.FLOAT, [INF, INF]) is None


def test_windows_that_are_put_together_have_the_change_over_all() -> None:
    made = by_window("delta(x)", [(1, 5.0), (6, 2.0), (11, 9.0)], slide="5s")
    assert made == {-5: 0.0, 0: -3.0, 5: 7.0, 10: 0.0}


def test_of_equal_times_in_two_panes_the_one_that_arrived_last_counts() -> None:
    # count 4, slide 2: panes of the rows at 0s and 5s, and at 5s and 4s
    readings = [(0, 1), (5, 2), (5, 3), (4, 4)]
    assert by_rows("delta(x)", readings, 4, 2, Type.INT) == [2]
