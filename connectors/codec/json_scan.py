"""JSON read straight into columns: the fields that a pipeline reads, and the rest only looked through.

What the kernel takes, it takes as orjson and Python do, to the last bit; grammar and keys that stand twice are looked for
in skipped values too. What it doesn't take it leaves to `connectors.codec.documents`, which says what is wrong, if anything
is: texts with escapes or letters beyond ASCII, ints of more than 18 digits, floats of more than 19 or that are subnormal,
values of another type than the field's, and objects of more than 64 keys or nested more than 32 deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.codec.base import Decoded, Reading, Records
from connectors.codec.json_kernel import BETWEEN, DEEP, KEYS, SHAPES, VALUES, scan
from connectors.codec.number import FIVES, POWERS
from connectors.codec.puts import Puts


@dataclass(frozen=True, slots=True)
class _Tree:
    """The fields to read, as a tree of keys.

    Attributes:
        names: uint8, all keys behind each other.
        nodes: int64 (nodes, 2), the first edge of an object and how many there are.
        edges: int64 (edges, 4), where a key begins in `names` and how long it is, the node that it leads to or -1, the
            put of its value or -1.
    """

    names: NDArray[np.uint8]
    nodes: NDArray[np.int64]
    edges: NDArray[np.int64]


class JsonScan:
    """Reads records of JSON into columns.

    Args:
        reading: what to read.
    """

    def __init__(self, reading: Reading) -> None:
        """Make the tree of fields."""
        self._puts = Puts(reading)
        self._tree = _tree(self._puts.at)
        # What the kernel has learnt of the shapes of records: scratch for one, and what is kept of each.
        self._shapes = (
            np.empty((VALUES, 4), np.int64),
            np.empty((SHAPES, BETWEEN), np.uint8),
            np.empty((SHAPES, VALUES, 3), np.int64),
            np.zeros((SHAPES + 1, 2), np.int64),
        )

    def scan(self, records: Records) -> tuple[Decoded, NDArray[np.intp]]:
        """Read records.

        Returns:
            The rows that were read, and the places of the records that weren't.
        """
        values, arrays = records.values, self._puts.arrays(records)
        levels, keys = np.empty((DEEP, 2), np.int64), np.empty((KEYS * DEEP, 2), np.int64)
        for puts in self._puts.layers:
            scan(
                values.data, values.begin, values.size, self._tree.names, self._tree.nodes, self._tree.edges, puts, POWERS,
                FIVES, levels, keys, *self._shapes, *arrays,
            )  # fmt: skip
        return self._puts.rows(records, arrays)


def _tree(puts: Mapping[tuple[str, ...], int]) -> _Tree:
    """Make a tree of paths, each with the put of its value."""
    names = bytearray()
    children: list[dict[str, int]] = [{}]
    edges: list[list[int]] = []
    for path, put in puts.items():
        node = 0
        for depth, key in enumerate(path):
            if key not in children[node]:
                children[node][key] = len(edges)
                edges.append([len(names), len(key.encode()), -1, -1])
                names += key.encode()
            edge = edges[children[node][key]]
            if depth == len(path) - 1:
                edge[3] = put
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
    )
