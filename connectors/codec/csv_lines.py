"""Records of CSV taken apart into lines, each of which is a reading, and the names of the cells in each line.

A line ends with LF, CR LF or CR outside of quotes, and empty ones stand for nothing. Quotes are those of RFC 4180: a cell
that begins with one ends at the next that isn't doubled; elsewhere in a cell a quote is a letter.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Records
from connectors.codec.split import Split
from operators.binary import Binary
from operators.devices import DeviceTable
from operators.kernel import kernel, word

_EMPTY = {-1: "the record has no value", 0: "the record's value is empty"}
"""Why a record without a line is dead, by the size of its value."""
_SHOWN = 10
"""Names of a header line that are told."""


class Lines(NamedTuple):
    """Lines, and what names their cells.

    Attributes:
        split: the lines as the readings of their records, without header lines.
        names: of the cells, for each kind of line there is.
        kind: intp, of each line which of `names` are its cells'.
    """

    split: Split
    names: Sequence[Sequence[str]]
    kind: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> Lines:
        """Pick lines by their places."""
        split = self.split
        return Lines(Split(split.readings.take(rows), split.record[rows], split.dead), self.names, self.kind[rows])


def lines_of(records: Records, separator: str, columns: Sequence[str] | None, read: Sequence[str]) -> Lines:
    """Take records apart.

    Args:
        records: whose values are CSV.
        separator: between cells, ASCII.
        columns: the names of the cells, or None where a header line at the beginning of each record tells them.
        read: the names of those that are read. A record whose header line doesn't name each of them once is dead.
    """
    values = records.values
    most = _most(values.data, values.begin, values.size)
    begin, size, record = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.intp)
    count = _find(values.data, values.begin, values.size, ord(separator), begin, size, record)
    lines, record = Binary(values.data, begin[:count], size[:count]), record[:count]
    dead = {}
    for row in np.flatnonzero(np.bincount(record, minlength=len(records)) == 0).tolist():
        dead[row] = _EMPTY.get(int(values.size[row]), "the record has no line that isn't empty")
    if columns is not None:
        return Lines(_split(records, lines, record, dead), [columns], np.zeros(count, np.intp))
    is_head = np.diff(record, prepend=-1) > 0
    heads = DeviceTable(("head",))
    kinds = heads.slots(lines.take(is_head)).astype(np.intp)
    names: list[Sequence[str]] = []
    bad: dict[int, str] = {}
    for kind, line in enumerate(heads.ids(np.arange(len(heads))).values()):
        try:
            names.append(_names(line, separator, read))
        except ValueError as error:
            names.append(())
            bad[kind] = f"the header line: {error}"
    good = ~is_head
    if bad:
        dead |= {
            row: bad[kind] for row, kind in zip(record[is_head].tolist(), kinds.tolist(), strict=True) if kind in bad
        }
        good &= ~np.isin(record, list(dead))
    kind_of = kinds[np.cumsum(is_head) - 1]
    return Lines(_split(records, lines.take(good), record[good], dead), names, kind_of[good])


def cells_of(line: bytes, separator: str) -> list[str]:
    """Cut a line into its cells.

    >>> cells_of(b'd1;"1;5";5" pipe', ";")
    ['d1', '1;5', '5" pipe']

    Raises:
        ValueError: if it isn't UTF-8, a quote isn't closed or is closed before the end of its cell, a cell has more than
            131,072 letters, or there is a NUL, which Python's `csv` takes or doesn't by its version.
    """
    if b"\0" in line:
        message = "a line has a NUL (U+0000) in it"
        raise ValueError(message)
    try:
        return next(csv.reader([line.decode()], delimiter=separator, strict=True))
    except csv.Error as error:
        message = str(error).replace("unexpected end of data", "a quote isn't closed")
        raise ValueError(message) from None


def _names(line: bytes, separator: str, read: Sequence[str]) -> Sequence[str]:
    names = [name.strip() for name in cells_of(line, separator)]
    for name in read:
        if names.count(name) != 1:
            there = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
            message = f"expected a column `{name}`{' once' if name in names else ''}, given {there}"
            raise ValueError(message)
    return names


def _split(records: Records, lines: Binary, record: NDArray[np.intp], dead: Mapping[int, str]) -> Split:
    taken = records.take(record)
    readings = Records(records.topic, records.partition, lines, taken.keys, taken.timestamp, taken.offset)
    return Split(readings, record, dead)


@kernel
def _most(data, begin, size):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give how many lines there can be."""
    count = len(begin)
    for row in range(len(begin)):
        for at in range(begin[row], begin[row] + size[row]):
            count += (data[at] == 10) | (data[at] == 13)
    return count


@kernel
def _find(data, begin, size, separator, line_begin, line_size, record):  # type: ignore[no-untyped-def]  # compiled
    """Find the lines that aren't empty: where each begins, its size, and the record it stands in; gives how many there are."""
    count = 0
    for row in range(len(begin)):
        at, end = begin[row], begin[row] + size[row]
        if size[row] >= 3 and data[at] == 0xEF and data[at + 1] == 0xBB and data[at + 2] == 0xBF:
            at += 3  # a byte order mark
        while at < end:
            first = at
            while at < end:
                if at + 8 <= end and _is_plain(word(data, at)):
                    at += 8
                elif data[at] == 10 or data[at] == 13:
                    break
                elif data[at] == 34 and (at == first or data[at - 1] == separator):
                    at = _behind_quotes(data, at + 1, end)
                else:
                    at += 1
            if at > first:
                line_begin[count], line_size[count], record[count] = first, at - first, row
                count += 1
            at += 1
    return count


@kernel(forceinline=True)
def _is_plain(letters):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Say whether none of eight bytes is below 35, as quotes and line breaks are (Mycroft's test for a zero byte)."""
    return (letters - np.uint64(0x2323232323232323)) & ~letters & np.uint64(0x8080808080808080) == 0


@kernel(forceinline=True)
def _behind_quotes(data, at, end):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Find the place behind the quote that closes a cell; the end where none does."""
    while at < end:
        if data[at] == 34:
            at += 1
            if at == end or data[at] != 34:
                return at
        at += 1
    return end
