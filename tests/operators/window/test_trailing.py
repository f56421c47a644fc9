"""Tests of the window `trailing`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.clock import FORGET
from operators.filter import Filter
from operators.window.trailing import Trailing
from operators.window.tumbling import Tumbling
from tests.operators.rows import MINUTE, SCHEMA, SECOND, Made, Near, Row, Runner, clocked, run
from tests.operators.streams import streams
from tests.operators.window.oracle import EVERY, Out, Window, aggregated, at

SPECS: list[dict[str, Any]] = [
    {"duration": "10s", "aggregate": {"n_10s": "count()", "t_mean": "mean(temperature)", "seen": "count(status)"}},
    {"duration": "25s", "aggregate": EVERY},
    {"duration": "1us", "aggregate": {"together": "count()", "total": "sum(n)"}},
    {"duration": "1h", "aggregate": {"low": "min(n)", "high": "max(n)", "first": "first(ts)", "last": "last(ts)"}},
    {"duration": "36600d", "aggregate": {"all": "count()", "t": "sum(temperature)"}},
    {"rows": 5, "aggregate": EVERY},
    {"rows": 5, "aggregate": {"some": "count()", "t": "mean(temperature)", "first": "first(n)", "last": "last(n)"}},
    {"rows": 1, "aggregate": {"now": "max(ts)", "one": "count()"}},
    {"rows": 40, "aggregate": {"low": "min(n)", "high": "max(n)", "t": "sum(temperature)"}},
]


def oracle(spec: Trailing, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> Out:
    """Keep all rows of a device, and look through them for each row."""
    out: Out = {"": [], "late": []}
    arrived: dict[bytes, list[Row]] = defaultdict(list)
    newest: dict[bytes, int] = {}
    for row in rows:
        device = row.device
        if row.live:
            newest[device] = max(newest.get(device, row.ts), row.ts)
            after = None if spec.duration is None else newest[device] - spec.duration
            if after is not None and row.ts <= after:
                late_by = Near((after - row.ts) / SECOND)
                out["late"].append(replace(row, values={**row.values, "late_by": late_by}))
                out[""].append(replace(row, live=False, values={}))
                continue
            arrived[device].append(row)
            over = (
                arrived[device][-(spec.rows or 0) :] if after is None else [r for r in arrived[device] if r.ts > after]
            )
            over = sorted(over, key=lambda r: r.ts)
            window = Window(over[0].ts, over[-1].ts + 1, over)
            out[""].append(replace(row, values={**row.values, **aggregated(spec.aggregate, window, schema)}))
        else:
            out[""].append(replace(row, values={}))
        if row.watermark >= FORGET:
            arrived.pop(device, None)
            newest.pop(device, None)
    return out


def over(duration: str, **aggregate: str) -> Trailing:
    return Trailing.model_validate({"duration": duration, "aggregate": {"count": "count()", **aggregate}})


def over_rows(rows: int, **aggregate: str) -> Trailing:
    return Trailing.model_validate({"rows": rows, "aggregate": {"count": "count()", **aggregate}})


def counts(made: Made) -> list[int]:
    return [row["count"] for row in made.main]


def test_each_row_gets_the_statistics_of_the_time_behind_it() -> None:
    #        0s   4s   8s   12s
    #        I    I    I    I
    # 8s:    (---------]
    # 12s:        (---------]
    made = run(over("10s", total="sum(n)"), clocked([at(0, n=1), at(4, n=2), at(8, n=4), at(12, n=8)]))
    assert [(row["count"], row["total"]) for row in made.main] == [(1, 1), (2, 3), (3, 7), (3, 14)]


def test_a_row_exactly_the_duration_older_is_just_out() -> None:
    assert counts(run(over("10s"), clocked([at(0), at(10)]))) == [1, 1]
    assert counts(run(over("10s"), clocked([at(0), at(9.999999)]))) == [1, 2]


def test_rows_pass_through_as_they_are() -> None:
    rows = clocked([at(0, n=1, status="on"), at(3, n=2, ok=True)], lateness=SECOND)
    made = run(over("10s"), rows)
    assert [(row.ts, row.watermark, row.offset, row.live) for row in made.rows[""]] == [
        (row.ts, row.watermark, row.offset, row.live) for row in rows
    ]
    assert [(row["n"], row["status"], row["ok"]) for row in made.main] == [(1, "on", None), (2, None, True)]


def test_a_row_out_of_order_gets_the_statistics_of_the_newest_time_and_counts_from_then_on() -> None:
    #         0s   5s        12s;  then 4s, then 13s
    #         I    I         I
    # 4s:       (------------]     4s itself, 5s and 12s
    # 13s:         (------------]  4s, 5s, 12s, 13s
    readings = [at(0, n=1), at(5, n=2), at(12, n=4), at(4, n=8), at(13, n=16)]
    made = run(over("10s", total="sum(n)", last="last(n)", first="first(n)"), clocked(readings))
    assert [(row["total"], row["first"], row["last"]) for row in made.main] == [
        (1, 1, 1), (3, 1, 2), (6, 2, 4), (14, 8, 4), (30, 8, 16),
    ]  # fmt: skip


def test_a_row_older_than_the_whole_window_is_late_and_changes_nothing() -> None:
    # 12s, then 2s: exactly the duration older, so it is just out
    made = run(over("10s"), clocked([at(12), at(2, n=7), at(1.5), at(13)]))
    assert counts(made) == [1, 2]
    assert [(row.offset, row["late_by"]) for row in made.rows["late"]] == [(1, 0.0), (2, 0.5)]
    assert made.rows["late"][0]["n"] == 7
    assert [(row.live, row.offset) for row in made.rows[""]] == [(True, 0), (False, 1), (False, 2), (True, 3)]


def test_a_row_isnt_late_by_the_watermark() -> None:
    # The watermark is at 12s; a row at 3s is within 10s of it.
    assert counts(run(over("10s"), clocked([at(12), at(3)]))) == [1, 2]


def test_rows_of_the_same_time_count_from_their_own_arrival_on() -> None:
    readings = [at(0, n=1), at(0, n=2), at(0, n=3)]
    made = run(over("1us", first="first(n)", last="last(n)"), clocked(readings))
    assert [(row["count"], row["first"], row["last"]) for row in made.main] == [(1, 1, 1), (2, 1, 2), (3, 1, 3)]


def test_the_last_rows_are_those_that_arrived_last() -> None:
    # Three rows; nothing is late, however old
    readings = [at(10, n=1), at(20, n=2), at(0, n=4), at(30, n=8)]
    made = run(over_rows(3, total="sum(n)", first="first(n)", last="last(n)"), clocked(readings))
    assert [(row["count"], row["total"]) for row in made.main] == [(1, 1), (2, 3), (3, 7), (3, 14)]
    assert [(row["first"], row["last"]) for row in made.main] == [(1, 1), (1, 2), (4, 2), (4, 8)]
    assert not made.rows.get("late")


def test_what_has_left_the_window_leaves_no_trace() -> None:
    # A sum from which the large value were taken away again would have lost the small one.
    readings = [at(0, temperature=1e16, n=2**63 - 1), at(5, temperature=1.0, n=1), at(12, temperature=1.0, n=1)]
    for spec in (over("10s", t="sum(temperature)", n="sum(n)"), over_rows(2, t="sum(temperature)", n="sum(n)")):
        with pytest.raises(SpecError):
            spec.outputs(SCHEMA)
    for spec in (
        over("10s", t="sum(temperature)", total="sum(n)", high="max(n)"),
        over_rows(2, t="sum(temperature)", total="sum(n)", high="max(n)"),
    ):
        *_, last = run(spec, clocked(readings)).main
        assert (last["t"], last["total"], last["high"]) == (2.0, 2, 1)


def test_a_missing_value_is_passed_over_but_its_row_counts() -> None:
    readings = [at(0, temperature=None), at(1, temperature=4.0), at(2, temperature=None)]
    made = run(over("10s", t="mean(temperature)", seen="count(temperature)"), clocked(readings))
    assert [(row["count"], row["t"], row["seen"]) for row in made.main] == [(1, None, 0), (2, 4.0, 1), (3, 4.0, 1)]


def test_each_device_has_its_own_window() -> None:
    readings = [at(0), at(1, b"b"), at(2), at(3600, b"b"), at(3)]
    made = run(over("10s"), clocked(readings))
    assert [(row.device, row["count"]) for row in made.main] == [(b"a", 1), (b"b", 1), (b"a", 2), (b"b", 1), (b"a", 3)]


def test_a_punctuation_goes_on_and_counts_for_nothing() -> None:
    rows = run(Filter(where="n > 0"), clocked([at(0, n=1), at(60, n=0), at(5, n=1)], lateness=MINUTE)).rows[""]
    made = run(over("10s"), rows)
    assert [(row.live, row.offset, row.watermark) for row in made.rows[""]] == [
        (row.live, row.offset, row.watermark) for row in rows
    ]
    assert counts(made) == [1, 2], "a row that a filter keeps back doesn't move the window on either"


def test_a_forgotten_device_begins_anew() -> None:
    readings = [at(100), at(101), at(5), at(6)]
    made = run(over("10s"), clocked(readings, forgets={2: b"a"}))
    assert counts(made) == [1, 2, 1, 2]
    assert made.rows["late"] == []
    assert counts(run(over_rows(3), clocked(readings, forgets={2: b"a"}))) == [1, 2, 1, 2]
    assert [(row.live, row.ts, row.offset) for row in made.rows[""] if row.watermark == FORGET] == [(False, FORGET, 1)]


def test_windows_behind_take_the_rows_with_their_new_columns() -> None:
    spec = over("10s")
    minutes = Tumbling.model_validate({"size": "1m", "aggregate": {"most": "max(count)", "last": "last(ts)"}})
    first = run(spec, clocked([at(second) for second in range(100)], close=True))
    made = run(minutes, first.rows[""], spec.outputs(SCHEMA)[""])
    assert [row["most"] for row in made.main] == [10, 10]


@given(data=st.data())
def test_the_count_over_a_very_long_time_is_that_of_all_rows_so_far(data: st.DataObject) -> None:
    rows = data.draw(streams(0, forgetting=False))
    made = run(over("36600d"), rows)
    so_far: dict[bytes, int] = defaultdict(int)
    for row in made.main:
        so_far[row.device] += 1
        assert row["count"] <= so_far[row.device]
    assert len(made.main) + len(made.rows["late"]) == sum(row.live for row in rows)


def test_memory_follows_the_rows_in_the_window() -> None:
    for spec in (over("100s", high="max(n)"), over_rows(100, high="max(n)")):
        runner = Runner(spec)
        sizes = []
        for first in range(0, 20_000, 400):
            runner.put(clocked([at(number, n=number) for number in range(first, first + 400)]))
            sizes.append(sum(array.nbytes for array in runner.state.snapshot().values()))
        assert max(sizes[2:]) <= max(sizes[:2]), spec


def test_the_options_are_checked() -> None:
    for options in (
        {},
        {"duration": "1s", "rows": 3},
        {"rows": 0},
        {"rows": "3s"},
        {"duration": "0s"},
        {"duration": 3},
    ):
        with pytest.raises(ValidationError):
            Trailing.model_validate({**options, "aggregate": {"n": "count()"}})


@pytest.mark.parametrize("name", ["n", "device", "ts"])
def test_a_name_that_the_rows_have_already_is_refused(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        over("10s", **{name: "count()"}).outputs(SCHEMA)
    assert [problem.at for problem in caught.value.problems] == [("aggregate", name)]


def test_what_comes_out_is_described() -> None:
    outputs = over("10s", t="mean(temperature)").outputs(SCHEMA)
    assert outputs[""] == SCHEMA.adding({"count": Type.INT, "t": Type.FLOAT})
    assert list(outputs["late"].columns) == [*SCHEMA.columns, "late_by"]
