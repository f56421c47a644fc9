"""Tests of the aggregate `integral`, and of what it shares with the others that go from reading to reading."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operators.aggregate import ordered
from operators.batch import Schema, Type
from operators.window.count import Count
from operators.window.panes import PANE
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.ordered import area, by_window, in_order
from tests.operators.aggregate.window import Bounds, aggregated
from tests.operators.rows import HOUR, SECOND, Near, Runner, clocked, cut, run

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
    assert sum(value for _, value in readings) != 5
    assert by_window("integral(x)", readings) == {0: 5.0}


def test_values_that_cancel_out_dont_overflow_on_the_way() -> None:
    readings = [(0, 1e308), (4, -1e308), (8, 0.0)]
    assert by_window("integral(x)", readings, "10s") == {0: 0.0}
    assert by_window("integral(x)", [(0, 1e308)], "10s") == {0: INF}


# Disorder. A pane keeps its newest 16 readings apart.


def test_a_reading_that_comes_behind_16_newer_ones_finds_its_place() -> None:
    # 0s   1s 2s 3s ... 17s       0.5s, when 2s to 17s are kept apart and 0s and 1s are settled, comes too late;
    # 1----1--1--1------1         1.5s behind the 16 newer ones doesn't
    readings = [(float(at), 1.0) for at in range(18)]
    assert by_window("integral(x)", [*readings, (1.5, 9.0)], "1m", lateness=HOUR) == {0: 60 + 8 * 0.5}
    assert by_window("integral(x)", [*readings, (0.5, 9.0)], "1m", lateness=HOUR) == {0: 60}


def test_a_reading_as_old_as_the_last_that_is_settled_isnt_too_late() -> None:
    readings = [(float(at), 1.0) for at in range(18)]
    assert by_window("integral(x)", [*readings, (1.0, 9.0)], "1m", lateness=HOUR) == {0: 60 + 8}


def test_sixteen_readings_are_taken_in_any_order() -> None:
    readings = [(float(at), float(at)) for at in range(16)]
    for order in (readings[::-1], readings[::2] + readings[1::2], readings[8:] + readings[:8]):
        assert by_window("integral(x)", order, "20s", lateness=HOUR) == {0: sum(range(15)) + 15 * 5}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-9, 9)), min_size=20, max_size=60))
@example([(3, at) for at in range(17)] + [(5, 1)] * 16)
def test_whatever_the_disorder_a_window_of_one_pane_equals_the_oracle(readings: list[tuple[int, int]]) -> None:
    pairs = [(at * SECOND, value) for at, value in readings]
    made = by_window("integral(x)", readings, "20s", type_=Type.INT, lateness=HOUR)
    assert made == {0: oracle(pairs, Type.INT, Bounds(0, 20 * SECOND))}


@given(st.lists(st.tuples(st.integers(0, 299), st.integers(-9, 9)), min_size=1, max_size=150), st.integers(0, 9))
def test_a_window_put_together_from_slices_leaves_out_what_its_slices_do(
    readings: list[tuple[int, int]], late: int
) -> None:
    # Slices of 5s with up to 50 readings each, one every tenth of a second.
    readings = [(at // 10 * 10 + (at + late) % 10, value) for at, value in readings]
    made = by_window("integral(x)", [(at / 10, value) for at, value in readings], "15s", slide="5s", lateness=HOUR)
    pairs = [(at * SECOND // 10, float(value)) for at, value in readings]
    slices = {at: in_order([pair for pair in pairs if at <= pair[0] / SECOND < at + 5]) for at in range(-10, 30, 5)}
    for start, got in made.items():
        before = [pair for at, kept in slices.items() if at < start for pair in kept]
        inside = [pair for at, kept in slices.items() if start <= at < start + 15 for pair in kept]
        bounds = Bounds(round(start * SECOND), round((start + 15) * SECOND), before)
        assert got == oracle(inside, Type.FLOAT, bounds)


def test_windows_of_rows_give_what_readings_in_time_order_give_where_they_come_a_little_out_of_order() -> None:
    spec = Count.model_validate({"size": 12, "slide": 4, "aggregate": {"result": "integral(x)"}})
    times = [at + 3 * (at % 3 == 0) - 3 * (at % 4 == 1) for at in range(48)]
    readings = [(b"a", at * SECOND, {"x": float(at % 5)}) for at in times]
    rows = run(spec, clocked(readings, HOUR), X).main
    assert len(rows) == 10
    for number, row in enumerate(rows):
        pairs = [(ts, values["x"]) for _, ts, values in readings[4 * number : 4 * number + 12]]
        bounds = Bounds(min(ts for ts, _ in pairs), max(ts for ts, _ in pairs))
        assert row["result"] == oracle(pairs, Type.FLOAT, bounds)


def test_where_panes_of_rows_overlap_in_time_what_lies_among_settled_readings_is_left_out() -> None:
    # Slices of 40 rows: 0s to 39s but for 38s, and 60s; then 38s and 40s to 78s, of which up to 62s are settled.
    # 60s comes before 38s and lies among them.
    spec = Count.model_validate({"size": 80, "slide": 40, "aggregate": {"result": "integral(x)"}})
    times = [*(at for at in range(40) if at != 38), 60, 38, *range(40, 79)]
    readings = [
        (b"a", at * SECOND, {"x": 100.0 if at == 60 and place == 39 else 1.0}) for place, at in enumerate(times)
    ]
    (row,) = run(spec, clocked(readings, HOUR), X).main
    assert row["result"] == 78


def test_what_is_newer_than_all_settled_readings_of_a_pane_of_rows_keeps_its_place() -> None:
    # Slices of 40 rows: 0s to 38s and 90s; then 39s to 78s, of which up to 62s are settled.
    spec = Count.model_validate({"size": 80, "slide": 40, "aggregate": {"result": "integral(x)"}})
    times = [*range(39), 90, *range(39, 79)]
    readings = [(b"a", at * SECOND, {"x": 3.0 if at == 78 else 1.0}) for at in times]
    (row,) = run(spec, clocked(readings, HOUR), X).main
    assert row["result"] == 78 + 3 * 12


def test_where_settled_readings_of_panes_of_rows_overlap_in_time_those_of_the_later_are_left_out() -> None:
    # Slices of 40 rows: 0s to 39s, of which up to 23s are settled; then 20.5s and 40s to 78s, of which up to 62s are.
    spec = Count.model_validate({"size": 80, "slide": 40, "aggregate": {"result": "integral(x)"}})
    times = [*range(40), 20.5, *range(40, 79)]
    readings = [(b"a", round(at * SECOND), {"x": 1.0 if at < 40 else 3.0}) for at in times]
    (row,) = run(spec, clocked(readings, HOUR), X).main
    assert row["result"] == 63 + 3 * 15


def test_bits_dont_depend_on_how_rows_are_cut_into_batches() -> None:
    numbers = np.random.default_rng(5)
    times = np.arange(400) * 300_000 + numbers.integers(0, 2_000_000, 400)
    readings = [(b"a", int(at), {"x": float(value)}) for at, value in zip(times, numbers.normal(size=400), strict=True)]
    rows = clocked(readings, 2 * SECOND, close=True)
    aggregate = {name: f"{name}(x)" for name in ("integral", "time_weighted_mean", "rate")}
    spec = Tumbling.model_validate({"size": "20s", "aggregate": aggregate})
    whole = Runner(spec, X).put(rows)
    assert Runner(spec, X).put_pieces(cut(rows, range(1, 400))) == whole
    assert len(whole.main) >= 6


def test_aggregates_of_the_same_column_share_what_they_keep() -> None:
    calls = {"integral": "integral(x)", "mean": "time_weighted_mean(x)", "rate": "rate(x)"}
    specs = [
        Tumbling.model_validate({"size": "1m", "aggregate": some}) for some in (calls, {"integral": calls["integral"]})
    ]
    three, one = (Runner(spec, X).state.panes.bytes_a_pane() for spec in specs)  # type: ignore[attr-defined]  # a window's
    assert three == one


def test_it_says_how_much_a_pane_takes() -> None:
    spec = Tumbling.model_validate({"size": "1m", "aggregate": {"result": "integral(x)"}})
    state: Any = Runner(spec, X).state
    own = state.panes.bytes_a_pane() - PANE * 8
    assert f"A pane takes {own} bytes" in str(ordered.__doc__)
