"""Tests of the aggregate `all`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from operators.batch import Type
from tests.operators.aggregate.ordered import by_window
from tests.operators.aggregate.window import aggregated


def oracle(values: Sequence[tuple[int, Any]], _type: Type) -> Any:
    """Say whether it was true each time."""
    return all(value for _, value in values) if values else None


@pytest.mark.parametrize("values", [[True], [False], [True, False], [False, True], [True, True], [False, False]])
def test_it_is_what_python_says(values: list[bool]) -> None:
    assert aggregated("all(x)", Type.BOOL, values) is all(values)
    assert aggregated("all(x)", Type.BOOL, [None, *values, None]) is all(values)


def test_of_nothing_it_is_missing() -> None:
    assert aggregated("all(x)", Type.BOOL, [None, None]) is None


def test_it_takes_a_condition() -> None:
    #                                         [0s, 10s)           [10s, 20s)          [20s, 30s)
    made = by_window("all(x > 4)", [(0, 5.0), (5, 3.0), (10, 5.0), (15, None), (20, 1.0)])
    assert made == {0: all([True, False]), 10: True, 20: False}


def test_windows_that_are_put_together_see_all() -> None:
    made = by_window("all(x)", [(1, True), (6, False), (11, True)], slide="5s", type_=Type.BOOL)
    assert made == {-5: True, 0: all([True, False]), 5: all([False, True]), 10: True}
