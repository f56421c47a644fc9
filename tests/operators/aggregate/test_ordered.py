"""Tests of what the aggregates share that go from reading to reading: which readings they take, seen through `integral`."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from operators.aggregate import ordered
from operators.batch import Schema, Type
from operators.window.count import Count
from operators.window.panes import PANE
from operators.window.tumbling import Tumbling
from tests.operators.aggregate.ordered import area, by_rows, by_window, in_order
from tests.operators.aggregate.window import Bounds
from tests.operators.rows import HOUR, SECOND, Near, Runner, clocked, cut, run

X = Schema({"x": Type.FLOAT}, ("device",), "ts")


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
    assert made == {0: area(pairs, Bounds(0, 20 * SECOND))}


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
        assert got == area(inside, bounds)


def test_windows_of_rows_give_what_readings_in_time_order_give_where_they_come_a_little_out_of_order() -> None:
    spec = Count.model_validate({"size": 12, "slide": 4, "aggregate": {"result": "integral(x)"}})
    times = [at + 3 * (at % 3 == 0) - 3 * (at % 4 == 1) for at in range(48)]
    readings = [(b"a", at * SECOND, {"x": float(at % 5)}) for at in times]
    rows = run(spec, clocked(readings, HOUR), X).main
    assert len(rows) == 10
    for number, row in enumerate(rows):
        pairs = [(ts, values["x"]) for _, ts, values in readings[4 * number : 4 * number + 12]]
        bounds = Bounds(min(ts for ts, _ in pairs), max(ts for ts, _ in pairs))
        assert row["result"] == area(pairs, bounds)


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


def test_what_additions_have_lost_is_put_together_too() -> None:
    # Slices of 30 rows; in the second one 1e16, 1 and -1e16 are settled.
    values = {30: 1e16, 31: 1.0, 32: -1e16}
    readings = [(at, values.get(at, 0.0)) for at in range(60)]
    assert by_rows("integral(x)", readings, 60, 30, Type.FLOAT) == [1.0]


def test_a_pane_whose_settled_readings_end_where_those_of_the_next_begin_is_put_before_it() -> None:
    # Slices of 40 rows: 1 at 0s to 19s and 2 to 21 at 20s, then 22 to 41 at 20s and 42 at 21s to 40s
    readings = [(min(at, 20), max(at - 18, 1)) for at in range(60)] + [(at, 42) for at in range(21, 41)]
    assert by_rows("integral(x)", readings, 80, 40, Type.INT) == [20 * 1 + 41 + 42 * 19]


def test_a_reading_as_old_as_the_last_settled_one_of_the_next_pane_comes_behind_it() -> None:
    # Slices of 40 rows: 1 at 0s to 38s and 7 at 62s; then 1 at 39s to 78s, of which up to 62s are settled.
    readings = [*((at, 1) for at in range(39)), (62, 7), *((at, 1) for at in range(39, 79))]
    assert by_rows("rate(x)", readings, 80, 40, Type.INT) == [Near((7 - 1 + 1) / 78)]


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
