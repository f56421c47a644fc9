"""Tests of the aggregate `max`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.window import aggregated

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Give the largest value; a bool as an int."""
    return max((value for _, value in values), default=None)


def test_the_largest_value_passes_over_what_is_missing() -> None:
    assert aggregated("max(x)", Type.FLOAT, [None, -1.5, 2.5, None]) == max(-1.5, 2.5)


def test_an_infinite_value_is_a_value() -> None:
    assert aggregated("max(x)", Type.FLOAT, [1.0, INF, 2.0]) == INF
    assert aggregated("max(x)", Type.FLOAT, [INF, -INF]) == INF


def test_ints_are_told_apart_beyond_what_a_float_can_hold() -> None:
    assert aggregated("max(x)", Type.INT, [2**53, 2**53 + 1]) == max(2**53, 2**53 + 1)
    assert aggregated("max(x)", Type.INT, [2**53 + 1, 2**53]) == max(2**53, 2**53 + 1)
    assert aggregated("max(x)", Type.INT, [None, (2**63 - 1), 0]) == (2**63 - 1)


def test_a_bool_counts_as_an_int() -> None:
    assert aggregated("max(x)", Type.BOOL, [True, None, False]) == max(0, 1)
    assert aggregated("max(x)", Type.BOOL, [True]) == 1


def test_a_time_is_a_time() -> None:
    assert aggregated("max(x)", Type.TIME, [-5, None, 7]) == max(-5, 7)
    assert aggregated("max(ts)", Type.FLOAT, [None, None], ts=[3, 9]) == max(3, 9)


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL, Type.TIME])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("max(x)", type_, [None, None]) is None
