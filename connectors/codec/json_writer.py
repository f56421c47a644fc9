"""Rows as JSON, written by a kernel into one buffer, letter by letter as orjson writes them.

Rows whose device isn't plain text, or whose time is beyond the year 9999 or before 1, are left to orjson.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.codec.documents import YEAR_1, YEAR_10000
from connectors.codec.rows import BOOL, FLOAT, ID, INT, Rows
from connectors.codec.shortest import LONGEST, TENS, write_digits, write_float, write_whole
from connectors.codec.utf8 import is_utf8
from operators.batch import MISSING_INT
from operators.binary import Binary, copy_bytes
from operators.kernel import kernel

_TIME_LENGTH = 29
"""Characters of a time as text, with its quotes."""


def write_rows(rows: Rows, names: Sequence[str], times: Sequence[bool]) -> tuple[Binary, NDArray[np.intp]]:
    """Write rows.

    Args:
        rows: whose texts are JSON already.
        names: of the columns.
        times: of each column whether it is a time (int64, us) that is written as text.

    Returns:
        What was written, and which rows have to be written by another way.
    """
    count = rows.begin.shape[1]
    opening = [("," if at else "{").encode() + orjson.dumps(name) + b":" for at, name in enumerate(names)]
    letters = np.frombuffer(bytearray().join(opening), np.uint8)
    ends = np.cumsum([len(part) for part in opening])
    # Every value has at most as many characters as a float or a time; an id has two quotes besides.
    most = len(letters) + len(names) * max(LONGEST, _TIME_LENGTH) + 2
    data = np.empty(most * count + rows.bytes_of_texts(), np.uint8)
    size, ok = np.empty(count, np.int64), np.ones(count, np.bool_)
    begin = np.empty(count, np.int64)
    _write(
        letters, ends, rows.plan, np.array(times, np.bool_), rows.floats, rows.ints, rows.bools, rows.data, rows.begin,
        rows.size, TENS, data, begin, size, ok,
    )  # fmt: skip
    return Binary(data, begin, size), np.flatnonzero(~ok)


@kernel
def _write(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # a case a type
    letters, ends, plan, times, floats, ints, bools, texts, text_begin, text_size, tens, data, begin, size, ok
):
    at = 0
    for row in range(len(begin)):
        begin[row] = at
        opened = 0
        for column in range(len(plan)):
            copy_bytes(letters, opened, ends[column] - opened, data, at)
            at += ends[column] - opened
            opened = ends[column]
            kind, place = plan[column, 0], plan[column, 1]
            if kind == FLOAT:
                value = floats[place, row]
                at = write_float(data, at, value, tens) if abs(value) < np.inf else _null(data, at)
            elif kind == INT:
                whole = ints[place, row]
                if whole == MISSING_INT:
                    at = _null(data, at)
                elif not times[column]:
                    at = write_whole(data, at, whole)
                elif YEAR_1 <= whole < YEAR_10000:
                    at = _time(data, at, whole)
                else:
                    ok[row] = False
            elif kind == BOOL:
                at = _null(data, at) if bools[place, row] < 0 else _word(data, at, bools[place, row] == 1)
            else:
                length = text_size[place, row]
                if kind == ID:
                    ok[row] &= length >= 0 and _is_plain(texts, text_begin[place, row], length)
                    data[at] = 34
                    at += 1
                if length >= 0:
                    copy_bytes(texts, text_begin[place, row], length, data, at)
                    at += length
                elif kind != ID:
                    at = _null(data, at)
                if kind == ID:
                    data[at] = 34
                    at += 1
        data[at] = 125
        at += 1
        size[row] = at - begin[row]


@kernel(forceinline=True)
def _is_plain(data, begin, size):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say whether a text is JSON as it is: UTF-8 without quotes, backslashes and control characters."""
    for at in range(begin, begin + size):
        if data[at] < 32 or data[at] == 34 or data[at] == 92:
            return False
    return is_utf8(data, begin, begin + size)


@kernel(forceinline=True)
def _null(data, at):  # type: ignore[no-untyped-def]  # compiled: numba infers
    data[at], data[at + 1], data[at + 2], data[at + 3] = 110, 117, 108, 108
    return at + 4


@kernel(forceinline=True)
def _word(data, at, true):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write true or false."""
    if true:
        data[at], data[at + 1], data[at + 2], data[at + 3] = 116, 114, 117, 101
        return at + 4
    data[at], data[at + 1], data[at + 2], data[at + 3], data[at + 4] = 102, 97, 108, 115, 101
    return at + 5


@kernel(forceinline=True)
def _time(data, at, us):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write `"2026-01-31T12:00:00Z"`, with six digits of a fraction where there is one."""
    second, fraction = us // 1_000_000, us % 1_000_000
    day, second = second // 86_400, second % 86_400
    # The civil date of a number of days (Hinnant, "chrono-compatible low-level date algorithms").
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    year = year_of_era + era * 400 + (month <= 2)
    data[at] = 34
    at = write_digits(data, at + 1, np.uint64(year), 4)
    for part, mark in (
        (month, 45), (day, 45), (second // 3_600, 84), (second // 60 % 60, 58), (second % 60, 58),
    ):  # fmt: skip
        data[at] = mark
        at = write_digits(data, at + 1, np.uint64(part), 2)
    if fraction:
        data[at] = 46
        at = write_digits(data, at + 1, np.uint64(fraction), 6)
    data[at], data[at + 1] = 90, 34
    return at + 2
