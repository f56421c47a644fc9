"""Tests of the aggregate `rate`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from operators.batch import Schema, Type
from operators.window.count import Count
from tests.operators.aggregate.ordered import by_window, in_order, increases, reading_before, real
from tests.operators.aggregate.window import Bounds, aggregated
from tests.operators.rows import HOUR, SECOND, Near, clocked, run

INF = float("inf")


def oracle(values: Sequence[tuple[int, Any]], _type: Type, bounds: Bounds) -> Any:
    """Divide the increases by the time in which they came."""
    if not values:
        return None
    times = [ts for ts, _ in reading_before(bounds) + in_order(values)]
    passed = times[-1] - times[0]
    return real(increases(values, bounds), Fraction(SECOND, passed)) if passed else None


def test_it_is_the_increase_per_second_from_the_first_reading_to_the_last() -> None:
    # 1s     3s      7s
    # 100    104     112
    assert by_window("rate(x)", [(1, 100), (3, 104), (7, 112)], type_=Type.INT) == {0: 2.0}


def test_a_decrease_is_a_reset_and_counts_as_the_new_value() -> None:
    # 1s     3s     5s     9s
    # 100    104    3      8       increases 4, 3, 5
    assert by_window("rate(x)", [(1, 100), (3, 104), (5, 3), (9, 8)], type_=Type.INT) == {0: 12 / 8}


def test_the_increase_from_the_reading_before_counts_in_the_window_where_it_is_seen() -> None:
    # 1s     9s     10s     14s    19s
    # 100    108    |       118    120
    made = by_window("rate(x)", [(1, 100), (9, 108), (14, 118), (19, 120)], type_=Type.INT)
    assert made == {0: 1.0, 10: (10 + 2) / 10}


def test_a_reset_between_windows_is_seen() -> None:
    assert by_window("rate(x)", [(1, 100), (9, 108), (14, 3), (19, 13)], type_=Type.INT) == {0: 1.0, 10: 13 / 10}


def test_a_window_with_one_reading_has_a_rate_if_there_is_one_before() -> None:
    assert by_window("rate(x)", [(1, 100), (11, 120)], type_=Type.INT) == {0: None, 10: 2.0}


def test_out_of_order_readings_are_no_resets() -> None:
    assert by_window("rate(x)", [(1, 100), (7, 112), (3, 104)], lateness=HOUR, type_=Type.INT) == {0: 2.0}


def test_without_time_between_readings_it_is_missing() -> None:
    assert by_window("rate(x)", [(3, 100.0)]) == {0: None}
    assert by_window("rate(x)", [(3, 100.0), (3, 200.0)]) == {0: None}


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("rate(x)", type_, [None, None]) is None


def test_a_counter_that_stands_still_has_rate_zero() -> None:
    assert by_window("rate(x)", [(1, 5.0), (4, 5.0)]) == {0: 0.0}
    assert by_window("rate(x)", [(1, INF), (4, INF)]) == {0: 0.0}


def test_increases_of_large_ints_are_exact() -> None:
    large = 2**62
    assert float(large) == float(large + 1)
    assert by_window("rate(x)", [(0, large), (1, large + 1), (2, large + 3)], type_=Type.INT) == {0: 1.5}
    assert by_window("rate(x)", [(0, large), (10, large + 5)], type_=Type.INT) == {0: None, 10: 0.5}


def test_an_increase_that_doesnt_fit_in_64_bits_is_one() -> None:
    made = by_window("rate(x)", [(0, 1 - 2**63), (2, 2**63 - 1)], type_=Type.INT)
    assert made == {0: Near(2.0**63)}


def test_an_increase_to_infinity_is_infinite() -> None:
    assert by_window("rate(x)", [(0, 1.0), (2, INF)]) == {0: INF}


def test_of_equal_times_where_panes_meet_the_one_that_came_first_is_the_earlier() -> None:
    # Slices of 20 rows: 0s to 18s and 19s; then 19s and on. 100 is followed by two resets in the same microsecond.
    spec = Count.model_validate({"size": 40, "slide": 20, "aggregate": {"result": "rate(x)"}})
    counts = [(at, 100) for at in range(19)] + [(19, 3), (19, 2)] + [(at, 2) for at in range(20, 39)]
    readings = [(b"a", at * SECOND, {"x": count}) for at, count in counts]
    (row,) = run(spec, clocked(readings, HOUR), Schema({"x": Type.INT}, ("device",), "ts")).main
    assert row["result"] == Near((3 + 2) / 38)


def test_of_equal_times_that_are_settled_the_one_that_came_first_is_the_earlier() -> None:
    # When the 16 newest readings are all of 3s, another of 3s comes behind them.
    readings = [(3, at) for at in range(16)] + [(3, 2), (4, 2)]
    assert by_window("rate(x)", readings, type_=Type.INT) == {0: 15 + 2}
    assert by_window("rate(x)", [*readings, *[(5, 2)] * 16], type_=Type.INT) == {0: (15 + 2) / 2}
