"""Tests of where windows begin: the options `origin` and `time_zone`."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from tests.operators.rows import HOUR, NINE, SECOND, Reading, clocked, run
from tests.operators.window.oracle import at, spans
from tests.operators.window.test_tumbling import counting


def iso(ts: int) -> str:
    """Write a time down to the minute, in UTC."""
    return datetime.fromtimestamp(ts / SECOND, timezone.utc).isoformat()[:16]


def test_windows_may_be_counted_from_another_time() -> None:
    # size 10s from 9:00:03: 2s is in the window before, 3s and 12s in one
    made = run(counting("10s", origin="2023-03-16T09:00:03Z"), clocked([at(2), at(3), at(12), at(13)], close=True))
    assert spans(made.main) == [(-7, 3, 1), (3, 13, 2), (13, 23, 1)]


def test_weeks_begin_on_the_day_of_the_origin() -> None:
    made = run(counting("7d", origin="1970-01-05"), clocked([at(0)], close=True))
    assert [iso(row["window_start"]) for row in made.main] == ["2023-03-13T00:00"], "a Monday"


@pytest.mark.parametrize(
    ("zone", "moment", "start", "end"),
    [
        ("Europe/Berlin", "2026-03-28T23:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("Europe/Berlin", "2026-03-29T21:59", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("Europe/Berlin", "2026-10-25T22:59", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("America/New_York", "2026-01-01T04:59", "2025-12-31T05:00", "2026-01-01T05:00"),
        ("Asia/Kathmandu", "2026-01-01T00:00", "2025-12-31T18:15", "2026-01-01T18:15"),  # 5:45
        ("America/Havana", "2026-03-08T05:00", "2026-03-08T05:00", "2026-03-09T04:00"),  # midnight is skipped
        ("America/Havana", "2026-11-01T04:30", "2026-11-01T04:00", "2026-11-02T05:00"),  # midnight comes twice
        ("Pacific/Apia", "2011-12-30T09:59", "2011-12-29T10:00", "2011-12-30T10:00"),  # the 30th is skipped
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00", "2011-12-31T10:00"),
    ],
)
def test_a_day_in_a_time_zone_goes_from_midnight_to_midnight_there(
    zone: str, moment: str, start: str, end: str
) -> None:
    ts = int(datetime.fromisoformat(moment + "+00:00").timestamp()) * SECOND
    (row,) = run(counting("1d", time_zone=zone), clocked([(b"a", ts, {})], close=True)).main
    assert (iso(row["window_start"]), iso(row["window_end"])) == (start, end)


def test_weeks_in_a_time_zone_begin_at_midnight_there_on_the_date_of_the_origin() -> None:
    spec = counting("7d", time_zone="America/New_York", origin="2026-01-05")
    readings: list[Reading] = [(b"a", NINE + number * HOUR, {}) for number in range(24 * 14)]
    starts = [iso(row["window_start"]) for row in run(spec, clocked(readings, close=True)).main]
    assert starts == ["2023-03-13T04:00", "2023-03-20T04:00", "2023-03-27T04:00"]
