"""The kernel that reads CSV: a walk over the cells of each line, which puts those that are read into arrays."""

from __future__ import annotations

import numpy as np

from connectors.codec.number import LOOSE, read_number
from connectors.codec.put import BOOL, FALSE, ISO, NO, NOWHERE, NULL, PART, STRING, TEXT, TIME, TRUE, put_value
from connectors.codec.utf8 import is_utf8
from operators.binary import equal
from operators.kernel import kernel

LONGEST = 131_072
"""Bytes of a line that is taken: Python's `csv` takes no longer cells."""


@kernel
def scan(  # type: ignore[no-untyped-def]  # noqa: ANN201, C901  # compiled: numba infers
    data, begin, size, kind, ends, cells, separator, gone, gone_ends, powers, fives, puts, words, spans, counts, table, ok,
):  # fmt: skip
    """Read every line; `ok` says which were.

    `cells` holds the puts of the cells of all kinds of lines, or -1, those of a kind from `ends[kind]` to `ends[kind + 1]`;
    `gone` the texts that stand for a missing value, and `gone_ends` where each of them ends.
    """
    for row in range(len(begin)):
        at, end = begin[row], begin[row] + size[row]
        cell, last = ends[kind[row]], ends[kind[row] + 1]
        good = size[row] <= LONGEST and is_utf8(data, at, end)
        while good and cell < last:
            quoted = at < end and data[at] == 34
            at += quoted
            first = at
            mark = 34 if quoted else separator
            while at < end and data[at] != mark and data[at] != 0:
                at += 1
            behind = at
            if quoted:
                good = at < end and data[at] == 34
                at += 1
            put = cells[cell]
            cell += 1
            good &= at == end if cell == last else at < end and data[at] == separator
            at += 1
            if not good or put < 0 or puts[put, 0] == NOWHERE:
                continue
            what = puts[put, 0]
            if what not in (TEXT, PART):
                while first < behind and _is_blank(data[first]):
                    first += 1
                while first < behind and _is_blank(data[behind - 1]):
                    behind -= 1
            value, whole, real = STRING, np.int64(0), 0.0
            if first == behind or _is_one_of(data, first, behind - first, gone, gone_ends):
                value = NULL
            elif what == BOOL:
                value = _truth(data, first, behind - first)
            elif what not in (TEXT, PART) and (what != TIME or puts[put, 2] != ISO):
                value, stop, whole, real = read_number(data, first, behind, powers, fives, LOOSE)
                if stop != behind:
                    value = NO
            good = put_value(data, first, behind, row, value, whole, real, put, puts, words, spans, counts, table)
        ok[row] &= good


@kernel(forceinline=True)
def _is_blank(letter):  # type: ignore[no-untyped-def]  # compiled: numba infers
    return letter in (32, 9)


@kernel(forceinline=True)
def _is_one_of(data, begin, size, texts, ends):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say whether a cell is one of some texts."""
    first = 0
    for text in range(len(ends)):
        if ends[text] - first == size and equal(texts, first, data, begin, size):
            return True
        first = ends[text]
    return False


@kernel(forceinline=True)
def _truth(data, begin, size):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Read `true`, `false`, `1` or `0`, the words in any case."""
    if size == 1:
        return TRUE if data[begin] == 49 else (FALSE if data[begin] == 48 else NO)
    if size == 4:
        if _letter(data, begin, 116) and _letter(data, begin + 1, 114) and _letter(data, begin + 2, 117):
            return TRUE if _letter(data, begin + 3, 101) else NO
    elif size == 5 and _letter(data, begin, 102) and _letter(data, begin + 1, 97) and _letter(data, begin + 2, 108):
        return FALSE if _letter(data, begin + 3, 115) and _letter(data, begin + 4, 101) else NO
    return NO


@kernel(forceinline=True)
def _letter(data, at, small):  # type: ignore[no-untyped-def]  # compiled: numba infers
    return data[at] | 32 == small
