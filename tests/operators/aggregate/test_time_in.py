"""Tests of the aggregate `time_in`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from operators.aggregate.call import parse_call
from operators.base import SpecError
from operators.batch import Schema, Type
from tests.operators.aggregate.ordered import by_window, holding
from tests.operators.aggregate.window import Bounds, aggregated
from tests.operators.rows import SECOND


def oracle(values: Sequence[tuple[int, Any]], _type: Type, bounds: Bounds) -> Any:
    """Add up the seconds for which it was true."""
    return sum(us for value, us in holding(values, bounds) if value) / SECOND if values else None


def test_it_is_the_time_for_which_a_condition_held() -> None:
    # 0s      3s         7s      10s
    # 3-------5==========4-------|
    assert by_window("time_in(x > 4)", [(0, 3.0), (3, 5.0), (7, 4.0)]) == {0: 4.0}


def test_the_last_reading_holds_to_the_end_of_the_window_and_on_to_the_first_of_the_next() -> None:
    # 3s       10s    14s    20s
    # 5========|======4------|
    assert by_window("time_in(x > 4)", [(3, 5.0), (14, 4.0)]) == {0: 7.0, 10: 4.0}


def test_it_takes_a_bool_column() -> None:
    assert by_window("time_in(x)", [(0, False), (4, True), (5, False)], type_=Type.BOOL) == {0: 1.0}


def test_a_condition_of_a_missing_value_leaves_it_as_it_is() -> None:
    assert by_window("time_in(x > 4)", [(0, 5.0), (2, None), (5, 3.0)]) == {0: 5.0}


def test_it_is_zero_where_the_condition_never_held_and_missing_of_nothing() -> None:
    assert by_window("time_in(x > 4)", [(0, 1.0)]) == {0: 0.0}
    assert aggregated("time_in(x)", Type.BOOL, [None, None]) is None


def test_microseconds_add_up_exactly() -> None:
    readings = [(at / 10, at % 2 == 0) for at in range(100)]
    assert by_window("time_in(x)", readings, type_=Type.BOOL) == {0: 5.0}
    assert reduce(add, [0.1] * 50) != 5.0  # `sum` compensates since Python 3.12


def test_of_a_number_it_is_refused_with_a_condition() -> None:
    try:
        parse_call("time_in(x)", Schema({"x": Type.FLOAT}, ("device",), "ts"), ())
    except SpecError as error:
        (problem,) = error.problems
    assert problem.given == "`x`, which is float"
    assert problem.fix == "a condition, such as `time_in(x > 0)`"
