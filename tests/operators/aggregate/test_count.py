"""Tests of the aggregate `count`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.window import aggregated


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Count what isn't missing; there are no missing values among `values`."""
    return len(values)


def test_count_counts_rows_whatever_they_hold() -> None:
    assert aggregated("count()", Type.FLOAT, [1.0, None, 3.0]) == 3


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (Type.FLOAT, [1.0, None, float("inf")]),
        (Type.INT, [0, None, 2**63 - 1]),
        (Type.BOOL, [False, None, True]),
        (Type.TEXT, ["", None, "on"]),
        (Type.TIME, [0, None, -1]),
    ],
)
def test_count_of_a_column_of_any_type_passes_over_what_is_missing(type_: Type, values: list[Any]) -> None:
    assert aggregated("count(x)", type_, values) == 2


def test_count_of_nothing_is_zero() -> None:
    assert aggregated("count(x)", Type.FLOAT, [None, None]) == 0
