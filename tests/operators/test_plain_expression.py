"""Tests of expressions that numpy computes: they are what polars makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.batch import Batch, Column, Schema, Type
from operators.devices import DeviceTable
from operators.expression import Expression

SCHEMA = Schema({"x": Type.FLOAT, "y": Type.FLOAT, "n": Type.INT, "ok": Type.BOOL}, ("device",), "ts")
NUMBERS = st.sampled_from([0.0, -0.0, 1.5, 3.5, -3.0, 0.1, 0.30000000000000004, math.nan, math.inf, -math.inf, 1e300])
PLAIN = [
    "x > 3",
    "x >= 3.5",
    "0.1 < x",
    "x = 0.3",
    "x <> 1.5",
    "x BETWEEN -3 AND 3.5",
    "x < y",
    "NOT x > 3",
    "x > 3 OR y > 3",
    "x > 0 AND NOT (y < 1.5 OR x = y)",
    "x > 1e300 OR y <= -3",
]
NOT_PLAIN = [
    "n > 3",
    "ok",
    "x + 1 > 3",
    "x > n",
    "x IS NULL",
    "x > 3 AND ok",
    "device = 'a'",
    "ts > '2026-01-01'::timestamp",
]


def batch(rows: list[tuple[float, float, bool]]) -> Batch:
    count = len(rows)
    columns: dict[str, Column] = {
        "x": np.array([row[0] for row in rows], np.float64),
        "y": np.array([row[1] for row in rows], np.float64),
        "n": np.zeros(count, np.int64),
        "ok": np.ones(count, np.int8),
    }
    live = np.array([row[2] for row in rows], np.bool_)
    at = np.arange(count)
    return Batch(np.zeros(count, np.uint32), at, at, at, live, columns)


@pytest.mark.parametrize("text", PLAIN)
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=1, max_size=20))
def test_a_plain_condition_is_what_polars_makes_of_it(text: str, rows: list[tuple[float, float, bool]]) -> None:
    quick, slow = Expression(text, SCHEMA), Expression(text, SCHEMA)
    assert quick._plain is not None
    slow._plain = None
    found, failed = quick.evaluate(batch(rows), DeviceTable(("device",)))
    expected, _ = slow.evaluate(batch(rows), DeviceTable(("device",)))
    assert not failed
    assert np.asarray(found).dtype == np.int8
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_others_are_left_to_polars(text: str) -> None:
    assert Expression(text, SCHEMA)._plain is None
