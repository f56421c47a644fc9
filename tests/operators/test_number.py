"""Tests of the number column that an operator is told to look at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from operators.base import Problem
from operators.batch import Schema, Type
from operators.devices import DeviceTable
from operators.number import numbers, problems_of_number
from tests.operators.rows import NINE, Row, to_batch

SCHEMA = Schema({"level": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL, "status": Type.TEXT}, ("device",), "ts")
ROWS = [
    Row(b"a", NINE, NINE, 0, live=True, values={"level": 2.5, "n": 7, "ok": True, "status": "on"}),
    Row(b"a", NINE, NINE, 1, live=True, values={}),
    Row(b"a", NINE, NINE, 2, live=False, values={"level": 2.5, "n": 7, "ok": True, "status": "on"}),
]


@pytest.mark.parametrize(("field", "value"), [("level", 2.5), ("n", 7.0), ("ok", 1.0)])
def test_what_is_missing_and_what_a_punctuation_holds_is_no_number(field: str, value: float) -> None:
    batch = to_batch(ROWS, SCHEMA, DeviceTable(("device",)))
    found = numbers(batch, field)
    assert found.dtype == np.float64
    assert found[0] == value
    assert np.isnan(found[1:]).all()


def test_the_numbers_are_no_part_of_the_batch() -> None:
    batch = to_batch(ROWS, SCHEMA, DeviceTable(("device",)))
    numbers(batch, "level")[0] = math.inf
    assert numbers(batch, "level")[0] == 2.5


def test_texts_are_no_numbers() -> None:
    with pytest.raises(TypeError, match="status is text"):
        numbers(to_batch(ROWS, SCHEMA, DeviceTable(("device",))), "status")


@pytest.mark.parametrize(
    ("field", "given", "fix"),
    [
        ("levle", "`levle`", "did you mean `level`?"),
        ("status", "`status`, which is text", None),
        ("ts", "`ts`, which is time", None),
    ],
)
def test_a_field_that_is_no_number_column_is_a_problem(field: str, given: str, fix: str | None) -> None:
    assert problems_of_number("ok", SCHEMA) == []
    expected = "a number column that exists here: level, n, ok"
    assert problems_of_number(field, SCHEMA) == [Problem(("field",), expected, given, fix)]
