"""Tests of the aggregate `sum`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.ordered import by_window
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import Near

INF = float("inf")


def exact(values: Sequence[float]) -> Near | float | None:
    """Give the sum of floats as real numbers, with the slack that Neumaier's method leaves where they cancel out."""
    infinite = {value for value in values if math.isinf(value)}
    if infinite:
        return next(iter(infinite)) if len(infinite) == 1 else None
    total = sum(map(Fraction, values))
    return Near(float(total), slack=1e-25 * float(sum(abs(Fraction(value)) for value in values)))


def oracle(values: Sequence[tuple[int, Any]], type_: Type) -> Any:
    """Add what isn't missing, an int that doesn't fit in 64 bits is missing."""
    if not values:
        return None
    if type_ is Type.FLOAT:
        return exact([value for _, value in values])
    total = sum(value for _, value in values)
    return total if -(2**63) < total < 2**63 else None


def test_a_sum_of_floats() -> None:
    assert aggregated("sum(x)", Type.FLOAT, [1.5, None, 2.25]) == 3.75


def test_a_sum_of_ints_is_exact_beyond_what_a_float_can_hold() -> None:
    assert aggregated("sum(x)", Type.INT, [2**53, 1, None, 1]) == 2**53 + 2
    assert aggregated("sum(x)", Type.INT, [2**53, 1]) == 2**53 + 1


def test_a_sum_of_bools_counts_the_true_ones() -> None:
    assert aggregated("sum(x)", Type.BOOL, [True, False, None, True]) == 2


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_a_sum_of_nothing_is_missing(type_: Type) -> None:
    assert aggregated("sum(x)", type_, [None]) is None


@pytest.mark.parametrize("values", [[2**63 - 1, 1], [2**62, 2**62], [1 - 2**63, -1], [1 - 2**63, -2]])
def test_a_sum_that_doesnt_fit_in_64_bits_is_missing(values: list[int]) -> None:
    assert aggregated("sum(x)", Type.INT, values) is None


def test_a_sum_just_within_64_bits_is_there() -> None:
    assert aggregated("sum(x)", Type.INT, [2**63 - 2, 1]) == 2**63 - 1
    assert aggregated("sum(x)", Type.INT, [2 - 2**63, -1]) == 1 - 2**63
    assert aggregated("sum(x)", Type.INT, [2**63 - 1, 1 - 2**63, 5]) == 5
    assert aggregated("sum(x)", Type.INT, [2**63 - 1, 5, 1 - 2**63]) == 5


def test_small_values_behind_a_large_one_arent_lost() -> None:
    values = [1e16, *[1.0] * 1000, -1e16]
    assert reduce(add, values) != 1000
    assert aggregated("sum(x)", Type.FLOAT, values) == 1000
    assert aggregated("sum(x)", Type.FLOAT, [*[1.0] * 1000, 1e16, -1e16]) == 1000


def test_what_was_lost_in_a_pane_is_put_together_too() -> None:
    readings = [(0, 1e16), (0.5, 1.0), (1, -1e16)]
    assert by_window("sum(x)", readings, "2s", slide="1s")[0] == 1.0


def test_neumaiers_own_example() -> None:
    # A. Neumaier's case against Kahan's method, as in CPython's tests of sum().
    assert aggregated("sum(x)", Type.FLOAT, [1.0, 1e100, 1.0, -1e100]) == 2.0


def test_an_infinite_value_makes_an_infinite_sum() -> None:
    assert aggregated("sum(x)", Type.FLOAT, [1.0, INF, 2.0]) == INF
    assert aggregated("sum(x)", Type.FLOAT, [1e308, 1e308]) == INF
    assert aggregated("sum(x)", Type.FLOAT, [INF, -INF]) is None
