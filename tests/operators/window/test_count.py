"""Tests of the window `count`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.batch import Schema
from operators.clock import END, FORGET
from operators.filter import Filter
from operators.window.count import Count
from operators.window.tumbling import Tumbling
from tests.operators.rows import MINUTE, NINE, SCHEMA, SECOND, Made, Row, Runner, clocked, run
from tests.operators.streams import streams
from tests.operators.window.oracle import EVERY, Out, Window, at, punctuation, seconds, spans, sum_up, told

SPECS: list[dict[str, Any]] = [
    {"size": 4, "aggregate": {"n": "count()", "t_mean": "mean(temperature)", "seen": "count(status)"}},
    {"size": 5, "slide": 2, "aggregate": EVERY},
    {"size": 1, "aggregate": {"n": "count()", "total": "sum(n)"}},
    {"size": 2, "slide": 5, "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)"}},
    {"size": 7, "slide": 1, "aggregate": {"low": "min(n)", "high": "max(n)", "last": "last(n)"}},
    {"size": 30, "slide": 7, "aggregate": {"n": "count()", "t": "sum(temperature)"}},
    {"size": 1_000_000, "aggregate": {"n": "count()"}},
]


def oracle(spec: Count, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> Out:
    """Number the rows of each device as they arrive, and cut windows out of the list."""
    size, slide = spec.size, spec.slide or spec.size
    out: Out = {"": [], "late": []}
    arrived: dict[bytes, list[Row]] = defaultdict(list)
    before: dict[bytes, int] = {}
    for row in rows:
        mine = arrived[row.device]
        over = row.watermark >= END
        complete = []
        if row.live:
            mine.append(row)
            first = len(mine) - size
            complete = [first] if first >= 0 and first % slide == 0 else []
        if over:
            complete += [first for first in range(0, len(mine), slide) if first + size > len(mine)]
        windows = [window_of(mine[first : first + size]) for first in complete]
        # At the end, what was said of the time before still holds for the last windows.
        watermark = before.get(row.device, row.ts) if over else row.watermark
        out[""] += [told(row, window, sum_up(spec, window, schema), watermark) for window in windows]
        if over or not windows:
            out[""].append(punctuation(row, row.watermark))
        before[row.device] = row.watermark
        if over:
            del arrived[row.device]
        if row.watermark >= FORGET:
            del before[row.device]
    return out


def window_of(rows: Sequence[Row]) -> Window:
    last = max(row.ts for row in rows)
    return Window(min(row.ts for row in rows), last + 1, rows)


def counting(size: int, slide: int | None = None, aggregate: Mapping[str, str] | None = None) -> Count:
    options = {"size": size, "slide": slide, "aggregate": {"count": "count()", **(aggregate or {})}}
    return Count.model_validate(options)


def every_second(number: int, device: bytes = b"a") -> list[tuple[bytes, int, Any]]:
    return [at(second, device, n=second) for second in range(number)]


def given_with(made: Made) -> list[tuple[int, int, int]]:
    """Give the offset of each window's row, and the first and last `n` in the window."""
    return [(row.offset, row["first"], row["last"]) for row in made.main]


ENDS = {"first": "first(n)", "last": "last(n)"}


def test_a_window_is_given_with_the_row_that_completes_it() -> None:
    # 0  1  2  3  4  5  6
    # [-----)  [-----)  [--
    made = run(counting(3, aggregate=ENDS), clocked(every_second(7)))
    assert given_with(made) == [(2, 0, 2), (5, 3, 5)]


def test_windows_slide_by_rows() -> None:
    # 0  1  2  3  4  5
    # [--------)
    #       [--------)
    made = run(counting(4, 2, aggregate=ENDS), clocked(every_second(7)))
    assert given_with(made) == [(3, 0, 3), (5, 2, 5)]


def test_a_slide_of_one_row_gives_a_window_with_every_row_from_the_first_that_completes_one() -> None:
    made = run(counting(3, 1, aggregate=ENDS), clocked(every_second(5)))
    assert given_with(made) == [(2, 0, 2), (3, 1, 3), (4, 2, 4)]


def test_a_slide_larger_than_the_size_leaves_rows_out() -> None:
    # 0  1  2  3  4  5  6
    # [--)        [--)
    made = run(counting(2, 4, aggregate=ENDS), clocked(every_second(7), close=True))
    assert given_with(made) == [(1, 0, 1), (5, 4, 5)]


def test_the_order_is_that_of_arrival_and_the_bounds_are_the_earliest_and_the_latest_time() -> None:
    # 5s, 9s, 2s; then 1s, 3s, 0s, all behind the watermark, but nothing is late
    readings = [at(5, n=5), at(9, n=9), at(2, n=2), at(1, n=1), at(3, n=3), at(0, n=0)]
    made = run(counting(3, aggregate={"total": "sum(n)"}), clocked(readings))
    assert spans(made.main) == [(2, 9.000001, 3), (0, 3.000001, 3)]
    assert [row["total"] for row in made.main] == [16, 4]
    assert [seconds(row.ts) for row in made.main] == [9, 3]
    assert not made.rows.get("late")


def test_each_device_counts_its_own_rows() -> None:
    readings = [at(0), at(1, b"b"), at(2), at(3, b"b"), at(4, b"b")]
    made = run(counting(2), clocked(readings))
    assert [(row.device, row.offset) for row in made.main] == [(b"a", 2), (b"b", 3)]


def test_every_row_that_completes_no_window_goes_on_as_a_punctuation() -> None:
    rows = clocked(every_second(4), lateness=SECOND)
    out = run(counting(2), rows).rows[""]
    assert [(row.live, row.offset, row.watermark) for row in out] == [
        (number % 2 == 1, number, row.watermark) for number, row in enumerate(rows)
    ]


def test_a_row_that_a_filter_keeps_back_isnt_counted() -> None:
    rows = run(Filter(where="n <> 1"), clocked(every_second(4))).rows[""]
    made = run(counting(2, aggregate=ENDS), rows)
    assert given_with(made) == [(2, 0, 2)]
    assert [row.live for row in made.rows[""]] == [False, False, True, False]


def test_a_window_with_missing_values_alone_gives_a_row() -> None:
    made = run(counting(2, aggregate={"t": "mean(temperature)"}), clocked(every_second(2)))
    assert [(row["count"], row["t"]) for row in made.main] == [(2, None)]


def test_a_rate_is_of_the_rows_in_the_window_and_not_of_the_one_before() -> None:
    # 0s  5s  9s: windows of two rows; the increase from 0s to 5s isn't of the second
    readings = [at(0, n=0), at(5, n=10), at(9, n=14)]
    made = run(counting(2, 1, aggregate={"rate": "rate(n)"}), clocked(readings))
    assert [row["rate"] for row in made.main] == [2.0, 1.0]


def test_the_end_gives_what_is_incomplete_and_gets_through() -> None:
    # size 4, slide 2: at the end of five rows, [2..5] and [4..7] are incomplete
    out = run(counting(4, 2, aggregate=ENDS), clocked(every_second(5), close=True)).rows[""]
    assert [(row["first"], row["last"], row["count"]) for row in out if row.live] == [(0, 3, 4), (2, 4, 3), (4, 4, 1)]
    assert [(row.live, row.offset, row.watermark) for row in out[-3:]] == [
        (True, 4, NINE + 4 * SECOND), (True, 4, NINE + 4 * SECOND), (False, 4, END),
    ]  # fmt: skip


def test_the_end_of_a_device_whose_rows_are_all_given_is_a_punctuation_alone() -> None:
    out = run(counting(2), clocked(every_second(2), close=True)).rows[""]
    assert [(row.live, row.watermark == END) for row in out] == [(False, False), (True, False), (False, True)]


def test_a_window_of_more_rows_than_there_are_is_given_at_the_end() -> None:
    made = run(counting(1_000_000), clocked(every_second(9), close=True))
    assert spans(made.main) == [(0, 8.000001, 9)]


def test_a_live_row_at_the_end_of_time_is_counted_before_all_is_given() -> None:
    # As the last row of a window that the end of the run closes. It says itself that time is over, but not its windows.
    first, second, third = clocked(every_second(3))
    for rows, expected in (
        ([first, replace(second, watermark=int(END))], [(0, 1)]),
        ([first, second, replace(third, watermark=int(END))], [(0, 1), (2, 2)]),
    ):
        out = run(counting(2, aggregate=ENDS), rows).rows[""]
        assert [(row["first"], row["last"]) for row in out if row.live] == expected
        assert [row.watermark for row in out if row.offset == rows[-1].offset] == [rows[-2].watermark, END]


def test_rows_behind_the_end_begin_to_count_anew() -> None:
    rows = clocked(every_second(3), close=True)
    again = [replace(row, watermark=int(END), offset=row.offset + 3) for row in rows[:2]]
    made = run(counting(2, aggregate=ENDS), [*rows, *again])
    assert given_with(made) == [(1, 0, 1), (2, 2, 2), (3, 0, 0), (4, 1, 1)]


def test_a_forgotten_device_begins_to_count_anew() -> None:
    made = run(counting(2, aggregate=ENDS), clocked(every_second(6), forgets={3: b"a"}))
    assert given_with(made) == [(1, 0, 1), (2, 2, 2), (4, 3, 4)]
    assert [(row.live, row.offset) for row in made.rows[""] if row.watermark == FORGET] == [(False, 2)]


def test_windows_of_rows_behind_windows_of_time() -> None:
    # Ten minutes, and the maximum of every two of them
    minutes = Tumbling.model_validate({"size": "1m", "aggregate": {"n": "max(n)"}})
    readings = [at(6 * number, n=number) for number in range(100)]
    first = run(minutes, clocked(readings, close=True))
    made = run(counting(2, aggregate=ENDS), first.rows[""], minutes.outputs(SCHEMA)[""])
    assert [(row["first"], row["last"], row["count"]) for row in made.main] == [
        (20 * number + 9, 20 * number + 19, 2) for number in range(5)
    ]
    assert [row["window_end"] - row["window_start"] for row in made.main] == [MINUTE + 1] * 5


@given(data=st.data())
def test_every_row_is_counted_once_where_windows_follow_each_other(data: st.DataObject) -> None:
    rows = data.draw(streams(0))
    ends = [
        Row(device, int(FORGET), int(FORGET), rows[-1].offset, live=False)
        for device in dict.fromkeys(row.device for row in rows)
    ]
    made = run(counting(data.draw(st.integers(1, 40))), [*rows, *ends])
    assert sum(row["count"] for row in made.main) == sum(row.live for row in rows)
    assert not made.rows.get("late")


def test_memory_follows_the_windows_that_are_open() -> None:
    runner = Runner(counting(60, 5))
    sizes = []
    for first in range(0, 20_000, 200):
        runner.put(clocked([at(number) for number in range(first, first + 200)]))
        sizes.append(sum(array.nbytes for array in runner.state.snapshot().values()))
    assert max(sizes[2:]) <= max(sizes[:2])


def test_the_options_are_checked() -> None:
    for options in ({"size": 0}, {"size": -1}, {"size": "10s"}, {"size": 1.5}, {}, {"size": 4, "slide": 0}):
        with pytest.raises(ValidationError):
            Count.model_validate({**options, "aggregate": {"n": "count()"}})


def test_what_comes_out_is_described() -> None:
    outputs = counting(4, aggregate={"t": "mean(temperature)"}).outputs(SCHEMA)
    assert list(outputs[""].columns) == ["window_start", "window_end", "count", "t"]
    assert outputs[""].time is None
