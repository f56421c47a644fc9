"""Rows as Avro, written by a kernel into one buffer, byte by byte as fastavro writes them.

Rows whose device isn't UTF-8, or has a percent-encoded part, are left to fastavro.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectors.codec.rows import BOOL, FLOAT, ID, INT, Rows
from connectors.codec.utf8 import is_utf8
from operators.batch import MISSING_INT
from operators.binary import Binary, copy_bytes
from operators.kernel import bits_of, kernel, put_word

_LONGEST = 11
"""Bytes of a value that isn't a text, with the branch of its union; of a text's length likewise."""


def write_rows(rows: Rows, fixed: int, head: bytes) -> tuple[Binary, NDArray[np.intp]]:
    """Write rows.

    Args:
        rows: of which the first `fixed` columns can't be missing; others are a union with null.
        fixed: as said.
        head: what stands before each.

    Returns:
        What was written, and which rows have to be written by another way.
    """
    count = rows.begin.shape[1]
    data = np.empty((len(head) + len(rows.plan) * _LONGEST) * count + rows.bytes_of_texts(), np.uint8)
    begin, size, ok = np.empty(count, np.int64), np.empty(count, np.int64), np.ones(count, np.bool_)
    _write(
        rows.plan, fixed, np.frombuffer(bytearray(head), np.uint8), rows.floats, rows.ints, rows.bools, rows.data,
        rows.begin, rows.size, data, begin, size, ok,
    )  # fmt: skip
    return Binary(data, begin, size), np.flatnonzero(~ok)


@kernel
def _write(  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912  # a case a type
    plan, fixed, head, floats, ints, bools, texts, text_begin, text_size, data, begin, size, ok
):
    at = 0
    for row in range(len(begin)):
        begin[row] = at
        for place in range(len(head)):
            data[at + place] = head[place]
        at += len(head)
        for column in range(len(plan)):
            kind, place = plan[column, 0], plan[column, 1]
            if kind == FLOAT:
                there = floats[place, row] == floats[place, row]  # NaN
            elif kind == INT:
                there = ints[place, row] != MISSING_INT
            elif kind == BOOL:
                there = bools[place, row] >= 0
            else:
                there = text_size[place, row] >= 0
            if column >= fixed:
                data[at] = 2 if there else 0
                at += 1
            else:
                ok[row] &= there
            if not there:
                continue
            if kind == FLOAT:
                put_word(data, at, bits_of(floats[place, row]))
                at += 8
            elif kind == INT:
                at = _long(data, at, ints[place, row])
            elif kind == BOOL:
                data[at] = bools[place, row]
                at += 1
            else:
                first, length = text_begin[place, row], text_size[place, row]
                ok[row] &= kind != ID or is_utf8(texts, first, first + length)
                at = _long(data, at, length)
                copy_bytes(texts, first, length, data, at)
                at += length
        size[row] = at - begin[row]


@kernel(forceinline=True)
def _long(data, at, value):  # type: ignore[no-untyped-def]  # compiled: numba infers
    """Write a number; gives the place behind."""
    rest = np.uint64((value << 1) ^ (value >> 63))
    while rest >= np.uint64(0x80):
        data[at] = rest & np.uint64(0x7F) | np.uint64(0x80)
        rest >>= np.uint64(7)
        at += 1
    data[at] = rest
    return at + 1
