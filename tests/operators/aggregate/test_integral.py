"""Tests of the aggregate `integral`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, itemgetter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operators.batch import Schema, Type
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.ordered import area, by_window
from tests.operators.aggregate.window import Bounds, aggregated
from tests.operators.rows import HOUR, SECOND, Near, clocked, run

INF = float("inf")
X = Schema({"x": Type.FLOAT}, ("device",), "ts")


def oracle(values: Sequence[tuple[int, Any]], _type: Type, bounds: Bounds) -> Any:
    """Add up value x seconds, each reading holding until the next one; the last one to the window's end."""
    return area(values, bounds) if values else None


def test_each_reading_holds_until_the_next_and_the_last_to_the_end_of_the_window() -> None:
    # 2s   5s        10s
    # 3----1---------|
    assert by_window("integral(x)", [(2, 3.0), (5, 1.0)]) == {0: 3 * 3 + 1 * 5}


def test_the_reading_before_the_window_holds_from_its_start() -> None:
    # 2s        10s   14s     20s
    # 3---------|3----1-------|
    assert by_window("integral(x)", [(2, 3.0), (14, 1.0)]) == {0: 3 * 8, 10: 3 * 4 + 1 * 6}


def test_the_reading_before_may_be_windows_ago() -> None:
    # 2s        10s       20s      30s   31s    40s
    # 3---------|         |        |3----1------|
    assert by_window("integral(x)", [(2, 3.0), (31, 1.0)]) == {0: 3 * 8, 30: 3 * 1 + 1 * 9}


def test_it_isnt_looked_for_further_back_than_the_last_window_with_rows() -> None:
    assert by_window("integral(x)", [(2, 3.0), (12, None), (24, 1.0)]) == {0: 3 * 8, 10: None, 20: 1 * 6}


def test_the_integrals_of_windows_add_up() -> None:
    readings = [(0.0, 3.0), (3.0, 8.0), (9.5, -1.0), (10.0, 4.0), (19.0, 2.0), (21.0, 7.0), (29.0, 0.5)]
    assert sum(by_window("integral(x)", readings).values()) == by_window("integral(x)", readings, "30s")[0]


def test_hopping_windows_look_back_too() -> None:
    # size 10s, slide 5s
    #           2s    5s    8s    10s   11s   15s   20s
    #           3-----|-----1-----|-----4-----|-----|
    # [-5-------------)
    #           [0----------------)
    #                 [5----------------------)
    #                             [10---------------)
    made = by_window("integral(x)", [(2, 3.0), (8, 1.0), (11, 4.0)], slide="5s")
    assert made == {-5: 3 * 3, 0: 3 * 6 + 1 * 2, 5: 3 * 3 + 1 * 3 + 4 * 4, 10: 1 * 1 + 4 * 9}


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(-50, 50)), min_size=1, max_size=60, unique_by=itemgetter(0)),
    st.sampled_from([10, 12]),
)
@example([(at, at % 7) for at in range(0, 300, 2)], 12)
def test_hopping_windows_equal_the_oracle_whatever_the_order(readings: list[tuple[int, int]], size: int) -> None:
    made = by_window("integral(x)", readings, f"{size}s", slide="5s", type_=Type.INT, lateness=HOUR)
    for start, got in made.items():
        inside = [(at * SECOND, value) for at, value in readings if start <= at < start + size]
        before = [(at * SECOND, value) for at, value in readings if at < start]
        bounds = Bounds(round(start * SECOND), round((start + size) * SECOND), before)
        assert got == oracle(inside, Type.INT, bounds)


def test_a_session_reaches_from_its_first_reading_to_its_last() -> None:
    # 2s    5s      9s
    # 3-----1-------7
    spec = Session.model_validate({"gap": "30s", "aggregate": {"result": "integral(x)"}})
    readings = [(b"a", at * SECOND, {"x": value}) for at, value in [(2, 3.0), (9, 7.0), (5, 1.0), (80, 1.0), (81, 0.0)]]
    rows = run(spec, clocked(readings, HOUR, close=True), X).main
    assert [row["result"] for row in rows] == [3 * 3 + 1 * 4, 1]


def test_early_results_reach_as_far_as_time_has_come() -> None:
    # 2s   6s    8s: what was known up to 8s is given before the row is taken in
    # 3----1-----|
    spec = Tumbling.model_validate({"size": "10s", "early": "4s", "aggregate": {"result": "integral(x)"}})
    readings = [(b"a", at * SECOND, {"x": value}) for at, value in [(2, 3.0), (6, 1.0), (9, 5.0)]]
    rows = run(spec, clocked(readings, close=True), X).main
    assert [row["result"] for row in rows] == [3 * 2, 3 * 4 + 1 * 2, 3 * 4 + 1 * 3 + 5 * 1]


def test_energy_is_the_integral_of_power() -> None:
    watts = [(0, 1200.0), (900, 600.0), (1800, 0.0)]
    assert by_window("integral(x / 3600)", watts, "1h") == {0: Near(1200 / 4 + 600 / 4)}


def test_a_missing_value_lets_the_one_before_hold_on() -> None:
    assert by_window("integral(x)", [(0, 2.0), (3, None), (6, 1.0)]) == {0: 2 * 6 + 1 * 4}


@pytest.mark.parametrize("type_", [Type.FLOAT, Type.INT, Type.BOOL])
def test_of_nothing_it_is_missing(type_: Type) -> None:
    assert aggregated("integral(x)", type_, [None, None]) is None


def test_of_equal_times_the_last_one_holds() -> None:
    assert by_window("integral(x)", [(0, 2.0), (4, 9.0), (4, 1.0)]) == {0: 2 * 4 + 1 * 6}


def test_times_before_1970_are_times() -> None:
    assert by_window("integral(x)", [(-9, 2.0), (-5, 1.0)]) == {-10: 2 * 4 + 1 * 5}


def test_an_infinite_value_counts_if_it_holds_for_any_time() -> None:
    assert by_window("integral(x)", [(0, 1.0), (2, INF), (4, 1.0)]) == {0: INF}
    assert by_window("integral(x)", [(0, 1.0), (2, INF), (4, -INF)]) == {0: None}
    assert by_window("integral(x)", [(0, INF), (0, 1.0)]) == {0: 10}


def test_small_parts_behind_a_large_one_arent_lost() -> None:
    readings = [(0, 1e16), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0), (6, -1e16), (7, 0.0)]
    assert reduce(add, (value for _, value in readings)) != 5  # `sum` compensates since Python 3.12
    assert by_window("integral(x)", readings) == {0: 5.0}


def test_values_that_cancel_out_dont_overflow_on_the_way() -> None:
    readings = [(0, 1e308), (4, -1e308), (8, 0.0)]
    assert by_window("integral(x)", readings, "10s") == {0: 0.0}
    assert by_window("integral(x)", [(0, 1e308)], "10s") == {0: INF}
