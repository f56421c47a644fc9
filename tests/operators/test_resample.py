"""Tests of `resample`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.base import SpecError
from operators.batch import Schema, Type
from operators.clock import END, FORGET
from operators.resample import Resample
from operators.window.tumbling import Tumbling
from tests.operators.rows import DAY, HOUR, MINUTE, NINE, SCHEMA, SECOND, Near, Reading, Row, Runner, clocked, run
from tests.operators.streams import streams

SPECS: list[dict[str, Any]] = [
    {"every": "10s", "how": "linear", "gap": "1m"},
    {"every": "10s", "how": "last"},
    {"every": "10s", "how": "mean"},
    {"every": "7s", "how": "linear", "gap": "3s", "columns": ["temperature", "n"]},
    {"every": "1s", "how": "last", "gap": "25s", "columns": ["status", "ok"], "origin": "2026-01-05T00:00:00.300Z"},
    {"every": "1us", "how": "linear", "columns": ["humidity"]},
    {"every": "1h", "how": "linear", "gap": "400d", "columns": ["temperature"]},
    {"every": "36600d", "how": "mean"},
    {"every": "3s", "how": "last", "gap": "1us"},
]
UNDECIDED = object()
"""Says of a value that a reading to come could change it."""


@dataclass
class Device:
    """All that a device ever sent in time: event time, offset, values."""

    sent: list[tuple[int, int, Mapping[str, Any]]] = field(default_factory=list)
    watermark: int | None = None
    cursor: int | None = None
    told: int | None = None


def oracle(spec: Resample, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Compute each grid time from all that its device ever sent, as soon as nothing to come can change it."""
    out: dict[str, list[Row]] = {"": [], "late": []}
    devices: dict[bytes, Device] = {}
    for row in rows:
        device = devices.setdefault(row.device, Device())
        late = row.live and device.watermark is not None and row.ts < device.watermark
        if late:
            late_by = Near((row.watermark - row.ts) / SECOND)
            out["late"].append(replace(row, values={**row.values, "late_by": late_by}))
        elif row.live:
            device.sent.append((row.ts, row.offset, row.values))
        device.watermark = row.watermark if device.watermark is None else max(device.watermark, row.watermark)
        given = [
            Row(row.device, time, time, row.offset, live=True, values=values)
            for time, values in decided(spec, schema, device)
        ]
        horizon = min(device.watermark, int(FORGET)) if device.watermark >= END else device.cursor
        assert horizon is not None
        if given and horizon < FORGET:
            # Only the last row may say how far time has come: it would make the ones before it late to a step behind.
            given[-1] = replace(given[-1], watermark=horizon)
        elif late or device.told is None or horizon > device.told:
            given.append(Row(row.device, horizon, horizon, row.offset, live=False))
        device.told = horizon
        out[""] += given
        if horizon == FORGET:
            del devices[row.device]
    return out


def decided(spec: Resample, schema: Schema, device: Device) -> list[tuple[int, dict[str, Any]]]:
    """Give the rows from the device's cursor on, and move it on to the first grid time that isn't decided."""
    origin, every, gap = spec.grid()
    assert device.watermark is not None
    frontier = min(device.watermark, int(END))
    given = []
    until = frontier + (origin - frontier) % every
    times = set()
    for ts, _, _ in device.sent:
        first = ts + (origin - ts) % every
        if device.cursor is None or ts + max(gap, every) >= device.cursor:
            times |= set(range(first, min(max(ts + gap, first) + 1, frontier), every))
    names = spec.columns or [name for name, type_ in schema.columns.items() if spec.how == "last" or type_.is_number]
    for time in sorted(time for time in times if device.cursor is None or time >= device.cursor):
        values = {name: value_at(spec, device, name, time, frontier) for name in names}
        if any(value is UNDECIDED for value in values.values()):
            until = min(until, time)
            break
        if any(value is not None for value in values.values()):
            given.append((time, values))
    device.cursor = until
    return given


def value_at(spec: Resample, device: Device, name: str, time: int, frontier: int) -> Any:
    """Give one value of the grid, from all the readings of its column."""
    _, every, gap = spec.grid()
    readings = [(ts, offset, values[name]) for ts, offset, values in device.sent if values.get(name) is not None]
    if spec.how == "mean":
        return mean([float(value) for ts, _, value in readings if time - every < ts <= time])
    before = max((reading[:2] for reading in readings if reading[0] <= time), default=None)
    after = min(((ts, -offset) for ts, offset, _ in readings if ts > time), default=None)
    found = {reading[:2]: reading[2] for reading in readings}
    if before is None:
        return None
    if spec.how == "last":
        return found[before] if time - before[0] <= gap else None
    if before[0] == time:
        return float(found[before])
    if frontier <= before[0] + gap and (after is None or frontier <= after[0]):
        return UNDECIDED
    near = after is not None and after[0] - before[0] <= gap
    return between((before[0], found[before]), (after[0], found[after[0], -after[1]]), time) if after and near else None


def between(begin: tuple[int, float], end: tuple[int, float], time: int) -> Near | None:
    """Give the value on a line, as a real number."""
    (since, first), (until, last) = begin, end
    first, last = float(first), float(last)
    if math.isinf(first) or math.isinf(last):
        return None
    exact = Fraction(first) + (Fraction(last) - Fraction(first)) * Fraction(time - since, until - since)
    return Near(float(exact), slack=1e-12 * max(abs(first), abs(last)))


def mean(values: Sequence[float]) -> Any:
    """Give the mean as a real number, with the slack that Neumaier's sum leaves where the values cancel out."""
    infinite = {value for value in values if math.isinf(value)}
    if infinite or not values:
        return next(iter(infinite)) if len(infinite) == 1 else None
    size = float(sum(abs(Fraction(value)) for value in values))
    return Near(float(sum(map(Fraction, values)) / len(values)), slack=1e-25 * size)


def every_10s(how: str = "linear", **options: Any) -> Resample:
    return Resample.model_validate({"every": "10s", "how": how, **options})


def at(seconds: float, value: Any = None, device: bytes = b"a", **values: Any) -> Reading:
    """Make a reading of the temperature, so many seconds behind 9:00."""
    return device, NINE + round(seconds * SECOND), {"temperature": value, **values}


def grid(spec: Resample, *readings: Reading, lateness: float = 0, close: bool = True) -> list[tuple[float, Any]]:
    """Give second and temperature of the rows."""
    rows = clocked(readings, lateness=round(lateness * SECOND), close=close)
    return [((row.ts - NINE) / SECOND, row["temperature"]) for row in run(spec, rows).main]


# What the values are.


def test_linear_is_on_the_line_between_the_readings_before_and_after() -> None:
    #   0s          10s          20s
    #       4s 40 ------ 12s 120 ------ 28s 200
    assert grid(every_10s(), at(4, 40.0), at(12, 120.0), at(28, 200.0)) == [(10, 100.0), (20, 160.0)]


def test_linear_of_equal_readings_is_level_to_the_last_bit() -> None:
    got = grid(Resample.model_validate({"every": "1ms", "how": "linear"}), at(0, 0.1), at(0.0097, 0.1), at(1, 0.0))
    assert [value for _, value in got] == [0.1] * 10 + [0.0]


def test_a_reading_exactly_at_the_grid_time_is_itself() -> None:
    # also where none is near: 10s alone, and an infinite one
    assert grid(every_10s(gap="1s"), at(10, 7.0), at(30, 9.0)) == [(10, 7.0), (30, 9.0)]
    assert grid(every_10s(), at(10, float("inf")), at(25, 9.0)) == [(10, float("inf"))]


def test_readings_further_apart_than_gap_have_no_line() -> None:
    # 5s       15s        25.000001s
    # |-- 10s --|-- 10.000001s --|
    assert grid(every_10s(gap="10s"), at(5, 5.0), at(15, 15.0), at(25.000001, 25.0)) == [(10, 10.0)]


def test_a_line_over_the_largest_numbers_doesnt_overflow() -> None:
    ((_, value),) = grid(every_10s(), at(5, -1.7e308), at(15, 1.7e308))
    assert value == 0


def test_an_infinite_reading_has_no_line() -> None:
    assert grid(every_10s(), at(5, 1.0), at(15, float("inf")), at(25, float("inf")), at(35, 1.0), at(45, 3.0)) == [
        (40, 2.0)
    ]


def test_last_is_the_latest_reading_up_to_the_grid_time() -> None:
    # 0s      10s            20s
    #  4s 1    9s 2  12s 3    20s 4
    assert grid(every_10s("last", gap="10s"), at(4, 1.0), at(9, 2.0), at(12, 3.0), at(20, 4.0)) == [
        (10, 2.0),
        (20, 4.0),
        (30, 4.0),
    ]


def test_last_is_missing_once_the_reading_is_older_than_gap() -> None:
    # 5s                20s: 15s old     30s: 25s old
    assert grid(every_10s("last", gap="15s"), at(5, 1.0), at(100, 2.0)) == [
        (10, 1.0), (20, 1.0), (100, 2.0), (110, 2.0),
    ]  # fmt: skip


def test_mean_is_of_the_readings_behind_the_grid_time_before() -> None:
    # 0s           10s            20s
    # 0            4 (at 8s), 6   10.000001s: 100
    assert grid(every_10s("mean"), at(0, 1.0), at(8, 4.0), at(10, 6.0), at(10.000001, 100.0)) == [
        (0, 1.0),
        (10, 5.0),
        (20, 100.0),
    ]


def test_small_readings_beside_a_large_one_arent_lost() -> None:
    assert grid(every_10s("mean"), at(1, 1e16), at(2, 1.0), at(3, 1.0), at(4, -1e16)) == [(10, 0.5)]


def test_a_mean_of_opposite_infinities_is_missing() -> None:
    assert grid(every_10s("mean"), at(1, float("inf")), at(2, -float("inf")), at(11, float("inf")), at(12, 1.0)) == [
        (20, float("inf"))
    ]


@pytest.mark.parametrize(("how", "second"), [("last", 2.0), ("linear", 2.0), ("mean", 1.5)])
def test_of_readings_at_one_time_the_last_counts_and_for_mean_each(how: str, second: float) -> None:
    assert grid(every_10s(how), at(10, 1.0), at(10, 2.0))[0] == (10, second)


def test_the_line_ends_at_the_last_of_readings_at_one_time_and_begins_there() -> None:
    # 5s 0      15s: 50, then 100        25s 0
    assert grid(every_10s(), at(5, 0.0), at(15, 50.0), at(15, 100.0), at(25, 0.0)) == [(10, 50.0), (20, 50.0)]


def test_each_column_is_taken_by_itself_and_a_missing_value_is_no_reading_of_it() -> None:
    # temperature   0s 0       (10s 10)           20s 20
    # humidity      0s 5   8s 1        12s 3      (20s missing)
    readings = [at(0, 0.0, humidity=5.0), at(8, humidity=1.0), at(12, humidity=3.0), at(20, 20.0)]
    rows = run(every_10s(columns=["temperature", "humidity"]), clocked(readings, close=True)).main
    assert [(row["temperature"], row["humidity"]) for row in rows] == [(0.0, 5.0), (10.0, 2.0), (20.0, None)]


def test_every_type_has_its_last_value() -> None:
    values: dict[str, Any] = {"n": 2**53 + 1, "ok": False, "status": "é%", "humidity": -0.0}
    first, second = run(every_10s("last", gap="10s"), clocked([at(5, None, **values)], close=True)).main[:1] * 2
    assert {name: second[name] for name in values} == values
    assert str(first["humidity"]) == "-0.0"
    assert (first["temperature"], first["score"]) == (None, None)


def test_ints_and_bools_become_floats_for_linear_and_mean() -> None:
    rows = clocked([at(5, n=1, ok=False), at(15, n=2, ok=True)], close=True)
    (row,) = run(every_10s(columns=["n", "ok"]), rows).main
    assert (row["n"], row["ok"]) == (1.5, 0.5)
    made = run(every_10s("mean", columns=["n", "ok"]), rows).main
    assert [(row["n"], row["ok"]) for row in made] == [(1.0, 0.0), (2.0, 1.0)]


def test_each_device_has_a_grid_of_its_own() -> None:
    readings = [at(0, 0.0), at(100, 7.0, b"b"), at(5, 5.0), at(109, 7.0, b"b"), at(115, 7.0, b"b"), at(15, 15.0)]
    made = run(every_10s(), clocked(readings, close=True)).main
    assert [(row.device, (row.ts - NINE) / SECOND, row["temperature"]) for row in made] == [
        (b"a", 0, 0.0), (b"b", 100, 7.0), (b"a", 10, 10.0), (b"b", 110, 7.0),
    ]  # fmt: skip


def test_the_grid_goes_through_the_origin_and_on_before_it() -> None:
    spec = every_10s("last", gap="1s", origin="2023-03-16T09:00:33Z")
    assert grid(spec, at(2.5, 1.0), at(3.5, 2.0), at(63, 3.0)) == [(3, 1.0), (63, 3.0)]
    assert [row.ts for row in run(every_10s("mean"), clocked([(b"a", -1, {"n": 1})], close=True)).main] == [0]


# When a row is given, and what it says of the time.


def told(spec: Resample, rows: Sequence[Row]) -> list[tuple[int, float, float, bool]]:
    """Give offset, second, watermark (in seconds behind 9:00) and whether it is live, of all rows."""
    made = run(spec, rows).rows[""]
    return [(row.offset, (row.ts - NINE) / SECOND, (row.watermark - NINE) / SECOND, row.live) for row in made]


@pytest.mark.parametrize("how", ["last", "mean"])
def test_a_row_waits_until_the_watermark_has_passed_its_grid_time(how: str) -> None:
    # lateness 5s: 8s;  15s: the watermark is at 10s, a reading at 10s may come;  15.000001s gives the row
    spec = every_10s(how, gap="1s") if how == "last" else every_10s(how)
    readings = [at(8, 1.0), at(15, 1.0), at(10, 2.0), at(15.000001, 1.0)]
    if how == "last":
        readings[0] = at(9, 1.0)
    assert told(spec, clocked(readings, lateness=5 * SECOND)) == [(0, 10, 10, False), (3, 10, 20, True)]


def test_a_linear_row_waits_for_the_reading_after_it_and_until_no_other_can_come_before_it() -> None:
    # lateness 5s: 8s, 14s;  19s: the watermark is at 14s, another at 14s may come;  19.5s gives the row
    readings = [at(8, 1.0), at(14, 1.0), at(19, 1.0), at(19.5, 1.0)]
    assert told(every_10s(), clocked(readings, lateness=5 * SECOND)) == [(0, 10, 10, False), (3, 10, 20, True)]


def test_a_linear_row_waits_for_a_reading_no_longer_than_one_could_be_near_enough() -> None:
    # humidity at 10s alone; temperature goes on
    #  10s    gap 30s                 40s    40.1s: 20s, 30s are given, without humidity
    readings = [at(10, 10.0, humidity=1.0), at(25, 25.0), at(40, 40.0), at(40.1, 40.0)]
    spec = every_10s(gap="30s", columns=["temperature", "humidity"])
    assert told(spec, clocked(readings)) == [
        (0, 10, 10, False), (1, 10, 20, True), (3, 20, 20, True), (3, 30, 30, True), (3, 40, 50, True),
    ]  # fmt: skip
    assert [row["humidity"] for row in run(spec, clocked(readings)).main] == [1.0, None, None, None]


@pytest.mark.parametrize("how", ["last", "linear", "mean"])
def test_readings_out_of_order_but_in_time_give_what_they_give_in_order(how: str) -> None:
    # lateness 20s
    readings = [at(3, 3.0), at(27, 8.0), at(12, 1.0), at(25, 2.0), at(11, 7.0), at(12, 6.0), at(48, 5.0), at(29, 0.0)]
    assert grid(every_10s(how), *readings, lateness=20) == grid(
        every_10s(how), *sorted(readings, key=lambda reading: reading[1]), lateness=20
    )


def test_the_line_ends_at_the_nearest_reading_though_it_came_later() -> None:
    # lateness 20s: 8s 0;  30s: the watermark is at 10s;  34s 100;  then 15s 70, which ends the line over 10s
    readings = [at(8, 0.0), at(34, 100.0), at(15, 70.0), at(60, 100.0)]
    assert grid(every_10s(), *readings, lateness=20)[0] == (10, 20.0)


@st.composite
def sparse(draw: st.DrawFn) -> list[Row]:
    """Make readings of one device whose columns come seldom and out of order, a bit late or too late."""
    values = st.one_of(st.none(), st.none(), st.integers(-9, 9).map(float))
    steps = st.tuples(st.integers(0, 15), st.sampled_from([0, 0, 0, 3, 10, 20, 30, 45]), values, values)
    now, readings = 0, []
    for step, late, temperature, humidity in draw(st.lists(steps, min_size=4, max_size=40)):
        now += step
        readings.append(at(now - late, temperature, humidity=humidity))
    return clocked(readings, lateness=draw(st.sampled_from([5, 20, 40])) * SECOND, close=draw(st.booleans()))


@settings(max_examples=200)
@given(
    rows=sparse(),
    how=st.sampled_from([("last", "5s"), ("last", "35s"), ("linear", "12s"), ("linear", "1m"), ("mean", None)]),
)
def test_columns_that_come_seldom_and_out_of_order_are_as_the_oracle_says(
    rows: list[Row], how: tuple[str, str | None]
) -> None:
    spec = every_10s(how[0], gap=how[1])
    schema = Schema({"temperature": Type.FLOAT, "humidity": Type.FLOAT}, ("device",), "ts")
    whole = run(spec, rows, schema)
    assert whole.rows == oracle(spec, schema, rows, "", "")
    assert Runner(spec, schema).put_pieces([[row] for row in rows]) == whole


def test_a_reading_behind_the_watermark_goes_to_the_side_and_tells_the_time() -> None:
    # 0s   8s   12s   10s: late by 2s
    rows = clocked([at(0, 0.0), at(8, 8.0), at(12, 12.0), at(10, 99.0, status="on")])
    made = run(every_10s(), rows)
    (late,) = made.rows["late"]
    assert (late.offset, late["temperature"], late["status"], late["late_by"]) == (3, 99.0, "on", 2.0)
    last = made.rows[""][-1]
    assert (last.live, last.offset, last.watermark) == (False, 3, NINE + 10 * SECOND)
    assert grid(every_10s(), at(0, 0.0), at(8, 8.0), at(12, 12.0), at(10, 99.0)) == [(0, 0.0), (10, 10.0)]


def test_a_reading_at_the_watermark_isnt_late() -> None:
    made = run(every_10s("last"), clocked([at(10, 1.0), at(10, 2.0)]))
    assert made.rows["late"] == []


def test_rows_that_come_together_tell_the_time_with_the_last() -> None:
    # 0s      35s closes 10s, 20s, 30s: the next row can be of 40s
    assert told(every_10s("last"), clocked([at(0.5, 1.0), at(35, 1.0)])) == [
        (0, 10, 10, False), (1, 10, 10, True), (1, 20, 20, True), (1, 30, 40, True),
    ]  # fmt: skip


def test_time_goes_on_where_no_row_comes_out() -> None:
    # rows without a value, and filtered ones
    rows = clocked([at(5), at(25), at(26), at(45, 1.0)])
    rows[3] = replace(rows[3], live=False)
    assert told(every_10s("last"), rows) == [(0, 10, 10, False), (1, 30, 30, False), (3, 50, 50, False)]


def test_the_end_gives_all_that_can_be_known() -> None:
    rows = clocked([at(0, 0.0), at(15, 15.0)], lateness=HOUR, close=True)
    made = run(every_10s(), rows).rows[""]
    assert [(row.ts - NINE) / SECOND for row in made if row.live] == [0, 10]
    assert made[-1].watermark == END


def test_a_device_that_is_forgotten_gives_all_and_begins_anew() -> None:
    rows = clocked([at(0, 0.0), at(15, 15.0)], lateness=HOUR)
    forgotten = Row(b"a", int(FORGET), int(FORGET), 1, live=False)
    again = clocked([at(5, 5.0), at(25, 5.0)], lateness=HOUR, close=True)
    made = run(every_10s(), [*rows, forgotten, *(replace(row, offset=row.offset + 2) for row in again)]).rows[""]
    assert [(row.offset, (row.ts - NINE) / SECOND) for row in made if row.live] == [(1, 0), (1, 10), (3, 10), (3, 20)]
    assert [row.watermark for row in made if row.offset == 1 and row.ts > NINE] == [NINE + 10 * SECOND, FORGET]


def test_a_silent_device_gets_its_rows_from_the_clock_of_the_others() -> None:
    # a: 5s, then silent; b goes on. `reach` is how long the clock must move a on.
    spec = every_10s("last", gap="25s")
    others = [at(number, 1.0, b"b") for number in range(6, 100)]
    rows = clocked([at(5, 1.0), *others], lateness=5 * SECOND, idle=10 * SECOND, reach=spec.reach())
    assert [(row.ts - NINE) / SECOND for row in run(spec, rows).main if row.device == b"a"] == [10, 20, 30]


@pytest.mark.parametrize("options", SPECS)
@settings(max_examples=20)
@given(data=st.data())
def test_no_row_is_late_for_a_step_behind(options: Mapping[str, Any], data: st.DataObject) -> None:
    spec = Resample.model_validate(options)
    made = run(spec, data.draw(streams(spec.reach()), label="rows")).rows[""]
    reached: dict[bytes, int] = {}
    for row in made:
        assert not row.live or row.ts >= reached.get(row.device, row.ts), "a row behind a watermark"
        assert not row.live or row.ts <= row.watermark or row.watermark == FORGET
        reached[row.device] = row.watermark
        if row.watermark == FORGET:
            del reached[row.device]


@given(data=st.data())
def test_a_clock_that_goes_as_far_as_reach_gives_what_the_end_gives(data: st.DataObject) -> None:
    spec = Resample.model_validate(data.draw(st.sampled_from(SPECS[:6])))
    rows = [row for row in data.draw(streams(0, forgetting=False)) if row.watermark < END]
    newest = {row.device: max(other.ts for other in rows if other.device == row.device) for row in rows}
    moved = {
        device: max(ts + spec.reach(), *(row.watermark for row in rows if row.device == device))
        for device, ts in newest.items()
    }
    offset = rows[-1].offset if rows else 0
    clocks = [Row(device, ts, ts, offset, live=False) for device, ts in moved.items()]
    ends = [Row(device, int(END), int(END), offset, live=False) for device in moved]
    assert run(spec, [*rows, *clocks, *ends]).main == run(spec, [*rows, *clocks]).main


def test_minutes_of_the_grid_close_behind_it() -> None:
    rows = clocked([at(number / 2, float(number)) for number in range(150)])
    minutes = Tumbling.model_validate({"size": "1m", "aggregate": {"n": "count()"}})
    spec = every_10s(columns=["temperature"])
    made = run(minutes, run(spec, rows).rows[""], spec.outputs(SCHEMA)[""])
    assert [(row["n"], row["window_start"]) for row in made.main] == [(6, NINE)]
    assert made.rows["late"] == []


# What it costs.


@pytest.mark.parametrize("how", ["last", "linear"])
def test_a_long_silence_gives_no_rows(how: str) -> None:
    spec = Resample.model_validate({"every": "1ms", "how": how})
    readings = [at(0, 1.0), at(1000 * DAY / SECOND, 1.0)]
    assert len(grid(spec, *readings)) == (22 if how == "last" else 2)


def test_memory_follows_the_cells_that_are_open() -> None:
    runner = Runner(every_10s(columns=["temperature", "n"]))
    rows = clocked([at(number / 5, float(number)) for number in range(50_000)], lateness=MINUTE)
    for first in range(0, len(rows), 5_000):
        runner.put(rows[first : first + 5_000])
    assert sum(array.nbytes for array in runner.state.snapshot().values()) < 3_000


def test_more_cells_than_there_is_room_for_are_open_at_once() -> None:
    readings = [at(10 * (number * 37 % 1000), float(number * 37 % 1000)) for number in range(1000)]
    got = grid(every_10s(), *readings, lateness=HOUR * 24)
    assert got == [(10.0 * number, float(number)) for number in range(1000)]


def test_one_reading_may_give_more_rows_than_there_is_room_for() -> None:
    got = grid(Resample.model_validate({"every": "1s", "how": "linear", "gap": "1d"}), at(0, 0.0), at(5000, 5000.0))
    assert got == [(float(number), pytest.approx(float(number))) for number in range(5001)]


def test_texts_that_no_device_holds_any_more_are_dropped() -> None:
    runner = Runner(every_10s("last", columns=["status"]))
    got = []
    for batch in range(30):
        made = runner.put(
            clocked([at(10 * number, status=f"s{number}") for number in range(batch * 200, batch * 200 + 200)])
        )
        got += [row["status"] for row in made.main]
        assert len(runner.state.snapshot()["text_lengths"]) < 1500
    assert got == [f"s{number}" for number in range(30 * 200 - 1)]


def test_a_text_waits_for_its_row_while_others_are_dropped() -> None:
    runner = Runner(every_10s("last", columns=["status"], gap="1m"))
    runner.put(clocked([at(5, status="waits"), at(1, status="too", device=b"b")], lateness=HOUR))
    for batch in range(10):
        runner.put(clocked([at(6 + number / 1000, status=f"{batch} {number}", device=b"c") for number in range(500)]))
        runner.resume()
    made = runner.put([Row(device, int(END), int(END), 9, live=False) for device in (b"a", b"b")])
    assert [row["status"] for row in made.main] == ["waits"] * 6 + ["too"] * 6


def test_a_text_whose_cell_is_over_is_kept_too() -> None:
    # lateness 0: at 11s the row of 10s is given, and `held` is no longer in a cell
    runner = Runner(every_10s("last", columns=["status"], gap="1m"))
    runner.put(clocked([at(5, status="held"), at(11)]))
    for batch in range(10):
        others = [at(6 + number / 1000, status=f"{batch} {number}", device=b"c") for number in range(500)]
        runner.put(clocked(others, lateness=HOUR))
    made = runner.put([Row(b"a", int(END), int(END), 9, live=False)])
    assert [row["status"] for row in made.main] == ["held"] * 5


def test_cells_that_are_free_are_used_again_behind_a_snapshot() -> None:
    runner = Runner(every_10s(columns=["temperature"]))
    sizes = []
    for first in range(0, 2_000, 100):
        runner.put(clocked([at(10 * number, 1.0) for number in range(first, first + 100)]))
        runner.resume()
        sizes.append(len(runner.state.snapshot()["links"]))
    assert sizes[-1] == sizes[1]


def test_what_many_rows_at_once_have_taken_is_given_back() -> None:
    runner = Runner(Resample.model_validate({"every": "1s", "how": "last", "gap": "1d", "columns": ["n"]}))
    runner.put(clocked([at(0, n=1)]))
    assert len(runner.put([Row(b"a", int(END), int(END), 1, live=False)]).main) == 86_401
    state: Any = runner.state
    assert len(state._rows) == len(state._values) == 64


@given(st.permutations(range(40)))
def test_cells_are_found_from_either_end(order: list[int]) -> None:
    readings = [at(10 * number, float(number)) for number in order]
    assert grid(every_10s(), *readings, lateness=HOUR, close=True) == [(10.0 * number, number) for number in range(40)]


# What goes in and comes out.


def test_what_comes_out_is_described() -> None:
    outputs = every_10s().outputs(SCHEMA)
    names = ["temperature", "humidity", "score", "n", "ok"]
    assert outputs[""] == Schema(dict.fromkeys(names, Type.FLOAT), ("device",), "ts")
    assert outputs["late"] == SCHEMA.adding({"late_by": Type.FLOAT})
    assert every_10s("last").outputs(SCHEMA)[""] == SCHEMA
    assert list(every_10s("last", columns=["status", "n"]).outputs(SCHEMA)[""].columns) == ["n", "status"]


def test_the_rows_of_a_window_get_a_time() -> None:
    schema = Schema({"t": Type.FLOAT}, ("device",), None)
    assert every_10s().outputs(schema)[""].time == "at"
    with pytest.raises(SpecError, match="`at`"):
        every_10s().outputs(schema.adding({"at": Type.FLOAT}))


def test_columns_that_dont_fit_are_all_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        every_10s(columns=["status", "humid", "n", "ts"]).outputs(SCHEMA)
    expected = "a number column for `how: linear`: temperature, humidity, score, n, ok"
    assert caught.value.problems == [
        (("columns", 0), expected, "`status`, which is text", None),
        (("columns", 1), expected, "`humid`", "did you mean `humidity`?"),
        (("columns", 3), expected, "`ts`, which is the rows' time", None),
    ]


def test_rows_without_a_number_are_refused_for_what_computes() -> None:
    schema = Schema({"status": Type.TEXT, "seen": Type.TIME}, ("device",), "ts")
    with pytest.raises(SpecError, match="status text, seen time") as caught:
        every_10s("mean").outputs(schema)
    assert caught.value.problems[0].fix == "`how: last` takes every column"
    assert every_10s("last").outputs(schema)[""] == schema


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"every": "0s", "how": "last"}, "above zero"),
        ({"every": "10s"}, "how"),
        ({"every": "10s", "how": "cubic"}, "how"),
        ({"every": "10s", "how": "mean", "gap": "1m"}, "no `gap` with `how: mean`"),
        ({"every": "10s", "how": "last", "gap": "0s"}, "above zero"),
        ({"every": "1ms", "how": "last", "gap": "2m"}, r"at most 100,000 times `every` \(1m40s\)"),
        ({"every": "10s", "how": "last", "columns": []}, "columns"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        Resample.model_validate(options)


def test_the_gap_is_ten_steps_where_none_is_given() -> None:
    assert every_10s().reach() == 100 * SECOND + 1
    assert every_10s(gap="1m").reach() == MINUTE + 1
    assert every_10s("mean").reach() == 10 * SECOND


def test_the_options_are_written_back_as_they_were_given() -> None:
    spec = every_10s(gap="1m", columns=["n"], origin="2026-01-05")
    written = spec.model_dump()
    assert written == {
        "every": "10s", "how": "linear", "gap": "1m", "columns": ["n"], "origin": "2026-01-05T00:00:00Z",
    }  # fmt: skip
    assert Resample.model_validate(written) == spec
