"""Tests of the aggregate `std`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.test_var import variance
from tests.operators.aggregate.window import aggregated
from tests.operators.rows import Near

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Take the square root of the sample variance; infinite where the sum of squares is more than a float holds."""
    exact = variance([value for _, value in values])
    if exact is None:
        return None
    unit = 2**80  # in units of which squares are kept
    if exact * (len(values) - 1) / unit > Fraction(1.7976931348623157e308):
        return Near(INF)
    return Near(math.sqrt(exact / unit) * 2**40, slack=1e-140)


def test_it_is_the_sample_standard_deviation() -> None:
    assert aggregated("std(x)", Type.FLOAT, [2.0, None, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]) == Near(math.sqrt(32 / 7))


def test_below_two_values_it_is_missing() -> None:
    assert aggregated("std(x)", Type.FLOAT, [None, 3.0]) is None
    assert aggregated("std(x)", Type.INT, [None]) is None


def test_values_close_together_far_from_zero_keep_their_digits() -> None:
    assert aggregated("std(x)", Type.FLOAT, [1e9, 1e9 + 0.25]) == pytest.approx(0.25 / math.sqrt(2), rel=1e-15)


@pytest.mark.parametrize("values", [[INF, 1.0], [1.0, INF], [INF, INF]])
def test_with_an_infinite_value_it_is_missing(values: list[float]) -> None:
    assert aggregated("std(x)", Type.FLOAT, values) is None


def test_it_is_there_where_the_variance_is_too_large() -> None:
    assert aggregated("var(x)", Type.FLOAT, [1e160, -1e160]) == INF
    assert aggregated("std(x)", Type.FLOAT, [1e160, -1e160]) == Near(math.sqrt(2) * 1e160)
    assert aggregated("std(x)", Type.FLOAT, [1e200, -1e200]) == INF
