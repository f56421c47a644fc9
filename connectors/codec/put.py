"""What a codec's kernel does with a value: it puts it into the arrays of what the pipeline reads, or says that it doesn't fit.

The values are the same whatever the format: nothing, a bool, a text, a whole number or one with a fraction.
"""

from __future__ import annotations

import numpy as np

from connectors.codec.documents import LONGEST_ID, YEAR_10000
from operators.batch import MISSING_INT
from operators.binary import equal, hash_bytes
from operators.kernel import bits_of, kernel

NOWHERE, FLOAT, INT, BOOL, TEXT, PART, TIME = range(7)
"""What a value is put into: a column by its type, a part of the device, or the event time."""
ISO = -1
"""In place of us per unit of the event time (0: ns): it is a text."""
_FAR = 9e18
"""Beyond any time, and within 64 bits; us."""
NO, NULL, FALSE, TRUE, STRING, WHOLE, REAL = range(7)
"""What a value is; `NO`: nothing that the kernel takes."""


@kernel(forceinline=True)
def put_value(  # type: ignore[no-untyped-def]  # noqa: ANN201  # each thing that a value goes into
    data, begin, end, row, kind, whole, real, put, puts, words, spans, counts, table
):
    """Put a value where it is read; gives whether it fits.

    Args:
        data: uint8, the bytes of all records.
        begin: where the value stands, without quotes.
        end: where it ends.
        row: of the record.
        kind: what the value is.
        whole: the number that it is.
        real: the same as a float, or a number with a fraction.
        put: its put.
        puts: int64 (puts, 3): of each into what the value goes, into which row of `words`, and us per unit of a time; 0 for
            ns, `ISO` for text.
        words: int64 (values, rows): of a float its bits, of a part of the device where it begins and, in the row below, its
            size, of a text its code.
        spans: int64 (texts, 2, rows): by code where its text stands, and its size.
        counts: int64 (texts): how many codes there are.
        table: int32 (texts, size): scratch to look texts up.
    """
    # No loop over several puts of a value stands here: what could be computed ahead of it would be, for every value, and
    # took three times as long as reading a record.
    what, place = puts[put, 0], puts[put, 1]
    fits = True
    if what == NOWHERE:
        pass
    elif kind == NULL:
        fits = what < PART
    elif what == FLOAT:
        fits = kind >= WHOLE
        words[place, row] = np.int64(bits_of(real))
    elif what == INT:
        fits = kind == WHOLE
        words[place, row] = whole
    elif what == BOOL:
        fits = kind in (FALSE, TRUE)
        words[place, row] = kind == TRUE
    elif what == TIME:
        words[place, row] = _time(data, begin, end, kind, whole, real, puts[put, 2])
        fits = words[place, row] != MISSING_INT
    elif what == PART:
        fits = kind in (STRING, WHOLE) and 0 < end - begin <= LONGEST_ID
        words[place, row], words[place + 1, row] = begin, end - begin
    else:
        fits = kind == STRING
        if fits:
            words[place, row] = code_of(data, begin, end, spans[place], counts, place, table[place])
    return fits


@kernel(forceinline=True)
def _time(data, begin, end, kind, whole, real, per_unit):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give an event time in us; `MISSING_INT` where it isn't one in these units, or is far from any that is allowed."""
    if per_unit == ISO:
        return _instant(data, begin, end) if kind == STRING else MISSING_INT
    if kind == WHOLE:
        if per_unit == 0:
            return whole // 1_000
        return whole * per_unit if abs(real) * per_unit < _FAR else MISSING_INT
    if kind == REAL:
        us = real / 1_000 if per_unit == 0 else real * per_unit
        return np.int64(np.rint(us)) if abs(us) < YEAR_10000 else MISSING_INT
    return MISSING_INT


@kernel
def _instant(data, begin, end):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0911  # a grammar
    """Read `2026-01-31T12:00:00.123456+01:00`: whole seconds or a fraction of up to six digits, and `Z` or an offset."""
    if end - begin < 20:
        return MISSING_INT
    for at, letter in ((4, 45), (7, 45), (10, 84), (13, 58), (16, 58)):
        if data[begin + at] != letter:
            return MISSING_INT
    year, month, day = _digits(data, begin, 4), _digits(data, begin + 5, 2), _digits(data, begin + 8, 2)
    hour, minute, second = _digits(data, begin + 11, 2), _digits(data, begin + 14, 2), _digits(data, begin + 17, 2)
    if (
        min(year, month, day, hour, minute, second) < 0
        or month == 0
        or month > 12
        or hour > 23
        or max(minute, second) > 59
    ):
        return MISSING_INT
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 28 + leap if month == 2 else 30 + ((month + (month > 7)) & 1)
    if day == 0 or day > longest:
        return MISSING_INT
    at, fraction = begin + 19, 0
    if data[at] == 46:
        at += 1
        point = at
        while at < end and 48 <= data[at] <= 57 and at - point < 6:
            fraction = fraction * 10 + np.int64(data[at] - 48)
            at += 1
        if at == point:
            return MISSING_INT
        for _ in range(6 - (at - point)):
            fraction *= 10
    offset = 0
    if end - at == 6 and data[at + 3] == 58 and (data[at] == 43 or data[at] == 45):
        hours, minutes = _digits(data, at + 1, 2), _digits(data, at + 4, 2)
        if min(hours, minutes) < 0 or hours > 23 or minutes > 59:
            return MISSING_INT
        offset = (hours * 60 + minutes) * (1 if data[at] == 43 else -1)
    elif end - at != 1 or data[at] != 90:
        return MISSING_INT
    # Days since 1970 of the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000_000 + fraction


@kernel(forceinline=True)
def _digits(data, at, count):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the number that so many digits are; -1 where one isn't a digit."""
    value = 0
    for place in range(at, at + count):
        if not 48 <= data[place] <= 57:
            return -1
        value = value * 10 + np.int64(data[place] - 48)
    return value


@kernel
def code_of(data, begin, end, spans, counts, place, table):  # type: ignore[no-untyped-def]  # noqa: ANN201  # as above
    """Give the code of a text, a new one if it wasn't met before: an open-addressing table of codes."""
    mask = len(table) - 1
    size = end - begin
    at = np.int64(hash_bytes(data, begin, size)) & mask
    while table[at] >= 0:
        code = table[at]
        if spans[1, code] == size and equal(data, spans[0, code], data, begin, size):
            return code
        at = (at + 1) & mask
    code = counts[place]
    table[at] = code
    spans[0, code], spans[1, code] = begin, size
    counts[place] += 1
    return code
