"""Tests of the window `session`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.batch import Schema
from operators.clock import END, FORGET, NEVER
from operators.window.session import Session
from operators.window.tumbling import Tumbling
from tests.operators.rows import DEVICES, HOUR, MINUTE, NINE, SCHEMA, SECOND, Reading, Row, Runner, clocked, run
from tests.operators.streams import streams
from tests.operators.window.oracle import EVERY, Out, Window, at, late, punctuation, seconds, spans, sum_up, told

SPECS: list[dict[str, Any]] = [
    {"gap": "10s", "aggregate": {"n": "count()", "t_mean": "mean(temperature)", "total": "sum(n)"}},
    {"gap": "3s", "aggregate": EVERY},
    {"gap": "1us", "aggregate": {"n": "count()", "last": "last(n)"}},
    {"gap": "10m", "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)", "low": "min(humidity)"}},
    {"gap": "36600d", "aggregate": {"n": "count()"}},
    {"gap": "10s", "longest": "12s", "aggregate": {"n": "count()", "t": "sum(temperature)", "high": "max(n)"}},
    {"gap": "3s", "longest": "1us", "aggregate": {"n": "count()", "first": "first(ts)", "last": "last(ts)"}},
    {"gap": "10s", "early": "3s", "aggregate": {"n": "count()", "t": "sum(temperature)"}},
    {"gap": "1m", "longest": "1m", "early": "10s", "aggregate": {"n": "count()", "last": "last(ts)"}},
]


@dataclass
class Visit:
    """A session that is open."""

    rows: list[Row]
    changed: bool = True

    @property
    def start(self) -> int:
        return min(row.ts for row in self.rows)

    @property
    def last(self) -> int:
        return max(row.ts for row in self.rows)

    def takes(self, ts: int, gap: int, longest: int | None) -> bool:
        near = self.start - gap <= ts <= self.last + gap
        return near and (longest is None or max(self.last, ts) - min(self.start, ts) <= longest)


@dataclass
class Known:
    """What the sessions know of a device: those that are open, the oldest first, and how far its time has come."""

    open: list[Visit] = field(default_factory=list)
    watermark: int | None = None
    newest: int | None = None
    said: int = int(NEVER)


def oracle(spec: Session, schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> Out:
    """Keep each session's rows in a list."""
    out: Out = {"": [], "late": []}
    devices: dict[bytes, Known] = defaultdict(Known)
    for row in rows:
        known = devices[row.device]
        if row.live:
            fits = [visit for visit in known.open if visit.takes(row.ts, spec.gap, spec.longest)]
            fits = [visit for visit in fits if visit.start <= row.ts <= visit.last] or fits
            if not fits and row.ts + spec.gap < row.watermark:
                out["late"].append(late(row, row.ts + spec.gap, row.ts))
            else:
                out[""] += early_results(spec, schema, known, row)
                join(spec, known, row, fits)
            known.newest = row.ts if known.newest is None else max(known.newest, row.ts)
        out[""] += ended(spec, schema, known, row)
        if row.watermark >= FORGET:
            del devices[row.device]
    return out


def join(spec: Session, known: Known, row: Row, fits: Sequence[Visit]) -> None:
    """Put a row into the first session that takes it; the next is joined to it if it takes the row too."""
    if not fits:
        known.open = sorted([*known.open, Visit([row])], key=lambda visit: visit.start)
        return
    first, *others = fits
    first.changed = True
    for second in others[:1]:
        if spec.longest is None or second.last - first.start <= spec.longest:
            known.open.remove(second)
            first.rows = sorted(first.rows + second.rows, key=lambda row: row.offset)
    first.rows.append(row)
    known.open.sort(key=lambda visit: visit.start)


def window_of(visit: Visit, gap: int) -> Window:
    return Window(visit.start, visit.last + gap, visit.rows)


def early_results(spec: Session, schema: Schema, known: Known, row: Row) -> list[Row]:
    """Give what has changed, where a row takes the device's time over a multiple of `early`."""
    if not spec.early or known.newest is None or row.ts // spec.early <= known.newest // spec.early:
        return []
    changed = [visit for visit in known.open if visit.changed]
    for visit in changed:
        visit.changed = False
    windows = [window_of(visit, spec.gap) for visit in changed if visit.last + spec.gap >= row.watermark]
    return [told(row, window, sum_up(spec, window, schema, final=False), known.said) for window in windows]


def ended(spec: Session, schema: Schema, known: Known, row: Row) -> list[Row]:
    """Give the sessions that a row's watermark has passed, and say how far time has come."""
    over = [visit for visit in known.open if visit.last + spec.gap < row.watermark]
    known.open = [visit for visit in known.open if visit not in over]
    windows = [window_of(visit, spec.gap) for visit in over]
    rows = [told(row, window, sum_up(spec, window, schema)) for window in windows]
    grown = known.watermark is None or row.watermark // spec.gap > known.watermark // spec.gap
    known.watermark = row.watermark
    if row.watermark >= FORGET:
        return [*rows, punctuation(row, int(FORGET))]
    horizon = row.watermark if row.watermark >= END else row.watermark - 1
    if rows:
        rows[-1] = replace(rows[-1], watermark=horizon)
    elif grown:
        rows = [punctuation(row, horizon)]
    known.said = max([known.said, *(told.watermark for told in rows)])
    return rows


def session(gap: str, **options: Any) -> Session:
    aggregate = {"count": "count()", **options.pop("aggregate", {})}
    return Session.model_validate({"gap": gap, "aggregate": aggregate, **options})


def test_rows_that_follow_each_other_within_the_gap_share_a_session() -> None:
    # gap 10s
    # 0s   5s   12s                  40s
    # I    I     I                   I
    # [--------------------22)       [--------50)
    made = run(session("10s"), clocked([at(0), at(5), at(12), at(40)], close=True))
    assert spans(made.main) == [(0, 22, 3), (40, 50, 1)]


def test_two_rows_exactly_the_gap_apart_share_a_session() -> None:
    assert spans(run(session("10s"), clocked([at(0), at(10)], close=True)).main) == [(0, 20, 2)]
    assert spans(run(session("10s"), clocked([at(0), at(10.000001)], close=True)).main) == [
        (0, 10, 1),
        (10.000001, 20.000001, 1),
    ]


def test_a_session_closes_when_the_watermark_has_passed_its_end() -> None:
    # lateness 5s: the watermark is exactly at the end, 10s, with a row at 15s, and behind it 1us later. A row at 10s
    # could still come before.
    early, behind = clocked([at(0), at(15)], lateness=5 * SECOND), clocked([at(0), at(15.000001)], lateness=5 * SECOND)
    assert run(session("10s"), early).main == []
    assert spans(run(session("10s"), behind).main) == [(0, 10, 1)]


def test_a_row_carries_the_offset_of_the_reading_that_closed_it_and_the_time_of_its_last_moment() -> None:
    (row,) = run(session("10s"), clocked([at(0), at(4), at(30)])).main
    assert (row.offset, seconds(row.ts + 1)) == (2, 14)
    assert seconds(row.watermark + 1) == 30, "rows still to come are of sessions that end at the watermark or behind"


def test_a_row_out_of_order_begins_its_session_earlier() -> None:
    made = run(session("10s"), clocked([at(5), at(0)], lateness=MINUTE, close=True))
    assert spans(made.main) == [(0, 15, 2)]


def test_a_row_between_two_sessions_makes_them_one() -> None:
    # lateness 1m: 0s, 3s and 15s, 20s; then 9s, 6s behind one and 6s before the other
    # [--------13)
    #                 [-----------30)
    #           x
    # [---------------------------30)
    readings = [at(0, n=1), at(3, n=2), at(15, n=3), at(20, n=4), at(9, n=5)]
    spec = session("10s", aggregate={"first": "first(n)", "last": "last(n)", "total": "sum(n)"})
    (row,) = run(spec, clocked(readings, lateness=MINUTE, close=True)).main
    assert spans([row]) == [(0, 30, 5)]
    assert (row["first"], row["last"], row["total"]) == (1, 4, 15)


def test_a_row_between_two_sessions_that_reaches_one_alone_joins_that_one() -> None:
    # 0s and 15s; then 4.999999s: 10.000001s before the second
    made = run(session("10s"), clocked([at(0), at(15), at(4.999999)], lateness=MINUTE, close=True))
    assert spans(made.main) == [(0, 14.999999, 2), (15, 25, 1)]


def test_sessions_of_devices_are_their_own() -> None:
    made = run(session("10s"), clocked([at(0), at(5, b"b"), at(9), at(40, b"b")], close=True))
    assert [(row.device, *span) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (b"b", 5, 15, 1), (b"a", 0, 19, 2), (b"b", 40, 50, 1),
    ]  # fmt: skip


def test_a_row_whose_own_session_would_have_closed_is_late() -> None:
    # 0s       30s closes [0, 10); then 5s: its session would have ended at 15s
    made = run(session("10s"), clocked([at(0), at(30), at(5, n=7)], close=True))
    assert spans(made.main) == [(0, 10, 1), (30, 40, 1)]
    (row,) = made.rows["late"]
    assert (seconds(row["window_start"]), seconds(row["window_end"]), row["late_by"]) == (5, 15, 15.0)
    assert (row.offset, row["n"]) == (2, 7)


def test_a_row_behind_the_watermark_whose_session_would_still_be_open_isnt_late() -> None:
    # 30s, then 20s: exactly the gap behind the watermark, so it joins; and with nothing to join, it begins a session
    assert spans(run(session("10s"), clocked([at(30), at(20)], close=True)).main) == [(20, 40, 2)]
    rows = clocked([at(30), at(20)], close=True)
    quiet = [replace(row, live=row.offset > 0 and row.live) for row in rows]
    assert spans(run(session("10s"), quiet).main) == [(20, 30, 1)]


def test_a_row_behind_the_watermark_joins_a_session_that_is_open_however_old_it_is() -> None:
    # a row each 8s up to 40s, then 2s: within the gap of the session's start
    readings = [at(8 * number) for number in range(6)]
    made = run(session("10s"), clocked([*readings, at(-8)], close=True))
    assert spans(made.main) == [(-8, 50, 7)]
    assert made.rows["late"] == []


def test_sessions_that_close_together_come_in_order_and_the_last_tells_the_time() -> None:
    made = run(session("10s"), clocked([at(30), at(0), at(200)], lateness=MINUTE))
    assert spans(made.main) == [(0, 10, 1), (30, 40, 1)]
    assert [seconds(row.watermark + 1) for row in made.main] == [10, 140]


def test_where_no_session_closes_punctuations_tell_the_time_once_a_gap() -> None:
    # A row a second, and so no end for a minute.
    out = run(session("10s"), clocked([at(second) for second in range(60)])).rows[""]
    assert [(row.live, seconds(row.watermark + 1), row.ts == row.watermark) for row in out] == [
        (False, 10 * number, True) for number in range(6)
    ]


def test_no_session_is_longer_than_the_longest() -> None:
    # longest 10s, gap 5s, a row every 4s: the row at 12s would make it 12s
    # 0   4   8   12  16  20  24
    # [----------13)
    #             [----------25)
    #                         [---29)
    made = run(session("5s", longest="10s"), clocked([at(4 * number) for number in range(7)], close=True))
    assert spans(made.main) == [(0, 13, 3), (12, 25, 3), (24, 29, 1)]


def test_a_session_of_exactly_the_longest_is_allowed() -> None:
    assert spans(run(session("5s", longest="5s"), clocked([at(0), at(5)], close=True)).main) == [(0, 10, 2)]
    assert len(run(session("5s", longest="5s"), clocked([at(0), at(5.000001)], close=True)).main) == 2


def test_two_sessions_that_would_be_too_long_together_arent_joined() -> None:
    # longest 10s, gap 5s: 0s and 8s..12s; then 4s lies within the gap of both, but together they would be 12s
    readings = [at(0), at(8), at(12), at(4)]
    made = run(session("5s", longest="10s"), clocked(readings, lateness=MINUTE, close=True))
    assert spans(made.main) == [(0, 9, 2), (8, 17, 2)]
    made = run(session("5s", longest="12s"), clocked(readings, lateness=MINUTE, close=True))
    assert spans(made.main) == [(0, 17, 4)]


def test_a_row_within_a_session_stays_there_though_an_older_one_has_room() -> None:
    # longest 15s, gap 5s: 0s..10s and 12s..20s are too long together; the older one could take 13s, and would overlap
    readings = [at(0), at(5), at(12), at(16), at(20), at(10), at(13)]
    made = run(session("5s", longest="15s"), clocked(readings, lateness=MINUTE, close=True))
    assert spans(made.main) == [(0, 15, 3), (12, 25, 4)]


def test_early_results_show_a_session_so_far() -> None:
    # early 5s, gap 10s: the rows at 5s and 11s let out what changed before them
    made = run(session("10s", early="5s"), clocked([at(0), at(3), at(5), at(11), at(12)], close=True))
    assert [(*span, row["final"], row.offset) for span, row in zip(spans(made.main), made.main, strict=True)] == [
        (0, 13, 2, False, 2),
        (0, 15, 3, False, 3),
        (0, 22, 5, True, 4),
    ]
    assert [seconds(row.watermark + 1) for row in made.main[:2]] == [0, 0], "what was said at 0s"


def test_a_session_that_hasnt_changed_gives_no_early_result() -> None:
    # lateness 1m, early 5s: 100s and 200s change nothing of the session at 0s
    made = run(session("10s", early="5s"), clocked([at(0), at(20), at(40), at(60)], lateness=HOUR))
    assert spans(made.main) == [(0, 10, 1), (20, 30, 1), (40, 50, 1)]


@given(data=st.data())
def test_every_row_is_in_one_session_or_late(data: st.DataObject) -> None:
    rows = data.draw(streams(0))
    options = data.draw(st.sampled_from([{}, {"longest": "15s"}]))
    ends = [
        Row(device, int(END), int(END), row.offset, live=False)
        for row in rows[-1:]
        for device in {r.device for r in rows}
    ]
    made = run(session("10s", **options), [*rows, *ends])
    assert sum(row["count"] for row in made.main) + len(made.rows["late"]) == sum(row.live for row in rows)


@given(data=st.data(), longest=st.sampled_from([{}, {"longest": "12s"}, {"longest": "1m"}]))
def test_the_rows_of_an_open_session_never_reach_into_another(data: st.DataObject, longest: dict[str, str]) -> None:
    readings: list[Reading] = [(row.device, row.ts, {}) for row in data.draw(streams(0)) if row.live]
    made = run(session("10s", **longest), clocked(readings, lateness=10**18, close=True))
    for device in DEVICES:
        rows = [(row["window_start"], row["window_end"] - 10 * SECOND) for row in made.main if row.device == device]
        assert all(last < start for (_, last), (start, _) in pairwise(sorted(rows)))


@given(data=st.data())
def test_the_order_of_arrival_doesnt_matter_while_nothing_is_late(data: st.DataObject) -> None:
    # Without `longest`: with it, who comes first takes the place.
    readings: list[Reading] = [(row.device, row.ts, {}) for row in data.draw(streams(0)) if row.live]
    shuffled = data.draw(st.permutations(readings))
    made = [run(session("10s"), clocked(each, lateness=10**18, close=True)).main for each in (readings, shuffled)]
    assert (
        len({repr(sorted((row.device, *span) for row, span in zip(rows, spans(rows), strict=True))) for rows in made})
        == 1
    )


@given(data=st.data())
def test_windows_behind_sessions_dont_drop_a_row(data: st.DataObject) -> None:
    spec = session("10s", **data.draw(st.sampled_from([{}, {"longest": "15s"}, {"early": "3s"}])))
    first = run(spec, data.draw(streams(10 * SECOND)))
    behind = Tumbling.model_validate({"size": "1m", "aggregate": {"count": "sum(count)"}})
    assert run(behind, first.rows[""], spec.outputs(SCHEMA)[""]).rows["late"] == []


def test_memory_follows_the_sessions_that_are_open() -> None:
    runner = Runner(session("10s"))
    sizes = []
    for first in range(0, 5_000, 50):
        runner.put(clocked([at(60 * number) for number in range(first, first + 50)]))
        sizes.append(sum(array.nbytes for array in runner.state.snapshot().values()))
    assert max(sizes[2:]) <= max(sizes[:2])


def test_the_end_closes_what_is_open_and_gets_through_without_it() -> None:
    open_ = run(session("10s"), clocked([at(0)], close=True)).rows[""]
    assert [(row.live, row.watermark) for row in open_] == [(False, NINE - 1), (True, END)]
    rows = [*clocked([at(0)]), Row(b"b", int(END), int(END), 0, live=False)]
    quiet = run(session("10s"), rows).rows[""]
    assert [(row.device, row.live, row.watermark) for row in quiet] == [(b"a", False, NINE - 1), (b"b", False, END)]


def test_a_forgotten_device_begins_a_new_session_at_an_earlier_time() -> None:
    readings = [at(100), at(0), at(5)]
    made = run(session("10s"), clocked(readings, forgets={1: b"a"}, close=True))
    assert spans(made.main) == [(100, 110, 1), (0, 15, 2)]
    assert made.rows["late"] == []
    forgotten = next(row for row in made.rows[""] if row.watermark == FORGET)
    assert (forgotten.live, forgotten.offset, forgotten.ts) == (False, 0, FORGET)


def test_the_options_are_checked() -> None:
    for options in ({"gap": "0s"}, {"gap": 10}, {}, {"gap": "1s", "longest": "0s"}, {"gap": "1s", "early": "0s"}):
        with pytest.raises(ValidationError):
            Session.model_validate({**options, "aggregate": {"n": "count()"}})


def test_what_comes_out_is_described() -> None:
    outputs = session("10s", early="1s").outputs(SCHEMA)
    assert list(outputs[""].columns) == ["window_start", "window_end", "final", "count"]
    assert list(outputs["late"].columns) == [*SCHEMA.columns, "window_start", "window_end", "late_by"]
