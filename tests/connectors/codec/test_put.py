"""Tests of what a kernel does with a value: which values fit into what, and what is kept of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from connectors.codec.put import (
    BOOL,
    FALSE,
    FLOAT,
    INT,
    ISO,
    NOWHERE,
    NULL,
    PART,
    REAL,
    STRING,
    TEXT,
    TIME,
    TRUE,
    WHOLE,
    put_value,
)
from operators.kernel import kernel

DATA = np.frombuffer(bytearray(b'xx"2026-01-31T12:00:00.25Z" pump'), np.uint8)
ISO_AT, PUMP_AT = (3, 26), (28, 32)


@kernel
def _put(data, begin, end, kind, whole, real, puts, words, spans, counts, table):  # type: ignore[no-untyped-def]  # compiled
    return put_value(data, begin, end, 1, kind, whole, real, 0, puts, words, spans, counts, table)


def put(
    what: int, kind: int, whole: int = 0, real: float = 0.0, *, at: tuple[int, int] = PUMP_AT, unit: int = 1_000
) -> tuple[bool, Any]:
    """Put a value; gives whether it fits, and the words of its row."""
    words = np.full((2, 3), -9, np.int64)
    spans, counts, table = np.zeros((1, 2, 3), np.int64), np.zeros(1, np.int64), np.full((1, 8), -1, np.int32)
    puts = np.array([[what, 0, unit]], np.int64)
    fits = _put(DATA, *at, kind, whole, real, puts, words, spans, counts, table)
    assert (words[:, [0, 2]] == -9).all(), "other rows are left alone"
    return fits, words[:, 1]


@pytest.mark.parametrize("what", [FLOAT, INT, BOOL, TEXT])
def test_nothing_is_a_missing_value_of_any_column(what: int) -> None:
    fits, words = put(what, NULL)
    assert fits
    assert words[0] == -9


@pytest.mark.parametrize("what", [PART, TIME])
def test_nothing_is_no_device_and_no_time(what: int) -> None:
    assert not put(what, NULL)[0]


def test_a_value_goes_nowhere_where_it_is_not_read() -> None:
    fits, words = put(NOWHERE, REAL, real=2.5)
    assert fits
    assert words[0] == -9


@pytest.mark.parametrize("kind", [FALSE, TRUE, STRING, WHOLE, REAL])
def test_each_column_takes_its_own_kinds(kind: int) -> None:
    assert put(FLOAT, kind)[0] == (kind in {WHOLE, REAL})
    assert put(INT, kind)[0] == (kind == WHOLE)
    assert put(BOOL, kind)[0] == (kind in {FALSE, TRUE})
    assert put(TEXT, kind)[0] == (kind == STRING)
    assert put(PART, kind)[0] == (kind in {STRING, WHOLE})
    assert put(TIME, kind)[0] == (kind in {WHOLE, REAL})
    assert put(TIME, kind, at=ISO_AT, unit=ISO)[0] == (kind == STRING)


def test_values_are_kept_exactly() -> None:
    assert put(FLOAT, REAL, real=0.1)[1].view(np.float64)[0] == 0.1
    assert put(INT, WHOLE, whole=2**62 + 1)[1][0] == 2**62 + 1
    assert put(BOOL, TRUE)[1][0] == 1
    assert put(PART, STRING)[1].tolist() == [PUMP_AT[0], 4]


@pytest.mark.parametrize(
    ("kind", "whole", "real", "unit", "us"),
    [
        (WHOLE, 1_500, 1_500.0, 1_000, 1_500_000),
        (WHOLE, -1, -1.0, 0, -1),
        (WHOLE, 1_999, 1_999.0, 0, 1),
        (REAL, 0, 1.5, 1_000_000, 1_500_000),
        (REAL, 0, 2_500.0, 0, 2),
    ],
)
def test_times_are_us(kind: int, whole: int, real: float, unit: int, us: int) -> None:
    fits, words = put(TIME, kind, whole, real, unit=unit)
    assert fits
    assert words[0] == us


@pytest.mark.parametrize("whole", [2**62, -(2**62), 9_300_000_000_000])
def test_a_time_that_64_bits_do_not_hold_is_none(whole: int) -> None:
    assert not put(TIME, WHOLE, whole, float(whole), unit=1_000_000)[0]


def test_a_time_as_text_is_us() -> None:
    assert put(TIME, STRING, at=ISO_AT, unit=ISO)[1][0] == 1_769_860_800_250_000
