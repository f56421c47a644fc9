"""Tests of the aggregate `median`. How exact it is where there are many values, the tests of `percentile` show."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.base import SpecError
from operators.batch import Type
from tests.operators.aggregate import test_percentile
from tests.operators.aggregate.window import aggregated


def oracle(values: Sequence[tuple[int, Any]], type_: Type) -> Any:
    """Give the percentile in the middle."""
    return test_percentile.oracle(values, type_, 50)


def test_it_is_the_middle_one_or_the_mean_of_the_two_in_the_middle() -> None:
    assert aggregated("median(x)", Type.FLOAT, [9.0, 1.0, None, 2.0]) == 2
    assert aggregated("median(x)", Type.INT, [9, 1, 2, 3]) == 2.5


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=64))
def test_a_few_values_give_what_the_standard_library_gives(values: list[int]) -> None:
    # statistics.median
    assert aggregated("median(x)", Type.INT, values) == median(values)


def test_it_is_the_fiftieth_percentile() -> None:
    values = [float(value**2) for value in range(500)]
    assert aggregated("median(x)", Type.FLOAT, values) == aggregated("p50(x)", Type.FLOAT, values)


def test_it_takes_no_number() -> None:
    with pytest.raises(SpecError):
        aggregated("median(x, 50)", Type.FLOAT, [1.0])


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("median(x)", type_, [None]) is None
