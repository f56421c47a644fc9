"""Where in records the items of a list stand, and records in which one item stands in the list's place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Records
from operators.binary import Binary, copy_bytes
from operators.kernel import kernel

GROWTH, ROOM = 16, 4_096
"""Bytes that a record may come to when it is spliced: for each of its own, and besides."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items of one list a record.

    Attributes:
        count: int64 (records), how many there are; -1 where the list wasn't found or its items couldn't be told apart.
        lists: int64 (records, 2), where each list begins and ends in the bytes of all records.
        begin: int64 (items), where each item begins, those of one record behind those of another.
        end: int64 (items).
    """

    count: NDArray[np.int64]
    lists: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    def fitting(self, values: Binary) -> NDArray[np.bool_]:
        """Say of which records splicing makes so little that it may be done: what stands beside a list comes for each item."""
        whole = self.lists[:, 1] - self.lists[:, 0]
        grown = self.count * (values.size - whole + 1) + whole
        return np.asarray(grown <= GROWTH * values.size + ROOM)


def splice(records: Records, items: Items, some: NDArray[np.bool_], space: int) -> tuple[Records, NDArray[np.intp]]:
    """Make records of which each has one item in the place of the list.

    Args:
        records: that the items stand in.
        items: theirs.
        some: the records to take; these have items, if no more than none.
        space: how many spaces to put behind an item, 0 or 1: JSON's `[1]2` would become a number else.

    Returns:
        The records made, and the place of the record that each is of.
    """
    count = np.maximum(items.count, 0)
    of = np.repeat(np.arange(len(records)), count)
    taken = some[of]
    of, begin, end = of[taken], items.begin[taken], items.end[taken]
    size = end - begin + (records.values.size - (items.lists[:, 1] - items.lists[:, 0]) + space)[of]
    until = np.cumsum(size)
    at = until - size
    data = np.empty(int(until[-1]) if len(until) else 0, np.uint8)
    _splice(
        records.values.data, records.values.begin, records.values.size, items.lists, of, begin, end, space, data, at
    )
    return replace(records.take(of), values=Binary(data, at, size)), of


@kernel
def _splice(data, begin, size, lists, of, first, last, space, out, at):  # type: ignore[no-untyped-def]  # compiled
    for row in range(len(of)):
        record, place = of[row], at[row]
        before = lists[record, 0] - begin[record]
        copy_bytes(data, begin[record], before, out, place)
        place += before
        copy_bytes(data, first[row], last[row] - first[row], out, place)
        place += last[row] - first[row]
        if space:
            out[place] = 32
            place += 1
        behind = begin[record] + size[record] - lists[record, 1]
        copy_bytes(data, lists[record, 1], behind, out, place)
