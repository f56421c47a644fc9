"""Where in records of JSON the items of a list stand.

The list is found by its path, and its items by the commas between them; what isn't stepped over in finding them isn't
looked at. So a record must still be read to its end to know whether it is JSON: with an item in the place of the list, or
as it is where the list is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connectors.codec.items import Items
from connectors.codec.json_kernel import skip_space
from operators.binary import Binary
from operators.kernel import kernel


class JsonItems:
    """Finds the items of a list in records of JSON.

    Args:
        path: of the list; empty where it is the whole record.
    """

    def __init__(self, path: Sequence[str]) -> None:
        """Write the path as bytes."""
        keys = [key.encode() for key in path]
        self._names = np.array(list(b"".join(keys)), np.uint8)
        self._ends = np.cumsum([len(key) for key in keys], dtype=np.int64)

    def find(self, values: Binary) -> Items:
        """Find the items."""
        rows = len(values)
        room = rows + _commas(values.data, values.begin, values.size)
        count, lists = np.empty(rows, np.int64), np.zeros((rows, 2), np.int64)
        first, last = np.empty(room, np.int64), np.empty(room, np.int64)
        found = _find(values.data, values.begin, values.size, self._names, self._ends, count, lists, first, last)
        return Items(count, lists, first[:found], last[:found])


@kernel
def _commas(data, begin, size):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Count commas: a list has no more items than these and one."""
    count = 0
    for row in range(len(begin)):
        for at in range(begin[row], begin[row] + size[row]):
            count += data[at] == 44
    return count


@kernel
def _find(data, begin, size, names, ends, count, lists, first, last):  # type: ignore[no-untyped-def]  # compiled
    """Find the items of every record; gives how many there are."""
    known = 0
    for row in range(len(begin)):
        end = begin[row] + size[row]
        at = _list(data, begin[row], end, names, ends)
        count[row] = -1
        if at >= 0:
            behind, found = _items(data, at + 1, end, known, first, last)
            if behind >= 0:
                lists[row, 0], lists[row, 1] = at, behind
                count[row] = found - known
                known = found
    return known


@kernel
def _list(data, at, end, names, ends):  # type: ignore[no-untyped-def]  # noqa: C901  # a walk
    """Give the place of the `[` at a path; -1 where none stands there, or a key on the way has escapes."""
    at = skip_space(data, at, end)
    for level in range(len(ends)):
        name = ends[level - 1] if level else 0
        if at >= end or data[at] != 123:  # {
            return -1
        at = skip_space(data, at + 1, end)
        there = False
        while not there:
            if at >= end or data[at] != 34:  # "
                return -1
            key = at + 1
            at = key
            while at < end and data[at] != 34:
                if data[at] == 92:  # \
                    return -1
                at += 1
            there = at - key == ends[level] - name
            for place in range(at - key if there else 0):
                there &= data[key + place] == names[name + place]
            at = skip_space(data, at + 1, end)
            if at >= end or data[at] != 58:  # :
                return -1
            at = skip_space(data, at + 1, end)
            if not there:
                at = skip_space(data, _behind(data, at, end), end)
                if at >= end or data[at] != 44:  # ,
                    return -1
                at = skip_space(data, at + 1, end)
    return at if at < end and data[at] == 91 else -1  # [


@kernel
def _items(data, at, end, known, first, last):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Note where each item of a list stands, from behind its `[` on.

    Gives the place behind its `]`, -1 where there is none, and how many items are noted then.
    """
    at = skip_space(data, at, end)
    if at < end and data[at] == 93:  # ]
        return at + 1, known
    while at < end:
        begin = at
        at = _behind(data, at, end)
        first[known], last[known] = begin, at
        known += 1
        if at >= end or data[at] == 125:  # }
            return -1, known
        at += 1
        if data[at - 1] == 93:
            return at, known
    return -1, known


@kernel
def _behind(data, at, end):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Give the place of the comma, or of the bracket of what it stands in, behind a value; `end` where there is neither."""
    depth = 0
    while at < end:
        letter = data[at]
        if letter == 34:
            at += 1
            while at < end and data[at] != 34:
                at += 1 + (data[at] == 92)
        elif letter in (123, 91):
            depth += 1
        elif letter in (125, 93):
            if depth == 0:
                return at
            depth -= 1
        elif letter == 44 and depth == 0:
            return at
        at += 1
    return end
