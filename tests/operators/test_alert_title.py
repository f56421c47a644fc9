"""Tests of titles of alerts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators.alert_title import Title
from operators.base import SpecError
from operators.batch import MISSING_BOOL, MISSING_INT, Column, Text, Type
from tests.operators.rows import NINE, YEAR_1, to_column

TYPES = {"watts": Type.FLOAT, "n": Type.INT, "on": Type.BOOL, "site": Type.TEXT, "since": Type.TIME}


def written(template: str, **values: Any) -> str:
    columns = {name: to_column([value], TYPES[name]) for name, value in values.items()}
    (text,) = Title(template, TYPES).texts(columns, 1)
    return text


def test_columns_stand_in_braces() -> None:
    title = written("{site}: {watts} W ({n}, {on}) since {since}", site="é", watts=1.5, n=3, on=True, since=NINE)
    assert title == "é: 1.5 W (3, true) since 2023-03-16T09:00:00Z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2105.3999999999996, "2105.4"), (3.0, "3"), (-0.001, "-0.001"), (1234567.0, "1234567"), (1e20, "1e+20"),
        (float("inf"), "inf"), (None, "?"),
    ],
)  # fmt: skip
def test_a_float_is_written_for_people(value: float | None, text: str) -> None:
    assert written("{watts}", watts=value) == text


def test_a_number_may_have_a_format_of_its_own() -> None:
    assert written("{watts:.1f} {watts:,.0f} {n:03d}", watts=12345.678, n=7) == "12345.7 12,346 007"


def test_what_is_missing_is_a_question_mark_in_any_format() -> None:
    columns: dict[str, Column] = {
        "watts": np.array([np.nan]),
        "n": np.array([MISSING_INT]),
        "on": np.array([MISSING_BOOL]),
        "site": Text.of([None]),
        "since": np.array([MISSING_INT]),
    }
    assert Title("{watts:.1f} {n:d} {n} {on} {site} {since}", TYPES).texts(columns, 1) == ["? ? ? ? ? ?"]


def test_a_time_of_any_year_can_be_written() -> None:
    assert written("{since}", since=YEAR_1) == "0001-01-01T00:00:00Z"
    assert written("{since}", since=2**60).endswith("Z")


def test_doubled_braces_stay_and_so_do_braces_in_values() -> None:
    assert written("{{{site}}} {{n}}", site="{on}") == "{{on}} {n}"


def test_a_text_without_columns_is_the_same_for_each_row() -> None:
    assert Title("look {{here}}", TYPES).texts({}, 2) == ["look {here}", "look {here}"]
    assert Title("", TYPES).texts({}, 1) == [""]


@pytest.mark.parametrize(
    ("template", "given", "fix"),
    [
        ("{wats} W", "`{wats}`", "did you mean `watts`?"),
        ("{} W", "`{}`", None),
        ("{watts.real}", "`{watts.real}`", None),
        ("{watts!r}", "`{watts!r}`", "`{watts}`"),
        ("{site:>10}", "`{site:>10}`, which is text", "`{site}`"),
        ("{since:%H}", "`{since:%H}`, which is time", "`{since}`"),
        ("{watts:.1q}", "`{watts:.1q}`, which is float", "`{watts}`"),
        ("{watts:03d}", "`{watts:03d}`, which is float", "`{watts}`"),
        ("{watts:{n}f}", "`{watts:{n}f}`, which is float", "`{watts}`"),
        ("{watts", "`{watts`", "`{{` and `}}`"),
        ("watts}", "`watts}`", "`{{` and `}}`"),
    ],
)
def test_a_title_that_cannot_be_written_is_a_mistake(template: str, given: str, fix: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        Title(template, TYPES)
    (problem,) = caught.value.problems
    assert (problem.at, problem.given) == (("title",), given)
    assert (fix or "") in (problem.fix or ""), problem


def test_every_mistake_in_a_title_is_told() -> None:
    with pytest.raises(SpecError) as caught:
        Title("{wats} {sight}", TYPES)
    assert [problem.given for problem in caught.value.problems] == ["`{wats}`", "`{sight}`"]
