"""JSON read straight into columns: the fields that a pipeline reads, and the rest only looked through.

What the kernel takes, it takes as orjson and Python do, to the last bit; grammar and keys that stand twice are looked for
in skipped values too. What it doesn't take it leaves to `connectors.codec.documents`, which says what is wrong, if anything
is: texts with escapes or letters beyond ASCII, ints of more than 18 digits, floats of more than 19 or that are subnormal,
values of another type than the field's, and objects of more than 64 keys or nested more than 32 deep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, Reading, Records, Unit
from connectors.codec.documents import YEAR_1, YEAR_10000
from connectors.codec.json_kernel import BOOL, DEEP, FIVES, FLOAT, INT, ISO, KEYS, PART, POWERS, TEXT, TIME, scan
from operators.batch import MISSING_BOOL, MISSING_CODE, MISSING_INT, Column, Text, Type
from operators.binary import Binary
from operators.devices import join_ids

_PUT = {Type.FLOAT: FLOAT, Type.INT: INT, Type.BOOL: BOOL, Type.TEXT: TEXT}
_PER_UNIT = {Unit.S: 1_000_000, Unit.MS: 1_000, Unit.US: 1, Unit.NS: 0, Unit.ISO: ISO}


@dataclass(frozen=True, slots=True)
class _Tree:
    """The fields to read, as a tree of keys.

    Attributes:
        names: uint8, all keys behind each other.
        nodes: int64 (nodes, 2), the first edge of an object and how many there are.
        edges: int64 (edges, 4), where a key begins in `names` and how long it is, the node that it leads to or -1, the
            first put of its value or -1.
        puts: int64 (puts, 3), into what a value goes, into which row of that array, and the next put of it or -1.
    """

    names: NDArray[np.uint8]
    nodes: NDArray[np.int64]
    edges: NDArray[np.int64]
    puts: NDArray[np.int64]


class JsonScan:
    """Reads records of JSON into columns.

    Args:
        reading: what to read.
    """

    def __init__(self, reading: Reading) -> None:
        """Make the tree of fields."""
        self._reading = reading
        self._columns = {
            type_: [field.name for field in reading.fields if field.type is type_]
            for type_ in (Type.FLOAT, Type.INT, Type.BOOL, Type.TEXT)
        }
        paths = [
            (field.path, _PUT[field.type], self._columns[field.type].index(field.name)) for field in reading.fields
        ]
        paths += [(path, PART, part) for part, path in enumerate(reading.device)]
        if reading.time:
            paths.append((reading.time, TIME, 0))
        self._tree = _tree(paths)

    def scan(self, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        """Read records.

        Returns:
            The rows that were read, and the places of the records that weren't.
        """
        rows, reading, values = len(records), self._reading, records.values
        floats = np.full((len(self._columns[Type.FLOAT]), rows), np.nan)
        ints = np.full((len(self._columns[Type.INT]), rows), MISSING_INT)
        bools = np.full((len(self._columns[Type.BOOL]), rows), MISSING_BOOL)
        texts = len(self._columns[Type.TEXT])
        # Of texts: a code a row, and by code where its text stands.
        codes = np.full((texts, rows), MISSING_CODE)
        spans = np.empty((texts, 2, rows), np.int64)
        counts = np.zeros(texts, np.int64)
        table = np.full((texts, 1 << (2 * rows).bit_length()), -1, np.int32)
        # Of parts of the device: where each begins, and its size.
        parts = np.full((2, len(reading.device), rows), -1)
        ts = np.full(rows, MISSING_INT) if reading.time else records.timestamp.copy()
        ok = np.zeros(rows, np.bool_)
        scan(
            values.data, values.begin, values.size, *(getattr(self._tree, name) for name in _Tree.__slots__),
            _PER_UNIT[reading.unit], POWERS, FIVES, np.empty((DEEP, 2), np.int64), np.empty((KEYS * DEEP, 2), np.int64),
            np.empty(2), floats, ints, bools, codes, spans, counts, table, parts, ts, ok,
        )  # fmt: skip
        if reading.time:
            ok &= (ts >= YEAR_1) & (ts < YEAR_10000)
            ok &= (records.timestamp < 0) | (ts - records.timestamp <= reading.future)
        else:
            ok &= ts >= 0
        words = [Binary(values.data, *found[:, :count]) for found, count in zip(spans, counts.tolist(), strict=True)]
        made: dict[str, Column] = {}
        for type_, array in ((Type.FLOAT, floats), (Type.INT, ints), (Type.BOOL, bools)):
            made |= dict(zip(self._columns[type_], array, strict=True))
        for name, own, known in zip(self._columns[Type.TEXT], codes, words, strict=True):
            made[name] = Text(own, [word.decode("ascii") for word in known.values()])
        device = (
            join_ids([Binary(values.data, *part) for part in zip(*parts, strict=True)])
            if reading.device
            else records.keys
        )
        ok &= device.size > 0
        left = np.flatnonzero(~ok)
        columns = {field.name: made[field.name] for field in reading.fields}
        if not len(left):
            return Decoded(device, ts, records.offset, columns, ()), left
        kept = np.flatnonzero(ok)
        columns = {
            name: column.take(kept) if isinstance(column, Text) else column[kept] for name, column in columns.items()
        }
        return Decoded(device.take(kept), ts[kept], records.offset[kept], columns, ()), left


def _tree(paths: Sequence[tuple[Sequence[str], int, int]]) -> _Tree:
    """Make a tree of paths, each with what its value is put into and which row of that."""
    names = bytearray()
    children: list[dict[str, int]] = [{}]
    edges: list[list[int]] = []
    puts: list[list[int]] = []
    for path, what, row in paths:
        node = 0
        for depth, key in enumerate(path):
            if key not in children[node]:
                children[node][key] = len(edges)
                edges.append([len(names), len(key.encode()), -1, -1])
                names += key.encode()
            edge = edges[children[node][key]]
            if depth == len(path) - 1:
                puts.append([what, row, edge[3]])
                edge[3] = len(puts) - 1
            elif edge[2] < 0:
                edge[2] = len(children)
                children.append({})
            node = edge[2]
    order = [edge for own in children for edge in own.values()]
    ends = np.cumsum([len(own) for own in children])
    nodes = np.column_stack([ends - [len(own) for own in children], [len(own) for own in children]])
    return _Tree(
        np.frombuffer(bytes(names), np.uint8),
        nodes.astype(np.int64),
        np.array(edges, np.int64).reshape(-1, 4)[order],
        np.array(puts, np.int64).reshape(-1, 3),
    )
