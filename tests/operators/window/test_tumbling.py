"""Tests of the window `tumbling`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.aggregate.base import aggregates
from operators.base import SpecError
from operators.batch import Schema, Type
from operators.filter import Filter
from operators.window.tumbling import Tumbling
from tests.operators.rows import (
    DEVICES,
    HOUR,
    MINUTE,
    NINE,
    SCHEMA,
    SECOND,
    Made,
    Near,
    Row,
    Runner,
    clocked,
    run,
    streams,
    test_module,
)

_NAMES = {"device": None, "ts": Type.TIME, **SCHEMA.columns}
_ALL = {
    f"{name}_{column}": f"{name}({column})"
    for name, found in aggregates().items()
    for column, type_ in _NAMES.items()
    if type_ in found.accepts
}
"""Every aggregate of every column that it takes, future ones too."""
SPECS: list[dict[str, Any]] = [
    {"size": "10s", "aggregate": {"n": "count()", "t_mean": "mean(temperature)", "seen": "count(status)"}},
    {"size": "10s", "aggregate": _ALL},
    {"size": "1us", "aggregate": {"n": "count()", "total": "sum(n)"}},
    {"size": "7s", "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)"}},
    {"size": "1h", "aggregate": {"n": "count()", "low": "min(humidity)", "high": "max(humidity)"}},
    {"size": "36600d", "aggregate": {"n": "count()"}},
]


def start_of(ts: int, size: int) -> int:
    """Give the start of the window in which a time falls."""
    return ts - ts % size


def oracle(spec: Tumbling, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Gather rows by device and window; when a watermark reaches the end of windows, they are over."""
    size = spec.size
    out: dict[str, list[Row]] = {"": [], "late": []}
    windows: dict[bytes, dict[int, list[Row]]] = defaultdict(dict)
    closed_to: dict[bytes, int] = {}
    for row in rows:
        open_ = windows[row.device]
        if row.live:
            start = start_of(row.ts, size)
            if row.device in closed_to and start < closed_to[row.device]:
                late_by = Near((row.watermark - (start + size)) / SECOND)
                bounds = {"window_start": start, "window_end": start + size, "late_by": late_by}
                out["late"].append(replace(row, values={**row.values, **bounds}))
            else:
                open_.setdefault(start, []).append(row)
        reached = start_of(row.watermark, size)
        if row.device in closed_to and reached <= closed_to[row.device]:
            continue
        closed_to[row.device] = reached
        over = sorted(start for start in open_ if start + size <= row.watermark)
        told = [
            Row(
                row.device,
                start + size - 1,
                start + size - 1,
                row.offset,
                live=True,
                values=sum_up(spec, start, open_.pop(start)),
            )
            for start in over
        ] or [Row(row.device, reached + size - 1, 0, row.offset, live=False)]
        # Only the last row may say how far time has come: it would make the ones before it late to a window behind.
        out[""] += [*told[:-1], replace(told[-1], watermark=reached + size - 1)]
    return out


def sum_up(spec: Tumbling, start: int, rows: Sequence[Row]) -> dict[str, Any]:
    """Give the columns of a window's row."""
    values: dict[str, Any] = {"window_start": start, "window_end": start + spec.size}
    for name, call in spec.aggregate.items():
        aggregate, _, column = call.rstrip(")").partition("(")
        of = test_module("tests.operators.aggregate", (aggregate,), ("oracle",)).oracle
        if not column:
            values[name] = of([(row.ts, 0) for row in rows], Type.INT)
            continue
        pairs = [(row.ts, row.ts if column == "ts" else row.values.get(column)) for row in rows]
        type_ = SCHEMA.names()[column]
        values[name] = of([pair for pair in pairs if pair[1] is not None], type_)
    return values


def counting(size: str, **aggregate: str) -> Tumbling:
    return Tumbling.model_validate({"size": size, "aggregate": {"count": "count()", **aggregate}})


def at(seconds: float, device: bytes = b"a", **values: Any) -> tuple[bytes, int, Mapping[str, Any]]:
    """Make a reading so many seconds behind 9:00."""
    return device, NINE + round(seconds * SECOND), values


def windows(made: Made) -> list[tuple[float, float, int]]:
    """Give start and end (seconds behind 9:00) and count of the windows."""
    return [
        ((row["window_start"] - NINE) / SECOND, (row["window_end"] - NINE) / SECOND, row["count"]) for row in made.main
    ]


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
    assert windows(made) == [(10.0 * number, 10.0 * number + 10, 1)]


def test_the_windows_of_bytewaxs_test_collect_window() -> None:
    # bytewax 0.21, pytests/operators/windowing/test_collect_window.py: no lateness, 10 s.
    #
    # 0s    4s    8s | 12s   13s
    # I     I     I  | I     I
    # [0--------------)
    #                [1--------------)
    made = run(counting("10s"), clocked([at(0), at(4), at(8), at(12), at(13)], close=True))
    assert windows(made) == [(0, 10, 3), (10, 20, 2)]
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
    assert windows(run(spec, clocked([at(3), at(14.999999)], lateness=5 * SECOND))) == []
    assert windows(run(spec, clocked([at(3), at(15)], lateness=5 * SECOND))) == [(0, 10, 1)]


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
    assert windows(made) == [(0, 10, 2), (10, 20, 2)]
    assert made.rows["late"] == []


def test_a_late_reading_goes_to_the_side_with_the_window_it_missed_and_by_how_much() -> None:
    # 3s       12s: [0, 10) is closed        9.999999s: late by 12s - 10s
    # I         I
    # [0--------)
    made = run(counting("10s"), clocked([at(3), at(12), at(9.999999, temperature=7.5)], close=True))
    assert windows(made) == [(0, 10, 1), (10, 20, 1)]
    (late,) = made.rows["late"]
    assert (late.offset, late.ts, late["temperature"]) == (2, NINE + 10 * SECOND - 1, 7.5)
    assert (late["window_start"], late["window_end"]) == (NINE, NINE + 10 * SECOND)
    assert late["late_by"] == 2.0


def test_a_reading_behind_the_watermark_isnt_late_while_its_window_is_open() -> None:
    # lateness 0: 8s, then 1s
    #  I      I
    # [0--------)
    made = run(counting("10s"), clocked([at(8), at(1)], close=True))
    assert windows(made) == [(0, 10, 2)]


def test_the_reading_that_closes_a_window_isnt_in_it() -> None:
    #           10s
    #           I
    # [0--------)
    #           [1--------)
    made = run(counting("10s"), clocked([at(9), at(10)], close=True))
    assert windows(made) == [(0, 10, 1), (10, 20, 1)]


def test_one_device_far_ahead_doesnt_make_another_late() -> None:
    # ahead       I                                   (a year)
    # a           I I
    #             [0--------)
    readings = [at(0), at(365 * 86400, b"ahead"), at(1), at(11)]
    made = run(counting("10s"), clocked(readings))
    assert windows(made) == [(0, 10, 2)]
    assert made.rows["late"] == []


def test_windows_behind_a_filter_close_by_the_readings_that_it_keeps_back() -> None:
    # 3s  12s: filtered
    # I   x
    # [0--------)
    rows = run(Filter(where="temperature > 0"), clocked([at(3, temperature=1.0), at(12, temperature=-1.0)])).rows[""]
    made = run(counting("10s"), rows)
    assert windows(made) == [(0, 10, 1)]
    assert made.main[0].offset == 1


def test_several_windows_close_in_order_and_only_the_last_tells_the_time() -> None:
    # lateness 1m: 3s, 12s, 25s, 4s; then 100s closes three
    # [0--------)
    #           [1--------)
    #                     [2--------)
    made = run(counting("10s"), clocked([at(3), at(12), at(25), at(4), at(100)], lateness=MINUTE))
    assert windows(made) == [(0, 10, 2), (10, 20, 1), (20, 30, 1)]
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
    assert windows(made) == [(0, 10, 1), (30, 40, 1)]


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


def test_memory_follows_the_windows_that_are_open() -> None:
    readings = [at(10 * number) for number in range(10_000)]
    runner = Runner(counting("10s"))
    for first in range(0, len(readings), 100):
        runner.put(clocked(readings[first : first + 100]))
    assert sum(array.nbytes for array in runner.state.snapshot().values()) < 20_000


def test_the_options_are_checked() -> None:
    for size in ("0s", "-1s", "10", 10, None):
        with pytest.raises(ValidationError):
            Tumbling.model_validate({"size": size, "aggregate": {"n": "count()"}})
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
