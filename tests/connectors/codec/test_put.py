"""A value goes where it is read if it fits there: every kind of value into every kind of place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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
from operators.batch import MISSING_INT
from operators.kernel import kernel

_GONE = -99
"""What stands in a place that nothing was put into."""
VALUES: dict[str, tuple[int, int, float]] = {
    "null": (NULL, 0, 0.0),
    "false": (FALSE, 0, 0.0),
    "true": (TRUE, 0, 0.0),
    "text": (STRING, 0, 0.0),
    "whole": (WHOLE, 7, 7.0),
    "real": (REAL, 0, 2.5),
}
FITS = {
    NOWHERE: {"null", "false", "true", "text", "whole", "real"},
    FLOAT: {"null", "whole", "real"},
    INT: {"null", "whole"},
    BOOL: {"null", "false", "true"},
    TEXT: {"null", "text"},
    PART: {"text", "whole"},
    TIME: {"whole", "real"},
}


@kernel
def _put(data, begin, size, kinds, wholes, reals, puts, words, spans, counts, table, ok):  # type: ignore[no-untyped-def]  # compiled
    for row in range(len(begin)):
        ok[row] = put_value(
            data, begin[row], begin[row] + size[row], row, kinds[row], wholes[row], reals[row], 0, puts,
            words, spans, counts, table,
        )  # fmt: skip


def put(
    what: int, values: list[tuple[int, int, float]], texts: list[bytes] | None = None, per_unit: int = 1_000
) -> tuple[list[bool], NDArray[np.int64], NDArray[np.int64]]:
    """Put values, one a row, all into one place; gives which fit, the words, and where texts stand by code."""
    rows = len(values)
    texts = texts or [b"text"] * rows
    data = np.frombuffer(bytearray(b"".join(texts)), np.uint8)
    size = np.array([len(text) for text in texts])
    kinds, wholes, reals = (np.array(column) for column in zip(*values, strict=True))
    words, spans, counts = np.full((2, rows), _GONE), np.full((1, 2, rows), _GONE), np.zeros(1, np.int64)
    table, ok = np.full((1, 1 << (2 * rows).bit_length()), -1, np.int32), np.zeros(rows, np.bool_)
    puts = np.array([[what, 0, per_unit]])
    _put(data, np.cumsum(size) - size, size, kinds, wholes, reals, puts, words, spans, counts, table, ok)
    return ok.tolist(), words, spans[0, :, : int(counts[0])]


@pytest.mark.parametrize("what", FITS)
def test_a_value_fits_where_values_of_its_kind_are_read(what: int) -> None:
    ok, _, _ = put(what, list(VALUES.values()))
    assert {name for name, fits in zip(VALUES, ok, strict=True) if fits} == FITS[what]


@pytest.mark.parametrize("what", [FLOAT, INT, BOOL, TEXT, NOWHERE])
def test_nothing_leaves_a_place_as_it_is(what: int) -> None:
    _, words, _ = put(what, [VALUES["null"]])
    assert (words == _GONE).all()


def test_numbers_and_bools_are_put_as_they_are() -> None:
    _, words, _ = put(FLOAT, [VALUES["whole"], VALUES["real"], (REAL, 0, -0.0), (REAL, 0, math.inf)])
    assert words[0].view(np.float64).tolist() == [7.0, 2.5, 0.0, math.inf]
    assert np.signbit(words[0].view(np.float64)[2])
    _, words, _ = put(INT, [VALUES["whole"], (WHOLE, -(2**62), 0.0)])
    assert words[0].tolist() == [7, -(2**62)]
    _, words, _ = put(BOOL, [VALUES["true"], VALUES["false"]])
    assert words[0].tolist() == [1, 0]


def test_texts_get_codes_in_the_order_in_which_they_are_met() -> None:
    texts = [b"b", b"a", b"b", b"", b"ab", b"a", b"12345678", b"123456789", b""]
    ok, words, spans = put(TEXT, [VALUES["text"]] * len(texts), texts)
    assert all(ok)
    assert words[0].tolist() == [0, 1, 0, 2, 3, 1, 4, 5, 2]
    assert spans.T.tolist() == [[0, 1], [1, 1], [3, 0], [3, 2], [6, 8], [14, 9]]


def test_many_texts_get_as_many_codes() -> None:
    texts = [b"%d" % row for row in range(5_000)]
    _, words, _ = put(TEXT, [VALUES["text"]] * len(texts), texts)
    assert words[0].tolist() == list(range(len(texts)))


@pytest.mark.parametrize(("size", "fits"), [(0, False), (1, True), (1_000, True), (1_001, False)])
def test_a_part_of_a_device_has_at_least_one_letter_and_at_most_a_thousand(size: int, fits: bool) -> None:
    ok, words, _ = put(PART, [VALUES["text"]], [b"d" * size])
    assert ok == [fits]
    assert words[:, 0].tolist() == [0, size]


@pytest.mark.parametrize(
    ("per_unit", "value", "us"),
    [
        (1_000_000, (WHOLE, 7, 7.0), 7_000_000),
        (1_000, (WHOLE, -7, -7.0), -7_000),
        (1, (WHOLE, 7, 7.0), 7),
        (0, (WHOLE, 1_999, 1_999.0), 1),
        (0, (WHOLE, -1, -1.0), -1),
        (1_000_000, (REAL, 0, 1.25), 1_250_000),
        (1, (REAL, 0, 2.5), 2),
        (1, (REAL, 0, 3.5), 4),
        (0, (REAL, 0, 2_600.0), 3),
        (1_000_000, (WHOLE, 2**62, float(2**62)), MISSING_INT),
        (1, (REAL, 0, math.nan), MISSING_INT),
        (1, (REAL, 0, math.inf), MISSING_INT),
        (1, (REAL, 0, 1e300), MISSING_INT),
        (ISO, (WHOLE, 7, 7.0), MISSING_INT),
    ],
)
def test_a_time_becomes_us(per_unit: int, value: Any, us: int) -> None:
    ok, words, _ = put(TIME, [value], per_unit=per_unit)
    assert words[0, 0] == us
    assert ok == [us != MISSING_INT]


@pytest.mark.parametrize(
    ("text", "us"),
    [
        (b"1970-01-01T00:00:00Z", 0),
        (b"1969-12-31T23:59:59.999999Z", -1),
        (b"1970-01-01T01:00:00.5+01:00", 500_000),
        (b"2000-02-29T00:00:00-00:30", 951_784_200_000_000),
        (b"0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        (b"9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        (b"1900-02-29T00:00:00Z", MISSING_INT),
        (b"1970-01-01T00:00:00", MISSING_INT),
        (b"1970-01-01T00:00:00.1234567Z", MISSING_INT),
        (b"1970-01-01T00:00:00.Z", MISSING_INT),
        (b"1970-01-01T00:00:00+0100", MISSING_INT),
        (b"", MISSING_INT),
    ],
)
def test_a_text_holds_a_time(text: bytes, us: int) -> None:
    _, words, _ = put(TIME, [VALUES["text"]], [text], per_unit=ISO)
    assert words[0, 0] == us
