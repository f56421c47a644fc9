"""Records that hold a list of readings: each is read as a record of its own, in which it stands in the list's place.

That is what `unnest` in Vector's language and the `split` filter of Logstash make of them. Kernels find the items of the
lists and write such records, which are then read as any others of their format. What kernels don't take, and records that
would grow too much, are read as documents, which share what stands beside the list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Dead, Decoded, Reading, Records, Unit
from connectors.codec.documents import Documents
from connectors.codec.items import Items, splice
from connectors.codec.split import Split, beside, whole
from operators.binary import Binary

CHUNK = 8_192
"""Readings that are documents at a time."""
REPEATED, SPARE = 64, 1 << 20
"""Bytes of text beside a list that may be repeated for its items: for each of the record's, and besides."""
BLANK = Reading((), (), (), Unit.US, 0)
"""Nothing is read: what is left then isn't of the format, or isn't taken by a kernel."""

_EMPTY = sys.getsizeof("")


class Scan(Protocol):
    """Reads records by a kernel, as `connectors.codec.json_scan.JsonScan` does."""

    def scan(self, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        """Give the rows that were read, and the places of the records that weren't."""
        ...


class Finder(Protocol):
    """Finds the items of lists, as `connectors.codec.json_items.JsonItems` does."""

    def find(self, values: Binary) -> Items:
        """Find the items."""
        ...


@dataclass(frozen=True, slots=True)
class Kernels:
    """What a format reads lists by.

    Attributes:
        finder: of the items.
        item: reads records in which an item stands in the place of the list.
        blank: reads records as they are, and nothing of them (`BLANK`).
        space: see `splice`.
    """

    finder: Finder
    item: Scan
    blank: Scan
    space: int


class Each:
    """Decodes records that hold a list of readings.

    Args:
        reading: what to read.
        kernels: of the format.
        load: gives the document of each record, and by place the reason where there is none.
    """

    def __init__(
        self, reading: Reading, kernels: Kernels, load: Callable[[Records], tuple[Sequence[Any], dict[int, str]]]
    ) -> None:
        """Note what is read beside the list."""
        self._reading = reading
        self._kernels = kernels
        self._load = load
        each = reading.each
        self._outer = [path for _, path in reading.places() if path[: len(each)] != each]
        self._beside = [
            {path[depth] for path in self._outer if path[:depth] == each[:depth] and path[depth : depth + 1]}
            - {each[depth]}
            for depth in range(len(each))
        ]

    def decode(self, records: Records) -> Decoded:
        """Decode what can be decoded; a record with a bad reading is dead as a whole."""
        items = self._kernels.finder.find(records.values)
        left = (items.count < 0) | ~items.fitting(records.values)
        empty = np.flatnonzero(items.count == 0)
        if len(empty):
            left[empty[self._odd(records.take(empty))]] = True
        readings, record = splice(records, items, ~left, self._kernels.space)
        decoded, odd = self._kernels.item.scan(readings)
        if not len(odd) and not left.any():
            return decoded
        left[record[odd]] = True
        kept = ~left[np.delete(record, odd)]
        rest = np.flatnonzero(left)
        return beside(decoded, kept, rest, self._by_document(records.take(rest)))

    def _odd(self, records: Records) -> NDArray[np.intp]:
        """Give the places of the records that aren't read though nothing is wanted of them."""
        key = Binary(records.values.data, np.zeros(len(records), np.int64), np.ones(len(records), np.int64))
        return self._kernels.blank.scan(replace(records, keys=key, timestamp=np.zeros(len(records), np.int64)))[1]

    def _by_document(self, records: Records) -> Decoded:
        documents = Documents(*self._load(records))
        lists = documents.items(self._reading.each)
        refused = set(documents.bad)
        made, record, letters, known = [], [], [], 0
        readings = self._readings(documents, lists, records.values.size.tolist(), refused)
        while chunk := list(islice(readings, CHUNK)):
            of = np.array([row for row, _ in chunk], np.intp)
            out = Documents([doc for _, doc in chunk], {}).columns(records.take(of), self._reading)
            letters += [Dead(known + row, reason) for row, reason in out.dead]
            refused.update(of[[row for row, _ in out.dead]].tolist())
            made.append(out)
            record.append(of)
            known += len(of)
        none = Documents([], {}).columns(records.take(slice(0)), self._reading)
        rows = replace(Decoded.concat([none, *made]), dead=letters)
        return whole(rows, Split(records, np.concatenate([np.empty(0, np.intp), *record]), documents.bad))

    def _readings(
        self, documents: Documents, lists: Sequence[list[Any]], sizes: Sequence[int], refused: set[int]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Give the document of each reading, with the place of its record; no more of a record once that is refused."""
        each = self._reading.each
        for row, found in enumerate(lists):
            levels, within = [], documents.docs[row]
            for depth, key in enumerate(each if found else ()):
                levels.append({name: within[name] for name in self._beside[depth] if name in within})
                within = within[key]
            items = found
            texts = self._texts(documents.docs[row])
            if texts < 0:
                items = found[:1]  # what stands beside the list is wrong, and so with every item
            elif texts * len(found) > REPEATED * sizes[row] + SPARE:
                name, given = ".".join(each), f"{len(found):,} beside {texts:,} bytes of text that each would repeat"
                documents.bad[row] = f"field `{name}`: expected fewer readings in one record, given {given}"
                continue
            for item in items:
                if row in refused:
                    break
                document = item
                for key, level in zip(reversed(each), reversed(levels), strict=True):
                    document = {**level, key: document}
                yield row, document

    def _texts(self, document: Mapping[str, Any]) -> int:
        """Give how many bytes of text are read beside the list, about; -1 where something is read of which no value is made."""
        size = 0
        for path in self._outer:
            value: Any = document
            for key in path:
                if type(value) is not dict:
                    if value is not None:
                        return -1
                    break
                value = value.get(key)
            if type(value) in {dict, list, bytes}:
                return -1
            if type(value) in {str, Decimal}:
                size += sys.getsizeof(value) - _EMPTY
        return size
