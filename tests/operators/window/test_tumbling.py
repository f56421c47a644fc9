"""Tests of the window `tumbling`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.clock import FORGET
from operators.filter import Filter
from operators.window.tumbling import Tumbling
from tests.operators.rows import DEVICES, HOUR, MINUTE, NINE, SCHEMA, SECOND, Near, Row, Runner, clocked, run
from tests.operators.streams import streams
from tests.operators.window.oracle import EVERY, Days, Grid, at, gathered, spans

SPECS: list[dict[str, Any]] = [
    {"size": "10s", "aggregate": {"n": "count()", "t_mean": "mean(temperature)", "seen": "count(status)"}},
    {"size": "10s", "aggregate": EVERY},
    {"size": "1us", "aggregate": {"n": "count()", "total": "sum(n)"}},
    {"size": "7s", "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)"}},
    {"size": "1h", "aggregate": {"n": "count()", "low": "min(humidity)", "high": "max(humidity)"}},
    {"size": "36600d", "aggregate": {"n": "count()"}},
    {"size": "7s", "origin": "2023-03-16T09:00:03Z", "aggregate": {"n": "count()"}},
    {"size": "10s", "early": "3s", "aggregate": {"n": "count()", "t": "sum(temperature)"}},
    {"size": "7d", "early": "1d", "origin": "1970-01-05", "aggregate": {"n": "count()", "high": "max(n)"}},
    {"size": "1d", "time_zone": "Europe/Berlin", "aggregate": {"n": "count()", "first": "first(ts)"}},
    {
        "size": "7d",
        "time_zone": "America/Havana",
        "origin": "2026-01-05",
        "early": "10m",
        "aggregate": {"n": "count()"},
    },
]


def oracle(spec: Tumbling, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Gather rows by device and window; when a watermark reaches the end of windows, they are over."""
    grid = Grid(spec.size, spec.size, spec.origin)
    return gathered(Days(spec.size, spec.time_zone, spec.origin) if spec.time_zone else grid, spec, schema, rows)


def counting(size: str, **others: str) -> Tumbling:
    """Make windows that count, with more options or aggregates."""
    options = {name: others.pop(name) for name in ("origin", "time_zone", "early") if name in others}
    return Tumbling.model_validate({"size": size, **options, "aggregate": {"count": "count()", **others}})


# Agreement with bytewax 0.21, pytests/operators/windowing/test_sliding_windower.py, test_intersect_tumble_*: windows
# of 10 s aligned to 9:00.


@pytest.mark.parametrize(
    ("time", "number"),
    [
        #                9:00:15
        #                I
        # [0--------)
        #           [1--------)
        #                     [2--------)
        ("2023-03-16T09:00:15", 1),
        #                8:59:55
        #                I
        # [--------2)
        #           [--------1)
        #                     [0--------)
        ("2023-03-16T08:59:55", -1),
        #                9:00:05
        #                I
        # [--------1)
        #           [0--------)
        #                     [1--------)
        ("2023-03-16T09:00:05", 0),
        #                     9:00:20
        #                     I
        # [0--------)
        #           [1--------)
        #                     [2--------)
        ("2023-03-16T09:00:20", 2),
        #                     8:59:50
        #                     I
        # [--------3)
        #           [--------2)
        #                     [--------1)
        #                               [0--------)
        ("2023-03-16T08:59:50", -1),
        #           9:00:00
        #           I
        # [--------1)
        #           [0--------)
        #                     [1--------)
        ("2023-03-16T09:00:00", 0),
        #                     9:00:10
        #                     I
        # [--------1)
        #           [0--------)
        #                     [1--------)
        ("2023-03-16T09:00:10", 1),
    ],
)
def test_a_reading_falls_into_the_window_that_bytewax_puts_it_in(time: str, number: int) -> None:
    ts = int(datetime.fromisoformat(time).replace(tzinfo=timezone.utc).timestamp()) * SECOND
    made = run(counting("10s"), clocked([(b"a", ts, {})], close=True))
    assert spans(made.main) == [(10.0 * number, 10.0 * number + 10, 1)]


def test_the_windows_of_bytewaxs_test_collect_window() -> None:
    # bytewax 0.21, pytests/operators/windowing/test_collect_window.py: no lateness, 10 s.
    #
    # 0s    4s    8s | 12s   13s
    # I     I     I  | I     I
    # [0--------------)
    #                [1--------------)
    made = run(counting("10s"), clocked([at(0), at(4), at(8), at(12), at(13)], close=True))
    assert spans(made.main) == [(0, 10, 3), (10, 20, 2)]
    assert made.main[0].offset == 3, "the first window closes with the reading at 12 s"


def test_the_windows_of_bytewaxs_test_count_window() -> None:
    # bytewax 0.21, pytests/operators/windowing/test_count_window.py: two keys.
    readings = [at(0), at(4), at(8, b"b"), at(12), at(13)]
    made = run(counting("10s"), clocked(readings, close=True))
    assert [(row.device, row["count"]) for row in made.main] == [(b"a", 2), (b"a", 2), (b"b", 1)]


def test_a_window_closes_when_the_watermark_reaches_its_end() -> None:
    # lateness 5s     14.999999s: no
    #                 I 15s: the watermark is at 10s
    # [0--------)     I I
    spec = counting("10s")
    assert spans(run(spec, clocked([at(3), at(14.999999)], lateness=5 * SECOND)).main) == []
    assert spans(run(spec, clocked([at(3), at(15)], lateness=5 * SECOND)).main) == [(0, 10, 1)]


def test_a_row_carries_the_offset_of_the_reading_that_closed_it_and_the_time_of_its_last_moment() -> None:
    # 3s  4s     12s
    # I   I      I
    # [0--------)
    (row,) = run(counting("10s"), clocked([at(3), at(4), at(12)])).main
    assert (row.offset, row.ts) == (2, NINE + 10 * SECOND - 1)
    assert row.watermark == NINE + 20 * SECOND - 1, "rows still to come are of windows that end behind the watermark"


def test_readings_out_of_order_but_in_time_are_counted_where_they_belong() -> None:
    # lateness 5s: 8s, 12s, 3s (in time), 16s closes
    #    I      I  I
    # [0--------)  I
    #           [1-I------)
    made = run(counting("10s"), clocked([at(8), at(12), at(3), at(16)], lateness=5 * SECOND, close=True))
    assert spans(made.main) == [(0, 10, 2), (10, 20, 2)]
    assert made.rows["late"] == []


def test_a_late_reading_goes_to_the_side_with_the_window_it_missed_and_by_how_much() -> None:
    # 3s       12s: [0, 10) is closed        9.999999s: late by 12s - 10s
    # I         I
    # [0--------)
    made = run(counting("10s"), clocked([at(3), at(12), at(9.999999, temperature=7.5)], close=True))
    assert spans(made.main) == [(0, 10, 1), (10, 20, 1)]
    (late,) = made.rows["late"]
    assert (late.offset, late.ts, late["temperature"]) == (2, NINE + 10 * SECOND - 1, 7.5)
    assert (late["window_start"], late["window_end"]) == (NINE, NINE + 10 * SECOND)
    assert late["late_by"] == 2.0


def test_a_reading_behind_the_watermark_isnt_late_while_its_window_is_open() -> None:
    # lateness 0: 8s, then 1s
    #  I      I
    # [0--------)
    made = run(counting("10s"), clocked([at(8), at(1)], close=True))
    assert spans(made.main) == [(0, 10, 2)]


def test_the_reading_that_closes_a_window_isnt_in_it() -> None:
    #           10s
    #           I
    # [0--------)
    #           [1--------)
    made = run(counting("10s"), clocked([at(9), at(10)], close=True))
    assert spans(made.main) == [(0, 10, 1), (10, 20, 1)]


def test_one_device_far_ahead_doesnt_make_another_late() -> None:
    # ahead       I                                   (a year)
    # a           I I
    #             [0--------)
    readings = [at(0), at(365 * 86400, b"ahead"), at(1), at(11)]
    made = run(counting("10s"), clocked(readings))
    assert spans(made.main) == [(0, 10, 2)]
    assert made.rows["late"] == []


def test_windows_behind_a_filter_close_by_the_readings_that_it_keeps_back() -> None:
    # 3s  12s: filtered
    # I   x
    # [0--------)
    rows = run(Filter(where="temperature > 0"), clocked([at(3, temperature=1.0), at(12, temperature=-1.0)])).rows[""]
    made = run(counting("10s"), rows)
    assert spans(made.main) == [(0, 10, 1)]
    assert made.main[0].offset == 1


def test_several_windows_close_in_order_and_only_the_last_tells_the_time() -> None:
    # lateness 1m: 3s, 12s, 25s, 4s; then 100s closes three
    # [0--------)
    #           [1--------)
    #                     [2--------)
    made = run(counting("10s"), clocked([at(3), at(12), at(25), at(4), at(100)], lateness=MINUTE))
    assert spans(made.main) == [(0, 10, 2), (10, 20, 1), (20, 30, 1)]
    told = [(row.watermark - NINE + 1) / SECOND for row in made.main]
    assert told == [10, 20, 50]


def test_a_watermark_that_passes_windows_without_rows_is_passed_on() -> None:
    # 3s closes nothing, but tells that nothing before 0s will come; so does 12s, behind the window that it closes
    made = run(counting("10s"), clocked([at(3), at(12)]))
    assert [(row.live, row.offset) for row in made.rows[""]] == [(False, 0), (True, 1)]


def test_an_empty_window_gives_no_row() -> None:
    # 3s                        35s
    # [0--------)
    #           [no rows)[no rows)[3---
    made = run(counting("10s"), clocked([at(3), at(35)], close=True))
    assert spans(made.main) == [(0, 10, 1), (30, 40, 1)]


def test_windows_before_1970_begin_at_their_start_too() -> None:
    #        -1us
    #        I
    # [-10s--)[0
    made = run(counting("10s"), clocked([(b"a", -1, {}), (b"a", 0, {})], close=True))
    assert [(row["window_start"], row["count"]) for row in made.main] == [(-10 * SECOND, 1), (0, 1)]


def test_a_window_with_missing_values_alone_gives_a_row() -> None:
    made = run(counting("10s", t="mean(temperature)", low="min(n)"), clocked([at(3)], close=True))
    assert [(row["count"], row["t"], row["low"]) for row in made.main] == [(1, None, None)]


def test_a_pane_is_empty_when_it_is_used_again() -> None:
    # Windows one behind the other take the same place in memory.
    readings = [at(10 * number, n=2**63 - 1 if number == 0 else 1, temperature=1.0) for number in range(4)]
    readings.insert(1, at(0, n=1))
    made = run(counting("10s", total="sum(n)", t="sum(temperature)"), clocked(readings, close=True))
    assert [(row["total"], row["t"]) for row in made.main] == [(None, 1.0), (1, 1.0), (1, 1.0), (1, 1.0)]


@given(data=st.data())
def test_every_reading_is_counted_once_or_late(data: st.DataObject) -> None:
    rows = data.draw(streams(0))
    spec = counting("10s")
    # The end of time, for what is still open.
    ends = clocked([(device, row.ts, {}) for device in DEVICES for row in rows[-1:]], close=True)[-len(DEVICES) :]
    made = run(spec, [*rows, *ends] if rows else [])
    assert sum(row["count"] for row in made.main) + len(made.rows["late"]) == sum(row.live for row in rows)


@given(data=st.data())
def test_minutes_gathered_into_hours_equal_hours(data: st.DataObject) -> None:
    # [--------------------1h--------------------)
    # [1m)[1m)[1m)                            [1m)
    # Nothing may be late for the minutes, or the hours would have more than they.
    rows = [row for row in data.draw(streams(0)) if row.live]
    rows = clocked([(row.device, row.ts, row.values) for row in rows], lateness=10**18, close=True)
    minutes = counting("1m", total="sum(temperature)", n="count(temperature)")
    hours = Tumbling.model_validate(
        {"size": "1h", "aggregate": {"count": "sum(count)", "total": "sum(total)", "n": "sum(n)"}}
    )
    behind = run(hours, run(minutes, rows).rows[""], minutes.outputs(SCHEMA)[""])
    direct = run(counting("1h", total="sum(temperature)", n="count(temperature)"), rows)
    assert behind.rows["late"] == []
    assert [(row.device, row["window_start"], row["count"], row["n"]) for row in behind.main] == [
        (row.device, row["window_start"], row["count"], row["n"]) for row in direct.main
    ]
    largest = sum(abs(row["temperature"] or 0) for row in rows if row.live)
    for row, wanted in zip(behind.main, direct.main, strict=True):
        if wanted["total"] is None or row["total"] is None:
            assert row["total"] == wanted["total"]
        else:
            assert Near(wanted["total"], slack=1e-12 * largest) == row["total"]


@given(data=st.data())
def test_windows_behind_windows_dont_drop_a_row(data: st.DataObject) -> None:
    """With real lateness too: what a window tells of the time never makes its own rows late."""
    minutes = counting("1m")
    first = run(minutes, data.draw(streams(MINUTE)))
    hours = Tumbling.model_validate({"size": "1h", "aggregate": {"count": "sum(count)"}})
    assert run(hours, first.rows[""], minutes.outputs(SCHEMA)[""]).rows["late"] == []


def test_an_hour_behind_minutes_closes_with_its_last_minute() -> None:
    # 8:59:30   9:00:10 closes 8:59 and, behind it, the hour from 8:00
    # [--8:00--)[9:00
    minutes = counting("1m")
    hours = Tumbling.model_validate({"size": "1h", "aggregate": {"count": "sum(count)"}})
    made = run(hours, run(minutes, clocked([at(-30), at(10)])).rows[""], minutes.outputs(SCHEMA)[""])
    assert [(row["window_start"], row["count"], row.offset) for row in made.main] == [(NINE - HOUR, 1, 1)]


def test_early_results_show_what_has_changed_until_a_window_closes() -> None:
    # early 3s, in multiples since 1970: 9:00:00 is one. 3s lets out 1s, 5s nothing, 9s what 3s and 5s changed; 12s
    # lets out 9s, and closes; 1s is late and lets out nothing.
    made = run(counting("10s", early="3s"), clocked([at(1), at(3), at(5), at(9), at(12), at(1)], close=True))
    assert [(*span, row["final"], row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (0, 10, 1, False, 1),
        (0, 10, 3, False, 3),
        (0, 10, 4, True, 4),
        (10, 20, 1, True, 5),
    ]
    assert [row.ts for row in made.main[:3]] == [NINE + 10 * SECOND - 1] * 3


def test_a_window_that_a_row_closes_gives_no_early_result_with_it() -> None:
    made = run(counting("10s", early="5s"), clocked([at(1), at(10)]))
    assert [(*span, row["final"]) for span, row in zip(spans(made.main), made.main, strict=True)] == [(0, 10, 1, True)]


def test_early_results_follow_the_newest_time_of_the_device() -> None:
    # lateness 1m: a row out of order takes no device over a multiple of 5s, and is shown with the next that does
    made = run(counting("10s", early="5s"), clocked([at(4), at(11), at(6), at(12), at(15)], lateness=MINUTE))
    assert [(*span, row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (0, 10, 1, 1), (0, 10, 2, 4), (10, 20, 2, 4),
    ]  # fmt: skip


def test_a_forgotten_device_gives_what_is_open_and_comes_again_at_any_time() -> None:
    # 100s; forgotten; then 3s, which would have been late
    made = run(counting("10s"), clocked([at(100), at(3), at(12)], forgets={1: b"a"}))
    assert [(*span, row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (100, 110, 1, 0), (0, 10, 1, 2),
    ]  # fmt: skip
    assert made.rows["late"] == []
    first, closed, forgotten, *_ = made.rows[""]
    assert (first.live, closed.watermark, forgotten.live) == (False, closed.ts, False)
    assert (forgotten.ts, forgotten.watermark, forgotten.offset) == (FORGET, FORGET, 0)


def test_a_device_is_forgotten_behind_the_end_too() -> None:
    rows = clocked([at(3)], close=True)
    made = run(counting("10s"), [*rows, replace(rows[-1], ts=int(FORGET), watermark=int(FORGET))])
    assert [(row.live, row.watermark == FORGET) for row in made.rows[""]][-2:] == [(True, False), (False, True)]


def test_memory_follows_the_windows_that_are_open() -> None:
    readings = [at(10 * number) for number in range(10_000)]
    runner = Runner(counting("10s"))
    for first in range(0, len(readings), 100):
        runner.put(clocked(readings[first : first + 100]))
    assert sum(array.nbytes for array in runner.state.snapshot().values()) < 60_000


def test_the_options_are_checked() -> None:
    for size in ("0s", "-1s", "10", 10, None):
        with pytest.raises(ValidationError):
            Tumbling.model_validate({"size": size, "aggregate": {"n": "count()"}})
    for options in (
        {"origin": "9:00"}, {"origin": 5}, {"origin": "2026-01-05T06:00"}, {"early": "0s"}, {"time_zone": "Berlin"},
        {"time_zone": "Europe/Berlin"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            Tumbling.model_validate({"size": "10s", **options, "aggregate": {"n": "count()"}})
    with pytest.raises(ValidationError):
        Tumbling.model_validate({"size": "10s", "aggregate": {}})


def test_all_mistakes_in_the_aggregates_are_reported_at_once() -> None:
    aggregate = {"a": "meen(n)", "window_start": "count()", "device": "count()", "b": "mean(status)"}
    with pytest.raises(SpecError) as caught:
        Tumbling.model_validate({"size": "10s", "aggregate": aggregate}).outputs(SCHEMA)
    assert [problem.at for problem in caught.value.problems] == [("aggregate", name) for name in aggregate]


def test_what_comes_out_is_described() -> None:
    outputs = counting("10s", t="mean(temperature)", at="last(ts)").outputs(SCHEMA)
    assert outputs[""].columns == {
        "window_start": Type.TIME, "window_end": Type.TIME, "count": Type.INT, "t": Type.FLOAT, "at": Type.TIME,
    }  # fmt: skip
    assert outputs[""].time is None
    assert list(outputs["late"].columns) == [*SCHEMA.columns, "window_start", "window_end", "late_by"]
