"""Tests of the window `hopping`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.batch import Schema, Type
from operators.clock import END
from operators.window.hopping import Hopping
from operators.window.tumbling import Tumbling
from tests.operators.rows import HOUR, MINUTE, SCHEMA, SECOND, Row, Runner, clocked, cut, run, to_batch
from tests.operators.streams import cuts, streams
from tests.operators.window.oracle import EVERY, Grid, at, gathered, seconds, spans

SPECS: list[dict[str, Any]] = [
    {"size": "10s", "slide": "5s", "aggregate": {"n": "count()", "t_mean": "mean(temperature)", "total": "sum(n)"}},
    {"size": "10s", "slide": "3s", "aggregate": EVERY},
    {"size": "10s", "slide": "10s", "aggregate": {"n": "count()", "seen": "count(status)"}},
    {"size": "3s", "slide": "10s", "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)"}},
    {"size": "3us", "slide": "1us", "aggregate": {"n": "count()"}},
    {"size": "1us", "slide": "1s", "origin": "2023-03-16T09:00:00.5Z", "aggregate": {"n": "count()"}},
    {"size": "1h", "slide": "7m", "origin": "1969-12-31T23:59:59Z", "aggregate": {"low": "min(n)", "high": "max(n)"}},
    {"size": "36600d", "slide": "10000d", "aggregate": {"n": "count()"}},
    {"size": "10s", "slide": "4s", "early": "3s", "aggregate": {"n": "count()", "t": "sum(temperature)"}},
    {"size": "2s", "slide": "5s", "early": "1us", "aggregate": {"n": "count()"}},
]


def oracle(spec: Hopping, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Gather rows by device and window; when a watermark reaches the end of windows, they are over."""
    return gathered(Grid(spec.size, spec.slide, spec.origin), spec, schema, rows)


def hopping(size: str, slide: str, *, early: str | None = None, **aggregate: str) -> Hopping:
    options = {"size": size, "slide": slide, "aggregate": {"count": "count()", **aggregate}, "early": early}
    return Hopping.model_validate({key: value for key, value in options.items() if value is not None})


def test_a_row_is_counted_in_every_window_that_covers_it() -> None:
    #           12s
    #           I
    #      [5--------)
    #           [10-------)
    made = run(hopping("10s", "5s"), clocked([at(12)], close=True))
    assert spans(made.main) == [(5, 15, 1), (10, 20, 1)]


@given(data=st.data())
def test_rows_that_are_late_for_some_of_their_windows_are_counted(data: st.DataObject) -> None:
    spec = data.draw(st.sampled_from([hopping("10s", "5s"), hopping("10s", "3s"), hopping("10s", "10s")]))
    rows = data.draw(streams(spec.reach(), forgetting=False))
    grid = Grid(spec.size, spec.slide, spec.origin)
    reached: dict[bytes, int] = {}
    partly = 0
    for row in rows:
        ends = [end for _, end in grid.around(row.ts)]
        closed = [end for end in ends if row.device in reached and end <= reached[row.device]]
        partly += row.live and 0 < len(closed) < len(ends)
        reached[row.device] = row.watermark
    runner = Runner(spec)
    cut_rows = [to_batch(piece, SCHEMA, runner.devices) for piece in cut(rows, data.draw(cuts(rows)))]
    assert sum(runner.state.on_batch(batch).partly_late for batch in cut_rows) == partly


def test_a_slide_by_which_a_row_is_in_too_many_windows_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 100,000 windows"):
        hopping("1d", "5ms")
    assert hopping("1d", "864ms")


def test_a_slide_that_doesnt_divide_the_size_leaves_rows_in_more_or_fewer_windows() -> None:
    # size 10s, slide 4s, a row a second from 20s to 29s
    #                     |---------|
    #         [20-------)
    # [12-------) [24-------)
    #     [16-------) [28-------)
    made = run(hopping("10s", "4s"), clocked([at(20 + second) for second in range(10)], close=True))
    assert spans(made.main) == [(12, 22, 2), (16, 26, 6), (20, 30, 10), (24, 34, 6), (28, 38, 2)]


def test_a_row_in_the_part_of_a_slide_that_fewer_windows_cover_is_in_fewer() -> None:
    # size 5s, slide 3s: 9:00:00 is a multiple of 3s; a row at 5s is in [3, 8) alone, one at 6s in [3, 8) and [6, 11)
    assert spans(run(hopping("5s", "3s"), clocked([at(5)], close=True)).main) == [(3, 8, 1)]
    assert spans(run(hopping("5s", "3s"), clocked([at(6)], close=True)).main) == [(3, 8, 1), (6, 11, 1)]


def test_windows_close_one_by_one_as_the_watermark_reaches_their_ends() -> None:
    # 1s  6s   10s closes [0, 10); 15s closes [5, 15)
    # I   I    I    I
    # [0--------)
    #     [5--------)
    made = run(hopping("10s", "5s"), clocked([at(1), at(6), at(10), at(14.999999), at(15)]))
    assert [(*span, row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (-5, 5, 1, 1),
        (0, 10, 2, 2),
        (5, 15, 3, 4),
    ]


def test_windows_that_close_together_come_in_order_of_their_ends_and_the_last_tells_the_time() -> None:
    # lateness 1m: 12s, 1s, then 80s closes all that end at 20s or before
    made = run(hopping("10s", "5s"), clocked([at(12), at(1), at(80)], lateness=MINUTE))
    assert spans(made.main) == [(-5, 5, 1), (0, 10, 1), (5, 15, 1), (10, 20, 1)]
    assert [seconds(row.ts + 1) for row in made.main] == [5, 10, 15, 20]
    # The next window to come ends at 25s.
    assert [seconds(row.watermark + 1) for row in made.main] == [5, 10, 15, 25]


def test_a_watermark_at_the_end_of_a_window_without_rows_closes_it_too() -> None:
    # 15s closes [0, 10), and [5, 15), which has no rows; so 9s, whose last window that is, is late
    # I         x    I
    # [0--------)
    #      [5--------)
    made = run(hopping("10s", "5s"), clocked([at(0), at(15), at(9)]))
    assert spans(made.main) == [(-5, 5, 1), (0, 10, 1)]
    assert seconds(made.main[-1].watermark + 1) == 20
    assert [(row.offset, row["late_by"]) for row in made.rows["late"]] == [(2, 0.0)]


def test_a_row_for_which_some_windows_are_closed_goes_into_the_others_and_isnt_late() -> None:
    # 11s closes [0, 10); then 7s
    #        x   I
    # [0--------)
    #      [5---------)
    made = run(hopping("10s", "5s"), clocked([at(11), at(7)], close=True))
    assert spans(made.main) == [(5, 15, 2), (10, 20, 1)]
    assert made.rows["late"] == []


def test_a_row_for_which_all_windows_are_closed_is_late_by_the_last_of_them() -> None:
    # 17s closes [5, 15); then 9s, whose last window that was
    made = run(hopping("10s", "5s"), clocked([at(17), at(9, n=7)], close=True))
    (late,) = made.rows["late"]
    assert (seconds(late["window_start"]), seconds(late["window_end"]), late["late_by"]) == (5, 15, 2.0)
    assert (late.offset, late["n"]) == (1, 7)


def test_a_row_between_windows_is_in_none_and_never_late() -> None:
    # size 3s, slide 10s
    #  1s  5s           5s again, behind a watermark of 12s
    #  I   I        I
    # [0--)       [10--)
    made = run(hopping("3s", "10s"), clocked([at(1), at(5), at(12), at(5), at(2)], close=True))
    assert spans(made.main) == [(0, 3, 1), (10, 13, 1)]
    assert [(row.offset, row["late_by"]) for row in made.rows["late"]] == [(4, 9.0)]


def test_a_row_between_windows_closes_those_before_it() -> None:
    made = run(hopping("3s", "10s"), clocked([at(1), at(5)]))
    assert [(*span, row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [(0, 3, 1, 1)]
    assert seconds(made.main[0].watermark + 1) == 13, "the next window ends there"


def test_where_no_window_had_rows_a_punctuation_tells_the_time() -> None:
    # 1s closes nothing, but tells that windows still to come end at 5s or behind
    made = run(hopping("10s", "5s"), clocked([at(1), at(1000)]))
    assert [(row.live, seconds(row.watermark + 1)) for row in made.rows[""]] == [
        (False, 5), (True, 5), (True, 1005),
    ]  # fmt: skip
    (quiet,) = run(hopping("10s", "5s"), clocked([at(1000)])).rows[""]
    assert (quiet.live, seconds(quiet.ts + 1), quiet.ts) == (False, 1005, quiet.watermark)


def test_a_long_silence_doesnt_give_a_row_for_each_window_in_it() -> None:
    # 0s                                                          1h
    # I                                                           I
    # [0--------)                                              [--------)
    made = run(hopping("10s", "5s"), clocked([at(0), at(3600)]))
    assert spans(made.main) == [(-5, 5, 1), (0, 10, 1)]


def test_windows_before_1970_begin_at_their_start_too() -> None:
    made = run(hopping("10s", "4s"), clocked([(b"a", -1, {})], close=True))
    assert [(row["window_start"], row["window_end"]) for row in made.main] == [
        (-8 * SECOND, 2 * SECOND), (-4 * SECOND, 6 * SECOND),
    ]  # fmt: skip


def test_aggregates_of_overlapping_windows_dont_disturb_each_other() -> None:
    # A maximum that leaves the window, a sum that doesn't fit in one window alone, first and last.
    aggregate = {"high": "max(n)", "total": "sum(n)", "first": "first(n)", "last": "last(n)"}
    readings = [at(1, n=9), at(6, n=2**63 - 1), at(11, n=1), at(16, n=3)]
    made = run(hopping("10s", "5s", **aggregate), clocked(readings, close=True))
    assert [tuple(row[name] for name in aggregate) for row in made.main] == [
        (9, 9, 9, 9),
        (2**63 - 1, None, 9, 2**63 - 1),
        (2**63 - 1, None, 2**63 - 1, 1),
        (3, 4, 1, 3),
        (3, 3, 3, 3),
    ]


def test_early_results_come_before_the_row_that_lets_them_out_and_arent_final() -> None:
    # early 2s: the row at 2s lets out what the row at 1s changed; the one at 3s nothing; the one at 4s what 2s and 3s did
    made = run(hopping("10s", "5s", early="2s"), clocked([at(1), at(2), at(3), at(4)], lateness=HOUR, close=True))
    assert [(*span, row["final"]) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (-5, 5, 1, False), (0, 10, 1, False),
        (-5, 5, 3, False), (0, 10, 3, False),
        (-5, 5, 4, True), (0, 10, 4, True),
    ]  # fmt: skip
    assert [row.offset for row in made.main] == [1, 1, 3, 3, 3, 3]


def test_early_results_dont_hold_windows_that_the_row_closes() -> None:
    # 5s closes [-5, 5), so that is final at once; [0, 10) is early
    made = run(hopping("10s", "5s", early="5s"), clocked([at(1), at(5)]))
    assert [(*span, row["final"]) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (0, 10, 1, False), (-5, 5, 1, True),
    ]  # fmt: skip


def test_early_results_say_no_more_of_the_time_than_was_said_before() -> None:
    made = run(hopping("10s", "5s", early="5s"), clocked([at(1), at(5)]))
    assert [seconds(row.watermark + 1) for row in made.rows[""]] == [5, 5, 10]


def test_an_hour_in_slides_of_a_minute_behind_minutes_loses_nothing() -> None:
    minutes = Tumbling.model_validate({"size": "1m", "aggregate": {"n": "count()"}})
    hours = Hopping.model_validate({"size": "1h", "slide": "1m", "aggregate": {"count": "sum(n)"}})
    readings = [at(7 * number) for number in range(2000)]
    behind = run(hours, run(minutes, clocked(readings, close=True)).rows[""], minutes.outputs(SCHEMA)[""])
    direct = run(hopping("1h", "1m"), clocked(readings, close=True))
    assert spans(behind.main) == spans(direct.main)
    assert behind.rows["late"] == []


@given(data=st.data())
def test_windows_that_slide_by_their_size_are_tumbling(data: st.DataObject) -> None:
    rows = data.draw(streams(0))
    early = {"early": "3s"} if data.draw(st.booleans()) else {}
    aggregate = {"n": "count()", "t": "mean(temperature)", "last": "last(n)"}
    same = Tumbling.model_validate({"size": "7s", "aggregate": aggregate, **early})
    assert run(Hopping.model_validate({"size": "7s", "slide": "7s", "aggregate": aggregate, **early}), rows) == run(
        same, rows
    )


@given(data=st.data())
def test_every_row_is_counted_as_often_as_windows_cover_it(data: st.DataObject) -> None:
    # With no row late and a slide of a third of the size, each row is in three windows.
    rows = [row for row in data.draw(streams(0)) if row.live]
    rows = clocked([(row.device, row.ts, row.values) for row in rows], lateness=10**18, close=True)
    made = run(hopping("9s", "3s"), rows)
    assert sum(row["count"] for row in made.main) == 3 * sum(row.live for row in rows)


@given(data=st.data())
def test_windows_behind_windows_dont_drop_a_row(data: st.DataObject) -> None:
    spec = hopping("10s", "3s", early=data.draw(st.sampled_from([None, "1s"])))
    first = run(spec, data.draw(streams(10 * SECOND)))
    behind = Tumbling.model_validate({"size": "1m", "aggregate": {"count": "sum(count)"}})
    assert run(behind, first.rows[""], spec.outputs(SCHEMA)[""]).rows["late"] == []


def test_memory_follows_the_slices_that_are_open() -> None:
    runner = Runner(hopping("1m", "5s"))
    sizes = []
    for first in range(0, 20_000, 100):
        runner.put(clocked([at(number) for number in range(first, first + 100)]))
        sizes.append(sum(array.nbytes for array in runner.state.snapshot().values()))
    assert max(sizes[2:]) <= max(sizes[:2])


def test_the_end_closes_every_window_that_has_rows() -> None:
    made = run(hopping("10s", "5s"), clocked([at(12), at(3, b"b")], close=True))
    assert [(row.device, *span) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (b"a", 5, 15, 1), (b"a", 10, 20, 1), (b"b", -5, 5, 1), (b"b", 0, 10, 1),
    ]  # fmt: skip
    assert [row.watermark >= END for row in made.main] == [False, True, False, True]


def test_the_options_are_checked() -> None:
    for slide in ("0s", "-1s", "5", 5, None):
        with pytest.raises(ValidationError):
            Hopping.model_validate({"size": "10s", "slide": slide, "aggregate": {"n": "count()"}})
    for options in ({"size": "10s"}, {"slide": "10s"}):
        with pytest.raises(ValidationError):
            Hopping.model_validate({**options, "aggregate": {"n": "count()"}})


def test_what_comes_out_is_described() -> None:
    outputs = hopping("10s", "5s", t="mean(temperature)").outputs(SCHEMA)
    assert list(outputs[""].columns) == ["window_start", "window_end", "count", "t"]
    early = hopping("10s", "5s", early="1s", t="mean(temperature)").outputs(SCHEMA)
    assert list(early[""].columns) == ["window_start", "window_end", "final", "count", "t"]
    assert (early[""].columns["final"], early[""].time) == (Type.BOOL, None)
    assert list(early["late"].columns) == [*SCHEMA.columns, "window_start", "window_end", "late_by"]
