"""Tests of points in time as people write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from operators.time import format_instant, parse_instant
from tests.operators.rows import DAY, HOUR, YEAR_1, YEAR_9999


@pytest.mark.parametrize(
    ("written", "us"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", DAY),
        ("1969-12-31", -DAY),
        ("1970-01-01T01:00:00Z", HOUR),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00.5z", 500_000),
        ("1970-01-01 01:00Z", HOUR),
        (date(1970, 1, 2), DAY),
        (datetime(1970, 1, 1, 1, tzinfo=timezone.utc), HOUR),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        (0, 0),
    ],
)
def test_a_point_in_time_is_read(written: object, us: int) -> None:
    assert parse_instant(written) == us


@pytest.mark.parametrize(
    "written", ["", "tomorrow", "2026-13-01", "2026-01-05x", 1_700_000_000, "1700000000", None, "2026-01-31T12:00"]
)
def test_what_isnt_a_point_in_time_is_refused(written: object) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_instant(written)
    assert "2026-01-05" in str(caught.value)


def test_a_time_without_an_offset_is_refused_with_the_fix() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_instant("2026-01-31T12:00")
    assert caught.value.context is not None
    assert "`2026-01-31T12:00Z` is UTC" in caught.value.context["fix"]


@given(st.integers(YEAR_1, YEAR_9999))
def test_what_is_written_is_read_again(us: int) -> None:
    assert parse_instant(format_instant(us)) == us
