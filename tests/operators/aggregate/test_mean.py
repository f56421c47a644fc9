"""Tests of the aggregate `mean`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.test_sum import exact
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import Near

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Divide the sum of the values, as floats, by their number."""
    if not values:
        return None
    total = exact([float(value) for _, value in values])
    if isinstance(total, Near):
        return Near(total.exact / len(values), total.slack)
    return total


def test_the_mean_passes_over_what_is_missing() -> None:
    assert aggregated("mean(x)", Type.FLOAT, [1.0, None, 2.0]) == 1.5
    assert aggregated("mean(x)", Type.INT, [1, None, 2]) == 1.5


def test_the_mean_of_bools_is_the_share_of_true_ones() -> None:
    assert aggregated("mean(x)", Type.BOOL, [True, False, None, False, True]) == 0.5


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_the_mean_of_nothing_is_missing(type_: Type) -> None:
    assert aggregated("mean(x)", type_, [None, None]) is None


def test_the_mean_of_ints_doesnt_overflow() -> None:
    assert aggregated("mean(x)", Type.INT, [2**63 - 1] * 4) == pytest.approx(2.0**63)


def test_small_values_behind_a_large_one_arent_lost() -> None:
    assert aggregated("mean(x)", Type.FLOAT, [1e16, 1.0, 1.0, -1e16]) == 0.5


def test_an_infinite_value_makes_an_infinite_mean() -> None:
    assert aggregated("mean(x)", Type.FLOAT, [1.0, -INF]) == -INF
    assert aggregated("mean(x)", Type.FLOAT, [INF, -INF]) is None
