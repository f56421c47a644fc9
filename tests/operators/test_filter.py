"""Tests of `filter`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from operators.base import SpecError
from operators.batch import Schema
from operators.filter import Filter
from tests.operators.rows import NINE, SCHEMA, Row, clocked, run

Values = Mapping[str, Any]


def between(value: float | None) -> bool | None:
    return None if value is None else -40 <= value <= 85


def hot_or_ok(row: Values) -> bool | None:
    hot = None if row["temperature"] is None else row["temperature"] > 75
    if hot or row["ok"]:
        return True
    return None if hot is None or row["ok"] is None else False


CONDITIONS: dict[str, Callable[[Values], bool | None]] = {
    "temperature BETWEEN -40 AND 85": lambda row: between(row["temperature"]),
    "temperature > 75 OR ok": hot_or_ok,
    "NOT ok": lambda row: None if row["ok"] is None else not row["ok"],
    "humidity IS NOT NULL": lambda row: row["humidity"] is not None,
    "n > 9007199254740992": lambda row: None if row["n"] is None else row["n"] > 2**53,
    "status = 'on' OR status = ''": lambda row: None if row["status"] is None else row["status"] in {"on", ""},
    "CAST(status AS DOUBLE) > 0": lambda row: None if row["status"] is None else float(row["status"]) > 0,
    "TRUE": lambda row: True,  # noqa: ARG005
}
SPECS = [{"where": text} for text in CONDITIONS]


def oracle(spec: Filter, _schema: Schema, rows: Sequence[Row], _pipeline: str, _step: str) -> dict[str, list[Row]]:
    """Keep the rows for which the condition is true; the others are punctuations from there on."""
    out: dict[str, list[Row]] = {"": [], "rejects": []}
    for row in rows:
        keep = False
        if row.live:
            try:
                keep = CONDITIONS[spec.where](row.values) is True
            except ValueError:
                out["rejects"].append(row)
        out[""].append(row if keep else replace(row, live=False, values={}))
    return out


def readings(*temperatures: float | None) -> list[Row]:
    return clocked([(b"a", NINE + at, {"temperature": value}) for at, value in enumerate(temperatures)])


def test_a_row_for_which_the_condition_is_false_or_unknown_goes_no_further() -> None:
    made = run(Filter(where="temperature > 20"), readings(19.0, 20.0, 21.0, None))
    assert [row["temperature"] for row in made.main] == [21.0]


def test_a_row_that_goes_no_further_still_tells_the_time() -> None:
    made = run(Filter(where="temperature > 20"), readings(21.0, 19.0))
    assert [(row.live, row.ts, row.watermark, row.offset) for row in made.rows[""]] == [
        (True, NINE, NINE, 0),
        (False, NINE + 1, NINE + 1, 1),
    ]


def test_the_filters_of_a_chain_add_up() -> None:
    first = run(Filter(where="temperature > 20"), readings(19.0, 21.0, 90.0))
    second = run(Filter(where="temperature < 80"), first.rows[""])
    assert [row["temperature"] for row in second.main] == [21.0]
    assert len(second.rows[""]) == 3


def test_a_row_whose_condition_fails_is_rejected_with_the_reason() -> None:
    rows = clocked([(b"a", NINE, {"status": status}) for status in ("3", "broken", "-1")])
    made = run(Filter(where="CAST(status AS DOUBLE) > 0"), rows)
    assert [row.offset for row in made.main] == [0]
    ((offset, reason),) = made.rejects
    assert offset == 1
    assert reason.startswith("`CAST(status AS DOUBLE) > 0`: ")
    assert "broken" in reason


@pytest.mark.parametrize("nan", ["LN(temperature) > 3", "temperature / humidity > 3", "temperature - score > 3"])
def test_what_isnt_a_number_isnt_above_a_limit(nan: str) -> None:
    # To polars NaN is a number above all others.
    infinite = float("inf")
    values = {"temperature": -1.0, "humidity": 0.0, "score": 0.0}
    if nan.startswith("temperature /"):
        values["temperature"] = 0.0
    if nan.startswith("temperature -"):
        values |= {"temperature": infinite, "score": infinite}
    assert not run(Filter(where=nan), clocked([(b"a", NINE, values)])).main


def test_a_condition_must_give_a_bool() -> None:
    with pytest.raises(SpecError, match=r"gives bool.*`temperature`, which gives float") as caught:
        Filter(where="temperature").outputs(SCHEMA)
    assert caught.value.problems[0].at == ("where",)
