"""Tests of durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from operators.duration import LONGEST, UNITS, Duration, PositiveDuration, format_duration, parse_duration

S = UNITS["s"]


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("0s", 0),
        ("1us", 1),
        ("500ms", S // 2),
        ("30s", 30 * S),
        ("5m", 300 * S),
        ("1h30m", 5400 * S),
        ("1h 30m", 5400 * S),
        ("1d", 86400 * S),
        ("1.5h", 5400 * S),
        ("0.1s", S // 10),
        ("1m1m", 120 * S),
        ("86399.999999s", 86400 * S - 1),
        ("36600d", LONGEST),
    ],
)
def test_a_duration_is_read(text: str, us: int) -> None:
    assert parse_duration(text) == us


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "s",
        "5",
        "5 x",
        "-5s",
        "+5s",
        "5s5",
        "5S",
        "1e3s",
        ".5s",
        "5.s",
        "5s\n",
        "1h-30m",
        None,
        True,
        [],
        b"5s",
    ],
)
def test_what_isnt_a_duration_is_refused_with_examples(value: object) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_duration(value)
    assert "1h30m" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1min", "1m"), ("5 minutes", "5 m"), ("2 Hours 5 mins", "2 h 5 m"), ("90secs", "90s"), ("1day", "1d")],
)
def test_units_by_other_names_are_recognised(text: str, meant: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_duration(text)
    assert caught.value.context is not None
    assert caught.value.context["fix"] == f"did you mean `{meant}`?"


@pytest.mark.parametrize("text", ["1 m 30 s", "1m 30s", " 1m30s "])
def test_spaces_stand_between_numbers_and_units(text: str) -> None:
    assert parse_duration(text) == 90 * S
    with pytest.raises(PydanticCustomError):
        parse_duration("1 0s")


@pytest.mark.parametrize("number", [5, 0, 2.5])
def test_a_bare_number_is_asked_for_its_unit(number: float) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_duration(number)
    assert caught.value.context is not None
    assert caught.value.context["fix"] == f"say the unit: `{number}s`?"


@pytest.mark.parametrize("text", ["36601d", "36600d1us", "9" * 30 + "s", "9" * 400 + "s"])
def test_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match="100 years"):
        parse_duration(text)


@given(us=st.integers(0, LONGEST))
def test_what_is_written_reads_as_the_same(us: int) -> None:
    assert parse_duration(format_duration(us)) == us


@pytest.mark.parametrize(
    ("us", "text"), [(0, "0s"), (1, "1us"), (5400 * S, "1h30m"), (90 * S, "1m30s"), (86400 * S + 1, "1d1us")]
)
def test_a_duration_is_written_in_its_largest_units(us: int, text: str) -> None:
    assert format_duration(us) == text


def test_in_a_spec_it_is_text_outside_and_us_inside() -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.validate_python("1m30s") == 90 * S
    assert adapter.dump_python(90 * S) == "1m30s"
    assert adapter.json_schema()["type"] == "string"


def test_a_duration_above_zero_isnt_zero() -> None:
    adapter = TypeAdapter(PositiveDuration)
    assert adapter.validate_python("1us") == 1
    with pytest.raises(ValidationError, match="above zero"):
        adapter.validate_python("0s")
